r"""HL7 v2's delimited text, ER7 (v2.8.2 §2.5 to §2.7): lazy, tolerant, linear in its input.

A message is cut into segments at once, a segment into fields when one is read, a field further
where the reader goes. What senders get wrong and can be mended is mended with a warning: LF or
CRLF for CR, a line break inside a field, indented segments, a lying MSH-18, a doubled escape
character, an unknown version. What can't is a ParseError with its place.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from typing import Any, Final

from gateway.errors import Issue, ParseError
from gateway.model import FIELDS
from gateway.parse.charset import decode
from gateway.parse.delimiters import STANDARD, Delimiters, declared
from gateway.parse.escapes import unescape
from gateway.parse.header import VERSIONS, charset_name, header_line, opening
from gateway.parse.lines import segment_lines
from gateway.parse.structures import structure

_HEADERS: Final = frozenset({"MSH", "FHS", "BHS"})
"""Segments whose first field is the field separator itself."""

_AFTER: Final = "\r\n\x00\x1a\x1c"
_REPETITION, _COMPONENT, _SUBCOMPONENT = 1, 2, 3


class Part:
    """A repetition, component or subcomponent of a field: a ``model.Node``."""

    __slots__ = ("_depth", "_leaves", "_number", "_parts", "_segment", "_up", "value")

    def __init__(
        self, segment: Segment, value: str, depth: int, up: Part | int, number: int
    ) -> None:
        self._segment = segment
        self._depth = depth
        self._up = up
        self._number = number
        self._leaves: list[str] | None = None
        self._parts: list[str | Part] | None = None  # each a text until somebody goes there
        self.value = value
        """As sent, escapes and all."""

    @property
    def place(self) -> str:
        """``PID-3[2].4.1``; ``[1]`` is left out; ``OBX[3]-5`` from the 2nd segment on.

        Worked out when it is asked for, which is when something is wrong.
        """
        if isinstance(self._up, int):
            return _place(self._segment, self._up, self._number)
        return f"{self._up.place}.{self._number}"

    def text(self) -> str | None:
        """The unescaped text of the first leaf; None where empty, ``NULL`` for ``""``."""
        leaves = self._leaves
        if leaves is None:
            leaves = self._cut()
        return (leaves[0] if leaves else self._first()) or None

    def _first(self) -> str:
        """The first leaf of what isn't simple."""
        _, component, _, escape, subcomponent, _ = self._segment.marks
        leaf = self.value
        if self._depth == _REPETITION:
            leaf = leaf.partition(component)[0]
        if self._depth != _SUBCOMPONENT:
            leaf = leaf.partition(subcomponent)[0]
        return self._segment.unescape(leaf, self) if escape in leaf else leaf

    @property
    def form(self) -> Hashable | None:
        """What parts that read alike have in common; None for one with escapes."""
        segment = self._segment
        if segment.marks.escape in self.value:
            return None
        if segment.plain and self._depth == _REPETITION:
            return self.value
        return self.value, self._depth, segment.marks

    @property
    def shape(self) -> bytes:
        """Which children there are: a byte each, 1 or 0."""
        leaves = self._leaves
        if leaves is None:
            leaves = self._cut()
        parts = leaves or self._parts or self._divide()
        return bytes(map(bool, parts)) if len(parts) > 1 else b"\x01"

    def leaf(self, number: int) -> str | None:
        """The text of a child: the fast way to ``child(number).text()``, without the child."""
        leaves = self._leaves
        if leaves is None:
            leaves = self._cut()
        if leaves:
            return (leaves[number - 1] or None) if 0 < number <= len(leaves) else None
        child = self.child(number)
        return child.text() if child is not None else None

    def _cut(self) -> list[str]:
        """The texts one level down, of an undivided one its own: of what is simple, as most is.

        [] where a text has an escape, or is divided again.
        """
        _, component, _, escape, subcomponent, _ = self._segment.marks
        value, depth = self.value, self._depth
        if escape in value or (depth == _REPETITION and subcomponent in value):
            leaves = []
        elif depth == _SUBCOMPONENT:
            leaves = [value]
        else:
            leaves = value.split(component if depth == _REPETITION else subcomponent)
        self._leaves = leaves
        return leaves

    def child(self, number: int) -> Part | None:
        """The component or subcomponent, from 1; None where there is none or it is empty.

        A part that isn't divided is its own child 1, and has no other.
        """
        parts = self._parts
        if parts is None:
            parts = self._divide()
        if not parts:
            return self if number == 1 else None
        if not 0 < number <= len(parts):
            return None
        found = parts[number - 1]
        if isinstance(found, Part):
            return found
        if not found:
            return None
        made = parts[number - 1] = Part(self._segment, found, self._depth + 1, self, number)
        return made

    def _divide(self) -> list[str | Part]:
        """Divide the value into the parts one level down; [] where nothing divides it."""
        _, component, _, _, subcomponent, _ = self._segment.marks
        value = self.value
        parts: list[str | Part] = []
        if self._depth == _REPETITION:
            if component in value or subcomponent in value:
                parts += value.split(component)
        elif self._depth == _COMPONENT and subcomponent in value:
            parts += value.split(subcomponent)
        self._parts = parts
        return parts


