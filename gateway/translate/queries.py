"""Paths over JSON: JMESPath (https://jmespath.org), relative to the value in hand.

``client.name``, ``phones[?type=='mobile'].number``, ``^id`` from the value around, ``.`` the value
itself. Fields, indexes and projections know where what they find stands; what functions and
multiselects make has the place of what they were asked of.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, cast

import jmespath
from jmespath.exceptions import JMESPathError
from jmespath.visitor import TreeInterpreter

from gateway.record import Node
from gateway.translate.paths import Frame, Path
from gateway.translate.run import Run, Scope
from gateway.translate.source import refuse
from gateway.translate.trees import RECORD, Record, Value, step

Tree = dict[str, Any]
"""A parsed expression: type, children, value."""

Walk = Callable[[Value], list[Value]]
"""What an expression finds in a value."""


class Queries:
    """The dialect of JSON feeds."""

    def is_path(self, text: str) -> bool:
        """Every text is a query."""
        return bool(text)

    def parse(self, text: str, frame: Frame, place: str) -> Path:
        """A query from the value in hand; MapError at ``place``."""
        climbs = len(text) - len(text.lstrip("^"))
        if climbs > frame.depth:
            refuse(place, f"'{text}' climbs out of the record")
        return Path(
            text, segment=RECORD, field=1, search=Query(text, climbs, _compiled(text, place))
        )


def _compiled(text: str, place: str) -> Walk:
    expression = text.lstrip("^")
    if expression == ".":
        return lambda value: [value]
    try:
        return _walk(jmespath.compile(expression).parsed)
    except JMESPathError:
        refuse(place, f"'{text}' is not JMESPath")


def records(expression: str, place: str) -> Callable[[Any], list[tuple[str, Any]]]:
    """What finds the records of a body: (pointer, value) each; MapError at ``place``."""
    walk = _compiled(expression, place)

    def found(body: Any) -> list[tuple[str, Any]]:
        root = Record("", "", body).root
        return [(one.pointer or "", one.value) for one in _spread(walk(root))]

    return found


@dataclass(frozen=True, slots=True)
class Query:
    """A compiled path."""

    text: str
    climbs: int
    walk: Walk

    def first(self, run: Run, scope: Scope, node: Node | None) -> Node | None:
        """The first value that it meets."""
        return next(iter(self.nodes(run, scope, node)), None)

    def nodes(self, run: Run, scope: Scope, node: Node | None) -> list[Node]:
        """All values that it meets, the items of lists; null is none."""
        start = _start(scope, node, self.climbs)
        found = _spread(self.walk(start)) if start is not None else []
        return [_within(one, start) for one in found] if start is not None else []

    def shown(self, scope: Scope) -> str:
        """``referrals.json:/data/0 client.name``."""
        held = scope.segments.get(RECORD)
        where = cast("Record", held[0]).where if held else ""
        return f"{where}:{self.text}" if where else self.text


def _start(scope: Scope, node: Node | None, climbs: int) -> Value | None:
    held = scope.segments.get(RECORD)
    at = cast("Value | None", node)
    for _ in range(climbs):
        at = at.around if at is not None else None
    return at if at is not None or not held else cast("Record", held[0]).root


def _within(found: Value, around: Value) -> Value:
    """What was found, which climbs to where it was sought."""
    if found is around:
        return found
    return Value(found.record, found.value, found.pointer, around)


def _spread(found: Iterable[Value]) -> list[Value]:
    """Lists are repetitions."""
    made: list[Value] = []
    for one in found:
        if isinstance(one.value, list):
            made.extend(_items(one))
        elif one.value is not None:
            made.append(one)
    return made


def _items(one: Value) -> list[Value]:
    if not isinstance(one.value, list):
        return []
    return [
        Value(one.record, item, step(one.pointer, number), one)
        for number, item in enumerate(one.value)
        if item is not None
    ]


# --- expressions that know where they are ---------------------------------------------------------


def _walk(tree: Tree) -> Walk:
    build = _WALKS.get(tree["type"])
    return build(tree) if build is not None else _asked(tree)


def _asked(tree: Tree) -> Walk:
    """What JMESPath itself makes of a value."""

    def walk(value: Value) -> list[Value]:
        made = _evaluated(tree, value.value)
        return [] if made is None else [Value(value.record, made, None, value)]

    return walk


def _evaluated(tree: Tree, value: Any) -> Any:
    """None where a function is given what it doesn't take: there is nothing there."""
    try:
        return TreeInterpreter().visit(tree, value)
    except JMESPathError:
        return None


def _field(tree: Tree) -> Walk:
    name = tree["value"]

    def walk(value: Value) -> list[Value]:
        held = value.value.get(name) if isinstance(value.value, dict) else None
        if held is None:
            return []
        return [Value(value.record, held, step(value.pointer, name), value)]

    return walk


def _index(tree: Tree) -> Walk:
    number = tree["value"]

    def walk(value: Value) -> list[Value]:
        held = value.value if isinstance(value.value, list) else []
        at = number + len(held) if number < 0 else number
        if not 0 <= at < len(held) or held[at] is None:
            return []
        return [Value(value.record, held[at], step(value.pointer, at), value)]

    return walk


def _chain(tree: Tree) -> Walk:
    """One after the other: ``a.b``, ``a[0]``."""
    walks = [_walk(child) for child in tree["children"]]

    def walk(value: Value) -> list[Value]:
        found = [value]
        for each in walks:
            found = [one for held in found for one in each(held)]
        return found

    return walk


def _projection(tree: Tree) -> Walk:
    """``a[*].b``, and ``a[].b`` by way of ``flatten``."""
    inner, last = tree["children"]
    flat = inner["type"] == "flatten"
    left, right = _walk(inner["children"][0] if flat else inner), _walk(last)

    def walk(value: Value) -> list[Value]:
        items = [one for held in left(value) for one in _items(held)]
        return [one for item in (_spread(items) if flat else items) for one in right(item)]

    return walk


def _filter(tree: Tree) -> Walk:
    """``a[?type=='x'].b``."""
    left, right = (_walk(child) for child in tree["children"][:2])
    condition = tree["children"][2]

    def walk(value: Value) -> list[Value]:
        items = [one for held in left(value) for one in _items(held)]
        kept = [one for one in items if _true(_evaluated(condition, one.value))]
        return [one for item in kept for one in right(item)]

    return walk


def _true(value: Any) -> bool:
    """JMESPath's truth: false, null and what is empty are false; 0 is true."""
    return bool(value) or (value == 0 and not isinstance(value, bool))


def _itself(tree: Tree) -> Walk:
    return lambda value: [value]


_WALKS: Final[Mapping[str, Callable[[Tree], Walk]]] = {
    "field": _field,
    "index": _index,
    "subexpression": _chain,
    "index_expression": _chain,
    "projection": _projection,
    "filter_projection": _filter,
    "identity": _itself,
    "current": _itself,
}
"""The kinds of expressions that lead to what is there."""
