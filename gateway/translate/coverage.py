"""What messages held and no rule read, counted by segment and by field.

A message is translated once more, over segments and nodes that note which of their leaves were
asked for. Nothing of it stands in the way of an ordinary translation. A leaf that a condition looks
at counts as read: it decides what is made. So does one that a rule read for an element that was
then left out; the message's own warnings tell that.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.errors import GatewayError, Issue
from gateway.model import Agency
from gateway.record import Node, Record, Segment
from gateway.translate.library import Library, translate

HEADER: Final = frozenset({1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12, 13, 15, 16, 18})
"""The fields of MSH that the gateway itself reads, before any map: delimiters, who, when, what."""

Leaf = tuple[int, int, int, int, int]
"""Segment by index, field, repetition, component, subcomponent; all but the first from 1."""

Path = tuple[int, ...]


@dataclass(slots=True)
class Held:
    """Of one segment, field or component: how often it was there, and how often it was read."""

    there: int = 0
    read: int = 0


@dataclass(slots=True)
class Coverage:
    """The tally of some messages.

    ``segments`` are by name, and one counts as read of which anything was; ``leaves`` by
    ``PID-5.7`` (``PID-8`` where the first component is meant). ``refused`` are the messages of
    which nothing was made, by place and reason: what was read of them counts all the same.
    """

    messages: int = 0
    segments: dict[str, Held] = field(default_factory=dict)
    leaves: dict[str, Held] = field(default_factory=dict)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)

    def add(self, library: Library, agency: Agency, record: Record) -> None:
        """Translate a record and count what was read of it."""
        self.messages += 1
        read: set[Leaf] = set()
        try:
            translate(library, agency, Recorded(record, read))
        except GatewayError as error:
            self.refuse(error.issues[0])
        for segment in record.segments:
            self._count(segment, read)

    def refuse(self, why: Issue) -> None:
        """Count a message of which nothing is made."""
        self.refused[why.place or "", why.text] += 1

    def _count(self, segment: Segment, read: set[Leaf]) -> None:
        touched = False
        for leaf, place in _leaves(segment):
            held = self.leaves.setdefault(place, Held())
            own = segment.name == "MSH" and leaf[1] in HEADER
            seen = own or leaf in read
            held.there += 1
            held.read += seen
            touched = touched or seen
        whole = self.segments.setdefault(segment.name, Held())
        whole.there += 1
        whole.read += touched


def _leaves(segment: Segment) -> Iterator[tuple[Leaf, str]]:
    """The leaves of a segment that have a text, and what each is called."""
    for number, there in enumerate(segment.shape):
        if not number or not there:
            continue
        for at, repetition in enumerate(segment.repetitions(number), 1):
            for c, component in _children(repetition):
                for s, leaf in _children(component):
                    if leaf.text() is not None:
                        yield (segment.index, number, at, c, s), _named(segment.name, number, c, s)


def _children(node: Node) -> Iterator[tuple[int, Node]]:
    for number, there in enumerate(node.shape, 1):
        child = node.child(number) if there else None
        if child is not None:
            yield number, child


def _named(segment: str, field: int, component: int, subcomponent: int) -> str:
    name = f"{segment}-{field}"
    if component > 1 or subcomponent > 1:
        name += f".{component}"
    return f"{name}.{subcomponent}" if subcomponent > 1 else name


# --- a record that notes what is read of it -------------------------------------------------------


class Recorded:
    """A ``model.Record`` over another; ``read`` collects the leaves that were asked for."""

    def __init__(self, record: Record, read: set[Leaf]) -> None:
        self.kind = record.kind
        self.segments: Sequence[Segment] = [_Segment(each, read) for each in record.segments]
        self.warnings: Sequence[Issue] = ()
        self.digest = record.digest


class _Segment:
    def __init__(self, segment: Segment, read: set[Leaf]) -> None:
        self._segment = segment
        self._read = read
        self.name = segment.name
        self.ordinal = segment.ordinal
        self.index = segment.index
        self.shape = segment.shape
        self.raw = getattr(segment, "raw", "")

    def repetitions(self, number: int) -> Sequence[Node]:
        """The field's repetitions, each noting what is read of it."""
        found = enumerate(self._segment.repetitions(number), 1)
        return [_Node(node, (self.index, number, at), self._read) for at, node in found]


class _Node:
    def __init__(self, node: Node, path: Path, read: set[Leaf]) -> None:
        self._node = node
        self._path = path
        self._read = read
        self.place = node.place
        self.shape = node.shape

    @property
    def form(self) -> None:
        """Never remembered: what is remembered isn't read."""

    def text(self) -> str | None:
        """The first leaf's text, now read."""
        self._note(self._path)
        return self._node.text()

    def leaf(self, number: int) -> str | None:
        """A child's first leaf's text, now read."""
        self._note((*self._path, number))
        return self._node.leaf(number)

    def child(self, number: int) -> Node | None:
        """A child that notes what is read of it."""
        found = self._node.child(number)
        return None if found is None else _Node(found, (*self._path, number), self._read)

    def _note(self, path: Path) -> None:
        segment, number, repetition, component, subcomponent = (*path, 1, 1, 1)[:5]
        self._read.add((segment, number, repetition, component, subcomponent))
