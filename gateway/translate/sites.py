"""Where a rule stands while it is compiled: what its paths see, and whom its ``ref`` may name."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from gateway.record import Node
from gateway.translate.code import At, Code, Write
from gateway.translate.paths import Frame, Path
from gateway.translate.run import Run
from gateway.translate.source import refuse

AGENCY = "agency"
"""The built-in name: the Organization of the agency that sent the record."""

Leaf = Callable[[Run, Node], Any]
"""A compiled reading of one node: gives a JSON value, or None."""

Finder = Callable[[Code, At], str]
"""Writes what finds the references of a name, from a scope and the node in hand."""


Needs = frozenset[tuple[str, int]]
"""Fields, by segment and number."""

_MANY: Final = 8
"""To look at more fields than this costs more than it saves."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where the resources of one name are made, and of what type.

    ``group`` is the group or the message, ``frame`` that or the one segment of an ``each``;
    ``each`` the path where each is made of one repetition of a field. ``optional``: it may not
    come about, so that nothing refers to it.
    """

    group: Frame
    frame: Frame
    type: str
    each: str = ""
    optional: bool = False


@dataclass(frozen=True, slots=True)
class Site:
    """``homes`` are the resources that ``ref`` may name; ``reads`` collects the paths read, and
    ``tested`` those that conditions look at.

    ``groups`` are the message's, which ``each`` may name where they stand in the frame's.
    """

    frame: Frame
    homes: Mapping[str, Home]
    reads: list[Path]
    groups: Mapping[str, Frame] = field(default_factory=dict)
    tested: list[Path] = field(default_factory=list)

    def moved(self, frame: Frame) -> Site:
        """The same, seeing something else."""
        return Site(frame, self.homes, self.reads, self.groups, self.tested)


@dataclass(frozen=True, slots=True)
class Rule:
    """A compiled rule. ``many``: it gives lists. ``weighs``: what it finds was really read.

    ``default`` makes the value where there is none. ``needs`` are fields of its scope's first
    segments of which one must hold something, else it gives nothing; None where that isn't known.
    ``certain``: it always gives something.
    """

    write: Write
    many: bool = False
    weighs: bool = True
    default: Callable[[], object] | None = None
    needs: Needs | None = None
    certain: bool = False


def needs_of(path: Path) -> Needs | None:
    """What a path needs to meet anything."""
    return frozenset({(path.segment, path.field)}) if path.is_plain else None


def one_of_needs(needs: Iterable[Needs | None]) -> Needs | None:
    """What several need of which one is enough."""
    found: set[tuple[str, int]] = set()
    for one in needs:
        if one is None:
            return None
        found |= one
    return frozenset(found) if 0 < len(found) <= _MANY else None


def compile_ref(name: str, targets: Sequence[str], site: Site, place: str) -> Finder:
    """The references of all instances of a name in the nearest scope that holds both."""
    if name == AGENCY:
        _check_target("Organization", targets, name, place)
        return lambda code, at: "(run.agency.organization,)"
    home = site.homes.get(name)
    if home is None:
        known = ", ".join(sorted((*site.homes, AGENCY)))
        refuse(place, f"no resource here is called '{name}'; there are {known}")
    _check_target(home.type, targets, name, place)
    if home.optional:
        refuse(place, f"'{name}' is optional: it may not be there to refer to")
    if home.each and home.each == site.frame.over and site.frame.name == home.frame.name:
        return _paired(name)
    climbs = ".parent" * _climbs(site.frame, home.frame)
    return lambda code, at: f"{at.scope}{climbs}.made.get({code.bound(name)}, ())"


def _paired(name: str) -> Finder:
    """What was made of the very repetition in hand."""

    def find(code: Code, at: At) -> str:
        held = f"{at.scope}.paired.get(({code.bound(name)}, {at.node}.place))"
        return f"((found,) if (found := {held}) is not None else ())"

    return find


def _check_target(type_: str, targets: Sequence[str], name: str, place: str) -> None:
    if targets and type_ not in targets:
        refuse(place, f"'{name}' is of type {type_}, and here belongs {' or '.join(targets)}")


def _climbs(frame: Frame, home: Frame) -> int:
    """How many scopes up the nearest one stands that holds both frames."""
    around = set()
    at: Frame | None = home
    while at is not None:
        around.add(at.name)
        at = at.parent
    climbs, here = 0, frame
    while here.name not in around and here.parent is not None:
        climbs, here = climbs + 1, here.parent
    return climbs
