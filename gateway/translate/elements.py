"""A resource's elements put together: the function that fills one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from gateway.translate.code import HERE, Code, Write
from gateway.translate.objects import Part


class Forget(NamedTuple):
    """Elements that go, unless a rule gives them, where ``test`` holds (None: always)."""

    test: Write | None
    names: frozenset[str]


class Content(NamedTuple):
    """One element of a resource. ``others`` are the siblings of a choice, by name."""

    part: Part
    others: Mapping[str, frozenset[str]]


def fill(
    contents: Sequence[Content],
    forget: Sequence[Forget],
    must: Sequence[tuple[str, ...]],
    code: Code,
) -> None:
    """Write what puts all of them into ``made``, and into ``removes`` the names of what goes.

    The function gives the JSON names of the first element of ``must`` that has no value, if any.
    """
    for content in contents:
        with code.holding(HERE, content.part.needs):
            _element(content, code)
    for one in forget:
        with code.given(one.test, HERE):
            code(f"removes.update({code.bound(one.names)})")
    for names in must:
        with code.block(f"if {' and '.join(f'{name!r} not in made' for name in names)}"):
            code(f"return {code.bound(names)}")
    code("return None")


def _element(content: Content, code: Code) -> None:
    part = content.part
    code("run.null = False")
    part.write(code, HERE, "value")
    with code.block("if value is not None"):
        _put(content, code)
    with code.block("elif run.null"):
        code(f"removes.update({code.bound(part.names)})")
    if part.default is not None:
        with code.block("else"):
            code(f"made[{part.name!r}] = {code.bound(part.default)}()")


def _put(content: Content, code: Code) -> None:
    """A value goes into the resource; a choice removes its siblings."""
    (part, others) = content
    if not part.name:
        code("made.update(value)")
        with code.block("for chosen in value"):
            code(f"removes.update({code.bound(others)}[chosen])")
        return
    code(f"made[{part.name!r}] = value")
    if others:
        code(f"removes.update({code.bound(others[part.name])})")
