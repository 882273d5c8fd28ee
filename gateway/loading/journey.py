"""One load, from its files to its summary.

Files go in the order of their feed, rows in theirs, a batch a unit. While one batch is written the
next is understood and the one after it is read; nothing holds more than a few batches. What rows
say of being deleted, and those that may be kept nowhere, come last and in the reverse order: what
refers goes before what is referred to. Then what the changed rows mean to others is made again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future
from functools import partial
from itertools import groupby, islice
from operator import itemgetter
from typing import Final

from gateway import meters
from gateway.admission.rules import Hall
from gateway.errors import Cut, ParseError, Refused
from gateway.loading.due import Due, due
from gateway.loading.entering import Batch, Result, enter
from gateway.loading.kept import KeptRows
from gateway.loading.meaning import Meaning, Meanings, meant
from gateway.loading.tally import Tally, Told
from gateway.model import Context
from gateway.rows import Joins, Record, Records, Staging
from gateway.store import Header, Hub, RowHead, Transaction
from gateway.translate import File, Rows

BATCH: Final = 500
"""Rows that go in together: half as many write a seventh more, twice as many hold others up."""
_AHEAD: Final = 2
"""How many batches may be on their way, understood or written."""

Submit = Callable[[Callable[[Transaction], Result]], "Future[Result]"]
Progress = Callable[[str, int], None]
"""Told of a file, and how many more of its rows are done."""

Again = Iterable[tuple[str, Iterable[str]]]
"""Kept rows that are to be made again: files, and ids in their order."""

GoesOn = Callable[[], bool]
"""Whether a load is to go on; asked at each batch."""


class Journey:
    """One load on its way."""

    def __init__(
        self,
        hub: Hub,
        hall: Hall,
        submit: Submit,
        context: Context,
        rows: Rows,
        staging: Staging,
        meanings: Meanings,
        tally: Tally,
        progress: Progress,
        goes_on: GoesOn,
    ) -> None:
        self._hub, self._hall, self._submit = hub, hall, submit
        self._context = context
        self._rows = rows
        self._staging = staging
        self._meanings = meanings
        self._tally = tally
        self._progress = progress
        self._goes_on = goes_on
        self._kept = KeptRows(hub, rows)
        self._joins = Joins(rows, staging, self._kept)
        named = f"{rows.feed.version}{rows.shelf.version}"
        self._version = hashlib.blake2b(named.encode(), digest_size=8).digest()
        self._by = _by(rows)
        self._deleting: list[Records] = []
        self._again: dict[str, dict[str, None]] = {}

    def run(self, found: Sequence[Records], again: Again = ()) -> None:
        """Do it: first kept rows ``again``, in their order, then what came.

        Raises Refused for a load that its feed refuses whole, ``Unavailable``, and Cut.
        """
        for records in found:
            self._staging.add(records)
        self._staging.index()
        self._check(found)
        for name, ids in again:
            self._remake(name, ids)
        for records in found:
            self._file(records, deleted=False)
        for records in reversed(self._deleting):
            self._file(records, deleted=True)
        self._make_again()

    def _check(self, found: Sequence[Records]) -> None:
        """Whether the feed takes such a load at all."""
        for plan, condition, because in self._rows.feed.barred:
            for records in found:
                first = next(iter(records), None) if _reads(records, plan.name) else None
                if first is None or first.fault:
                    continue
                scope = plan.scope(first.given)
                if condition.test(self._rows.asking, scope, None):
                    place = condition.paths[0].shown(scope) if condition.paths else first.place
                    raise Refused(because, place=place)

    # --- a file ----------------------------------------------------------------------------------

    def _file(self, records: Records, *, deleted: bool) -> None:
        """One file's rows: those that live, or those that are no more."""
        sheets: dict[str, tuple[int, int]] = {}
        for file in records.files:
            if file.name not in sheets:
                sheets[file.name] = self._sheet(file, records)
        try:
            self._flow(records.came.name, self._dues(records, deleted=deleted), sheets)
        except ParseError as error:
            place = error.place or records.came.name
            self._tally.faults[records.came.name] = (place, error.issues[0].text)

    def _sheet(self, file: File, records: Records) -> tuple[int, int]:
        """The keys of a file and of how it is written."""
        agency, feed, head = self._context.agency, self._rows.feed.name, records.head
        header = Header(0, records.came.name, "", "utf-8", b"", "", "\n")
        if head is not None:
            written = head.raw, head.charset, head.mark, head.delimiter, head.newline
            header = Header(0, records.came.name, *written)

        def unit(tx: Transaction) -> tuple[int, int]:
            key = tx.sheet_of(agency, feed, file.name)
            return key, tx.header_of(key, header)

        return self._hub.write(unit)

    def _dues(self, records: Iterable[Record], *, deleted: bool) -> Iterator[Due]:
        """The rows that are to be dealt with now. What may be kept nowhere goes as the deleted do:
        earlier loads may have brought it."""
        seen = False
        for record in records:
            by = self._by.get(record.file.name, ())
            one = due(self._rows, self._joins, record, by, self._version)
            gone = one.is_barred or (one.deleted and one.error is None)
            seen = seen or gone
            if gone == deleted:
                yield one
        if seen and not deleted and isinstance(records, Records):
            self._deleting.append(records)

    # --- batches ---------------------------------------------------------------------------------

    def _flow(self, name: str, dues: Iterator[Due], sheets: dict[str, tuple[int, int]]) -> None:
        """Batches one after the other: read, understood, written, each a few ahead of the next."""
        asked: deque[tuple[list[Due], Future[list[Meaning]]]] = deque()
        written: deque[tuple[list[Due], Future[Result]]] = deque()
        try:
            for batch in _batches(dues):
                if not self._goes_on():
                    raise Cut("the load was cut off", place=name)
                asked.append((batch, self._ask(batch, sheets)))
                if len(asked) > _AHEAD:
                    self._write(*asked.popleft(), sheets, written)
                while len(written) > _AHEAD:
                    self._done(name, *written.popleft())
        finally:
            while asked:
                self._write(*asked.popleft(), sheets, written)
            while written:
                self._done(name, *written.popleft())

    def _ask(self, batch: list[Due], sheets: dict[str, tuple[int, int]]) -> Future[list[Meaning]]:
        """What the rows mean that aren't as they were."""
        name, known = batch[0].record.file.name, dict[str, RowHead]()
        if self._kept.has(name):  # else all of them are new, but for those that come twice
            with self._hub.read() as reader:
                known = reader.row_heads(sheets[name][0], (one.id for one in batch if one.id))
        for one in batch:
            goes = one.error is None and one.verdict(known.get(one.id)) == "go"
            if goes and one.question is not None:
                one.meaning = _WAITED
        return self._meanings([one.question for one in batch if one.meaning and one.question])

    def _write(
        self,
        batch: list[Due],
        asked: Future[list[Meaning]],
        sheets: dict[str, tuple[int, int]],
        written: deque[tuple[list[Due], Future[Result]]],
    ) -> None:
        meanings = iter(asked.result())
        for one in batch:
            if one.meaning is not None:
                one.meaning = next(meanings)
        file = batch[0].record.file
        sheet, head = sheets[file.name]
        version = f"{file.name}@{self._rows.feed.version}"
        feed = self._rows.feed.name
        mean = partial(meant, self._rows)
        unit = Batch(self._tally.load, feed, file.name, version, sheet, head, batch, mean)
        hall, context = self._hall, self._context
        written.append((batch, self._submit(lambda tx: enter(hall, tx, context, unit))))

    def _done(self, name: str, rows: list[Due], written: Future[Result]) -> None:
        """Count what became of a batch."""
        result = written.result()
        self._tally.rows(name, result.fates)
        meters.rows(result.fates)
        for (type_, change), count in result.changes.items():
            self._tally.resource(type_, change, count)
        for place, text in result.warnings:
            self._tally.warn(place, text)
        for each in result.asides:
            column = each.place.rpartition(":")[2] if each.place.count(":") > 1 else ""
            self._tally.aside(
                Told(name, each.line, column, each.reason, each.id, kept=bool(each.raw))
            )
        for one in result.again:
            self._note(one)
        self._progress(name, len(rows))

    # --- made again ------------------------------------------------------------------------------

    def _note(self, one: Due) -> None:
        """Note the rows that this one means something to and that this load doesn't bring."""
        plan = one.record.plan
        if plan is None or not plan.again:
            return
        noted = [o for o in plan.lookups if o.name in plan.again and self._kept.has(o.into)]
        if not noted:
            return
        scope = plan.scope(one.record.given)
        for lookup in noted:
            wanted = lookup.wanted(self._rows.asking, scope)
            for each in self._joins.named(lookup, wanted):
                if each.id and not self._staging.holds(lookup.into, each.id):
                    self._again.setdefault(lookup.into, {})[each.id] = None

    def _make_again(self) -> None:
        waiting, self._again = self._again, {}
        for name, ids in waiting.items():
            self._remake(name, ids)

    def _remake(self, name: str, ids: Iterable[str]) -> None:
        wanted = iter(ids)
        while some := list(islice(wanted, BATCH)):
            for head, records in groupby(self._kept.records(name, some), key=itemgetter(1)):
                found = [record for record, _ in records]
                sheets = {name: (self._kept.sheets[name], head)}
                for deleted in (False, True):
                    dues = self._dues(found, deleted=deleted)
                    self._flow(found[0].given.file, dues, sheets)


_WAITED: Final = Meaning(stage="waited")
"""Stands where a meaning is asked for."""


def _reads(records: Records, name: str) -> bool:
    return any(file.plan is not None and file.plan.name == name for file in records.files)


def _by(rows: Rows) -> dict[str, tuple[str, ...]]:
    """By file, the columns that other files find its rows by, beside who they are."""
    found: dict[str, dict[str, None]] = {}
    for plan in (file.plan for file in rows.feed.files if file.plan is not None):
        for lookup in plan.lookups:
            own = [file.plan.id_columns for file in rows.feed.into(lookup.into) if file.plan]
            if lookup.column and any(each != (lookup.column,) for each in own):
                found.setdefault(lookup.into, {})[lookup.column] = None
    return {name: tuple(columns) for name, columns in found.items()}


def _batches(dues: Iterator[Due]) -> Iterator[list[Due]]:
    """Some rows at a time, of one kind of file each."""
    batch: list[Due] = []
    for one in dues:
        if batch and (len(batch) >= BATCH or batch[0].record.file.name != one.record.file.name):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch
