"""Values that know where they came from: what an explaining translation makes its resources of.

Each equals the plain value that it stands for, so that everything else takes it as such. They are
for looking at: what is stored is made without them.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Literal

Kind = Literal["read", "const", "default", "ref", "key", "type"]
"""How a value came about: read from the source, said by the map (a constant, a default), the name
of another resource, its own identity, or its type."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Where one value came from: ``rule`` is file:line.

    ``read`` are the places of the source that it was made of, ``asked`` those that only decided
    whether it is made, ``rows`` the rows of tables that it went through (file:line).
    """

    rule: str
    kind: Kind = "read"
    read: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()


@dataclass(slots=True)
class Tale:
    """What a mark says: where the value came from, and the rules around, the outermost last."""

    origin: Origin
    around: list[Origin] = field(default_factory=list)


class Text(str):
    """A text."""

    tale: Tale


class Whole(int):
    """A whole number, or (R4's JSON knows the two apart by ``truth``) true or false."""

    tale: Tale
    truth: bool = False


class Number(Decimal):
    """A decimal, to the digit."""

    tale: Tale


class Object(dict[str, Any]):
    """An object; its elements are marked too."""

    tale: Tale


class Series(list[Any]):
    """A list; its items are marked too."""

    tale: Tale


Marked = Text | Whole | Number | Object | Series


def tale_of(value: Any) -> Tale | None:
    """What a value says of itself; None for a plain one."""
    return value.tale if isinstance(value, Marked) else None


def told(value: Any, origin: Origin) -> Any:
    """``value`` marked with ``origin``; one that is marked remembers it as around it."""
    if isinstance(value, Marked):
        value.tale.around.append(origin)
        return value
    return marked(value, origin)


def marked(value: Any, origin: Origin) -> Any:
    """``value`` and all that is in it, where it isn't marked already, marked with ``origin``."""
    if isinstance(value, Marked):
        return value
    if isinstance(value, dict):
        return _with(Object({key: marked(one, origin) for key, one in value.items()}), origin)
    if isinstance(value, list):
        return _with(Series(marked(one, origin) for one in value), origin)
    return _with(_leaf(value), origin)


def _leaf(value: Any) -> Text | Whole | Number:
    if isinstance(value, bool):
        made = Whole(value)
        made.truth = True
        return made
    if isinstance(value, int):
        return Whole(value)
    return Number(value) if isinstance(value, Decimal) else Text(value)


def _with(value: Marked, origin: Origin) -> Marked:
    value.tale = Tale(origin)
    return value


def bare(value: Any) -> Any:
    """The plain value that a marked one stands for."""
    if isinstance(value, dict):
        return {key: bare(one) for key, one in value.items()}
    if isinstance(value, list):
        return [bare(one) for one in value]
    if isinstance(value, Whole):
        return bool(value) if value.truth else int(value)
    if isinstance(value, Number):
        return Decimal(value)
    return str(value) if isinstance(value, Text) else value
