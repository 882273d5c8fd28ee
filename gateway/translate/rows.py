"""Translating the rows and records of one feed, by the maps of one agency."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

from gateway.errors import Issue, Lack, TranslateError
from gateway.model import Agency, Entry, Reference, Translation
from gateway.record import Given
from gateway.translate.feeds import Feed
from gateway.translate.library import Library, Shelf
from gateway.translate.recent import Recent
from gateway.translate.records import Joins, RecordPlan
from gateway.translate.run import Run, Scope


class Made(NamedTuple):
    """What a record becomes, and what ``Translation`` tells of it."""

    entries: tuple[Entry, ...]
    warnings: tuple[Issue, ...]
    lacks: tuple[Lack, ...]
    refers: tuple[tuple[Reference, str], ...]


class Rows:
    """A feed as an agency sends it. ``given`` are what its files hold; nothing here is I/O.

    Raises TranslateError (code ``not-supported``) for a feed that the agency doesn't have.
    """

    def __init__(self, library: Library, agency: Agency, feed: str) -> None:
        self.shelf: Shelf = library.shelf(agency)
        found = self.shelf.feeds.get(feed)
        if found is None:
            names = ", ".join(sorted(self.shelf.feeds)) or "none"
            raise TranslateError(
                f"no such feed here; there are {names}", place="feed", code="not-supported"
            )
        self.feed: Feed = found
        layout = found.layout
        self.agency = replace(agency, timezone=layout.timezone or agency.timezone)
        self._memory = Recent()
        known = self.agency if self.agency.timezone else replace(self.agency, timezone="UTC")
        self.asking = replace(self.run(), agency=known)
        """For what only decides and makes nothing: who a row is, what it finds, when it was said.

        A time orders what one sender says, so that without any timezone it is read as UTC.
        """

    def run(self) -> Run:
        """A translation of one record, about to begin."""
        return Run(
            self.agency,
            self.shelf.tables,
            self.shelf.coding_systems,
            self.shelf.systems,
            self._memory,
            policies=self.shelf.policies,
            whole=True,
            dates=self.feed.layout.dates,
        )

    def found(self, plan: RecordPlan, given: Given, joins: Joins) -> tuple[Given, Scope]:
        """A row with what its lookups find, and as paths see it."""
        return plan.find(self.asking, given, joins)

    def translate(self, plan: RecordPlan, given: Given) -> Translation:
        """What a record becomes: perhaps nothing.

        Raises:
            Refused: its map says that it may not go in.
            TranslateError: at the place of a missing key or required value, or of a refused code.
        """
        scope = plan.scope(given)
        plan.refuse(self.asking, scope)
        said = plan.said(self.asking, scope)
        made = self.make(plan, scope)
        return Translation(
            event=f"{self.feed.name}/{plan.name}",
            map=f"{plan.name}@{self.feed.version}",
            entries=made.entries,
            warnings=made.warnings,
            said=said,
            lacks=made.lacks,
            refers=made.refers,
        )

    def make(self, plan: RecordPlan, scope: Scope) -> Made:
        """The same of a record that isn't refused, as paths see it, which it can be but once.

        Raises TranslateError as ``translate``.
        """
        run = self.run()
        try:
            entries = plan.make(run, scope)
        except TranslateError as error:
            run.bear(error)
            raise
        made = {entry.reference for entry in entries}
        refers = [each for each in run.refers.items() if each[0] not in made]
        return Made(entries, run.warnings, tuple(run.lacks.values()), tuple(refers))
