"""Paths over rows: ``DOB``, ``client.DOB``, ``[Date of birth]``, ``^DOB``, ``.``.

A bare name is a column of the row in hand; before a dot stands the name of a ``lookup``. Columns
are numbered as they are met, a row of each file apart, so that what runs is a look by number.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from collections.abc import Set as AbstractSet
from operator import itemgetter
from typing import Final

from gateway.translate.paths import ANY, Frame, Path
from gateway.translate.source import refuse

ROW: Final = "row"
"""The row that a record's map is about, as a segment."""

_NAME: Final = r"[\w-]+|\[[^\[\]]+\]"
_PATH: Final = re.compile(rf"(?P<up>\^*)(?:(?P<row>[\w-]+)\.)?(?P<column>{_NAME})")

Pick = Callable[[Sequence[str]], tuple[str, ...]]
"""A row's cells to those of a map, in its order, without the blanks around."""


class Columns:
    """The columns that one map asks for, by row: its own (``row``), and each lookup's.

    ``known`` are all columns of its own file, where the map says them.
    """

    def __init__(self, known: frozenset[str] | None = None) -> None:
        self.known = known
        self.numbers: dict[str, dict[str, int]] = {ROW: {}}

    def add(self, lookup: str) -> None:
        """There is a lookup of that name from now on."""
        self.numbers[lookup] = {}

    def names(self, row: str) -> tuple[str, ...]:
        """The columns asked for of one row, in their order."""
        return tuple(self.numbers[row])

    def is_path(self, text: str) -> bool:
        """Every text but the name of a lookup."""
        return bool(text) and text.lstrip("^") not in self.numbers

    def parse(self, text: str, frame: Frame, place: str) -> Path:
        """A path of ``frame``; MapError at ``place``."""
        if text == ".":
            if frame.type is None:
                refuse(place, "'.' is the cell in hand, and there is none here")
            return Path(text)
        match = _PATH.fullmatch(text)
        if match is None:
            refuse(place, f"'{text}' is no column: put other than letters and digits in [brackets]")
        if not frame.segments:
            refuse(place, f"'{text}': here is only the cell in hand, '.'")
        return self._path(text, match, frame, place)

    def _path(self, text: str, match: re.Match[str], frame: Frame, place: str) -> Path:
        at, up = _climbed(text, len(match["up"]), frame, place)
        if match["row"] is None and match["column"] in self.numbers:
            return Path(text, *_of(match["column"], at, up, text, place))
        row = match["row"] or _own(at)
        if row not in self.numbers:
            refuse(place, f"'{row}' is no lookup; there are {', '.join(self.numbers)}")
        up, row = _of(row, at, up, text, place)
        column = match["column"].strip("[]").strip()
        if row == ROW and self.known is not None and column not in self.known:
            refuse(place, f"the file has no column '{column}'")
        numbers = self.numbers[row]
        number = numbers.setdefault(column, len(numbers) + 1)
        nth = 1 if row == _own(frame) and not up else ANY
        return Path(text, up, row, nth, field=number, column=column)


def _climbed(text: str, up: int, frame: Frame, place: str) -> tuple[Frame, int]:
    at = frame
    for _ in range(up):
        if at.parent is None:
            refuse(place, f"'{text}' climbs out of the row")
        at = at.parent
    return at, up


def _own(frame: Frame) -> str:
    """The row that bare names are of."""
    return ROW if frame.parent is None else next(iter(frame.segments or ()), ROW)


def _of(row: str, frame: Frame, up: int, text: str, place: str) -> tuple[int, str]:
    """How many scopes up a row stands that a frame sees, perhaps from within an ``each``."""
    at: Frame | None = frame
    while at is not None and not at.sees(row):
        at, up = at.parent, up + 1
    if at is None:
        refuse(place, f"'{text}' can't be seen from here")
    return up, row


def picker(
    wanted: Sequence[str], header: Sequence[str], empty: AbstractSet[str] = frozenset()
) -> Pick:
    """How the cells of a file's rows come into a map's order.

    Columns are found by their names, exactly, else whatever their case and the blanks around; one
    that the file lacks is empty. ``empty`` are the texts that mean nothing.
    """
    at = places(wanted, header)
    least = max(at, default=-1) + 1
    chosen = itemgetter(*at) if len(at) > 1 else lambda cells: [cells[i] for i in at]

    def pick(cells: Sequence[str]) -> tuple[str, ...]:
        count = len(cells)
        if count >= least:  # one that the file lacks (-1) is the last of all, which is empty
            found = tuple(map(str.strip, chosen([*cells, ""])))
        else:
            found = tuple([cells[i].strip() if 0 <= i < count else "" for i in at])
        if empty.isdisjoint(found):
            return found
        return tuple(["" if one in empty else one for one in found])

    return pick


def places(wanted: Sequence[str], header: Sequence[str]) -> list[int]:
    """Where in a header each column stands; -1 for none."""
    exact = {name: i for i, name in reversed(list(enumerate(header)))}
    loose = {_loose(name): i for i, name in reversed(list(enumerate(header)))}
    return [exact.get(name, loose.get(_loose(name), -1)) for name in wanted]


def _loose(name: str) -> str:
    return " ".join(name.split()).casefold()
