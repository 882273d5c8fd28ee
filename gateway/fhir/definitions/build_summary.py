"""Builds ``summary.json.gz`` beside it: which elements a summary holds, and which modify.

From the same source as ``build.py``::

    python -m gateway.fhir.definitions.build_summary package/dist/fhir/r4

``{"summary": {parent path: [names]}, "modifier": {type: [names]}}``, choices by their concrete
names; of what modifies, the elements of resources alone.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gateway.fhir.definitions.build import Json, children, structures, write


def main(source: Path) -> None:
    """Reads the official files in ``source`` and writes the table."""
    types = structures(source)
    summary: dict[str, list[str]] = {}
    modifier: dict[str, list[str]] = {}
    for name, definition in sorted(types.items()):
        for item in definition["snapshot"]["element"][1:]:
            parent, _, last = item["path"].rpartition(".")
            names = [each for each, _ in children(last, _typed(item))]
            if item.get("isSummary"):
                summary.setdefault(parent, []).extend(names)
            if item.get("isModifier") and parent == name and definition["kind"] == "resource":
                modifier.setdefault(parent, []).extend(names)
    write("summary", {"summary": summary, "modifier": modifier})


def _typed(item: Json) -> Json:
    """Without what ``children`` needn't know."""
    return {
        "path": item["path"],
        "base": item["base"],
        "min": 0,
        "max": "1",
        "type": [{"code": each["code"]} for each in item.get("type", ()) if ":" not in each["code"]],
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]))
