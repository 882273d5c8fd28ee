"""The files of HMIS CSV and their columns by year (HUD's HMIS CSV Format Specifications).

They stand in ``mappings/hmis/columns.csv``, in the order in which they are written.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.errors import SettingError

COLUMNS: Final = Path("hmis") / "columns.csv"

VERSIONS: Final = MappingProxyType({"2024": "2024 v1.3", "2026": "2026 v1.0"})
"""What Export.CSVVersion says in a file that the gateway turned into another year's."""

_YEAR: Final = re.compile(r"\D*(?:20)?(\d\d)(?:\D.*)?", re.ASCII)

RENAMED: Final = MappingProxyType(
    {"hispaniclatinaeo": "hispaniclatinao", "hispaniclatinao": "hispaniclatinaeo"}
)
"""Columns that bear another name in the other year, by small letters."""


@dataclass(frozen=True, slots=True)
class Layout:
    """One year's files, by name without ``.csv``, and the columns of each in order."""

    year: str
    files: Mapping[str, tuple[str, ...]]


def read_layout(folders: Sequence[Path], year: str) -> Layout:
    """The layout of a year ("2024", "2026"), from the first of the folders of maps that has one.

    Raises SettingError for a year that nobody describes.
    """
    path = next((found for each in folders if (found := each / COLUMNS).is_file()), None)
    if path is None:
        raise SettingError("no folder of maps has hmis/columns.csv", place="GATEWAY_MAPPINGS")
    files: dict[str, list[str]] = {}
    with path.open(encoding="utf-8", newline="") as rows:
        for row in csv.DictReader(rows):
            if row["year"] == f"FY{year}":
                files.setdefault(row["file"], []).append(row["column"])
    if not files:
        raise SettingError(f"there are the years {' and '.join(VERSIONS)}", place="--year")
    return Layout(year, {name: tuple(columns) for name, columns in files.items()})


def is_of(version: str, year: str) -> bool:
    """Whether Export.CSVVersion ("2026 v1.0", "FY2026", "FY26") is a year's ("2026")."""
    found = _YEAR.fullmatch(version)
    return found is not None and found[1] == year[-2:]


def places(wanted: Sequence[str], came: Sequence[str]) -> tuple[int | None, ...]:
    """Where each wanted column stands among those that came, whatever their case; None: nowhere."""
    known = {name.strip().lower(): number for number, name in reversed(list(enumerate(came)))}
    return tuple(_place(name.lower(), known) for name in wanted)


def canonical(names: Sequence[str], came: Sequence[str]) -> list[str]:
    """Columns that came, those of these names (whatever their case) by these."""
    known = {name.lower(): name for name in names}
    return [known.get(each.strip().lower(), each.strip()) for each in came]


def _place(name: str, known: Mapping[str, int]) -> int | None:
    found = known.get(name)
    return known.get(RENAMED.get(name, "")) if found is None else found
