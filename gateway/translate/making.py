"""Making what a map makes of a message or row: who there is, what each is called, what each holds.

A map says what to do about all that may come, and little of it comes: so all resources of a group
are asked for in one function, which looks at each field once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from gateway.model import Entry, Reference
from gateway.record import Node
from gateway.translate.code import Code, Written
from gateway.translate.resources import Maker
from gateway.translate.run import Run, Scope

Turn = tuple[int, int, Scope, "Node | None"]
"""A maker, by its number in the map; which scope of its group; where it makes one there."""


class Making:
    """The makers of a map, in its order. ``asks`` names the one that a question is about, or ""."""

    def __init__(self, makers: Sequence[Maker], asks: str = "") -> None:
        self.makers = makers
        self.asks = asks
        groups: dict[str, list[tuple[int, Maker]]] = {}
        for number, maker in enumerate(makers):
            groups.setdefault(maker.group, []).append((number, maker))
        self._groups = {
            name: Written(name, partial(_find, each), "run", "scope", "ordinal", "found")
            for name, each in groups.items()
        }

    def __call__(self, run: Run, instances: Mapping[str, Sequence[Scope]]) -> tuple[Entry, ...]:
        """What is made: all identities first, so that references may point ahead."""
        due = []
        for number, _, scope, node in self._turns(run, instances):
            maker = self.makers[number]
            reference = maker.named(run, scope, node)
            scope.record(maker.name, reference, node)
            if maker.name == self.asks:
                run.asked = reference
            due.append((maker, scope, node, reference))
        made: dict[Reference, Entry] = {}
        for maker, scope, node, reference in due:
            entry = maker.make(run, scope, node, reference)
            if entry is not None:
                known = made.get(reference)
                made[reference] = entry if known is None else joined(known, entry)
        return tuple(made.values())

    def _turns(self, run: Run, instances: Mapping[str, Sequence[Scope]]) -> list[Turn]:
        """Each place where something is made: by maker, then by scope."""
        found: list[Turn] = []
        for name, group in self._groups.items():
            for ordinal, scope in enumerate(instances.get(name, ())):
                group.call(run, scope, ordinal, found)
        found.sort(key=_order)
        return found


def _order(turn: Turn) -> tuple[int, int]:
    return turn[:2]


def _find(makers: Sequence[tuple[int, Maker]], code: Code) -> None:
    for number, maker in makers:
        with maker.each(code) as at, code.given(maker.test, at):
            code(f"found.append(({number}, ordinal, {at.scope}, {at.node}))")


def joined(first: Entry, second: Entry) -> Entry:
    """One thing told of twice in a message: the second adds what the first lacks, to lists too."""
    if _same(first, second):
        return first
    resource = {**second.resource, **first.resource}
    for name, more in second.resource.items():
        held = first.resource.get(name)
        if isinstance(held, list) and isinstance(more, list):
            known = [_who(one) for one in held]
            resource[name] = [*held, *(one for one in more if _who(one) not in known)]
    removes = (first.removes | second.removes) - resource.keys()
    return Entry(resource, removes, first.keep | second.keep, first.known or second.known)


def _same(first: Entry, second: Entry) -> bool:
    """Most that is told of twice is told in the same words."""
    same = first.resource == second.resource and [*first.resource] == [*second.resource]
    told = first.removes, first.keep, first.known
    return same and told == (second.removes, second.keep, second.known)


def _who(item: Any) -> Any:
    """What tells an item of a list from others: an identifier's or number's system and value."""
    if isinstance(item, dict) and "value" in item:
        return item.get("system"), item["value"]
    return item
