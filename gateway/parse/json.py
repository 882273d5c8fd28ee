"""JSON records: an object, an array of them, or one a line (NDJSON), read as they come.

Digits stay as sent (a number with a point is a ``Decimal``); duplicate keys, NaN and depths out of
all reason are refused. Of what comes one after the other a bad record is its own fault; within an
array nobody can tell where the next begins.
"""

from __future__ import annotations

import codecs
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, BinaryIO, Final

from gateway.errors import ParseError

DEPTH: Final = 64
RECORD: Final = 16 * 2**20
"""The most characters of one record."""

_PIECE: Final = 2**16
_BLANK: Final = re.compile(r"[ \t\r\n\ufeff]*")
_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_DIGITS: Final = 100


class _Fault(ValueError):
    """What is JSON and refused all the same; the text is the reason."""


@dataclass(frozen=True, slots=True)
class Item:
    """A record: its number from 1, where it stands (RFC 6901), and it, or why it can't be read."""

    number: int
    pointer: str
    value: Any
    fault: str = ""
    raw: str = ""


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise _Fault("a key stands in an object twice")
    return made


def _constant(name: str) -> Any:
    raise _Fault("NaN and Infinity are no JSON")


def _number(text: str) -> Any:
    if len(text) > _DIGITS:
        raise _Fault(f"a number of over {_DIGITS} digits")
    return Decimal(text) if not text.lstrip("-").isdigit() else int(text)


_DECODER: Final = json.JSONDecoder(
    object_pairs_hook=_object, parse_constant=_constant, parse_float=_number, parse_int=_number
)


def whole(name: str, raw: bytes) -> Any:
    """All of a body as one value. Raises ParseError."""
    try:
        text = _decoded(raw)
        value = _DECODER.decode(text.lstrip("\ufeff"))
    except UnicodeDecodeError:
        raise ParseError("not UTF-8", place=name) from None
    except (ValueError, RecursionError) as error:
        raise ParseError(_why(error), place=name) from None
    if _deep(value):
        raise ParseError(f"nested deeper than {DEPTH}", place=name)
    return value


def _decoded(raw: bytes) -> str:
    for mark, charset in _MARKS:
        if raw.startswith(mark):
            return raw[len(mark) :].decode(charset)
    return raw.decode("utf-8")


def items(name: str, stream: BinaryIO) -> Iterator[Item]:
    """The records of a stream, in order. Raises ParseError for what nobody can read on from."""
    text = _Text(name, stream)
    if text.starts("["):
        yield from _array(name, text)
    else:
        yield from _sequence(text)


class _Text:
    """A stream's text, of which only what isn't read yet is held."""

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self.name = name
        self._stream = stream
        start = stream.read(4)
        charset = "utf-8"
        for mark, found in _MARKS:
            if start.startswith(mark):
                charset, start = found, start[len(mark) :]
        self._decoder = codecs.getincrementaldecoder(charset)()
        self.buffer, self.at, self.ended = "", 0, False
        self._add(start)

    def _add(self, piece: bytes, *, final: bool = False) -> None:
        try:
            self.buffer = self.buffer[self.at :] + self._decoder.decode(piece, final)
        except UnicodeDecodeError:
            raise ParseError("not UTF-8", place=self.name) from None
        self.at = 0

    def more(self) -> None:
        """Read on: as much again as is held, so that a long record costs only its length."""
        piece = self._stream.read(max(_PIECE, len(self.buffer) - self.at))
        self.ended = not piece
        self._add(piece, final=self.ended)

    def starts(self, character: str) -> bool:
        """Whether that is next, blanks aside."""
        self.skip()
        return self.buffer.startswith(character, self.at)

    def skip(self) -> None:
        """Pass blanks."""
        while True:
            match = _BLANK.match(self.buffer, self.at)
            self.at = match.end() if match else self.at
            if self.at < len(self.buffer) or self.ended:
                return
            self.more()

    @property
    def is_done(self) -> bool:
        """Whether nothing is left but blanks."""
        self.skip()
        return self.at >= len(self.buffer)

    def value(self) -> Any:
        """The next value. Raises ValueError, RecursionError."""
        while True:
            try:
                made, end = _DECODER.raw_decode(self.buffer, self.at)
                if end < len(self.buffer) or self.ended:
                    break
            except _Fault:
                raise
            except ValueError:
                if self.ended:
                    raise
            if len(self.buffer) - self.at > RECORD:
                raise _Fault(f"a record of over {RECORD} characters")
            self.more()
        if _deep(made):
            raise _Fault(f"nested deeper than {DEPTH}")
        self.at = end
        return made

    def line(self) -> str:
        """The rest of the line, passed over; all that is held of one that is too long."""
        while (end := self.buffer.find("\n", self.at)) < 0 and not self.ended:
            if len(self.buffer) - self.at > RECORD:
                raise ParseError(f"a line of over {RECORD} characters", place=self.name)
            self.more()
        end = len(self.buffer) if end < 0 else end + 1
        passed, self.at = self.buffer[self.at : end], end
        return passed.rstrip("\r\n")


def _sequence(text: _Text) -> Iterator[Item]:
    """Values one after the other: one alone, or one a line."""
    number = 0
    while not text.is_done:
        number += 1
        pointer = f"/{number - 1}"
        try:
            yield Item(number, pointer, text.value())
        except (ValueError, RecursionError) as error:
            yield Item(number, pointer, None, _why(error), text.line())


def _array(name: str, text: _Text) -> Iterator[Item]:
    text.at += 1
    number = 0
    if text.starts("]"):
        return
    while True:
        number += 1
        place = f"{name}:/{number - 1}"
        try:
            text.skip()
            yield Item(number, f"/{number - 1}", text.value())
        except (ValueError, RecursionError) as error:
            raise ParseError(_why(error), place=place) from None
        if text.starts("]"):
            return
        if not text.starts(","):
            raise ParseError("not JSON: a comma is missing", place=place)
        text.at += 1


def _why(error: Exception) -> str:
    if isinstance(error, _Fault):
        return str(error)
    if isinstance(error, RecursionError):
        return f"nested deeper than {DEPTH}"
    return "not JSON"


def _deep(value: Any) -> bool:
    level = [value]
    for _ in range(DEPTH):
        level = [
            inner
            for one in level
            if isinstance(one, dict | list)
            for inner in (one.values() if isinstance(one, dict) else one)
            if isinstance(inner, dict | list)
        ]
        if not level:
            return False
    return True