class Literal(Part):
    """MSH-1 and MSH-2, which hold the delimiters and so can't be divided by them."""

    __slots__ = ()

    def __init__(self, segment: Segment, value: str, field: int) -> None:
        super().__init__(segment, value, _SUBCOMPONENT, field, 1)

    def text(self) -> str | None:
        """As sent."""
        return self.value

    @property
    def form(self) -> None:
        """None: the delimiters don't serve within themselves."""


class Segment:
    """A segment of a message: a ``model.Segment``. ``raw`` is its text as sent."""

    shape: bytes

    __slots__ = (
        "_fields",
        "_message",
        "_nodes",
        "index",
        "marks",
        "name",
        "ordinal",
        "plain",
        "raw",
        "shape",
    )

    def __init__(self, message: Message, name: str, ordinal: int, index: int, raw: str) -> None:
        self._message = message
        self._fields: list[str] | None = None
        self._nodes: dict[int, tuple[Part, ...]] = {}
        self.marks = message.delimiters
        self.plain = message.plain
        self.name = name
        self.ordinal = ordinal
        self.index = index
        self.raw = raw

    @property
    def place(self) -> str:
        """``PID``, or ``OBX[3]`` from the second of its name on."""
        return self.name if self.ordinal == 1 else f"{self.name}[{self.ordinal}]"

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

    def unescape(self, leaf: str, part: Part) -> str:
        """Undo the escapes of a leaf; one that can't be understood is a warning at its place."""
        message = self._message

        def report() -> None:
            message.warn("an escape sequence isn't one that is known; kept as sent", part.place)

        return unescape(leaf, self.marks, message.charset, report)

    def _escaped(self, field: int, repetition: int, *numbers: int) -> str | None:
        """The slow way, for a leaf that is there: its place may have to be reported."""
        part: Part | None = self.repetitions(field)[repetition - 1]
        for number in numbers:
            part = part.child(number) if part else None
        return part.text() if part else None

    def _repetitions(self, number: int, value: str) -> tuple[Part, ...]:
        if number < 3 and self.name in _HEADERS:
            return (Literal(self, value, number),)
        mark = self.marks.repetition
        if mark not in value:
            return (Part(self, value, _REPETITION, number, 1),)
        parts = enumerate(value.split(mark), 1)
        return tuple(Part(self, part, _REPETITION, number, n) for n, part in parts)


class Message:
    """A parsed HL7 v2 message: a ``model.Record`` of kind "hl7v2".

    ``charset`` is the character set it was read with (a name that Python knows), ``version``
    MSH-12.1 ("" where absent), ``event`` "REF^I12", ``structure`` MSH-9.3 or what table 0354
    derives, ``control_id`` MSH-10 as sent.
    """

    __slots__ = (
        "_by_name",
        "_warnings",
        "charset",
        "control_id",
        "delimiters",
        "event",
        "plain",
        "segments",
        "structure",
        "version",
    )

    kind: Final = "hl7v2"

    def __init__(self, delimiters: Delimiters, charset: str, lines: list[str]) -> None:
        self.delimiters = delimiters
        self.plain = delimiters[:5] == STANDARD[:5]
        self.charset = charset
        self._warnings: dict[tuple[str | None, str], Issue] = {}
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
        return tuple(self._warnings.values())

    def first(self, name: str) -> Segment | None:
        """The first segment of that name."""
        found = self._by_name.get(name)
        return found[0] if found else None

    def all(self, name: str) -> tuple[Segment, ...]:
        """Every segment of that name, in order."""
        return tuple(self._by_name.get(name, ()))

    def warn(self, text: str, place: str | None, condition: str = "102") -> None:
        """Report something mended, once a place."""
        self.add(Issue(text, place, "value", condition, "warning"))

    def add(self, issue: Issue) -> None:
        """Report a finding, once a place."""
        self._warnings.setdefault((issue.place, issue.text), issue)

    def _cut(self, lines: list[str]) -> Iterator[Segment]:
        for index, line in enumerate(lines):
            name = line[:3]
            same = self._by_name.setdefault(name, [])
            segment = Segment(self, name, len(same) + 1, index, line)
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


def _place(segment: Segment, field: int, repetition: int) -> str:
    suffix = f"[{repetition}]" if repetition > 1 else ""
    return f"{segment.place}-{field}{suffix}"
