"""``const`` and ``default``: constants, checked against R4 like everything else.

A constant is built anew each time, so that no two resources share a part.
"""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from functools import partial
from typing import Any

from gateway.fhir.elements import Element, children
from gateway.model import Agency
from gateway.translate.leaves import codes_of
from gateway.translate.objects import needed
from gateway.translate.run import Run
from gateway.translate.source import Block, Scalar, Series, Yaml, refuse, text
from gateway.translate.values import READERS

Build = Callable[[], Any]

_NUMBERS = frozenset({"decimal", "integer", "positiveInt", "unsignedInt"})
_DATED = frozenset({"date", "dateTime", "instant", "time"})


def constant(element: Element, item: Yaml) -> tuple[Build, bool]:
    """(builder, whether it builds a list) for a constant of an element, single or whole."""
    if isinstance(item, Series):
        if not element.is_list:
            refuse(item.place, f"{element.path} doesn't repeat")
        return partial(_built_list, [_one(element, one) for one in item.items]), True
    return _one(element, item), False


def constant_object(parent: str, item: Block) -> dict[str, Build]:
    """Builders of some elements of ``parent``, by name; nothing is required of them."""
    found: dict[str, Build] = {}
    for name, value in item.items.items():
        element = children(parent).get(name)
        if element is None:
            refuse(item.places[name], f"{parent} has no element '{name}'")
        build, is_list = constant(element, value)
        found[name] = partial(_built_list, [build]) if element.is_list and not is_list else build
    return found


def _one(element: Element, item: Yaml) -> Build:
    if element.is_primitive:
        value = _primitive(element, item)
        return lambda: value
    if not isinstance(item, Block):
        refuse(item.place, f"{element.path} is of type {element.types[0]}, not a single value")
    builders = constant_object(element.parent, item)
    for names in needed(element.parent):
        if not builders.keys() & set(names):
            refuse(item.place, f"{element.parent}.{names[0]} is required")
    made = {name: build() for name, build in builders.items()}
    return lambda: made


def _built_list(builders: list[Build]) -> list[Any]:
    return [build() for build in builders]


def _primitive(element: Element, item: Yaml) -> str | int | bool | Decimal:
    type_ = element.types[0]
    if not isinstance(item, Scalar) or item.value is None or item.value == "":
        refuse(item.place, f"{element.path} is of type {type_}")
    if type_ == "boolean":
        fits = isinstance(item.value, bool)
    elif type_ in _NUMBERS:
        fits = isinstance(item.value, int | Decimal) and not isinstance(item.value, bool)
    else:
        fits = isinstance(item.value, str) or type_ in _DATED
    value = _read(type_, text(item)) if fits else None
    if value is None or (type_ not in _NUMBERS | _DATED and value != item.value):
        refuse(item.place, f"the constant isn't of type {type_}")
    codes = codes_of(element)
    if codes is not None and value not in codes:
        refuse(item.place, f"{element.path} knows {', '.join(sorted(codes))}")
    return value


def _read(type_: str, written: str) -> str | int | bool | Decimal | None:
    run = Run(Agency("constants", "constants"), {}, None)
    reader = READERS.get(type_)
    value = reader(run, written, None) if reader else None
    return None if run.warnings else value
