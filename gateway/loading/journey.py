"""One load, from its files to its summary.

Files go in the order of their feed, rows in theirs, a batch a unit. While one batch is written the
next is understood and the one after it is read; nothing holds more than a few batches. What rows
say of being deleted, and those that may be kept nowhere, come last and in the reverse order: what
refers goes before what is referred to. Then what the changed rows mean to others is made again.
"""

from __future__ import annotations

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
from gateway.loading.due import Due
from gateway.loading.entering import Batch, Result, enter
from gateway.loading.kept import KeptRows
from gateway.loading.meaning import Meaning, Meanings, meant
from gateway.loading.reading import BATCH, Dues, Part, Reading, batches, staged
from gateway.loading.tally import Tally, Told
from gateway.model import Context
from gateway.rows import Joins, Records, Staging
from gateway.store import Header, Hub, RowHead, Transaction
from gateway.translate import Rows

_AHEAD: Final = 2
"""How many batches may be on their way, understood or written."""

Submit = Callable[[Callable[[Transaction], Result]], "Future[Result]"]
Progress = Callable[[str, int], None]
"""Told of a file, and how many more of its rows are done."""

Again = Iterable[tuple[str, Iterable[str]]]
"""Kept rows that are to be made again: files, and ids in their order."""

GoesOn = Callable[[], bool]
"""Whether a load is to go on; asked at each batch."""

Sheets = dict[str, tuple[int, int]]
"""By what lookups call a file: its key, and that of how it is written."""

