"""CSV files as spreadsheets and exports really write them: RFC 4180, and what departs from it.

A file is read line by line, whatever its length. Its character set is what its byte order mark
says, else UTF-8 where all of it is that, else windows-1252, in which every byte has a meaning. The
delimiter is the one that its header has most of; a title above the header is passed. A row that
isn't like its header is handed out with the reason: it is one row's fault, and not the file's.
"""

from __future__ import annotations

import codecs
import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, Final

from gateway.errors import ParseError

FIELD: Final = 131_072
"""The most characters of one cell."""
LINE: Final = 4 * 2**20
"""The most characters of one line."""
COLUMNS: Final = 2_000
TITLES: Final = 10
"""The most lines above a header."""

_DELIMITERS: Final = (",", ";", "\t", "|")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_PIECE: Final = 2**20
_HINT: Final = "sep="

csv.field_size_limit(FIELD)


def _as_control(error: UnicodeError) -> tuple[str, int]:
    """The five bytes that windows-1252 leaves undefined stay what they are in ISO 8859-1."""
    if not isinstance(error, UnicodeDecodeError):
        raise error
    return error.object[error.start : error.end].decode("latin-1"), error.end


codecs.register_error("gateway.c1", _as_control)


@dataclass(frozen=True, slots=True)
class Head:
    """How a file is written. ``raw`` is its header line, ``mark`` its byte order mark."""

    columns: tuple[str, ...]
    raw: str
    charset: str
    mark: bytes
    delimiter: str
    newline: str


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class Line:
    """One row. ``fault`` says why it can't be read, "" where it can; ``raw`` has no line end."""

    number: int
    cells: list[str]
    raw: str
    fault: str = ""


class Sheet:
    """A CSV file: its ``head``, and its rows each time that it is gone through.

    Raises ParseError, at the file, for one that has no header or can't be read as text at all.
    """

    def __init__(
        self, name: str, stream: BinaryIO, *, charset: str = "auto", delimiter: str = ""
    ) -> None:
        self.name = name
        self._stream = stream
        self._charset, self._mark = _charset(stream, charset, name)
        self.head = self._head(delimiter)

    def _text(self) -> io.TextIOWrapper:
        self._stream.seek(len(self._mark))
        errors = "gateway.c1" if self._charset == "windows-1252" else "strict"
        text = io.TextIOWrapper(self._stream, self._charset, errors, newline="")
        return text

    def _head(self, delimiter: str) -> Head:
        text = self._text()
        try:
            number, first = self._first(text)
            if first.startswith(_HINT):
                delimiter = delimiter or first[len(_HINT) : len(_HINT) + 1]
                number, first = self._first(text, number)
            number, first = self._below_titles(text, number, first)
            raw = first.rstrip("\r\n")
            end = first[len(raw) :] or "\n"
            found = delimiter or max(_DELIMITERS, key=lambda one: _outside(raw, one))
            columns = self._columns(raw, found)
        except UnicodeError:
            raise ParseError(f"the file isn't {self._charset}", place=self.name) from None
        finally:
            text.detach()
        self._skipped = number
        return Head(columns, raw, self._charset, self._mark, found, end)

    def _first(self, text: io.TextIOWrapper, number: int = 0) -> tuple[int, str]:
        """The next line that says anything, and its number."""
        while line := text.readline(LINE):
            number += 1
            if line.strip("\r\n\x1a\ufeff \t"):
                return number, line.lstrip("\ufeff")
        raise ParseError("the file has no header", place=self.name)

    def _below_titles(self, text: io.TextIOWrapper, number: int, first: str) -> tuple[int, str]:
        """The header, where lines stand above it that have one cell alone, as a sheet's title has;
        the first line, where none follows that has more.
        """
        at, line = number, first
        for _ in range(TITLES):
            if not _is_title(line):
                return at, line
            try:
                at, line = self._first(text, at)
            except ParseError:
                break
        return number, first

    def _columns(self, raw: str, delimiter: str) -> tuple[str, ...]:
        try:
            (cells,) = csv.reader([raw], delimiter=delimiter)
        except (csv.Error, ValueError):
            raise ParseError("the header can't be read", place=f"{self.name}:1") from None
        while cells and not cells[-1].strip():
            cells.pop()
        if len(cells) > COLUMNS:
            raise ParseError(f"over {COLUMNS} columns", place=f"{self.name}:1")
        names = [cell.strip() for cell in cells]
        twice = next((one for one in names if one and names.count(one) > 1), None)
        if twice is not None:
            raise ParseError("two columns of one name", place=f"{self.name}:1:{twice}")
        return tuple(names)

    def __iter__(self) -> Iterator[Line]:
        """The rows in order; blank lines aren't any. Raises ParseError for what ends the file."""
        text = self._text()
        taken: list[str] = []
        try:
            reader = csv.reader(self._lines(text, taken), delimiter=self.head.delimiter)
            yield from self._rows(reader, taken)
        finally:
            text.detach()

    def _lines(self, text: io.TextIOWrapper, taken: list[str]) -> Iterator[str]:
        number = 0
        try:
            while line := text.readline(LINE):
                number += 1
                if len(line) >= LINE and line[-1] not in "\r\n":
                    raise ParseError(
                        f"a line of over {LINE} characters", place=f"{self.name}:{number}"
                    )
                if number > self._skipped:
                    taken.append(line)
                    yield line
        except UnicodeError:
            place = f"{self.name}:{number + 1}"
            raise ParseError(f"the file isn't {self._charset} from here on", place=place) from None

    def _rows(self, reader: Iterator[list[str]], taken: list[str]) -> Iterator[Line]:
        width, number = len(self.head.columns), self._skipped
        while True:
            start = number + 1
            try:
                cells = next(reader)
                fault = ""
            except StopIteration:
                return
            except csv.Error as error:
                cells, fault = [], _why(error)
            number += len(taken)
            raw = taken[0] if len(taken) == 1 else "".join(taken)
            taken.clear()
            raw = raw.rstrip("\r\n\x1a")
            if not raw.strip():
                continue
            if not fault and "\0" in raw:
                fault = "a NUL character"
            if not fault and len(cells) != width:
                fault = _ragged(cells, width)
            yield Line(start, cells, raw, fault)


