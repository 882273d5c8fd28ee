"""HL7 v2 paths: ``PID-3[5=MR].4.2``, ``^OBR-7``, ``OBX[2]-5``, ``CX.1``, ``.``.

Parsed and checked once; what runs is a closure over numbers. Other sources have a ``Dialect`` of
their own: ``columns`` of a CSV file's rows, ``queries`` of JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

from gateway.model import NULL, Node, Segment
from gateway.translate.run import Nodes, Run, Scope, Test
from gateway.translate.source import refuse

_ABSOLUTE: Final = re.compile(
    r"(?P<up>\^*)(?P<segment>[A-Z][A-Z0-9]{2})(?:\[(?P<nth>[1-9]\d*)\])?"
    r"(?:-(?P<field>[1-9]\d*)(?:\[(?P<choice>[^\]]+)\])?(?P<parts>(?:\.[1-9]\d*){0,2}))?"
)
_RELATIVE: Final = re.compile(r"(?P<type>[A-Z][A-Z0-9]*)?(?P<parts>(?:\.[1-9]\d*){1,2})|\.")


class Dialect(Protocol):
    """How the paths of a source other than HL7 v2 are written."""

    def is_path(self, text: str) -> bool:
        """Whether ``text`` leads to values; the name of other rows (in ``each``) doesn't."""

    def parse(self, text: str, frame: Frame, place: str) -> Path:
        """Take a path apart and check it against its frame; MapError at ``place``."""


@dataclass(frozen=True, slots=True)
class Frame:
    """What a path may see where it stands: the static side of ``run.Scope``.

    ``segments`` None: any. ``type`` is the data type's name where paths like ``CX.1`` serve, "" for
    nameless ones (``.1``) only, None where there is no node. ``over`` is the path of the field
    whose repetitions are gone over here. ``dialect`` is None for HL7 v2; ``depth`` is how many
    nodes are in hand, one within the other.
    """

    name: str
    segments: frozenset[str] | None
    parent: Frame | None = None
    type: str | None = None
    over: str = ""
    dialect: Dialect | None = None
    depth: int = 0

    def sees(self, segment: str) -> bool:
        """Whether a segment of that name may be in such a scope."""
        return self.segments is None or segment in self.segments

    def around(self, node_type: str | None, over: str = "") -> Frame:
        """The same scope, with a node in hand."""
        return replace(self, type=node_type, over=over, depth=self.depth + 1)

    def inside(self, segment: str) -> Frame:
        """The scope of one segment of an ``each``."""
        name = f"each {segment} of {self.name}"
        return Frame(name, frozenset({segment}), self, dialect=self.dialect)


class Placed(Protocol):
    """A row: a segment that knows its file and line."""

    @property
    def where(self) -> str:
        """``Client.csv:12``."""


class Search(Protocol):
    """A compiled query of JSON: finds values in the value in hand, or in the whole record."""

    def first(self, run: Run, scope: Scope, node: Node | None) -> Node | None:
        """The first value that it meets."""

    def nodes(self, run: Run, scope: Scope, node: Node | None) -> Sequence[Node]:
        """All of them: the items of a list."""

    def shown(self, scope: Scope) -> str:
        """The place of the record, and the query."""


ANY: Final = 0
"""In a path's ``nth``: all segments of the name, the rows that a lookup found."""


