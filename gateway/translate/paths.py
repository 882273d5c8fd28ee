"""HL7 v2 paths: ``PID-3[5=MR].4.2``, ``^OBR-7``, ``OBX[2]-5``, ``CX.1``, ``.``.

Parsed and checked once; what runs is written out (``code``). Other sources have a ``Dialect`` of
their own: ``columns`` of a CSV file's rows, ``queries`` of JSON.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from typing import Final, Protocol, cast

from gateway.record import NULL, Node
from gateway.translate.code import HERE, At, Code, Write, function
from gateway.translate.run import Nodes, Run, Scope
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

    @property
    def is_own_cell(self) -> bool:
        """Whether it is a column of the row in hand: there is one such cell, undivided."""
        return bool(self.column) and self.is_own_field

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
        own = at.segments.get(self.segment, ()) if at is not None else ()
        if own:
            return f"{cast('Placed', own[0]).where}:{self.column}"
        held = next(iter(at.segments.values()), ()) if at is not None else ()
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


# --- written -------------------------------------------------------------------------------------

Choose = Callable[[str, Frame, str], Write]
"""Compiles a repetition's condition (``conditions.compile_choice``)."""

Met = Callable[[Code, At], AbstractContextManager[str]]
"""Writes a way to nodes: what is written within is done with what it meets, by that name."""

First = Callable[[Run, Scope, "Node | None"], "Node | None"]
Segments = Callable[[Code, At], str]
"""What gives the segments that a path without a field names."""


def compile_segments(path: Path) -> Segments:
    """All segments of a path's name in its scope; of ``SPM[2]`` the second, if there is one."""
    part = f"[{path.nth - 1}:{path.nth}]" if path.nth > 1 else ""
    return lambda code, at: code.segments(at, path.segment, path.up) + part


def all_met(path: Path, choose: Choose, place: str) -> Met:
    """All nodes that a path meets, one after the other: repetitions, or their components.

    There is one loop: ``break`` ends it.
    """
    chosen = _choice(path, choose, place)

    @contextmanager
    def met(code: Code, at: At) -> Iterator[str]:
        one = code.local("n")
        found = _repetitions(code, at, path) if path.segment else f"({at.node},)"
        with (
            code.block(f"for {one} in {found}"),
            code.given(chosen, At(at.scope, one)),
            _descended(code, one, path.parts) as node,
        ):
            yield node

    return met


def first_met(path: Path, choose: Choose, place: str) -> Met:
    """The first node that a path meets: a component of the first repetition."""
    chosen = _choice(path, choose, place)

    @contextmanager
    def met(code: Code, at: At) -> Iterator[str]:
        with _first(code, at, path, chosen) as one, _descended(code, one, path.parts) as node:
            yield node

    return met


def _choice(path: Path, choose: Choose, place: str) -> Write | None:
    if not path.choice:
        return None
    return choose(path.choice, Frame("a repetition", frozenset(), None, ""), place)


@contextmanager
def _first(code: Code, at: At, path: Path, chosen: Write | None) -> Iterator[str]:
    """The first repetition; where a relative path serves there is a node in hand."""
    if not path.segment:
        yield at.node
        return
    one = code.local("n")
    if path.search is not None:
        code(f"{one} = {code.bound(path.search.first)}(run, {at.scope}, {at.node})")
        head = f"if {one} is not None"
    elif path.is_own_cell:
        cell = code.cell(at, path.segment, path.field)
        with code.block(f"if {cell} is not None"):
            code(f"{one} = {cell}")
            yield one
        return
    elif path.is_plain and not path.choice and not path.repetition:
        field, there = code.field(at, path.segment, path.field)
        with code.block(f"if {there}"):
            code(f"{one} = {field}[0]")
            yield one
        return
    elif chosen is None:
        code(f"{one} = next(iter({_repetitions(code, at, path)}), None)")
        head = f"if {one} is not None"
    else:
        each, every = code.local("n"), _repetitions(code, at, path)
        code(f"{one} = None")
        with (
            code.block(f"for {each} in {every}"),
            code.given(chosen, At(at.scope, each)),
            code.block(f"if {one} is None"),
        ):
            code(f"{one} = {each}")
        head = f"if {one} is not None"
    with code.block(head):
        yield one


@contextmanager
def _descended(code: Code, node: str, parts: tuple[int, ...]) -> Iterator[str]:
    if not parts:
        yield node
        return
    with code.there(node, parts[0]):
        part = code.local("n")
        code(f"{part} = {node}.child({parts[0]})")
        with code.block(f"if {part} is not None"), _descended(code, part, parts[1:]) as found:
            yield found


def _repetitions(code: Code, at: At, path: Path) -> str:
    """What gives the repetitions of a field."""
    if path.search is not None:
        return f"{code.bound(path.search.nodes)}(run, {at.scope}, {at.node})"
    number, only = path.field, path.repetition
    cut = f"[{only - 1}:{only}]" if only else ""
    if path.is_plain:
        field, there = code.field(at, path.segment, number)
        return f"({field}{cut} if {there} else ())"
    segments = code.segments(at, path.segment, path.up)
    chosen = f"{segments}[{path.nth - 1}:{path.nth}]" if path.nth != ANY else segments
    return f"[one for each in {chosen} for one in each.repetitions({number}){cut}]"


def compile_first(path: Path, choose: Choose, place: str) -> First:
    """A path by itself: the first node that it meets, or None."""

    def whole(code: Code) -> None:
        with first_met(path, choose, place)(code, HERE) as node:
            code(f"return {node}")

    return function(place, whole)


def compile_nodes(path: Path, choose: Choose, place: str) -> Nodes:
    """A path by itself: all nodes that it meets."""

    def whole(code: Code) -> None:
        code("found = []")
        with all_met(path, choose, place)(code, HERE) as node:
            code(f"found.append({node})")
        code("return found")

    return function(place, whole)


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
