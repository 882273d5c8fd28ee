"""What a map reads: a record and its parts, which know their places. Values and protocols only."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gateway.errors import Issue

NULL: Final = '""'
"""HL7 v2's null: the sender says "delete this", where an empty field says "no news"."""


class Node(Protocol):
    """A repetition, component or subcomponent of an HL7 v2 field, and its place."""

    @property
    def place(self) -> str:
        """Canonical place: ``PID-3[2].4.1``; ``[1]`` is left out; ``OBX[3]-5`` from the 2nd on."""

    def text(self) -> str | None:
        """The unescaped text of the node's first leaf; None where empty, ``NULL`` for ``""``."""

    @property
    def form(self) -> Hashable | None:
        """What nodes have in common that read alike; None where reading may leave a warning."""

    @property
    def shape(self) -> bytes:
        """Which children there are, from 1, a byte each: 1 or 0. Of an undivided one, 1."""

    def leaf(self, number: int) -> str | None:
        """``child(number).text()``, without the child; None where there is none."""

    def child(self, number: int) -> Node | None:
        """The component (of a repetition) or subcomponent (of a component), from 1.

        Child 1 of a node that has no parts is the node itself; None where there is none.
        """


FIELDS: Final = 64
"""Of so many fields of a segment is told which have anything. HL7 has none of more."""


class Segment(Protocol):
    """A segment: ``name`` (PID), ``ordinal`` (from 1 among its name), ``index`` in the message."""

    @property
    def name(self) -> str: ...  # noqa: D102
    @property
    def ordinal(self) -> int: ...  # noqa: D102
    @property
    def index(self) -> int: ...  # noqa: D102

    @property
    def shape(self) -> bytes:
        """Which fields have anything, a byte each, 1 or 0; the first byte stands for the name.

        At least ``FIELDS`` of them; of a row as many as its map has columns.
        """

    def repetitions(self, number: int) -> Sequence[Node]:
        """The field's repetitions; empty where the field is. MSH-1 and MSH-2 count as in HL7."""


class Record(Protocol):
    """One parsed thing that a map reads: here, an HL7 v2 message."""

    @property
    def kind(self) -> str:
        """The wire format: "hl7v2"."""

    @property
    def segments(self) -> Sequence[Segment]:
        """All segments in order, Z segments included."""

    @property
    def warnings(self) -> Sequence[Issue]:
        """What was wrong and could be mended: a lying charset, an unknown escape."""

    def digest(self) -> str:
        """A name for its very text: ``urn:sha256:…``."""


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class Found:
    """A row of a file, reduced to the columns that a map asks for, in the map's own order."""

    file: str
    line: int
    texts: tuple[str, ...]


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class Given:
    """A row or JSON record as its map reads it.

    ``texts`` are its cells in the map's order, ``found`` the rows that its lookups found, by their
    names; ``value`` is a JSON record, and ``pointer`` where it stands in its body (RFC 6901).
    ``line`` counts from 1, a header too; of a JSON record it is its number.
    """

    file: str
    line: int
    texts: tuple[str, ...] = ()
    found: Mapping[str, tuple[Found, ...]] = field(default_factory=dict)
    value: Any = None
    pointer: str = ""
