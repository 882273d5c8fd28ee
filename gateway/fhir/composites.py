"""Composite search parameters (R4 search, 3.1.1.4.15): values that belong to one element.

Where that element is the resource, or stands in it once, each part's own parameter answers for it.
Where it repeats, a row of the last part is filed under the code of the first: the parameter's name
then holds the code, so that ``code$value`` is one look into one index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

from gateway.fhir.elements import Element
from gateway.fhir.expressions import UnsupportedExpression, Walk, compile_expression
from gateway.fhir.indexing import MAKERS, Maker
from gateway.fhir.query import Kind, TokenValue
from gateway.fhir.rows import IndexRow

_ANY: Final = "*"


@dataclass(frozen=True, slots=True)
class Component:
    """A part: the ``code`` of its own parameter, ``walks`` to its values from the element."""

    code: str
    kind: Kind
    targets: tuple[str, ...]
    walks: tuple[tuple[Walk, Maker], ...]


def is_single(root: Walk) -> bool:
    """Whether the element is the resource, or stands right below it and once."""
    return not root.first or (not root.steps and root.element is not None and not _many(root))


def _many(root: Walk) -> bool:
    return root.element is not None and root.element.is_list


def component(raw: Mapping[str, Any], expression: str, root: Walk) -> Component:
    """A part of a composite on ``root``. Raises UnsupportedExpression."""
    if "%" in expression:
        raise UnsupportedExpression("values of different elements")
    above = root.element.parent if root.element else root.type
    walks = compile_expression(expression.replace("DateTime", "dateTime"), above)
    kind = next((kind for kind in (raw["type"], "token", "reference") if _fits(kind, walks)), "")
    if not kind:
        raise UnsupportedExpression(f"{raw['type']} in a composite")
    made = tuple((w, MAKERS[kind][w.type]) for w in walks if w.type in MAKERS[kind])
    # R4's "combo-" parameters look into components, too; their part of the resource has its own.
    code = raw["code"].removeprefix("combo-")
    return Component(code, cast(Kind, kind), tuple(raw.get("target", ())), made)


def _fits(kind: str, walks: Sequence[Walk]) -> bool:
    return any(walk.type in MAKERS[kind] for walk in walks)


def grouped(components: Sequence[Component], root: Walk) -> Maker:
    """What makes the rows of a composite on an element that repeats."""
    if len(components) != 2 or components[0].kind != "token":
        raise UnsupportedExpression("three values of one element")
    first, last = components

    def make(param: str, value: Any, _: Element | None) -> list[IndexRow]:
        values = _rows(last, param, value)
        if not values:  # of the eight composites of an Observation a value serves one or two
            return []
        tokens = {(row.system, row.code) for row in _rows(first, param, value)}
        names = {name for system, code in tokens for name in _names(param, system, code)}
        return [row._replace(param=name) for row in values for name in (param, *sorted(names))]

    return make


def _rows(part: Component, param: str, value: Any) -> list[Any]:
    return [
        row
        for walk, make in part.walks
        for found in walk.values(value)
        for row in make(param, found, walk.element)
        if row.param == param
    ]


def _names(param: str, system: str, code: str) -> tuple[str, ...]:
    return f"{param}${system}|{code}", f"{param}${_ANY}|{code}", f"{param}${system}|{_ANY}"


def filed_under(param: str, token: TokenValue) -> str:
    """The name of the rows whose first part is that token."""
    system = _ANY if token.system is None else token.system
    return f"{param}${system}|{_ANY if token.code is None else token.code}"
