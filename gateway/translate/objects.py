"""Putting elements together: lists, alternatives, choices and whole objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from gateway.fhir.elements import Element, children
from gateway.model import Node
from gateway.translate.needs import (
    ANYTHING,
    Condition,
    Needs,
    Present,
    all_of,
    either,
    everything,
)
from gateway.translate.paths import Path
from gateway.translate.run import Read, Run, Scope, Test
from gateway.translate.sites import Rule
from gateway.translate.source import refuse


@dataclass(frozen=True, slots=True)
class Part:
    """One element of an object, compiled. ``name`` "" is a block of a choice: it gives a dict.

    ``is_list``: its rules' results make a list; else the first counts. ``names`` are the JSON names
    that it may make, ``paths`` what it reads, ``tested`` what its conditions look at.
    """

    name: str
    rules: tuple[Rule, ...]
    is_list: bool
    names: tuple[str, ...]
    default: Callable[[], object] | None = None
    paths: tuple[Path, ...] = ()
    tested: tuple[Path, ...] = ()

    @property
    def weighs(self) -> bool:
        """Whether what it gives may have been read."""
        return any(rule.weighs for rule in self.rules)

    @property
    def needs(self) -> Needs:
        """What it can't do without; a default needs nothing."""
        return ANYTHING if self.default else either(rule.needs for rule in self.rules)

    def read(self, present: Present = everything) -> Read | None:
        """How it is read where no more than this is present; None where it gives nothing."""
        narrowed = (rule.narrowed(present) for rule in self.rules)
        rules = [rule for rule in narrowed if rule is not None]
        if not rules:
            return None
        return gather(rules) if self.is_list else first_of(rules)


def gather(rules: Sequence[Rule]) -> Read:
    """All results of all rules, in order; None where there is none."""
    pairs = tuple((rule.read, rule.many) for rule in rules)
    if len(pairs) == 1:
        only, many = pairs[0]
        return only if many else _listed(only)

    def read(run: Run, scope: Scope, node: Node | None) -> list[Any] | None:
        made: list[Any] = []
        for one, many in pairs:
            value = one(run, scope, node)
            if value is not None:
                made.extend(value) if many else made.append(value)
        return made or None

    return read


def _listed(one: Read) -> Read:
    def read(run: Run, scope: Scope, node: Node | None) -> list[Any] | None:
        value = one(run, scope, node)
        return None if value is None else [value]

    return read


def first_of(rules: Sequence[Rule]) -> Read:
    """The result of the first rule that has one."""
    reads = tuple(rule.read for rule in rules)
    if len(reads) == 1:
        return reads[0]

    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        for one in reads:
            value = one(run, scope, node)
            if value is not None:
                return value
        return None

    return read


def only_if(test: Test, read: Read) -> Read:
    """``read`` where ``test`` holds."""
    return lambda run, scope, node: read(run, scope, node) if test(run, scope, node) else None


def given(rule: Rule, condition: Condition | None) -> Rule:
    """``rule`` where a condition holds; as it is where there is none."""
    if condition is None:
        return rule
    test, needs = condition.test, condition.needs
    narrow = rule.narrow
    return Rule(
        only_if(test, rule.read),
        rule.many,
        rule.weighs,
        rule.default,
        all_of((needs, rule.needs)),
        None if narrow is None else lambda present: only_if(test, narrow(present)),
    )


@cache
def needed(parent: str) -> tuple[tuple[str, ...], ...]:
    """What must be in an object: for each, the JSON names of which one must be there."""
    wanted: dict[str, tuple[str, ...]] = {}
    for name, element in children(parent).items():
        if element.min and element.choice is None:
            wanted[name] = (name,)
        elif element.demanded and element.choice is not None:
            wanted[element.choice] = (*wanted.get(element.choice, ()), name)
    return tuple(wanted.values())


def check_needed(parent: str, parts: Sequence[Part], place: str) -> None:
    """MapError where no rule makes an element that R4 requires."""
    made = {name for part in parts for name in part.names}
    for names in needed(parent):
        if not made.intersection(names):
            refuse(place, f"{parent}.{_shown(parent, names)} is required, and no rule makes it")


def _shown(parent: str, names: Sequence[str]) -> str:
    choice = children(parent)[names[0]].choice
    return f"{choice}[x]" if choice else names[0]


def siblings(parent: str, element: Element) -> frozenset[str]:
    """The other names of an element's choice."""
    if element.choice is None:
        return frozenset()
    names = (name for name, one in children(parent).items() if one.choice == element.choice)
    return frozenset(names) - {element.path.rpartition(".")[2]}


def composed(parent: str, parts: Sequence[Part]) -> Rule:
    """An object of its parts, as a rule that stands where its parts' paths start."""
    weighing = [part for part in parts if part.weighs]
    return Rule(
        compose(parent, parts),
        weighs=bool(weighing),
        needs=either(part.needs for part in weighing),
        narrow=partial(compose, parent, parts),
    )


def compose(parent: str, parts: Sequence[Part], present: Present = everything) -> Read:
    """An object of its parts: None where it reads something and finds nothing.

    One that lacks what R4 requires is left out, with a warning. ``present``: see ``Part.read``.
    """
    reads = ((part.name, part.read(present), part.weighs) for part in parts)
    steps = tuple((name, one, weighs) for name, one, weighs in reads if one is not None)
    defaults = tuple((part.name, part.default) for part in parts if part.default)
    always = not any(part.weighs for part in parts)
    must = tuple(needed(parent))

    def read(run: Run, scope: Scope, node: Node | None) -> dict[str, Any] | None:
        made: dict[str, Any] = {}
        found = always
        for name, one, weighs in steps:
            value = one(run, scope, node)
            if value is None:
                continue
            if weighs:
                found = True
            if name:
                made[name] = value
            else:
                made.update(value)
        if not found or not made:
            return None
        for name, build in defaults:
            if name not in made:
                made[name] = build()
        return made if not must or _whole(parent, must, made, run, node) else None

    return read


def _whole(
    parent: str,
    must: Sequence[tuple[str, ...]],
    made: dict[str, Any],
    run: Run,
    node: Node | None,
) -> bool:
    for names in must:
        if names[0] not in made and not any(name in made for name in names):
            text = f"left out: {parent}.{_shown(parent, names)} has no value"
            run.warn(node, text, "required", "101")
            return False
    return True


def one_of(parts: Sequence[Part]) -> Read:
    """The first of a choice's elements that has a value, as a dict of one."""
    pairs = tuple((part.name, part.read(), part.default) for part in parts)

    def read(run: Run, scope: Scope, node: Node | None) -> dict[str, Any] | None:
        for name, one, default in pairs:
            value = one(run, scope, node) if one is not None else None
            if value is None and default is not None:
                value = default()
            if value is not None:
                return {name: value}
        return None

    return read
