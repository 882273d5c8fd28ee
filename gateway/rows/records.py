"""A file's records in order: rows of CSV, records of JSON; each with its map, or its fault."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, BinaryIO, Final

from gateway.errors import ParseError
from gateway.fhir.json import dumps
from gateway.parse import json
from gateway.parse.csv import Head, Line, Sheet
from gateway.record import Given
from gateway.rows.came import Came
from gateway.translate import File, RecordPlan, Rows
from gateway.translate.columns import Pick, picker, places

BODY: Final = 64 * 2**20
"""The most bytes of a JSON body in which records are sought (``at``)."""

MARK: Final = "#"
"""How the columns begin that the gateway adds to a file of set-aside rows."""


MASK: Final = "***"
"""What stands for a cell that is never shown."""

Before = Callable[[str], Mapping[str, Any]]
"""What a set-aside row said, by its columns or keys."""


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class Record:
    """A row or JSON record. ``fault`` says why it can't be read, "" where it can.

    ``counted`` is what of it counts for being the same; ``cells`` all that a row has, in its
    header's order; ``of`` the set-aside row that it is to take the place of.
    """

    file: File
    given: Given
    raw: str = field(repr=False)
    counted: bytes = field(repr=False)
    cells: Sequence[str] = field(default=(), repr=False)
    fault: str = ""
    of: str = ""

    @property
    def plan(self) -> RecordPlan | None:
        """What it is read by; None where it is only kept."""
        return self.file.plan

    @property
    def place(self) -> str:
        """``Client.csv:12``, ``clients.json:/3``."""
        at = self.given.pointer or str(self.given.line)
        return f"{self.given.file}:{at}"


class Records:
    """The records of one file. ``head`` is how a CSV file is written, None for JSON.

    A mended row takes from the one that was set aside (``before``) what had been masked. Raises
    ParseError, at the file, where it can't be read at all or lacks a column that it needs.
    """

    def __init__(self, rows: Rows, came: Came, before: Before = lambda id_: {}) -> None:
        self.came = came
        self._before = before
        self.feed = rows.feed
        self.files = rows.feed.of(came.name)
        self._run = rows.run()
        self.head: Head | None = None
        if self.feed.layout.kind == "csv" and self.files:
            with came.path.open("rb") as stream:
                self.head = _own(self._sheet(stream).head)
            self._check(self.head)

    def _sheet(self, stream: BinaryIO) -> Sheet:
        layout = self.feed.layout
        said = layout.charset, layout.delimiter
        return Sheet(self.came.name, stream, charset=said[0], delimiter=said[1])

    def _check(self, head: Head) -> None:
        """Refuse a file whose header has all that is needed for none of the maps it may be for."""
        lacking = [_lacking(file.plan, head) for file in self.files]
        if all(lacking):
            few = len(head.columns) < 2
            why = "its header has one column: is the delimiter another?" if few else _LACKS
            raise ParseError(why, place=f"{self.came.name}:1:{lacking[-1][0]}")

    def __iter__(self) -> Iterator[Record]:
        """All of them; none of a file that the feed doesn't know. Raises ParseError."""
        if not self.files:
            return iter(())
        return self._rows() if self.feed.layout.kind == "csv" else self._items()

    def _of(self, offered: Sequence[tuple[File, Given]]) -> tuple[File, Given] | None:
        """The first map that takes a record, and the record as it has it; None where none does."""
        return next((each for each in offered if each[0].takes(self._run, each[1])), None)

    # --- CSV -------------------------------------------------------------------------------------

    def _rows(self) -> Iterator[Record]:
        with self.came.path.open("rb") as stream:
            sheet = self._sheet(stream)
            columns = sheet.head.columns
            picks = {file: self._picker(file, columns) for file in self.files}
            only = self.files[0] if len(self.files) == 1 else None
            counts = counting(columns, self.feed.layout.ignored)
            marks = frozenset(i for i, name in enumerate(columns) if name.startswith(MARK))
            mark = columns.index(f"{MARK}id") if f"{MARK}id" in columns else -1
            for line in sheet:
                if line.fault:
                    yield self._faulty(line)
                    continue
                cells, raw = line.cells, line.raw
                of = cells[mark] if mark >= 0 else ""
                if marks:
                    self._unmask(of, columns, cells)
                    raw = written([c for i, c in enumerate(cells) if i not in marks], sheet.head)
                same = _joined([cells[i] for i in counts])
                if only is not None:
                    file, given = only, self._given(line, picks[only])
                else:
                    found = self._of(
                        [(each, self._given(line, pick)) for each, pick in picks.items()]
                    )
                    if found is None:
                        yield self._faulty(line, _NOBODYS)
                        continue
                    file, given = found
                yield Record(file, given, raw, same, cells, "", of)

    def _unmask(self, of: str, columns: Sequence[str], cells: list[str]) -> None:
        """Put back into a mended row what it was shown without."""
        masked = self.feed.layout.masked
        hidden = [i for i, name in enumerate(columns) if name in masked and cells[i] == MASK]
        before = self._before(of) if of and hidden else {}
        for i in hidden:
            cells[i] = str(before.get(columns[i], ""))

    def _picker(self, file: File, columns: Sequence[str]) -> Pick:
        return picker(file.plan.columns if file.plan else (), columns, self.feed.layout.empty)

    def _given(self, line: Line, pick: Pick) -> Given:
        return Given(self.came.name, line.number, pick(line.cells))

    def _faulty(self, line: Line, why: str = "") -> Record:
        given = Given(self.came.name, line.number)
        return Record(self.files[0], given, line.raw, b"", line.cells, why or line.fault)

    # --- JSON ------------------------------------------------------------------------------------

    def _items(self) -> Iterator[Record]:
        if any(file.records is not None for file in self.files):
            yield from self._within()
            return
        number = 0
        with self.came.path.open("rb") as stream:
            for item in json.items(self.came.name, stream):
                number += 1
                if item.fault:
                    given = Given(self.came.name, number, pointer=item.pointer)
                    yield Record(self.files[0], given, item.raw, b"", (), item.fault)
                    continue
                record = self._item(self.files, number, item.pointer, item.value)
                page = self._page(item.value) if record.fault == _NOBODYS else []
                if not page:
                    yield record
                number -= bool(page)
                for pointer, value in page:
                    number += 1
                    yield self._item(self.files, number, f"{item.pointer}{pointer}", value)

    def _page(self, value: Any) -> list[tuple[str, Any]]:
        """The records of a page, as APIs give them: an object that no map takes, with a list."""
        lists = ((key, value.get(key)) for key in self.feed.layout.pages)
        return [
            (f"/{key}/{at}", one)
            for key, found in lists
            if isinstance(found, list)
            for at, one in enumerate(found)
        ]

    def _within(self) -> Iterator[Record]:
        """The records that a body holds, by each entry's ``at``."""
        if self.came.path.stat().st_size > BODY:
            raise ParseError(f"a body of over {BODY} bytes", place=self.came.name)
        body = json.whole(self.came.name, self.came.path.read_bytes())
        number = 0
        for file in self.files:
            found = file.records(body) if file.records is not None else [("", body)]
            for pointer, value in found:
                number += 1
                record = self._item((file,), number, pointer, value)
                if not record.fault or len(self.files) == 1:
                    yield record

    def _item(self, files: Sequence[File], number: int, pointer: str, value: Any) -> Record:
        given = Given(self.came.name, number, value=value, pointer=pointer)
        if not isinstance(value, dict):
            return Record(files[0], given, "", b"", (), "a record is a JSON object")
        of = str(value.get(f"{MARK}id") or "")
        own = {key: each for key, each in value.items() if not key.startswith(MARK)}
        masked = [key for key in self.feed.layout.masked if of and own.get(key) == MASK]
        before = self._before(of) if masked else {}
        own |= {key: before.get(key) for key in masked}
        given, raw = replace(given, value=own), dumps(own)
        found = next((file for file in files if file.takes(self._run, given)), None)
        fault = "" if found is not None else _NOBODYS
        return Record(found or files[0], given, raw.decode(), raw, (), fault, of)


