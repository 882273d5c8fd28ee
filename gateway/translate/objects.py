"""Putting elements together: lists, alternatives, choices and whole objects."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import cache

from gateway.fhir.elements import Element, children
from gateway.translate.code import At, Code, Write
from gateway.translate.conditions import Condition
from gateway.translate.paths import Path
from gateway.translate.sites import Needs, Rule, one_of_needs
from gateway.translate.source import refuse


@dataclass(frozen=True, slots=True)
class Part:
    """One element of an object, compiled. ``name`` "" is a block of a choice: it gives a dict.

    ``is_list``: its rules' results make a list; else the first counts. ``names`` are the JSON names
    that it may make, ``paths`` what it reads.
    """

    name: str
    rules: tuple[Rule, ...]
    is_list: bool
    names: tuple[str, ...]
    default: Callable[[], object] | None = None
    paths: tuple[Path, ...] = ()

    @property
    def weighs(self) -> bool:
        """Whether what it gives may have been read."""
        return any(rule.weighs for rule in self.rules)

    @property
    def needs(self) -> Needs | None:
        """The fields of which one must hold something; a default needs nothing."""
        return None if self.default else one_of_needs(rule.needs for rule in self.rules)

    @property
    def certain(self) -> bool:
        """Whether it always gives something."""
        return self.rules[0].certain

    def write(self, code: Code, at: At, into: str) -> None:
        """Write its value, or None."""
        (_gather if self.is_list else _first)(self.rules, code, at, into)


def _gather(rules: Sequence[Rule], code: Code, at: At, into: str) -> None:
    """All results of all rules, in order; None where there is none."""
    if len(rules) == 1:
        rules[0].write(code, at, into)
        if not rules[0].many:
            with nullcontext() if rules[0].certain else code.block(f"if {into} is not None"):
                code(f"{into} = [{into}]")
        return
    made, one = code.local("list"), code.local()
    code(f"{made} = []")
    for rule in rules:
        rule.write(code, at, one)
        with code.block(f"if {one} is not None"):
            code(f"{made}.{'extend' if rule.many else 'append'}({one})")
    code(f"{into} = {made} or None")


def _first(rules: Sequence[Rule], code: Code, at: At, into: str) -> None:
    """The result of the first rule that has one."""
    rules[0].write(code, at, into)
    for rule in () if rules[0].certain else rules[1:]:
        with code.block(f"if {into} is None"):
            rule.write(code, at, into)


def given(rule: Rule, condition: Condition | None) -> Rule:
    """``rule`` where a condition holds; as it is where there is none."""
    if condition is None:
        return rule
    test = condition.write

    def write(code: Code, at: At, into: str) -> None:
        code(f"{into} = None")
        with code.given(test, at):
            rule.write(code, at, into)

    return replace(rule, write=write, certain=False)


def the_first(rule: Rule) -> Rule:
    """Of what is made of several rows the first, for an element that doesn't repeat."""

    def write(code: Code, at: At, into: str) -> None:
        rule.write(code, at, into)
        code(f"{into} = {into}[0] if {into} else None")

    return replace(rule, write=write, many=False, certain=False)


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
    """An object of its parts: None where it reads something and finds nothing.

    One that lacks what R4 requires is left out, with a warning.
    """
    weighing = [part for part in parts if part.weighs]
    needs = one_of_needs(part.needs for part in weighing)

    def write(code: Code, at: At, into: str) -> None:
        code(f"{into} = None")
        with code.holding(at, needs):
            made = code.local("o")
            found = _put_all(parts, code, at, made)
            code(f"{into} = {made} if {found} else None")
            _complete(parent, parts, code, at, into)

    return Rule(write, weighs=bool(weighing), needs=needs)


def _complete(parent: str, parts: Sequence[Part], code: Code, at: At, made: str) -> None:
    """Write defaults, and what becomes of an object that lacks what it can't be without."""
    for part in parts:
        if part.default is not None:
            with code.block(f"if {made} is not None and {part.name!r} not in {made}"):
                code(f"{made}[{part.name!r}] = {code.bound(part.default)}()")
    for names in needed(parent):
        text = f"left out: {parent}.{_shown(parent, names)} has no value"
        lacks = " and ".join(f"{name!r} not in {made}" for name in names)
        with code.block(f"if {made} is not None and {lacks}"):
            code(f"{made} = None")
            code(f"run.warn({at.node}, {code.bound(text)}, 'required', '101')")


def _put_all(parts: Sequence[Part], code: Code, at: At, made: str) -> str:
    """Write parts into an object; what tells whether any of them was found."""
    same = len({part.weighs for part in parts}) < 2
    found = made if same else code.local("t")
    code(f"{made} = {{}}" if same else f"{made}, {found} = {{}}, False")
    for part in parts:
        value = code.local()
        part.write(code, at, value)
        with nullcontext() if part.certain else code.block(f"if {value} is not None"):
            code(f"{made}[{part.name!r}] = {value}" if part.name else f"{made}.update({value})")
            if part.weighs and not same:
                code(f"{found} = True")
    return found


def one_of(parts: Sequence[Part]) -> Write:
    """The first of a choice's elements that has a value, as a dict of one."""

    def write(code: Code, at: At, into: str) -> None:
        code(f"{into} = None")
        for number, part in enumerate(parts):
            with code.block(f"if {into} is None") if number else nullcontext():
                value = code.local()
                part.write(code, at, value)
                if part.default is not None:
                    with code.block(f"if {value} is None"):
                        code(f"{value} = {code.bound(part.default)}()")
                with code.block(f"if {value} is not None"):
                    code(f"{into} = {{{part.name!r}: {value}}}")

    return write
