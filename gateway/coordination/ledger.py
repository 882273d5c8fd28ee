"""What the hub has in hand, and the ledger of unmet needs: open ones, and how many of what.

The counts hold nothing of a person, and small ones are withheld: three people without a bed in a
village may be known to everybody. The areas are ZIP codes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.store import Hop, Hub, Pursuit, Reader, Timer, Unmet

SMALLEST: Final = 5
"""Fewer than this aren't told by area; they count in their need's row without one."""


@dataclass(frozen=True, slots=True)
class Cell:
    """How many needs of a category went unmet in an area ("": all areas whose counts are small),
    why, and how they ended ("" for open). ``count`` None: fewer than ``SMALLEST``."""

    category: str
    area: str
    reason: str
    outcome: str
    count: int | None


@dataclass(frozen=True, slots=True)
class InHand:
    """A part of a referral that the hub places and that isn't over: who was asked, in order, what
    became of each, and what is due next."""

    pursuit: Pursuit
    hops: tuple[Hop, ...]
    next: Timer | None


class Ledger:
    """Reads it, for the hub's administrators."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub

    def in_hand(self) -> Sequence[InHand]:
        """What isn't over, the oldest first."""
        with self._hub.read() as reader:
            return [_in_hand(reader, each) for each in reader.open_pursuits()]

    def entries(self, *, closed: bool = False) -> Sequence[Unmet]:
        """The entries, the newest first: the open ones, or all."""
        with self._hub.read() as reader:
            return reader.unmet(closed=closed)

    def cells(self, since: datetime, until: datetime) -> Sequence[Cell]:
        """What was opened in a time, counted."""
        with self._hub.read() as reader:
            found = reader.unmet_cells(since, until)
        told = [Cell(*row) for row in found if row[1] and row[4] >= SMALLEST]
        rest: dict[tuple[str, str, str], int] = defaultdict(int)
        for category, area, reason, outcome, count in found:
            if not area or count < SMALLEST:
                rest[category, reason, outcome] += count
        for (category, reason, outcome), count in sorted(rest.items()):
            shown = count if count >= SMALLEST else None
            told.append(Cell(category, "", reason, outcome, shown))
        return sorted(told, key=lambda cell: (cell.category, cell.reason, cell.outcome, cell.area))


def _in_hand(reader: Reader, pursuit: Pursuit) -> InHand:
    hops = tuple(each for each in reader.hops(pursuit.task) if each.part == pursuit.part)
    due = [each for each in reader.timers(pursuit.task) if each.part == pursuit.part]
    for hop in hops:
        if hop.state == "asked":
            due += reader.timers(hop.task)
    return InHand(pursuit, hops, min(due, key=lambda timer: timer.due, default=None))
