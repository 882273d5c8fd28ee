"""A load's rows in their order, batch by batch: read, joined, judged.

Of an agency's first load of a feed all of it is done in another process, which has its own index of
what lookups need: nothing hangs on what the hub holds, and the one that writes only writes. What
that process did it does in order, so that where it is gone this one goes on in its place.
"""

from __future__ import annotations

import hashlib
import marshal
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any, Final

from gateway.beside import LITTERS, Child, Failed, Gone, Source
from gateway.errors import GatewayError, Issue, ParseError, Refused, TranslateError
from gateway.loading.due import Due, due
from gateway.loading.meaning import meaning, plain, rows_of, whole
from gateway.record import Given
from gateway.rows import Came, Joins, Record, Records, Staging
from gateway.translate import Library, Rows

BATCH: Final = 500
"""Rows that go in together: half as many write a seventh more, twice as many hold others up."""


@dataclass(slots=True)
class Part:
    """A batch of the file of a number, or its ``fault`` (place, text); ``deleted``: of its rows
    that are no more."""

    file: int
    deleted: bool
    dues: list[Due] = field(default_factory=list)
    fault: tuple[str, str] | None = None


class Dues:
    """A load's records, made ready to be judged."""

    def __init__(self, rows: Rows, joins: Joins) -> None:
        self._rows = rows
        self._joins = joins
        self._by = _by(rows)
        named = f"{rows.feed.version}{rows.shelf.version}"
        self._version = hashlib.blake2b(named.encode(), digest_size=8).digest()
        self.deleting: list[Records] = []
        """The files in which rows were found that are to be dealt with last."""

    def __call__(self, records: Iterable[Record], *, deleted: bool) -> Iterator[Due]:
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
            self.deleting.append(records)


def _by(rows: Rows) -> dict[str, tuple[str, ...]]:
    """By file, the columns that other files find its rows by, beside who they are."""
    found: dict[str, dict[str, None]] = {}
    for plan in (file.plan for file in rows.feed.files if file.plan is not None):
        for lookup in plan.lookups:
            own = [file.plan.id_columns for file in rows.feed.into(lookup.into) if file.plan]
            if lookup.column and any(each != (lookup.column,) for each in own):
                found.setdefault(lookup.into, {})[lookup.column] = None
    return {name: tuple(columns) for name, columns in found.items()}


def batches(dues: Iterator[Due]) -> Iterator[list[Due]]:
    """Some rows at a time, of one kind of file each."""
    batch: list[Due] = []
    for one in dues:
        if batch and (len(batch) >= BATCH or batch[0].record.file.name != one.record.file.name):
            yield batch
            batch = []
        batch.append(one)
    if batch:
        yield batch


def parts(dues: Dues, found: Sequence[Records]) -> Iterator[Part]:
    """All of a load: what lives, file by file, then what is no more, in the reverse order."""
    for number, records in enumerate(found):
        yield from _of_file(dues, number, records, deleted=False)
    numbers = {id(records): number for number, records in enumerate(found)}
    for records in reversed(dues.deleting):
        yield from _of_file(dues, numbers[id(records)], records, deleted=True)


def _of_file(dues: Dues, number: int, records: Records, *, deleted: bool) -> Iterator[Part]:
    try:
        for batch in batches(dues(records, deleted=deleted)):
            yield Part(number, deleted, batch)
    except ParseError as error:
        place = error.place or records.came.name
        yield Part(number, deleted, fault=(place, error.issues[0].text))


def understood(rows: Rows, part: Part) -> Part:
    """With what its rows mean, of which the hub holds none."""
    for one in part.dues:
        plan, scope = one.record.plan, one.scope
        if plan is not None and scope is not None and one.error is None and not one.deleted:
            one.meaning, one.scope = meaning(rows, plan, scope), None
    return part


