"""What a field of an HL7 v2 message is made of, to its leaves (v2.8.2 §2.5.3): cut when read."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Final

from gateway.errors import Issue
from gateway.parse.delimiters import STANDARD, Delimiters
from gateway.parse.escapes import unescape

REPETITION: Final = 1
_COMPONENT, _SUBCOMPONENT = 2, 3

Above = tuple[str, int, int] | tuple["Above", int]
"""Where a part stands: segment, ordinal and field, or above what it is a part of and that one's
number."""


class Sheet:
    """What all nodes of a message share, and all that they know of it: its delimiters and
    character set, and what was mended.

    It knows none of them, as none knows who holds it: nothing of a message stands in a cycle, and
    it is gone with its last reader. Looking for 376 objects a message took the collector a tenth
    of the time that translating took.
    """

    __slots__ = ("_warnings", "charset", "marks", "plain")

    def __init__(self, marks: Delimiters, charset: str) -> None:
        self.marks = marks
        self.plain = marks[:5] == STANDARD[:5]
        self.charset = charset
        self._warnings: dict[tuple[str | None, str], Issue] = {}

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """What was mended so far."""
        return tuple(self._warnings.values())

    def warn(self, text: str, place: str | None, condition: str = "102") -> None:
        """Report something mended, once a place."""
        self.add(Issue(text, place, "value", condition, "warning"))

    def add(self, issue: Issue) -> None:
        """Report a finding, once a place."""
        self._warnings.setdefault((issue.place, issue.text), issue)


class Part:
    """A repetition, component or subcomponent of a field: a ``model.Node``."""

    __slots__ = ("_above", "_depth", "_leaves", "_number", "_parts", "_sheet", "value")

    def __init__(self, sheet: Sheet, value: str, depth: int, above: Above, number: int) -> None:
        self._sheet = sheet
        self._depth = depth
        self._above = above
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
        return _place(self._above, self._number)

    def text(self) -> str | None:
        """The unescaped text of the first leaf; None where empty, ``NULL`` for ``""``."""
        leaves = self._leaves
        if leaves is None:
            leaves = self._cut()
        return (leaves[0] if leaves else self._first()) or None

    def _first(self) -> str:
        """The first leaf of what isn't simple."""
        _, component, _, escape, subcomponent, _ = self._sheet.marks
        leaf = self.value
        if self._depth == REPETITION:
            leaf = leaf.partition(component)[0]
        if self._depth != _SUBCOMPONENT:
            leaf = leaf.partition(subcomponent)[0]
        return self._unescaped(leaf) if escape in leaf else leaf

    def _unescaped(self, leaf: str) -> str:
        """A leaf without its escapes; one that can't be understood is a warning at its place."""
        sheet = self._sheet

        def report() -> None:
            sheet.warn("an escape sequence isn't one that is known; kept as sent", self.place)

        return unescape(leaf, sheet.marks, sheet.charset, report)

    @property
    def form(self) -> Hashable | None:
        """What parts that read alike have in common; None for one with escapes."""
        sheet = self._sheet
        if sheet.marks.escape in self.value:
            return None
        if sheet.plain and self._depth == REPETITION:
            return self.value
        return self.value, self._depth, sheet.marks

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
        _, component, _, escape, subcomponent, _ = self._sheet.marks
        value, depth = self.value, self._depth
        if escape in value or (depth == REPETITION and subcomponent in value):
            leaves = []
        elif depth == _SUBCOMPONENT:
            leaves = [value]
        else:
            leaves = value.split(component if depth == REPETITION else subcomponent)
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
        above = (self._above, self._number)
        made = parts[number - 1] = Part(self._sheet, found, self._depth + 1, above, number)
        return made

    def _divide(self) -> list[str | Part]:
        """Divide the value into the parts one level down; [] where nothing divides it."""
        _, component, _, _, subcomponent, _ = self._sheet.marks
        value = self.value
        parts: list[str | Part] = []
        if self._depth == REPETITION:
            if component in value or subcomponent in value:
                parts += value.split(component)
        elif self._depth == _COMPONENT and subcomponent in value:
            parts += value.split(subcomponent)
        self._parts = parts
        return parts


class Literal(Part):
    """MSH-1 and MSH-2, which hold the delimiters and so can't be divided by them."""

    __slots__ = ()

    def __init__(self, sheet: Sheet, value: str, above: Above) -> None:
        super().__init__(sheet, value, _SUBCOMPONENT, above, 1)

    def text(self) -> str | None:
        """As sent."""
        return self.value

    @property
    def form(self) -> None:
        """None: the delimiters don't serve within themselves."""


def named(segment: str, ordinal: int) -> str:
    """``PID``, or ``OBX[3]`` from the second of its name on."""
    return segment if ordinal == 1 else f"{segment}[{ordinal}]"


def _place(above: Above, number: int) -> str:
    if len(above) == 2:
        return f"{_place(*above)}.{number}"
    segment, ordinal, field = above
    suffix = f"[{number}]" if number > 1 else ""
    return f"{named(segment, ordinal)}-{field}{suffix}"
