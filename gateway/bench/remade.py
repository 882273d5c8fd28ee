"""Kept rows translated once more, as they came: explained, or made by other maps."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from functools import partial

from gateway.bench.comparing import Outcome, Replayed
from gateway.bench.explaining import Asked, Explanation
from gateway.bench.unread import Columns, count_record
from gateway.errors import GatewayError
from gateway.loading.kept import KeptRows
from gateway.model import Agency, Context, Reference
from gateway.record import Given
from gateway.rows import Joins, Staging
from gateway.store import Hub, KeptRow
from gateway.translate import Library, RecordPlan
from gateway.translate.explain import ExplainingRows


def replayed(hub: Hub, library: Library, agency: Agency, count: int) -> Iterator[Replayed]:
    """The last rows that an agency's loads brought, ``count`` of each file of each feed."""
    for feed in library.shelf(agency).feeds:
        by_library: dict[int, Remade] = {}
        own = by_library[id(library)] = Remade(hub, library, agency, feed)
        for file in own.files:
            for row in own.last(file, count):
                told = partial(_outcome, by_library, (hub, agency, feed), file, row.id)
                yield Replayed(f"{feed}/{file}:{row.line}", agency.id, told)


def _outcome(
    by_library: dict[int, Remade],
    whose: tuple[Hub, Agency, str],
    file: str,
    row: str,
    library: Library,
) -> Outcome:
    """What a row becomes by some maps, which are got ready once."""
    hub, agency, feed = whose
    if id(library) not in by_library:
        try:
            by_library[id(library)] = Remade(hub, library, agency, feed)
        except GatewayError as error:
            return error.issues[0]
    return by_library[id(library)].outcome(file, row)


class Remade:
    """The rows of one feed that an agency's loads brought, and what lookups find among them."""

    def __init__(self, hub: Hub, library: Library, agency: Agency, feed: str) -> None:
        self._hub = hub
        self._rows = ExplainingRows(library, agency, feed)
        self._kept = KeptRows(hub, self._rows)
        self._context = Context(agency.id, "")

    def explained(self, file: str, wanted: Asked) -> list[Explanation]:
        """The way back of each element that is asked for: of the rows that made its resource."""
        rows = [row.id for row in self._made(file, wanted.reference)]
        return [
            Explanation(reference, told, {})
            for plan, given in self._givens(file, rows)
            for reference, told in self._rows.explain(plan.name, given).elements()
            if wanted.meets(reference, told)
        ]

    def outcome(self, file: str, row: str) -> Outcome:
        """What a row becomes, or why it would be set aside."""
        for plan, given in self._givens(file, [row]):
            try:
                return self._rows.translate(plan, given).entries
            except GatewayError as error:
                return error.issues[0]
        return ()

    def columns(self, count: int) -> Columns:
        """What the last rows of each file held, and the maps read."""
        counted = Columns()
        for file in self.files:
            ids = [row.id for row in self.last(file, count)]
            for record, header in self._kept.records(file, ids):
                names = self._kept.names(file, header)
                count_record(counted, self._rows, record, names)
        return counted

    def last(self, file: str, count: int) -> list[KeptRow]:
        """The last rows of a file that aren't deleted, in the order in which they first came."""
        with self._hub.read() as reader:
            rows = reader.rows(self._context, self._rows.feed.name, file)
            return list(deque((row for row in rows if not row.deleted), count))

    @property
    def files(self) -> Iterable[str]:
        """The files of which anything was kept."""
        return self._kept.sheets

    def _made(self, file: str, reference: Reference) -> Iterator[KeptRow]:
        with self._hub.read() as reader:
            rows = reader.rows(self._context, self._rows.feed.name, file)
            yield from (row for row in rows if reference in row.made)

    def _givens(self, file: str, ids: Sequence[str]) -> Iterator[tuple[RecordPlan, Given]]:
        staging = Staging(None, self._rows)
        try:
            staging.index()
            joins = Joins(self._rows, staging, self._kept)
            for record, _ in self._kept.records(file, ids):
                if record.plan is not None:
                    yield record.plan, self._rows.found(record.plan, record.given, joins)[0]
        finally:
            staging.close()
