"""Python that a map is made into: the lines of one function, written and compiled once.

A map's rules could be closures that call each other, and most of their time would go into calls.
So a rule *writes* what it does into the function of its resource or data type, where it stands
between its neighbours; what isn't worth writing out (a table, a date) is called there.

Nothing that a map says becomes Python: in the text stand numbers, the names of FHIR's elements and
of HL7's segments, and names of our own; whatever else is *bound*, an object behind a name (``k7``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from typing import Any, Final, NamedTuple

from gateway.record import FIELDS, NULL, Node
from gateway.translate.run import Read, Run, Scope

_INDENT: Final = "    "
_HL7: Final = re.compile(r"[A-Z][A-Z0-9]{2}")


_PARTS: Final = 32
"""HL7 has no field of more parts."""


class At(NamedTuple):
    """Where a rule stands: the names that the scope and the node in hand have in the function."""

    scope: str
    node: str = "None"


HERE: Final = At("scope", "node")
"""Where a rule stands that is a function of its own."""

Write = Callable[["Code", At, str], None]
"""Writes a rule: the lines that give a name its value, or None for nothing."""


class _Absent:
    """A segment that isn't there."""

    shape = bytes(FIELDS)

    def repetitions(self, number: int) -> tuple[Node, ...]:
        """None."""
        return ()


_ABSENT: Final = (_Absent(),)


class Code:
    """One function on its way to being compiled.

    ``known`` is what the names in it mean that aren't its own. It has ``run`` and what else is
    among its parameters.
    """

    def __init__(self, *parameters: str) -> None:
        self.known: dict[str, Any] = {"NULL": NULL, "NONE": b"\0", "ABSENT": _ABSENT}
        self._parameters = parameters
        self._lines: list[str | list[str]] = []
        self._depth = 1
        self._count = 0
        self._bound: dict[int, str] = {}
        self._openings: dict[str, tuple[str, list[str]]] = {}
        self._held: dict[tuple[str | int, ...], str] = {}
        for name in HERE:
            if name in parameters:
                self.opened(name)

    def __call__(self, line: str) -> None:
        """Write a line."""
        self._lines.append(_INDENT * self._depth + line)

    @contextmanager
    def block(self, head: str) -> Iterator[None]:
        """What is written within stands under ``head:``."""
        self(f"{head}:")
        self._depth += 1
        yield
        self._depth -= 1

    def local(self, stem: str = "v") -> str:
        """A name of its own for a value."""
        self._count += 1
        return f"{stem}{self._count}"

    def bound(self, value: object) -> str:
        """The name that stands for a value: the same one for the same object."""
        name = self._bound.get(id(value))
        if name is None:
            name = self._bound[id(value)] = f"k{len(self._bound) + 1}"
            self.known[name] = value
        return name

    def opened(self, name: str) -> None:
        """From here on a scope or node has that name: what it holds is looked up here, once."""
        opening: list[str] = []
        self._openings[name] = _INDENT * self._depth, opening
        self._lines.append(opening)

    def _at_opening(self, opened: str, key: tuple[str | int, ...], stem: str, value: str) -> str:
        """The name of what is looked up where a scope or node was opened."""
        local = self._held.get((opened, *key))
        if local is None:
            local = self._held[opened, *key] = self.local(stem)
            indent, opening = self._openings[opened]
            opening.append(f"{indent}{local} = {value}")
        return local

    def field(self, at: At, segment: str, number: int) -> tuple[str, str]:
        """What gives the repetitions of a field of a scope's first segment of a name, and whether
        there are any: that is cheap to ask.
        """
        held = f"{self.segments(at, segment, absent='ABSENT')}[0]"
        told = segment if _HL7.fullmatch(segment) else "row"
        first = self._at_opening(at.scope, (segment,), f"{told}_", held)
        value = f"{first}.repetitions({number})"
        if number >= FIELDS:
            return value, value
        shape = self._at_opening(at.scope, (segment, 0), "shape", f"{first}.shape")
        return value, f"{shape}[{number}]"

    def cell(self, at: At, row: str, number: int) -> str:
        """What stands in a column of a scope's first row of a name, or None."""
        value, there = self.field(at, row, number)
        return self._at_opening(
            at.scope, (row, "cell", number), "cell", f"{value}[0] if {there} else None"
        )

    @contextmanager
    def holding(self, at: At, fields: Iterable[tuple[str, int]] | None) -> Iterator[None]:
        """What is written within is done where one of some fields holds anything, if any are."""
        held = [self.field(at, *one)[1] for one in sorted(fields or ())]
        with self.block(f"if {' or '.join(held)}") if held else nullcontext():
            yield

    @contextmanager
    def there(self, node: str, number: int) -> Iterator[None]:
        """What is written within is done where a node may have that part: most have few.

        A node that wasn't opened is asked for one part alone, and simply asked.
        """
        if node not in self._openings or number > _PARTS:
            yield
            return
        shape = self._at_opening(node, (), "shape", f"{node}.shape.ljust({_PARTS}, NONE)")
        with self.block(f"if {shape}[{number - 1}]"):
            yield

    @contextmanager
    def given(self, test: Write | None, at: At) -> Iterator[None]:
        """What is written within is done where a test holds, if there is one."""
        if test is None:
            yield
            return
        holds = self.local("t")
        test(self, at, holds)
        with self.block(f"if {holds}"):
            yield

    def segments(self, at: At, name: str, up: int = 0, absent: str = "()") -> str:
        """What gives all segments of a name in a scope, or in the one so far around it."""
        key = repr(name) if _HL7.fullmatch(name) else self.bound(name)
        return f"{at.scope}{'.parent' * up}.segments.get({key}, {absent})"

    @property
    def source(self) -> str:
        """The function's text."""
        lines = [f"def made({', '.join(self._parameters)}):", f"{_INDENT}pass"]
        for line in self._lines:
            lines += [line] if isinstance(line, str) else line
        return "\n".join(lines) + "\n"

    def function(self, place: str) -> Callable[..., Any]:
        """The function, compiled; ``place`` is what a traceback says instead of a file's name."""
        exec(compile(self.source, f"<{place}>", "exec"), self.known)
        made: Callable[..., Any] = self.known["made"]
        return made


