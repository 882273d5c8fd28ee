"""What of a resource's rules may give anything in scopes of one shape: the rest isn't run."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from gateway.model import Node
from gateway.translate.needs import (
    Condition,
    Narrowed,
    Present,
    answer,
    everything,
    in_scope,
    met,
    questions,
    segments_of,
)
from gateway.translate.objects import Part
from gateway.translate.run import Read, Scope, Test
from gateway.translate.sites import Rule


class Content(NamedTuple):
    """One element of a resource, ready to run. ``others`` are the siblings of a choice, by name.

    ``read`` is None where nothing of it is there: what is left is its default.
    """

    part: Part
    name: str
    read: Read | None
    others: Mapping[str, frozenset[str]]


class Live(NamedTuple):
    """What of a maker may give something in scopes of one shape.

    ``test`` is None where there is none; ``possible`` says whether it can be true at all.
    """

    possible: bool
    test: Test | None
    keys: tuple[tuple[Read, bool], ...]
    contents: tuple[Content, ...]


def by_scope(
    condition: Condition | None, keys: Sequence[Rule], contents: Sequence[Content]
) -> Callable[[Scope, Node | None], Live]:
    """A maker narrowed to what its scope holds and says, and to the node in hand."""
    needs = [condition.needs] if condition else []
    needs += [rule.needs for rule in keys]
    needs += [rule.needs for content in contents for rule in content.part.rules]
    names, asked = tuple(sorted(segments_of(needs))), questions(needs)
    known = Narrowed(
        _live(condition, keys, contents, everything),
        lambda held: _live(condition, keys, contents, in_scope(names, held[0], asked, held[1])),
    )

    def live(scope: Scope, at: Node | None) -> Live:
        segments = scope.segments
        shapes = [segments[name][0].shape if name in segments else b"" for name in names]
        if at is not None:
            shapes.append(at.shape)
        return known[tuple(shapes), tuple([answer(one, scope) for one in asked])]

    return live


def _live(
    condition: Condition | None,
    keys: Sequence[Rule],
    contents: Sequence[Content],
    present: Present,
) -> Live:
    narrowed = (rule.narrowed(present) for rule in keys)
    given = (content._replace(read=content.part.read(present)) for content in contents)
    return Live(
        condition is None or met(condition.needs, present),
        condition.test if condition else None,
        tuple((rule.read, rule.many) for rule in narrowed if rule is not None),
        tuple(one for one in given if one.read is not None or one.part.default is not None),
    )
