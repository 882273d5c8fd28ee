"""What became of a load: counts by file and by resource type, and the rows that were set aside."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Fate = Literal["new", "changed", "unchanged", "older", "deleted", "aside"]
"""What became of a row."""

FATES: Final[tuple[Fate, ...]] = ("new", "changed", "unchanged", "older", "deleted", "aside")
SHOWN: Final = 100
"""How many set-aside rows and warnings a summary tells of one by one."""


@dataclass(frozen=True, slots=True)
class Told:
    """A row that was set aside: where, and why. ``kept``: it can be mended, and tried again; else
    nothing of it is here, and who sent it may send it again."""

    file: str
    row: int
    column: str
    reason: str
    id: str
    kept: bool = True


@dataclass(slots=True)
class Tally:
    """The counts of one load; ``mendable``: of each file, the set-aside rows that are kept."""

    load: str
    agency: str
    feed: str
    files: dict[str, Counter[str]] = field(default_factory=dict)
    maps: dict[str, str] = field(default_factory=dict)
    faults: dict[str, tuple[str, str]] = field(default_factory=dict)
    ignored: list[str] = field(default_factory=list)
    resources: dict[str, Counter[str]] = field(default_factory=dict)
    asides: list[Told] = field(default_factory=list)
    mendable: Counter[str] = field(default_factory=Counter)
    warnings: Counter[tuple[str, str]] = field(default_factory=Counter)
    refused: str = ""

    def rows(self, file: str, fates: Sequence[Fate]) -> None:
        """Count rows."""
        counts = self.files.setdefault(file, Counter())
        counts["rows"] += len(fates)
        counts.update(fates)

    def aside(self, told: Told) -> None:
        """Tell of a row that was set aside; of the first ones by themselves."""
        if told.kept:
            self.mendable[told.file] += 1
        if len(self.asides) < SHOWN:
            self.asides.append(told)

    def resource(self, type_: str, change: str | None, count: int) -> None:
        """Count resources: create, update, delete, or None for those that are as they were."""
        self.resources.setdefault(type_, Counter())[_CHANGES[change]] += count

    def warn(self, place: str, text: str) -> None:
        """Count a warning by its file and column, and what it says."""
        file, _, rest = place.partition(":")
        column = rest.rpartition(":")[2]
        self.warnings[f"{file}:{column}" if column else file, text] += 1

    @property
    def set_aside(self) -> int:
        """How many rows were."""
        return sum(counts["aside"] for counts in self.files.values())

    @property
    def took(self) -> bool:
        """Whether anything went in, or nothing had to."""
        counts = self.files.values()
        went = sum(sum(each[fate] for fate in FATES if fate != "aside") for each in counts)
        return bool(went) or (self.is_whole and bool(self.files or not self.ignored))

    @property
    def is_whole(self) -> bool:
        """Whether all that came is in."""
        return not (self.set_aside or self.faults or self.refused)

    def summary(self) -> dict[str, Any]:
        """As JSON tells it: no value of any row is in it."""
        files = [
            {"file": name, "map": self.maps.get(name, ""), **_counted(counts, ("rows", *FATES))}
            | {"mendable": self.mendable[name]}
            | _fault(self.faults.get(name))
            for name, counts in self.files.items()
        ]
        return {
            "load": self.load,
            "agency": self.agency,
            "feed": self.feed,
            **({"refused": self.refused} if self.refused else {}),
            "files": files,
            "ignored": self.ignored,
            "resources": {
                type_: _counted(counts, tuple(_CHANGES.values()))
                for type_, counts in sorted(self.resources.items())
            },
            "aside": [
                {"id": one.id, "file": one.file, "row": one.row, "column": one.column}
                | {"reason": one.reason, "kept": one.kept}
                for one in self.asides
            ],
            "warnings": [
                {"place": place, "text": text, "rows": count}
                for (place, text), count in self.warnings.most_common(SHOWN)
            ],
        }

    def as_json(self) -> bytes:
        """The summary's bytes."""
        return json.dumps(self.summary(), ensure_ascii=False).encode()


_CHANGES: Final[dict[str | None, str]] = {
    "create": "created",
    "update": "updated",
    "delete": "deleted",
    None: "unchanged",
}


def _counted(counts: Counter[str], names: tuple[str, ...]) -> dict[str, int]:
    return {name: counts[name] for name in names}


def _fault(fault: tuple[str, str] | None) -> dict[str, str]:
    return {"place": fault[0], "reason": fault[1]} if fault is not None else {}
