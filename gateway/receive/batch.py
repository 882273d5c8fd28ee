"""Batches of HL7 v2 messages (v2.8.2 §2.10.3): ``[FHS] { [BHS] { MSH ... } [BTS] } [FTS]``.

A batch is an envelope: its counts are checked before anything inside is taken, since a count that
doesn't agree says that the file was cut short. Then each message goes its own way, and the answer
is a batch of their acknowledgements. Bytes are cut at lines and never decoded here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import chain, pairwise
from typing import Final

from gateway.errors import ParseError, ReceiveError
from gateway.parse.delimiters import STANDARD, Delimiters, declared
from gateway.receive.ack import Header, header, whole

_BATCH = re.compile(rb"(?:\xef\xbb\xbf|[ \t\r\n\x0b\x00])*+(?=(?:FHS|BHS)[^0-9A-Za-z\s])")
_LINE = re.compile(rb"(?:\A|(?<=[\r\n]))[ \t]*+(FHS|BHS|BTS|FTS|MSH)(?=[^0-9A-Za-z]|\Z)")
_LONGEST: Final = 64 * 1024
"""An envelope's line that is longer is cut, as a message's header is."""

_FEW: Final = 1_000
_LEAST: Final = 100
"""Bytes that its messages and batches have on average, where they are more than a few: what every
MSH must say (§2.14.9) and one more segment have as many. Each is answered by more, so that what a
file of bare names costs would be out of all proportion to it."""


@dataclass(frozen=True, slots=True)
class Part:
    """One BHS … BTS of a file: its header's fields from the name on (() where there is none)."""

    header: tuple[str, ...] = ()
    messages: list[bytes] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Batch:
    """A file or batch whose counts agree; ``file`` is FHS's fields, () where there is none."""

    marks: Delimiters
    file: tuple[str, ...]
    parts: tuple[Part, ...]

    @property
    def messages(self) -> tuple[bytes, ...]:
        """All of its messages, in order, byte for byte."""
        return tuple(message for part in self.parts for message in part.messages)


def is_batch(raw: bytes) -> bool:
    """Whether the bytes begin with FHS or BHS."""
    return _BATCH.match(raw) is not None


def peek(raw: bytes) -> Header:
    """Whose a message or a batch says it is. A batch's control id is its BHS-11, else FHS-11.

    Raises ReceiveError at MSH where it is neither.
    """
    start = _BATCH.match(raw)
    if start is None:
        return header(raw)
    heads = [line for line in _lines(raw[start.end() : start.end() + _LONGEST]) if line.heads]
    marks = _marks(heads[0].raw)
    fields = [_fields(each.raw, marks) for each in heads[:2]]
    first = [*fields[0], *[""] * 12]
    ids = (each[11] for each in reversed(fields) if len(each) > 11)
    return Header(
        marks,
        "latin-1",
        sending_application=first[3],
        sending_facility=first[4],
        receiving_application=first[5],
        receiving_facility=first[6],
        control_id=next(filter(None, ids), ""),
    )


def peeked(raw: bytes) -> Header | None:
    """The same, or None where it is neither."""
    try:
        return peek(raw)
    except ReceiveError:
        return None