@dataclass(frozen=True, slots=True)
class Path:
    """A path taken apart. ``segment`` "" for a relative one; ``field`` 0 for a whole segment.

    ``column``: the field is that column of a row; ``search`` finds values in JSON. The name of a
    resource or group, where one is read, is noted as a path of ``up`` -1.
    """

    text: str
    up: int = 0
    segment: str = ""
    nth: int = 1
    field: int = 0
    repetition: int = 0
    choice: str = ""
    parts: tuple[int, ...] = ()
    column: str = ""
    search: Search | None = None

    @property
    def is_single(self) -> bool:
        """Whether it meets one node at most: it starts from one."""
        return not self.segment

    @property
    def is_plain(self) -> bool:
        """Whether it reads a field of the scope's own first segment of that name."""
        return bool(self.field) and self.up == 0 and self.nth == 1 and self.search is None

    @property
    def is_own_field(self) -> bool:
        """Whether it is the first repetition of such a field, and no more."""
        return self.is_plain and not (self.choice or self.repetition or self.parts)

    def holds(self, scope: Scope) -> bool:
        """Whether there is anything in its field, in any segment of that name that it sees."""
        at: Scope | None = scope
        for _ in range(self.up):
            at = at.parent if at is not None else None
        held = at.segments.get(self.segment, ()) if at is not None else ()
        return any(segment.repetitions(self.field) for segment in held)

    def shown(self, scope: Scope) -> str:
        """Its place in a message: with the ordinal of the segment, where there is one."""
        if self.column:
            return self._cell(scope)
        if self.search is not None:
            return self.search.shown(scope)
        held = scope.segments.get(self.segment) if self.up == 0 else None
        ordinal = held[0].ordinal if held else self.nth
        name = f"{self.segment}[{ordinal}]" if ordinal > 1 else self.segment
        return f"{name}-{self.field}" + "".join(f".{part}" for part in self.parts)

    def _cell(self, scope: Scope) -> str:
        """``Client.csv:12:DOB``: of the row that it is about, else of the row around."""
        at: Scope | None = scope
        for _ in range(self.up):
            at = at.parent if at is not None else None
        while at is not None and self.segment not in at.segments and at.parent is not None:
            at = at.parent
        held = next(iter(at.segments.values()), ()) if at is not None else ()
        own = at.segments.get(self.segment, ()) if at is not None else ()
        if own:
            return f"{cast('Placed', own[0]).where}:{self.column}"
        return f"{cast('Placed', held[0]).where}:{self.text}" if held else self.text


def is_path(text: str, frame: Frame) -> bool:
    """Whether ``text`` has the form of a path (a segment's bare name has not)."""
    if frame.dialect is not None:
        return frame.dialect.is_path(text)
    absolute = _ABSOLUTE.fullmatch(text)
    return bool(_RELATIVE.fullmatch(text) or (absolute and absolute["field"]))


def parse_path(text: str, frame: Frame, place: str) -> Path:
    """Take ``text`` apart and check it against its frame; MapError at ``place``."""
    if frame.dialect is not None:
        return frame.dialect.parse(text, frame, place)
    if match := _RELATIVE.fullmatch(text):
        _check_relative(text, match["type"], frame, place)
        return Path(text, parts=_numbers(match["parts"]))
    match = _ABSOLUTE.fullmatch(text)
    if match is None:
        refuse(place, f"'{text}' is not a path")
    _check_segment(text, len(match["up"]), match["segment"], frame, place)
    choice = match["choice"] or ""
    return Path(
        text,
        len(match["up"]),
        match["segment"],
        int(match["nth"] or 1),
        int(match["field"] or 0),
        int(choice) if choice.isdecimal() else 0,
        "" if choice.isdecimal() else choice,
        _numbers(match["parts"]),
    )


def _numbers(parts: str | None) -> tuple[int, ...]:
    return tuple(int(part) for part in (parts or "").split(".") if part)


def _check_relative(text: str, named: str | None, frame: Frame, place: str) -> None:
    if frame.type is None:
        refuse(place, f"'{text}' is relative, and there is nothing here that it could start from")
    if named and named != frame.type:
        refuse(place, f"'{text}' doesn't fit: paths here begin with '{frame.type}.' or '.'")


def _check_segment(text: str, up: int, segment: str, frame: Frame, place: str) -> None:
    at: Frame | None = frame
    for _ in range(up):
        at = at.parent if at is not None else None
    if at is None:
        refuse(place, f"'{text}' climbs out of the message")
    if not at.sees(segment):
        refuse(place, f"'{text}': {at.name} has no {segment}; '^' leads to what is around it")


# --- compiled ------------------------------------------------------------------------------------

Segments = Callable[[Scope], "list[Segment]"]
Choose = Callable[[str, Frame, str], Test]
"""Compiles a repetition's condition (``conditions.compile_choice``)."""

First = Callable[[Run, Scope, "Node | None"], "Node | None"]


def compile_segments(path: Path) -> Segments:
    """All segments of a path's name in its scope."""
    name, up = path.segment, path.up

    def segments(scope: Scope) -> list[Segment]:
        for _ in range(up):
            scope = scope.parent  # type: ignore[assignment]  # parse_path counted the parents
        return scope.segments.get(name, [])

    if not up:
        return lambda scope: scope.segments.get(name, [])
    return segments


