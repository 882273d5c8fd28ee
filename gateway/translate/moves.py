"""``each`` and ``from``: the nodes, segments and groups that a rule goes to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from gateway.translate.code import At, Code
from gateway.translate.conditions import compile_choice
from gateway.translate.paths import (
    First,
    Path,
    Segments,
    all_met,
    compile_first,
    first_met,
    is_path,
    parse_path,
)
from gateway.translate.sites import Rule, Site, needs_of
from gateway.translate.source import Yaml, refuse, text


def read_path(item: Yaml, site: Site) -> Path:
    """The path of a ``from``, noted as read."""
    path = text(item, "a path")
    if not is_path(path, site.frame):
        refuse(item.place, f"'{path}' is not a path to a field")
    parsed = parse_path(path, site.frame, item.place)
    site.reads.append(parsed)
    return parsed


def read_first(item: Yaml, site: Site) -> First:
    """The path of a ``from`` by itself; noted as read."""
    return compile_first(read_path(item, site), compile_choice, item.place)


def read_nodes(item: Yaml, site: Site) -> Path:
    """The path of an ``each`` over a field; noted as read."""
    parsed = parse_path(text(item, "a path"), site.frame, item.place)
    site.reads.append(parsed)
    return parsed


def each_node(item: Yaml, site: Site, rule: Rule) -> Rule:
    """A list of what ``rule`` makes of each node of a path."""
    path = read_nodes(item, site)
    met = all_met(path, compile_choice, item.place)

    def write(code: Code, at: At, into: str) -> None:
        with _listed(code, into) as one, met(code, at) as node:
            code.opened(node)
            rule.write(code, At(at.scope, node), one)
            _listing(code, into, one)

    return Rule(write, many=True, needs=needs_of(path))


@contextmanager
def _listed(code: Code, into: str) -> Iterator[str]:
    """What is written within gives a value that the list is to hold, by that name."""
    code(f"{into} = []")
    yield code.local()
    code(f"{into} = {into} or None")


def _listing(code: Code, into: str, one: str) -> None:
    with code.block(f"if {one} is not None"):
        code(f"{into}.append({one})")


def over_segments(segments: Segments, rule: Rule) -> Rule:
    """A list of what ``rule`` makes of each segment, in a scope of its own."""

    def write(code: Code, at: At, into: str) -> None:
        within, segment = code.local("scope"), code.local("segment")
        with _listed(code, into) as one, code.block(f"for {segment} in {segments(code, at)}"):
            code(f"{within} = {at.scope}.single({segment})")
            code.opened(within)
            rule.write(code, At(within, at.node), one)
            _listing(code, into, one)

    return Rule(write, many=True)


def over_scopes(group: str, rule: Rule) -> Rule:
    """A list of what ``rule`` makes of each instance of a group that stands in the scope."""

    def write(code: Code, at: At, into: str) -> None:
        within = code.local("scope")
        instances = f"{at.scope}.within.get({code.bound(group)}, ())"
        with _listed(code, into) as one, code.block(f"for {within} in {instances}"):
            code.opened(within)
            rule.write(code, At(within), one)
            _listing(code, into, one)

    return Rule(write, many=True)


def each_once(rule: Rule) -> Rule:
    """Of references to one thing the first: what is told of twice is one resource."""

    def write(code: Code, at: At, into: str) -> None:
        rule.write(code, at, into)
        with code.block(f"if {into} is not None"):
            code(f"{into} = {code.bound(_once)}({into})")

    return replace(rule, write=write)


def _once(references: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return list({one.get("reference", n): one for n, one in enumerate(references)}.values())


def start_at(item: Yaml, site: Site, rule: Rule) -> Rule:
    """What ``rule`` makes of the first node of a path."""
    path = read_path(item, site)
    met = first_met(path, compile_choice, item.place)

    def write(code: Code, at: At, into: str) -> None:
        code(f"{into} = None")
        with met(code, at) as node:
            code.opened(node)
            rule.write(code, At(at.scope, node), into)

    return Rule(write, weighs=rule.weighs, needs=needs_of(path))
