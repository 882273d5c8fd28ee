"""A record whose reading is noted as it happens: what an explaining translation reads.

``coverage`` counts what was read of a record at all; here it is told which rule read it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Literal, NamedTuple

from gateway.errors import Issue
from gateway.record import Node, Record, Segment

How = Literal["leaf", "path", "condition"]
"""Whether a text was read to be made of, on the way to it, or to decide by it."""


class Note(NamedTuple):
    """A place that was read, how, and by which rule of those that ran (a number)."""

    place: str
    how: How
    rule: int


class Journal:
    """What was read so far, in order, and through which rows of tables it went.

    ``rule`` is the number of the rule that runs; 0 where none does.
    """

    def __init__(self) -> None:
        self.notes: list[Note] = []
        self.rows: list[str] = []
        self._how: How = "path"
        self.rule = 0
        self._rules = 0

    def note(self, place: str) -> None:
        """A text was asked for at a place."""
        self.notes.append(Note(place, self._how, self.rule))

    @contextmanager
    def running(self) -> Iterator[int]:
        """While this lasts, a rule runs; its number."""
        before, self._rules = self.rule, self._rules + 1
        self.rule = self._rules
        try:
            yield self.rule
        finally:
            self.rule = before

    @contextmanager
    def reading(self, how: How) -> Iterator[None]:
        """While this lasts, what is read is read so; what a condition reads stays its own."""
        before = self._how
        if before != "condition":
            self._how = how
        try:
            yield
        finally:
            self._how = before


def watch(segment: Segment, journal: Journal) -> Segment:
    """A segment or row that tells a journal what is read of it."""
    return _Segment(segment, journal)


class Watched:
    """A ``model.Record`` over another that tells a journal what is read of it."""

    def __init__(self, record: Record, journal: Journal) -> None:
        self.kind = record.kind
        self.segments: Sequence[Segment] = [_Segment(each, journal) for each in record.segments]
        self.warnings: Sequence[Issue] = ()
        self.digest = record.digest


class _Segment:
    def __init__(self, segment: Segment, journal: Journal) -> None:
        self._segment = segment
        self._journal = journal
        self.name = segment.name
        self.ordinal = segment.ordinal
        self.index = segment.index
        self.shape = segment.shape
        self.where = getattr(segment, "where", "")
        self.raw = getattr(segment, "raw", "")

    def repetitions(self, number: int) -> Sequence[Node]:
        return [_Node(node, self._journal) for node in self._segment.repetitions(number)]


class _Node:
    def __init__(self, node: Node, journal: Journal) -> None:
        self._node = node
        self._journal = journal
        self.place = node.place
        self.shape = node.shape

    @property
    def form(self) -> None:
        """Never remembered: what is remembered isn't read."""

    def text(self) -> str | None:
        return self._noted(self._node.text())

    def leaf(self, number: int) -> str | None:
        child = self._node.child(number)
        return None if child is None else _Node(child, self._journal).text()

    def child(self, number: int) -> Node | None:
        found = self._node.child(number)
        return None if found is None else _Node(found, self._journal)

    def _noted(self, text: str | None) -> str | None:
        """A place that holds nothing made nothing."""
        if text is not None:
            self._journal.note(self._deepest())
        return text

    def _deepest(self) -> str:
        """The place of the leaf itself: a divided ``PID-5`` is read as ``PID-5.1``."""
        node = self._node
        while len(node.shape) > 1 and (first := node.child(1)) is not None:
            node = first
        return node.place
