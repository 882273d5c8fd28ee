"""Groups over a flat list of segments: which belong together (``groups:`` of a message map)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.record import Segment
from gateway.translate.paths import Frame
from gateway.translate.run import Scope
from gateway.translate.source import Block, Yaml, block, refuse, text, texts

MESSAGE: Final = "message"
"""The name of the outermost group."""

_KEYS: Final = frozenset({"in", "starts", "with"})


@dataclass(frozen=True, slots=True)
class Group:
    """``starts`` in order: forerunners, then the segment that matters. ``parent`` "" for none."""

    name: str
    parent: str
    starts: tuple[str, ...]
    members: frozenset[str]
    frame: Frame


@dataclass(frozen=True, slots=True)
class Groups:
    """The groups of a message by name, parents before children."""

    message: Frame
    by_name: Mapping[str, Group]
    by_start: Mapping[str, Group]

    def frame(self, name: str, place: str) -> Frame:
        """The frame of a group; MapError for an unknown name."""
        if name not in self.by_name:
            refuse(place, f"there is no group '{name}'")
        return self.by_name[name].frame


def compile_groups(item: Yaml | None) -> Groups:
    """The groups as declared, checked: parents known, starts unambiguous."""
    message = Frame(MESSAGE, None)
    by_name: dict[str, Group] = {}
    by_start: dict[str, Group] = {}
    declared = block(item, "'groups'") if item is not None else None
    for name, body in (declared.items if declared else {}).items():
        group = _group(name, block(body, "a group"), by_name, message)
        by_name[name] = group
        for start in group.starts:
            if start in by_start:
                refuse(body.place, f"{start} already starts '{by_start[start].name}'")
            by_start[start] = group
    return Groups(message, by_name, by_start)


def _group(name: str, body: Block, known: Mapping[str, Group], message: Frame) -> Group:
    body.refuse_unknown(_KEYS, "a group")
    if name == MESSAGE:
        refuse(body.place, f"'{MESSAGE}' is what all groups stand in")
    starts = tuple(_segments(body.need("starts")))
    members = frozenset(_segments(body.items["with"])) if "with" in body.items else frozenset()
    parent, around = "", message
    if (item := body.get("in")) is not None:
        parent = text(item, "'in'")
        if parent not in known:
            refuse(item.place, f"there is no group '{parent}' above this one")
        around = known[parent].frame
    frame = Frame(name, members | set(starts), around)
    return Group(name, parent, starts, members, frame)


def _segments(item: Yaml) -> list[str]:
    names = []
    for name, place in texts(item, "a segment's name"):
        if len(name) != 3 or not name.isalnum() or not name.isupper():
            refuse(place, f"'{name}' is no segment's name")
        names.append(name)
    return names


# --- running -------------------------------------------------------------------------------------


class Distribution:
    """Takes segments one by one and gives each to its group's instance.

    ``instances`` are the scopes by group, in order; "message" has one.
    """

    def __init__(self, groups: Groups) -> None:
        self.groups = groups
        self.root = Scope(None)
        self.instances: dict[str, list[Scope]] = {MESSAGE: [self.root]}
        self._open: list[tuple[Group, Scope]] = []

    def take(self, segment: Segment) -> None:
        """Place one segment."""
        name = segment.name
        starting = self.groups.by_start.get(name)
        if starting is not None:
            self._start(starting, name).segments.setdefault(name, []).append(segment)
            return
        for depth in range(len(self._open), 0, -1):
            group, scope = self._open[depth - 1]
            if name in group.members:
                del self._open[depth:]
                scope.segments.setdefault(name, []).append(segment)
                return
        if not name.startswith("Z"):
            self._open.clear()
        self.root.segments.setdefault(name, []).append(segment)

    def _start(self, group: Group, name: str) -> Scope:
        """The instance that a starting segment belongs to: the open one or a new one."""
        if self._open:
            innermost, scope = self._open[-1]
            if innermost is group and _waits(group, scope, name):
                return scope
        return self._new(group)

    def _new(self, group: Group) -> Scope:
        parent = self._parent(group)
        scope = Scope(parent)
        self._open.append((group, scope))
        self.instances.setdefault(group.name, []).append(scope)
        parent.within.setdefault(group.name, []).append(scope)
        return scope

    def _parent(self, group: Group) -> Scope:
        """The open instance of a group's parent, or an empty new one; what is within it closes."""
        if not group.parent:
            self._open.clear()
            return self.root
        for depth, (open_group, scope) in enumerate(self._open, 1):
            if open_group.name == group.parent:
                del self._open[depth:]
                return scope
        return self._new(self.groups.by_name[group.parent])


def _waits(group: Group, scope: Scope, name: str) -> bool:
    """Whether an instance holds no start that is ``name`` or comes after it.

    What stands between the first and the last (TQ1 of ORC, TQ1, OBR) may come again, and late.
    """
    at = group.starts.index(name)
    if 0 < at < len(group.starts) - 1 and group.starts[0] in scope.segments:
        return True
    return not any(held in group.starts[at:] for held in scope.segments)


def distribute(groups: Groups, segments: Sequence[Segment]) -> dict[str, list[Scope]]:
    """The instances of all groups, and of the message, over its segments."""
    distribution = Distribution(groups)
    for segment in segments:
        distribution.take(segment)
    return distribution.instances