def divide(raw: bytes) -> Batch:
    """Cut a batch into its messages and check its counts.

    Raises ReceiveError: at BTS-1 or FTS-1 where a count isn't what came, or a header stands alone;
    at the segment that stands where none may, or of which there are too many for the size.
    """
    start = _BATCH.match(raw)
    if start is None:
        raise ReceiveError("a batch must begin with FHS or BHS", place="BHS")
    body = raw[start.end() :]
    reading = _Reading(_marks(body[:_LONGEST]), max(_FEW, len(body) // _LEAST))
    for line in _lines(body):
        reading.take(line)
    return reading.end()


def answer(batch: Batch, acknowledgements: Sequence[bytes], *, at: datetime, id: str) -> bytes:
    """The batch acknowledgement: an envelope like that of the batch around an ACK per message.

    ``id`` is the answer's own control id; BHS-12 and FHS-12 name what they answer.
    """
    left = iter(acknowledgements)
    mark = batch.marks.field
    lines: list[bytes] = []
    for part in batch.parts:
        own = [next(left) for _ in part.messages]
        end = f"BTS{mark}{len(own)}\r"
        lines += [_head("BHS", part.header, batch, at, id), *own, end.encode()]
    if batch.file:
        end = f"FTS{mark}{len(batch.parts)}\r"
        lines = [_head("FHS", batch.file, batch, at, id), *lines, end.encode()]
    return b"".join(lines)


@dataclass(frozen=True, slots=True)
class _Line:
    """A segment of the envelope, or a whole message (name "MSH")."""

    name: str
    raw: bytes

    @property
    def heads(self) -> bool:
        return self.name in ("FHS", "BHS")


class _Reading:
    """Where one is in a file: its parts so far, the last of them open or ended by its BTS."""

    def __init__(self, marks: Delimiters, most: int) -> None:
        self._marks, self._left = marks, most
        self._file: tuple[str, ...] = ()
        self._parts: list[Part] = []
        self._open = False
        self._ended = False

    def take(self, line: _Line) -> None:
        if self._ended:
            raise ReceiveError("something follows the end of the file", place=line.name)
        self._left -= line.name in ("BHS", "MSH")
        if self._left < 0:
            text = f"over {_FEW} messages of less than {_LEAST} bytes each; none was taken"
            raise ReceiveError(text, place=line.name)
        {"FHS": self._fhs, "BHS": self._bhs, "MSH": self._msh, "BTS": self._bts, "FTS": self._fts}[
            line.name
        ](line.raw)

    def end(self) -> Batch:
        self._close()
        if not self._parts and not self._ended:
            raise ReceiveError("a header stands alone: no message follows it", place="BTS-1")
        return Batch(self._marks, self._file, tuple(self._parts))

    def _fhs(self, raw: bytes) -> None:
        if self._file or self._parts:
            raise ReceiveError("a second file begins inside this one", place="FHS[2]")
        self._file = _fields(raw, self._marks)

    def _bhs(self, raw: bytes) -> None:
        self._close()
        self._parts.append(Part(_fields(raw, self._marks)))
        self._open = True

    def _msh(self, raw: bytes) -> None:
        if not self._open:
            self._parts.append(Part())
            self._open = True
        self._parts[-1].messages.append(raw)

    def _bts(self, raw: bytes) -> None:
        if not self._open:
            raise ReceiveError("a batch ends that didn't begin", place="BTS")
        self._open = False
        self._count(raw, "BTS-1", len(self._parts[-1].messages), "messages")

    def _fts(self, raw: bytes) -> None:
        self._close()
        self._ended = True
        self._count(raw, "FTS-1", len(self._parts), "batches")

    def _close(self) -> None:
        """A batch may end without BTS, but not before it has a message."""
        if self._open and not self._parts[-1].messages:
            raise ReceiveError("a header stands alone: no message follows it", place="BTS-1")
        self._open = False

    def _count(self, raw: bytes, place: str, came: int, what: str) -> None:
        fields = _fields(raw, self._marks)
        told = fields[1].strip() if len(fields) > 1 else ""
        if told and not (told.isascii() and told.isdigit() and int(told[:9]) == came):
            text = f"{place} doesn't say how many {what} came; none was taken"
            raise ReceiveError(text, place=place, condition="102")


def _lines(body: bytes) -> Iterator[_Line]:
    """The envelope's segments, and each message from its MSH up to the next of them."""
    for match, following in pairwise(chain(_LINE.finditer(body), (None,))):
        if match is not None:
            end = following.start() if following else len(body)
            yield _Line(match[1].decode("ascii"), body[match.start(1) : end])


def _marks(line: bytes) -> Delimiters:
    try:
        return whole(declared(line.decode("latin-1")))
    except ParseError:
        return STANDARD


def _fields(raw: bytes, marks: Delimiters) -> tuple[str, ...]:
    """The fields by number, 0 the name; in FHS and BHS 1 is the field separator itself."""
    line = re.split(rb"[\r\n]", raw[:_LONGEST], maxsplit=1)[0].decode("latin-1")
    name, *rest = line.split(marks.field)
    return (name, marks.field, *rest) if name in ("FHS", "BHS") else (name, *rest)


def _head(name: str, asked: tuple[str, ...], batch: Batch, at: datetime, id: str) -> bytes:
    """FHS or BHS of the answer: sender and receiver swapped, -11 its own id, -12 the asker's."""
    marks = batch.marks
    sent = [*(asked or batch.file), *[""] * 12]
    fields = [
        name,
        "".join(marks[1:5]),
        *sent[5:7],
        *sent[3:5],
        f"{at:%Y%m%d%H%M%S%z}",
        "",
        "",
        "",
        id,
        sent[11] if asked else "",
    ]
    return (marks.field.join(fields) + "\r").encode("latin-1")
