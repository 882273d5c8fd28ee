"""Write the tables of ``mappings/hl7v2/tables`` that follow the guide's code maps word for word.

``python -m tests.mappings.ig.generate`` writes all but those kept by hand (``codes.KEPT``). Codes
for which the guide names no target are left out: the map's ``unmapped`` decides. Read the diff.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

from tests.mappings.ig.codes import KEPT, implied, table_name
from tests.mappings.ig.tables import Code, code_rows

TABLES = Path(__file__).parents[3] / "mappings" / "hl7v2" / "tables"


def write_all(folder: Path) -> list[str]:
    """Write every generated table; their names."""
    maps: dict[str, dict[str, Code]] = defaultdict(dict)
    for row in code_rows():
        if row.map not in KEPT:
            maps[row.map].setdefault(row.code, row)  # a second row of a code hangs on a condition
    for name, rows in maps.items():
        _write(folder / f"{table_name(name)}.csv", list(rows.values()))
    return sorted(table_name(name) for name in maps)


def _write(path: Path, rows: list[Code]) -> None:
    of_codes = all(implied(row.system) for row in rows)
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(
            ("code", "target", "v2") if of_codes else ("code", "target", "system", "display")
        )
        for row in rows:
            text, display = (" ".join(one.split()) for one in (row.text, row.display))
            end = (text,) if of_codes else (row.system, display or text)
            out.writerow((row.code, row.target, *end))


if __name__ == "__main__":
    print("\n".join(write_all(TABLES)))
