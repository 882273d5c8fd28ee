"""What of a resource's rules may give anything in scopes of one shape: the rest isn't run."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from gateway.model import Node
from gateway.translate.elements import Content, Elements, elements
from gateway.translate.memory import form_of, recalled
from gateway.translate.needs import (
    Condition,
    Held,
    Narrowed,
    Needs,
    Present,
    everything,
    in_scope,
    met,
)
from gateway.translate.paths import Frame
from gateway.translate.run import Read, Scope, Test
from gateway.translate.sites import Rule


class Live(NamedTuple):
    """What of a maker may give something in scopes of one shape.

    ``test`` is None where there is none; ``possible`` says whether it can be true at all.
    """

    possible: bool
    test: Test | None
    keys: tuple[tuple[Read, bool], ...]
    elements: Elements


class Lives:
    """A maker narrowed to what its scope holds and says, and to the node in hand.

    ``needs`` are those of all its rules.
    """

    def __init__(
        self,
        condition: Condition | None,
        keys: Sequence[Rule],
        contents: Sequence[Content],
        frame: Frame,
    ) -> None:
        needs = [condition.needs] if condition else []
        needs += [rule.needs for rule in keys]
        needs += [rule.needs for content in contents for rule in content.part.rules]
        if condition is not None:
            tested = form_of(condition.paths, frame)
            condition = condition._replace(test=recalled(condition.test, tested))
        self.needs: Sequence[Needs] = needs
        self._held = Held(needs)
        names, asked = self._held.names, self._held.asked
        self._known = Narrowed(
            _live(condition, keys, contents, frame, everything),
            lambda held: _live(
                condition, keys, contents, frame, in_scope(names, held[0], asked, held[1])
            ),
        )

    def __call__(self, scope: Scope, at: Node | None) -> Live:
        """What may give something in a scope, of a node."""
        return self._known[self._held(scope, at)]


def _live(
    condition: Condition | None,
    keys: Sequence[Rule],
    contents: Sequence[Content],
    frame: Frame,
    present: Present,
) -> Live:
    narrowed = (rule.narrowed(present) for rule in keys)
    return Live(
        condition is None or met(condition.needs, present),
        condition.test if condition else None,
        tuple((rule.read, rule.many) for rule in narrowed if rule is not None),
        elements((content.narrowed(present, frame) for content in contents), frame),
    )