def _is_title(line: str) -> bool:
    """Whether a line is as wide as a sheet and says one thing: a spreadsheet's first row, often."""
    delimiter = max(_DELIMITERS, key=lambda one: _outside(line, one))
    bare = re.sub(r'"[^"]*"', "x", line).split(delimiter)
    return len(bare) > 2 and sum(bool(cell.strip()) for cell in bare) < 2


def _why(error: csv.Error) -> str:
    if "field limit" in str(error):
        return f"a cell of over {FIELD} characters, or a quote that isn't closed"
    return "not CSV"


def _ragged(cells: list[str], width: int) -> str:
    """Why a row's cells don't fit its header; blank ones at its end are let go."""
    while len(cells) > width and not cells[-1].strip():
        cells.pop()
    if len(cells) == width:
        return ""
    return f"{len(cells)} cells, where the header has {width}"


def _outside(line: str, delimiter: str) -> int:
    """How often a delimiter stands outside of quotes."""
    return sum(part.count(delimiter) for part in line.split('"')[::2])


def _charset(stream: BinaryIO, said: str, name: str) -> tuple[str, bytes]:
    """The character set of a file, and its byte order mark."""
    stream.seek(0)
    start = stream.read(4096)
    for mark, charset in _MARKS:
        if start.startswith(mark):
            return charset, mark
    if said != "auto":
        return codecs.lookup(said).name, b""
    if len(start) > 1 and (guess := _wide(start)):
        return guess, b""
    return ("utf-8" if _is_utf8(stream) else "windows-1252"), b""


def _wide(start: bytes) -> str:
    """UTF-16 without a mark: every other byte of its ASCII is NUL."""
    even, odd = start[::2].count(0), start[1::2].count(0)
    half = len(start) // 4
    if odd > half and even == 0:
        return "utf-16-le"
    return "utf-16-be" if even > half and odd == 0 else ""


def _is_utf8(stream: BinaryIO) -> bool:
    decoder = codecs.getincrementaldecoder("utf-8")()
    stream.seek(0)
    try:
        while piece := stream.read(_PIECE):
            decoder.decode(piece)
        decoder.decode(b"", final=True)
    except UnicodeDecodeError:
        return False
    return True
