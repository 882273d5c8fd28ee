"""Builds ``targets.json.gz`` beside it: which types each of R4's references may lead to.

From the same source as ``build.py``::

    python -m gateway.fhir.definitions.build_targets package/dist/fhir/r4

``{path: [types]}``; a reference that may lead to any type isn't in it.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.fhir.definitions.build import PREFIX, Json, structures, write


def main(source: Path) -> None:
    """Reads the official files in ``source`` and writes the table."""
    found = {
        item["path"]: targets
        for definition in structures(source).values()
        for item in definition["snapshot"]["element"]
        if (targets := _targets(item)) and "Resource" not in targets
    }
    write("targets", dict(sorted(found.items())))


def _targets(item: Json) -> list[str]:
    kinds = [each for each in item.get("type", ()) if each["code"] == "Reference"]
    urls = [url for each in kinds for url in each.get("targetProfile", ())]
    return sorted(url.removeprefix(PREFIX) for url in urls)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
