"""The library's tables as the comparison reads them: HL7's concept maps, code to target."""

from __future__ import annotations

import csv
from functools import cache

from gateway.settings import shipped


@cache
def read_table(name: str, column: str = "target") -> dict[str, str]:
    """A column of a table by code, in small letters; a code without a target isn't among them."""
    path = shipped("mappings") / "hl7v2" / "tables" / f"{name}.csv"
    with path.open(encoding="utf-8", newline="") as lines:
        rows = csv.DictReader(lines)
        told = [row for row in rows if row["target"] and row.get(column)]
    return {row["code"].casefold(): row[column].casefold() for row in told}
