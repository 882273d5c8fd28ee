"""Translating the rows and records of one feed, by the maps of one agency."""

from __future__ import annotations

from dataclasses import replace

from gateway.errors import TranslateError
from gateway.model import Agency, Translation
from gateway.record import Given
from gateway.translate.feeds import Feed
from gateway.translate.library import Library, Shelf
from gateway.translate.recent import Recent
from gateway.translate.records import Joins, RecordPlan
from gateway.translate.run import Run, Scope


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

    def translate(self, plan: RecordPlan, given: Given, *, judged: bool = False) -> Translation:
        """What a record becomes: perhaps nothing. ``judged``: it is known not to be refused.

        Raises:
            Refused: its map says that it may not go in.
            TranslateError: at the place of a missing key or required value, or of a refused code.
        """
        run = self.run()
        scope = plan.scope(given)
        if not judged:
            plan.refuse(run, scope)
        said = plan.said(self.asking, scope)
        try:
            entries = plan.make(run, scope)
        except TranslateError as error:
            run.bear(error)
            raise
        made = {entry.reference for entry in entries}
        return Translation(
            event=f"{self.feed.name}/{plan.name}",
            map=f"{plan.name}@{self.feed.version}",
            entries=entries,
            warnings=run.warnings,
            said=said,
            lacks=tuple(run.lacks.values()),
            refers=tuple((ref, at) for ref, at in run.refers.items() if ref not in made),
        )