def _own(head: Head) -> Head:
    """A header without the columns that the gateway adds."""
    names = [name for name in head.columns if not name.startswith(MARK)]
    return head if len(names) == len(head.columns) else replace(head, raw=written(names, head))


def written(cells: Sequence[str], head: Head) -> str:
    """Cells as a line of a file that is written so."""
    out = io.StringIO()
    csv.writer(out, delimiter=head.delimiter, lineterminator="").writerow(cells)
    return out.getvalue()


def counting(columns: Sequence[str], ignored: Collection[str]) -> list[int]:
    """Which columns count for a row's being the same."""
    return [
        i for i, name in enumerate(columns) if not name.startswith(MARK) and name not in ignored
    ]


def counted(cells: Sequence[str], columns: Sequence[str], ignored: Collection[str]) -> bytes:
    """What of a row counts for its being the same."""
    return _joined([cells[i] for i in counting(columns, ignored) if i < len(cells)])


def header_names(raw: str, delimiter: str) -> list[str]:
    """The columns of a header line."""
    return [name.strip() for name in next(csv.reader([raw], delimiter=delimiter), [])]


def _joined(texts: Sequence[str]) -> bytes:
    return "\x1f".join(texts).encode("utf-8", "replace")


_NOBODYS: Final = "no map of the feed takes such a record"
_LACKS: Final = "the header lacks a column"


def _lacking(plan: RecordPlan | None, head: Head) -> list[str]:
    """The columns that a map needs and a header lacks."""
    needed = plan.needs if plan is not None else ()
    return [one for one, at in zip(needed, places(needed, head.columns), strict=True) if at < 0]
