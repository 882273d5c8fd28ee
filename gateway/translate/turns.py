"""Whose turn it is: which makers of a message map may make anything in the scopes of a message.

A map says what to do about all that a message may hold, and a message holds some of it. What its
segments hold and say decides (``needs``), so it is found out once for all scopes that are alike.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Final

from gateway.translate.live import Live
from gateway.translate.needs import Held, Needs, in_scope, met
from gateway.translate.resources import Maker
from gateway.translate.run import Scope

_ALIKE: Final = 1024
"""How many kinds of scope a group remembers."""

Turn = tuple[int, Maker, "Live | None"]
"""A maker, by its number in the map, and what of it may give something, where that is known."""


class Turns:
    """The makers of a message map, in its order."""

    def __init__(self, makers: Sequence[Maker]) -> None:
        self._makers = makers

    def __call__(
        self, instances: Mapping[str, Sequence[Scope]]
    ) -> list[tuple[Maker, Scope, Live | None]]:
        """Each maker with each scope where it may make anything: by maker, then by scope."""
        due = [
            (number, ordinal, maker, scope, live)
            for name, group in self._groups.items()
            for ordinal, scope in enumerate(instances.get(name, ()))
            for number, maker, live in group.turns(scope)
        ]
        due.sort(key=lambda one: one[:2])
        return [one[2:] for one in due]

    @cached_property
    def _groups(self) -> dict[str, _Group]:
        """Made at the first message: of most maps none ever comes."""
        by_group: dict[str, list[tuple[int, Maker]]] = {}
        for number, maker in enumerate(self._makers):
            by_group.setdefault(maker.group, []).append((number, maker))
        return {name: _Group(makers) for name, makers in by_group.items()}


class _Group:
    """The makers of one group, or of the message itself."""

    def __init__(self, makers: Sequence[tuple[int, Maker]]) -> None:
        self._makers = makers
        self._held = Held([one for _, maker in makers for one in _needs(maker)])
        self._known: dict[Hashable, tuple[Turn, ...]] = {}

    def turns(self, scope: Scope) -> tuple[Turn, ...]:
        """Those that may make anything in a scope."""
        held = self._held(scope, None)
        known = self._known.get(held)
        if known is None:
            if len(self._known) >= _ALIKE:
                self._known.clear()
            known = self._known[held] = tuple(self._found(scope, held[0]))
        return known

    def _found(self, scope: Scope, shapes: Sequence[bytes]) -> Iterator[Turn]:
        present = in_scope(self._held.names, shapes)
        for number, maker in self._makers:
            if maker.where is None:
                live = maker.lives(scope, None)
                if live.possible:
                    yield number, maker, live
            elif met(maker.where, present):
                yield number, maker, None


def _needs(maker: Maker) -> Sequence[Needs]:
    return maker.lives.needs if maker.where is None else [maker.where]