Writing = tuple[str, list[Due], Future[Result]]
"""A batch on its way, with its file's name."""


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
        reading: Reading | None,
        tally: Tally,
        progress: Progress,
        goes_on: GoesOn,
    ) -> None:
        self._hub, self._hall, self._submit = hub, hall, submit
        self._context = context
        self._rows = rows
        self._staging = staging
        self._meanings = meanings
        self._reading = reading
        self._tally = tally
        self._progress = progress
        self._goes_on = goes_on
        self._kept = KeptRows(hub, rows)
        self._joins = Joins(rows, staging, self._kept)
        self._dues = Dues(rows, self._joins)
        self._again: dict[str, dict[str, None]] = {}

    def run(self, found: Sequence[Records], again: Again = ()) -> None:
        """Do it: first kept rows ``again``, in their order, then what came.

        Raises Refused for a load that its feed refuses whole, ``Unavailable``, and Cut.
        """
        if self._reading is None:
            staged(self._staging, found)
        self._check(found)
        for name, ids in again:
            self._remake(name, ids)
        sheets = self._sheets(found)
        if self._reading is not None:
            self._take(self._reading, found, sheets)
            return  # what was never kept isn't made again
        for records, keys in zip(found, sheets, strict=True):
            self._file(records, keys, deleted=False)
        keys_of = {id(records): keys for records, keys in zip(found, sheets, strict=True)}
        for records in reversed(self._dues.deleting):
            self._file(records, keys_of[id(records)], deleted=True)
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

    def _sheets(self, found: Sequence[Records]) -> list[Sheets]:
        """The keys of all files, and of how each is written."""
        agency, feed = self._context.agency, self._rows.feed.name

        def keys(tx: Transaction, records: Records) -> Sheets:
            made: Sheets = {}
            for name in dict.fromkeys(file.name for file in records.files):
                key = tx.sheet_of(agency, feed, name)
                made[name] = key, tx.header_of(key, _header(records))
            return made

        return self._hub.write(lambda tx: [keys(tx, records) for records in found])

    def _file(self, records: Records, sheets: Sheets, *, deleted: bool) -> None:
        """One file's rows: those that live, or those that are no more."""
        try:
            self._flow(records.came.name, self._dues(records, deleted=deleted), sheets, records)
        except ParseError as error:
            place = error.place or records.came.name
            self._tally.faults[records.came.name] = (place, error.issues[0].text)

    def _take(self, reading: Reading, found: Sequence[Records], sheets: Sequence[Sheets]) -> None:
        """All files' rows as another process reads and understands them, some batches ahead."""
        asked: deque[Future[Part | None]] = deque()
        written: deque[Writing] = deque()
        name, at = self._rows.feed.name, (0, False)
        try:
            while True:
                if not self._goes_on():
                    raise Cut("the load was cut off", place=name)
                while len(asked) <= _AHEAD:
                    asked.append(reading.ask())
                part = reading.take(asked.popleft(), self._staging, self._dues)
                if part is None:
                    break
                name = found[part.file].came.name
                if part.fault is not None:
                    self._tally.faults[name] = part.fault
                    continue
                # One file's rows stand on another's: where units overtake each other they wait.
                ahead = _AHEAD if self._hub.orderly or at == (part.file, part.deleted) else 0
                at = part.file, part.deleted
                while len(written) > ahead:
                    self._done(*written.popleft())
                written.append((name, part.dues, self._entered(part.dues, sheets[part.file])))
        finally:
            while written:
                self._done(*written.popleft())

    # --- batches ---------------------------------------------------------------------------------

    def _flow(
        self,
        name: str,
        dues: Iterator[Due],
        sheets: Sheets,
        records: Records | None = None,
    ) -> None:
        """Batches one after the other: read, understood, written, each a few ahead of the next."""
        asked: deque[tuple[list[Due], Future[list[Meaning]]]] = deque()
        written: deque[Writing] = deque()
        try:
            for batch in batches(dues):
                if not self._goes_on():
                    raise Cut("the load was cut off", place=name)
                asked.append((batch, self._ask(batch, sheets, records)))
                if len(asked) > _AHEAD:
                    written.append((name, *self._write(*asked.popleft(), sheets)))
                while len(written) > _AHEAD:
                    self._done(*written.popleft())
        finally:
            while asked:
                written.append((name, *self._write(*asked.popleft(), sheets)))
            while written:
                self._done(*written.popleft())

    def _ask(
        self, batch: list[Due], sheets: Sheets, records: Records | None
    ) -> Future[list[Meaning]]:
        """What the rows mean that aren't as they were."""
        name, known = batch[0].record.file.name, dict[str, RowHead]()
        if self._kept.has(name):  # else all of them are new, but for those that come twice
            with self._hub.read() as reader:
                known = reader.row_heads(sheets[name][0], (one.id for one in batch if one.id))
        for one in batch:
            goes = one.error is None and one.verdict(known.get(one.id)) == "go"
            if goes and records is not None and self._is_passed(records, one, known.get(one.id)):
                one.passed, goes = True, False
            if goes and one.question is not None:
                one.meaning = _WAITED
        return self._meanings([one.question for one in batch if one.meaning and one.question])

    def _is_passed(self, records: Records, one: Due, known: RowHead | None) -> bool:
        """Whether a row that is no newer than the kept one is followed by one of its id.

        The kept one may be that: then the same file again would change it back and forth.
        """
        if known is None or one.deleted or one.updated != known.updated:
            return False
        if self._staging.last(records, one.id) <= one.record.given.line:
            return False
        self._tally.warn(records.came.name, _TWICE)
        return True

    def _write(
        self, batch: list[Due], asked: Future[list[Meaning]], sheets: Sheets
    ) -> tuple[list[Due], Future[Result]]:
        meanings = iter(asked.result())
        for one in batch:
            if one.meaning is not None:
                one.meaning = next(meanings)
        return batch, self._entered(batch, sheets)

    def _entered(self, batch: list[Due], sheets: Sheets) -> Future[Result]:
        """Have a batch written."""
        file = batch[0].record.file
        sheet, head = sheets[file.name]
        version = f"{file.name}@{self._rows.feed.version}"
        feed = self._rows.feed.name
        mean = partial(meant, self._rows)
        unit = Batch(self._tally.load, feed, file.name, version, sheet, head, batch, mean)
        hall, context = self._hall, self._context
        return self._submit(lambda tx: enter(hall, tx, context, unit))

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
        if rows and not self._kept.has(rows[0].record.file.name):
            for _ in range(sum(fate in ("changed", "older") for fate in result.fates)):
                self._tally.warn(name, _TWICE)
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


_TWICE: Final = "two rows of one id: the newer counts, else the later"

_WAITED: Final = Meaning(stage="waited")
"""Stands where a meaning is asked for."""


def _reads(records: Records, name: str) -> bool:
    return any(file.plan is not None and file.plan.name == name for file in records.files)


def _header(records: Records) -> Header:
    """How a file is written; its key isn't known yet."""
    head = records.head
    if head is None:
        return Header(0, records.came.name, "", "utf-8", b"", "", "\n")
    written = head.raw, head.charset, head.mark, head.delimiter, head.newline
    return Header(0, records.came.name, *written)
