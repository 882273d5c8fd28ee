"""Code tables: CSV files with the columns code, target, system, display."""

from __future__ import annotations

import csv
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Literal, get_args

from gateway.translate.source import refuse

Unmapped = Literal["text", "warn", "reject", "task"]
"""What is done about a code that a table lacks."""

_POLICIES: Final[tuple[Unmapped, ...]] = get_args(Unmapped)

LONGEST: Final = 64
"""Characters of a code that somebody is asked to put into a table: what is longer is prose."""


def unmapped(written: str, place: str) -> Unmapped:
    """What ``unmapped:`` says; MapError for what it can't say."""
    for policy in _POLICIES:
        if written == policy:
            return policy
    refuse(place, f"'unmapped' is {', '.join(_POLICIES)}")


def is_code(text: str) -> bool:
    """Whether a text in a coded field may be a code, and not prose or rubbish."""
    return len(text) <= LONGEST and text.isprintable()


@dataclass(frozen=True, slots=True)
class Row:
    """A code and what it becomes; an empty ``target`` says "known, nothing to say in FHIR"."""

    place: str
    code: str
    target: str
    system: str
    display: str


@dataclass(frozen=True, slots=True)
class Table:
    """Rows by code; ``folded`` by the code in small letters, where that is unambiguous."""

    name: str
    place: str
    rows: dict[str, Row]
    folded: dict[str, Row] = field(default_factory=dict)

    def find(self, code: str) -> Row | None:
        """The row for ``code``, exactly, else whatever its case; ``1.0`` is 1, if nothing else."""
        row = self.rows.get(code)
        if row is None:
            row = self.folded.get(code.strip().casefold())
        if row is None and (number := code.strip().removesuffix(".0")).isdecimal():
            row = self.rows.get(number)
        return row


def read_table(name: str, path: Path, shown: str) -> Table:
    """Load a CSV file; MapError with file:line for a missing column, code or a code given twice."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file, strict=True)
        try:
            rows = _rows(reader, shown)
        except (csv.Error, UnicodeDecodeError):
            refuse(f"{shown}:{reader.line_num}", "not CSV in UTF-8")
    return Table(name, f"{shown}:1", rows, _folded(rows))


def _rows(reader: csv.DictReader[str], shown: str) -> dict[str, Row]:
    for column in ("code", "target"):
        if column not in (reader.fieldnames or ()):
            refuse(f"{shown}:1", f"the column '{column}' is missing")
    rows: dict[str, Row] = {}
    for line in reader:
        place = f"{shown}:{reader.line_num}"
        code = (line["code"] or "").strip()
        if not code:
            refuse(place, "a row without a code")
        if code in rows:
            refuse(place, f"the code '{code}' stands here twice")
        rest = ((line.get(name) or "").strip() for name in ("target", "system", "display"))
        rows[code] = Row(place, code, *rest)
    return rows


def _folded(rows: dict[str, Row]) -> dict[str, Row]:
    folded: dict[str, Row] = {}
    unclear: set[str] = set()
    for code, row in rows.items():
        key = code.casefold()
        if key in folded:
            unclear.add(key)
        folded[key] = row
    return {key: row for key, row in folded.items() if key not in unclear}