class Written:
    """A function that is written and compiled when it is first called: of most maps none ever is.

    ``call`` is it. ``write`` writes its lines, the last of which returns.
    """

    __slots__ = ("_parameters", "_place", "_write", "call")

    def __init__(self, place: str, write: Callable[[Code], None], *parameters: str) -> None:
        self._place, self._write, self._parameters = place, write, parameters
        self.call: Callable[..., Any] = self._first

    def code(self) -> Code:
        """The function as it is written."""
        code = Code(*self._parameters)
        self._write(code)
        return code

    def _first(self, *given: Any) -> Any:
        self.call = self.code().function(self._place)
        return self.call(*given)


def function(place: str, write: Callable[[Code], None]) -> Callable[[Run, Scope, Node | None], Any]:
    """What is written by itself, as a function of run, scope and node."""
    written = Written(place, write, "run", *HERE)
    return lambda run, scope, node: written.call(run, scope, node)


def by_itself(write: Write, place: str) -> Written:
    """A rule that is a function of its own."""

    def whole(code: Code) -> None:
        write(code, HERE, "value")
        code("return value")

    return Written(place, whole, "run", *HERE)


def alone(write: Write, place: str) -> Read:
    """The same, as a function of run, scope and node."""
    written = by_itself(write, place)
    return lambda run, scope, node: written.call(run, scope, node)


def called(function: Read) -> Write:
    """A rule that is a function of run, scope and node: it is called."""

    def write(code: Code, at: At, into: str) -> None:
        code(f"{into} = {code.bound(function)}(run, {at.scope}, {at.node})")

    return write


def sent(code: Code, text: str, into: str) -> None:
    """A text as it stands, of an expression that gives one or None: ``""`` and blanks are none."""
    code(f"{into} = {text}")
    with code.block(f"if {into} is not None"):
        with code.block(f"if {into} == NULL"):
            code(f"{into} = None")
            code("run.null = True")
        with code.block(f"elif {into}.isspace()"):
            code(f"{into} = None")
