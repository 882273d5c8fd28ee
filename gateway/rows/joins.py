"""Lookups answered: of a load's own files, and of the rows that earlier loads brought."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Protocol

from gateway.errors import TranslateError
from gateway.record import Found
from gateway.rows.staging import Staged, Staging
from gateway.translate import Lookup, RecordPlan, Rows

REMEMBERED: Final = 4_096
"""How many answers are remembered: rows that name one another stand near each other."""


class Kept(Protocol):
    """Finds rows that earlier loads brought."""

    def __call__(self, lookup: Lookup, texts: Sequence[str]) -> Sequence[Staged]:
        """Those that a lookup means; none that were deleted."""


class Joins:
    """Answers lookups. What this load brings goes before what was kept of the same row."""

    def __init__(self, rows: Rows, staging: Staging, kept: Kept) -> None:
        self._rows = rows
        self._staging = staging
        self._kept = kept
        self._known: dict[tuple[int, tuple[str, ...]], tuple[Found, ...]] = {}
        self._judging: list[str] = []

    def __call__(self, lookup: Lookup, wanted: Sequence[str]) -> Sequence[Found]:
        """The rows that it finds."""
        if lookup.column and not wanted:
            return ()
        key = id(lookup), tuple(wanted)
        known = self._known.get(key)
        if known is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            found = self.named(lookup, wanted)
            known = self._known[key] = tuple(each.found for each in found)
        return known

    def named(self, lookup: Lookup, wanted: Sequence[str]) -> list[Staged]:
        """The same, with who they are."""
        if lookup.column and not wanted:
            return []
        if lookup.refused is not None:
            self._judge(lookup.into)
        if lookup.refused and not self._staging.refuses(lookup.into):
            return []
        staged = self._staging.find(lookup, wanted)
        if lookup.refused or (staged and (not lookup.column or self._is_id(lookup))):
            return staged
        new = {each.id for each in staged}
        for each in self._kept(lookup, wanted):
            if each.id not in new and not self._staging.holds(lookup.into, each.id):
                staged.append(each)
        return staged if lookup.column else staged[:1]

    def _is_id(self, lookup: Lookup) -> bool:
        """Whether rows are found by who they are, so that there is one at most."""
        plans = [file.plan for file in self._rows.feed.into(lookup.into)]
        return all(one is not None and one.id_columns == (lookup.column,) for one in plans)

    def _judge(self, into: str) -> None:
        """Tell of a file's rows which their own map refuses, once."""
        if into in self._judging:
            raise TranslateError("whether these rows are refused hangs on itself", place=into)
        self._judging.append(into)
        refused, plans = [], dict[str, RecordPlan]()
        for row, plan, given in self._staging.unjudged(into):
            if plan.name not in plans:
                plans[plan.name] = plan.judging()
            judging = plans[plan.name]
            _, scope = self._rows.found(judging, given, self)
            if judging.refuses(self._rows.asking, scope):
                refused.append(row)
        if refused:
            self._staging.refuse(into, refused)
        self._judging.pop()
