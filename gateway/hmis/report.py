"""What an export wrote, file by file. Counts and names of columns alone: no value of anybody."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(slots=True)
class Written:
    """One file. Of its rows ``as_came`` are byte for byte what came in; ``renewed`` have a new
    ExportID alone, ``told`` bear what the hub knows, ``turned`` were put into another year's
    columns, ``made`` are new. ``dropped`` are columns that came and the year lacks, ``blank`` those
    that the year has and didn't come.
    """

    as_came: int = 0
    renewed: int = 0
    told: int = 0
    turned: int = 0
    made: int = 0
    dropped: tuple[str, ...] = ()
    blank: tuple[str, ...] = ()

    @property
    def rows(self) -> int:
        """All its rows."""
        return self.as_came + self.renewed + self.told + self.turned + self.made


@dataclass(slots=True)
class Report:
    """An export: ``files`` by name, and why referrals of the hub are not among its Events."""

    agency: str
    year: str
    files: dict[str, Written] = field(default_factory=dict)
    left_out: dict[str, int] = field(default_factory=dict)

    def leave_out(self, because: str) -> None:
        """Count a referral that can't be said in Event.csv."""
        self.left_out[because] = self.left_out.get(because, 0) + 1


def as_json(report: Report) -> Mapping[str, Any]:
    """The report as JSON."""
    return {
        "agency": report.agency,
        "year": report.year,
        "files": {name: _file(written) for name, written in report.files.items()},
        "referralsLeftOut": report.left_out,
    }


def _file(written: Written) -> dict[str, Any]:
    return {
        "rows": written.rows,
        "asCame": written.as_came,
        "renewed": written.renewed,
        "told": written.told,
        "turned": written.turned,
        "made": written.made,
        "dropped": list(written.dropped),
        "blank": list(written.blank),
    }