class Reading:
    """A first load's parts, made in another process; ``index`` is a file for what its lookups need.

    ``close`` it before that is removed.
    """

    def __init__(
        self,
        rows: Rows,
        source: Source,
        folders: Sequence[Path],
        found: Sequence[Records],
        index: Path,
    ) -> None:
        self._rows = rows
        self.found = found
        files = tuple((one.came.name, one.came.path) for one in found)
        self._asked = source, rows.feed.name, files, index
        self._child = Child(_answer, self._heard, tuple(folders), "", LITTERS)
        self._taken = 0
        self._here: Iterator[Part] | None = None

    def close(self) -> None:
        """End the process."""
        self._child.stop()

    def ask(self) -> Future[Part | None]:
        """For the next part."""
        return self._child.ask(self._asked)

    def take(self, asked: Future[Part | None], staging: Staging, dues: Dues) -> Part | None:
        """What was asked for, in that order; None at the end. Where the other process died, or has
        other maps, it is made here.

        Raises:
            Unavailable: the disk can't take the index.
        """
        if self._here is None:
            try:
                part = asked.result()
            except (Gone, Failed):
                self._here = self._going_on(staging, dues)
            else:
                self._taken += 1
                return part
        return next(self._here, None)

    def _going_on(self, staging: Staging, dues: Dues) -> Iterator[Part]:
        staged(staging, self.found)
        for part in islice(parts(dues, self.found), self._taken, None):
            yield understood(self._rows, part)

    def _heard(self, raw: bytes) -> Part | None:
        if not raw:
            return None
        number, deleted, fault, dues = marshal.loads(raw)
        records = self.found[number]
        return Part(number, deleted, [_whole(records, *each) for each in dues], fault)


def staged(staging: Staging, found: Sequence[Records]) -> None:
    """Have in the index what the lookups need of a load's files."""
    for records in found:
        staging.add(records)
    staging.index()


# --- on the way -----------------------------------------------------------------------------------

_ERRORS: Final[dict[str, type[GatewayError]]] = {
    each.__name__: each for each in (ParseError, TranslateError, Refused)
}


def _packed(part: Part, records: Records) -> bytes:
    """As ``marshal`` carries it: of a record only what is kept of it."""
    kinds = {id(file): number for number, file in enumerate(records.files)}
    dues = [_plain(one, kinds[id(one.record.file)]) for one in part.dues]
    return marshal.dumps((part.file, part.deleted, part.fault, dues), 2)


def _plain(one: Due, kind: int) -> tuple[Any, ...]:
    record, error, meaning = one.record, one.error, one.meaning
    given = record.given
    return (
        kind, given.line, given.pointer, record.raw, record.of,
        one.id, one.digest, one.updated, one.deleted, one.by,
        None if error is None else _plain_error(error),
        None if meaning is None else plain(meaning),
    )  # fmt: skip


def _plain_error(error: GatewayError) -> tuple[Any, ...]:
    issues = [(i.text, i.place, i.code, i.condition, i.severity) for i in error.issues]
    return type(error).__name__, issues, isinstance(error, Refused) and error.keeps


def _whole_error(kind: str, issues: Sequence[Any], keeps: bool) -> GatewayError:
    told = tuple(Issue(*each) for each in issues)
    made = Refused("", keeps=keeps) if kind == Refused.__name__ else _ERRORS[kind]("")
    made.args, made.issues = (told[0].text,), told
    return made


def _whole(
    records: Records,
    kind: int,
    line: int,
    pointer: str,
    raw: str,
    of: str,
    id_: str,
    digest: bytes,
    updated: int | None,
    deleted: bool,
    by: tuple[tuple[str, str], ...],
    error: tuple[Any, ...] | None,
    meaning: tuple[Any, ...] | None,
) -> Due:
    record = Record(
        records.files[kind], Given(records.came.name, line, pointer=pointer), raw, b"", (), "", of
    )
    told = None if error is None else _whole_error(*error)
    means = None if meaning is None else whole(*meaning)
    return Due(record, id_, digest, updated, deleted, told, by, means)


# --- in the other process -------------------------------------------------------------------------

Asked = tuple[Source, str, tuple[tuple[str, Path], ...], Path]
"""Whose, the feed, its files, and where the index goes."""

_going: dict[Asked, Iterator[bytes]] = {}


def _answer(shipped: Library, question: Asked) -> bytes:
    """The next part; b"" where there is none."""
    if question not in _going:
        _going[question] = _parts(shipped, question)
    return next(_going[question], b"")


def _parts(shipped: Library, question: Asked) -> Iterator[bytes]:
    source, feed, files, index = question
    rows = rows_of(shipped, source, feed)
    found = [Records(rows, Came(name, path)) for name, path in files]
    staging = Staging(index, rows)
    staged(staging, found)
    dues = Dues(rows, Joins(rows, staging, lambda *_: ()))
    for part in parts(dues, found):
        yield _packed(understood(rows, part), found[part.file])