def compile_nodes(path: Path, choose: Choose, place: str) -> Nodes:
    """All nodes that a path meets: repetitions, or their components."""
    if path.search is not None:
        return path.search.nodes
    parts = path.parts
    repetitions = _repetitions(path, choose, place)
    if not parts:
        return repetitions

    def nodes(run: Run, scope: Scope, node: Node | None) -> list[Node]:
        made: list[Node] = []
        for one in repetitions(run, scope, node):
            found = _descend(one, parts)
            if found is not None:
                made.append(found)
        return made

    return nodes


def compile_first(path: Path, choose: Choose, place: str) -> First:
    """The first node that a path meets: a component of the first repetition."""
    if path.search is not None:
        return path.search.first
    if not path.segment:
        return _relative(path.parts)
    if path.is_plain and not path.choice and not path.repetition:
        return _plain(path.segment, path.field, path.parts)
    repetitions, parts = _repetitions(path, choose, place), path.parts

    def first(run: Run, scope: Scope, node: Node | None) -> Node | None:
        for one in repetitions(run, scope, node):
            return _descend(one, parts)
        return None

    return first


def _relative(parts: tuple[int, ...]) -> First:
    """Where ``parse_path`` lets a relative path pass, there is a node."""
    if not parts:
        return lambda run, scope, node: node
    if len(parts) == 1:
        number = parts[0]
        return lambda run, scope, node: node.child(number)  # type: ignore[union-attr]
    return lambda run, scope, node: _descend(node, parts)  # type: ignore[arg-type]


def _plain(segment: str, number: int, parts: tuple[int, ...]) -> First:
    if not parts:
        return _field(segment, number)

    def first(run: Run, scope: Scope, node: Node | None) -> Node | None:
        segments = scope.segments.get(segment)
        if segments is None:
            return None
        repetitions = segments[0].repetitions(number)
        if not repetitions:
            return None
        found: Node | None = repetitions[0]
        for part in parts:
            if found is None:
                return None
            found = found.child(part)
        return found

    return first


def _field(segment: str, number: int) -> First:
    def first(run: Run, scope: Scope, node: Node | None) -> Node | None:
        segments = scope.segments.get(segment)
        repetitions = segments[0].repetitions(number) if segments is not None else ()
        return repetitions[0] if repetitions else None

    return first


def _descend(node: Node, parts: tuple[int, ...]) -> Node | None:
    found: Node | None = node
    for part in parts:
        if found is None:
            return None
        found = found.child(part)
    return found


def _repetitions(path: Path, choose: Choose, place: str) -> Nodes:
    if not path.segment:
        return lambda run, scope, node: (node,) if node is not None else ()
    all_of = _own_repetitions(path) if path.is_plain else _all_repetitions(path)
    if path.repetition:
        at = path.repetition
        return lambda run, scope, node: all_of(run, scope, node)[at - 1 : at]
    if not path.choice:
        return all_of
    test = choose(path.choice, Frame("a repetition", frozenset(), None, ""), place)
    return lambda run, scope, node: [
        one for one in all_of(run, scope, node) if test(run, scope, one)
    ]


def _own_repetitions(path: Path) -> Nodes:
    """The commonest path, with a call less."""
    name, number = path.segment, path.field

    def repetitions(run: Run, scope: Scope, node: Node | None) -> Sequence[Node]:
        found = scope.segments.get(name)
        return found[0].repetitions(number) if found is not None else ()

    return repetitions


def _all_repetitions(path: Path) -> Nodes:
    segments, nth, number = compile_segments(path), path.nth, path.field
    if nth == ANY:
        return lambda run, scope, node: [
            one for each in segments(scope) for one in each.repetitions(number)
        ]

    def repetitions(run: Run, scope: Scope, node: Node | None) -> Sequence[Node]:
        found = segments(scope)
        return found[nth - 1].repetitions(number) if len(found) >= nth else ()

    return repetitions


WHOLE: Final = b"\x02"
"""The shape of a JSON object or list that holds anything."""


def says(text: str) -> bool:
    """Whether a text says anything: ``""`` and blanks alone don't."""
    return text != NULL and not text.isspace()


def filled(node: Node, depth: int = 2) -> bool:
    """Whether any leaf of a node has a text that says anything."""
    text = node.text()
    if text is not None and says(text):
        return True
    if not depth or node.shape == WHOLE:
        return bool(node.shape == WHOLE)
    children = (node.child(number) for number in range(2, 26))
    return any(child is not None and filled(child, depth - 1) for child in children)
