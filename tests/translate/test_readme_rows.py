"""The example of mappings/README.md's section on rows, run."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from pathlib import Path

from gateway.model import Agency
from gateway.rows import lying, read
from gateway.settings import shipped
from gateway.translate import load
from tests.translate.test_readme import renamed

README = shipped("mappings") / "README.md"
SECTION = README.read_text(encoding="utf-8").split("\n## Rows and JSON records\n")[1]
BLOCK = re.compile(r"^```(yaml|csv|json)\n(?:# (\S+)\n)?(.*?)^```", re.MULTILINE | re.DOTALL)


def test_the_rows_become_what_the_page_says(tmp_path: Path) -> None:
    blocks = BLOCK.findall(SECTION.split("\n## ")[0])
    (expected,) = [
        json.loads(text, parse_float=Decimal) for kind, _, text in blocks if kind == "json"
    ]
    for kind, name, text in blocks:
        if kind != "json":
            path = tmp_path / ("maps" if "/" in name else "files") / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text, encoding="utf-8")
    agency = Agency("harbor", "Harbor")
    found = list(read(load([tmp_path / "maps"]), agency, "shelter", lying(tmp_path / "files")))
    assert [one.issue for one in found] == [None] * 3
    entries = [entry for one in found for entry in one.entries]
    names = {entry.reference: f"#{number}" for number, entry in enumerate(entries)}
    made = [
        {key: value for key, value in entry.resource.items() if key != "id"} for entry in entries
    ]
    assert [renamed(one, names) for one in made] == expected
