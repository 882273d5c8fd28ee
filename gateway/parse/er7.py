r"""HL7 v2's delimited text, ER7 (v2.8.2 §2.5 to §2.7): lazy, tolerant, linear in its input.

A message is cut into segments at once, a segment into fields when one is read, a field further
where the reader goes. What senders get wrong and can be mended is mended with a warning: LF or
CRLF for CR, a line break inside a field, indented segments, a lying MSH-18, a doubled escape
character, an unknown version. What can't is a ParseError with its place.
"""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import sha256
from typing import Any, Final

from gateway.errors import Issue, ParseError
from gateway.parse.charset import decode
from gateway.parse.delimiters import Delimiters, declared
from gateway.parse.header import VERSIONS, charset_name, header_line, opening
from gateway.parse.lines import segment_lines
from gateway.parse.parts import REPETITION, Literal, Part, Sheet, named
from gateway.parse.structures import structure
from gateway.record import FIELDS

_HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose first field is the field separator itself."""

_AFTER: Final = "\r\n\x00\x1a\x1c"


class Segment:
    """A segment of a message: a ``model.Segment``. ``raw`` is its text as sent."""

    shape: bytes

    __slots__ = (
        "_fields",
        "_nodes",
        "_sheet",
        "index",
        "marks",
        "name",
        "ordinal",
        "raw",
        "shape",
    )

    def __init__(self, sheet: Sheet, name: str, ordinal: int, index: int, raw: str) -> None:
        self._sheet = sheet
        self._fields: list[str] | None = None
        self._nodes: dict[int, tuple[Part, ...]] = {}
        self.marks = sheet.marks
        self.name = name
        self.ordinal = ordinal
        self.index = index
        self.raw = raw

    @property
    def place(self) -> str:
        """``PID``, or ``OBX[3]`` from the second of its name on."""
        return named(self.name, self.ordinal)

    @property
    def fields(self) -> list[str]:
        """The fields as sent, by number: 0 is the name, and in MSH 1 is the field separator."""
        fields = self._fields
        if fields is None:
            fields = self.raw.split(self.marks.field)
            if self.name in _HEADERS:
                fields.insert(1, self.marks.field)
            self._fields = fields
        return fields

    def __getattr__(self, name: str) -> Any:
        """``shape``, worked out when it is asked for: from then on it stands."""
        if name == "shape":
            self.shape = bytes(map(bool, self.fields)).ljust(FIELDS, b"\0")
            return self.shape
        raise AttributeError(name)

    def repetitions(self, number: int) -> tuple[Part, ...]:
        """The field's repetitions; () where the field is empty, or there is none.

        An empty repetition before or between others keeps its place in the tuple.
        """
        found = self._nodes.get(number)
        if found is None:
            fields = self._fields or self.fields
            if not 0 < number < len(fields) or not fields[number]:
                return ()
            found = self._nodes[number] = self._repetitions(number, fields[number])
        return found

    def text(
        self, field: int, repetition: int = 1, component: int = 1, subcomponent: int = 1
    ) -> str | None:
        """The unescaped text of one leaf: the fast way to ``Part.text``, without its nodes."""
        fields = self._fields or self.fields
        if not 0 < field < len(fields):
            return None
        leaf = fields[field]
        if field < 3 and self.name in _HEADERS:
            return leaf if repetition == component == subcomponent == 1 else None
        marks = self.marks
        leaf = _nth(leaf, marks.repetition, repetition)
        leaf = _nth(leaf, marks.component, component)
        leaf = _nth(leaf, marks.subcomponent, subcomponent)
        if marks.escape in leaf:
            return self._escaped(field, repetition, component, subcomponent)
        return leaf or None

    def _escaped(self, field: int, repetition: int, *numbers: int) -> str | None:
        """The slow way, for a leaf that is there: its place may have to be reported."""
        part: Part | None = self.repetitions(field)[repetition - 1]
        for number in numbers:
            part = part.child(number) if part else None
        return part.text() if part else None

    def _repetitions(self, number: int, value: str) -> tuple[Part, ...]:
        sheet, above = self._sheet, (self.name, self.ordinal, number)
        if number < 3 and self.name in _HEADERS:
            return (Literal(sheet, value, above),)
        mark = self.marks.repetition
        if mark not in value:
            return (Part(sheet, value, REPETITION, above, 1),)
        parts = enumerate(value.split(mark), 1)
        return tuple(Part(sheet, part, REPETITION, above, n) for n, part in parts)


class Message:
    """A parsed HL7 v2 message: a ``model.Record`` of kind "hl7v2".

    ``charset`` is the character set it was read with (a name that Python knows), ``version``
    MSH-12.1 ("" where absent), ``event`` "REF^I12", ``structure`` MSH-9.3 or what table 0354
    derives, ``control_id`` MSH-10 as sent.
    """

    __slots__ = (
        "_by_name",
        "_sheet",
        "charset",
        "control_id",
        "delimiters",
        "event",
        "segments",
        "structure",
        "version",
    )

    kind: Final = "hl7v2"

    def __init__(self, delimiters: Delimiters, charset: str, lines: list[str]) -> None:
        self.delimiters = delimiters
        self.charset = charset
        self._sheet = Sheet(delimiters, charset)
        self._by_name: dict[str, list[Segment]] = {}
        self.segments: tuple[Segment, ...] = tuple(self._cut(lines))
        header = self.segments[0]
        kind, trigger, named = (header.text(9, component=n) or "" for n in (1, 2, 3))
        self.event = f"{kind}^{trigger}" if trigger else kind
        self.structure = named or structure(kind, trigger)
        self.control_id = header.fields[10] if len(header.fields) > 10 else ""
        self.version = header.text(12) or ""

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """What was mended so far: reading is lazy, so look after the last read."""
        return self._sheet.warnings

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        found = self._by_name.get(name)
        return found[0] if found else None

    def all(self, name: str) -> tuple[Segment, ...]:
        """Every segment of that name, in order."""
        return tuple(self._by_name.get(name, ()))

    def digest(self) -> str:
        """A name for its very text, whatever its charset and line ends were."""
        text = "\r".join(segment.raw for segment in self.segments)
        return f"urn:sha256:{sha256(text.encode()).hexdigest()}"

    def warn(self, text: str, place: str | None, condition: str = "102") -> None:
        """Report something mended, once a place."""
        self._sheet.warn(text, place, condition)

    def add(self, issue: Issue) -> None:
        """Report a finding, once a place."""
        self._sheet.add(issue)

    def _cut(self, lines: list[str]) -> Iterator[Segment]:
        for index, line in enumerate(lines):
            name = line[:3]
            same = self._by_name.setdefault(name, [])
            segment = Segment(self._sheet, name, len(same) + 1, index, line)
            same.append(segment)
            yield segment


def parse(raw: bytes, *, charset: str = "auto") -> Message:
    """Take one HL7 v2 message apart. ``raw`` comes without its MLLP frame.

    ``charset`` other than "auto" goes before MSH-18 (see ``charset.decode``). Raises ParseError:
    at MSH where the message doesn't begin with one, at MSH-1 and MSH-2 for unusable delimiters, at
    MSH-9 and MSH-10 where they are missing, at MSH[2] where a second message follows.
    """
    body = opening(raw)
    first_line = header_line(body).decode("latin-1")
    marks = declared(first_line)
    decoded = decode(body, charset_name(first_line, marks), charset)
    if not decoded.text.startswith(first_line[:4]):
        raise ParseError("the agency's charset can't carry HL7 delimiters", place="MSH-18")
    lines, broken = segment_lines(decoded.text.rstrip(_AFTER), marks.field)
    message = Message(marks, decoded.codec, lines)
    for issue in decoded.warnings:
        message.add(issue)
    for index in broken:
        place = message.segments[index].place
        message.warn("a line break stands inside the segment; kept as part of it", place, "100")
    _check(message)
    return message


def _check(message: Message) -> None:
    header = message.segments[0]
    for number in (9, 10):
        if header.text(number) is None:
            place = f"MSH-{number}"
            raise ParseError(f"{place} is required", place=place, condition="101")
    if len(message.all("MSH")) > 1:
        raise ParseError("a second message follows in the same frame", place="MSH[2]")
    if len(set(header.fields[2])) < len(header.fields[2]):
        message.warn("MSH-2 repeats a delimiter; each is taken once", "MSH-2")
    if not message.version:
        message.warn("MSH-12 is missing; read all the same", "MSH-12", "101")
    elif message.version not in VERSIONS:
        message.warn("MSH-12 isn't a version that is known; read all the same", "MSH-12", "203")


def _nth(value: str, mark: str, number: int) -> str:
    """The part of that number, from 1; "" where there is none."""
    if mark not in value:
        return value if number == 1 else ""
    parts = value.split(mark, number)
    return parts[number - 1] if 0 < number <= len(parts) else ""
