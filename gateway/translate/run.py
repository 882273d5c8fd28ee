"""What a translation carries while it runs: the run itself, and the scopes that paths look into."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from gateway.errors import Issue, Lack, TranslateError
from gateway.model import Agency, Reference
from gateway.record import Node, Record, Segment
from gateway.translate.recent import Recent
from gateway.translate.tables import Row, Table, Unmapped, is_code


class Scope:
    """The message, an instance of a group, or one segment of an ``each``.

    ``segments`` by name, in order. ``made`` are the references of what was made here and in
    scopes within, by the resource's name; ``paired`` those that were made of one repetition of a
    field, by name and place. ``within`` are the instances of groups that stand in it, by name.
    """

    __slots__ = ("_single", "made", "paired", "parent", "segments", "within")

    def __init__(self, parent: Scope | None) -> None:
        self.segments: dict[str, list[Segment]] = {}
        self.parent = parent
        self.made: dict[str, list[Reference]] = {}
        self.paired: dict[tuple[str, str], Reference] = {}
        self.within: dict[str, list[Scope]] = {}
        self._single: dict[int, Scope] = {}

    def single(self, segment: Segment) -> Scope:
        """The scope of one segment by itself, in here: always the same one."""
        scope = self._single.get(segment.index)
        if scope is None:
            scope = self._single[segment.index] = Scope(self)
            scope.segments[segment.name] = [segment]
        return scope

    def close(self) -> None:
        """Let go of the scopes within, which know this one: a message leaves no rings behind."""
        for inner in (
            *self._single.values(),
            *(one for each in self.within.values() for one in each),
        ):
            inner.close()
        self._single.clear()
        self.within.clear()

    def record(self, name: str, reference: Reference, node: Node | None) -> None:
        """Remember what was made (of a node), here and in all scopes around."""
        if node is not None:
            self.paired[name, node.place] = reference
        scope: Scope | None = self
        while scope is not None:
            scope.made.setdefault(name, []).append(reference)
            scope = scope.parent


class Said(Protocol):
    """A segment of an HL7 v2 message, as it came."""

    @property
    def raw(self) -> str: ...  # noqa: D102


def words(scope: Scope) -> tuple[str, ...]:
    """What an HL7 v2 scope's own segments say, word for word."""
    held = (segment for each in scope.segments.values() for segment in each)
    return tuple(cast(Said, segment).raw for segment in held)


@dataclass(slots=True)
class Run:
    """One translation: whose, with what tables, by which clock, and what was found on the way.

    ``systems`` remembers the URIs of coding systems from run to run, ``memory`` what was made of
    the same texts before (see ``memory``). ``offset`` is MSH-7's ("-06:00", or "" where it has
    none); ``null`` is set by whoever reads ``""``, ``findings`` counts the warnings, repeated
    ones too. ``asked`` is what a question asks after, once that is known. ``policies`` are the
    agency's own for tables, ``lacks`` the codes that somebody is to be asked about, by table and
    code. ``whole``: what is read says all of what it is about, so that what is empty goes;
    ``dates`` is how 3/4/24 is read ("M/D/Y", "D/M/Y", "" where it isn't), ``refers`` what other
    rows must have made, with a place; ``record`` is the message that is read, ``met`` where
    those stand that a key was found for, of resources that are kept ``apart``.
    """

    agency: Agency
    tables: Mapping[str, Table]
    coding_systems: Table | None
    systems: dict[str, str | None] = field(default_factory=dict)
    memory: Recent = field(default_factory=Recent)
    offset: str = ""
    null: bool = False
    findings: int = 0
    asked: Reference = ""
    policies: Mapping[str, Unmapped] = field(default_factory=dict)
    lacks: dict[tuple[str, str], Lack] = field(default_factory=dict)
    found: dict[tuple[str | None, str], Issue] = field(default_factory=dict)
    whole: bool = False
    dates: str = ""
    refers: dict[Reference, str] = field(default_factory=dict)
    record: Record | None = None
    met: dict[Reference, list[Scope]] = field(default_factory=dict)

    def warn(
        self, node: Node | None, text: str, code: str = "value", condition: str = "207"
    ) -> None:
        """Note a finding at a node that doesn't stop the message. ``text`` holds no value."""
        self.warn_at(node.place if node is not None else None, text, code, condition)

    def warn_at(self, place: str | None, text: str, code: str, condition: str) -> None:
        """The same, of a place."""
        self.findings += 1
        if (place, text) not in self.found:
            self.found[place, text] = Issue(text, place, code, condition, "warning")

    def lack(self, table: str, code: str, node: Node) -> None:
        """Note a code that somebody is to put into a table."""
        code = code.strip()
        if is_code(code) and (table, code) not in self.lacks:
            self.lacks[table, code] = Lack(table, code, _system(node), node.place)

    def digest(self) -> str:
        """The message as a name: the same for the same text, and for no other."""
        assert self.record is not None, "a message, by compile_else"
        return self.record.digest()

    @property
    def warnings(self) -> tuple[Issue, ...]:
        """What was found, once a place."""
        return tuple(self.found.values())

    def bear(self, error: TranslateError) -> None:
        """Have an error bear the codes that lacked: it may be for one that something is missing."""
        error.lacks = tuple(self.lacks.values())
        if error.lacks:
            told = (each for each in self.warnings if each.code == "code-invalid")
            error.issues = (*error.issues, *told)

    def find(self, name: str, standard: Table | None, code: str) -> Row | None:
        """The row for ``code``: the agency's own table first."""
        own = self.tables.get(name) if self.tables else None
        row = own.find(code) if own is not None else None
        return standard.find(code) if row is None and standard is not None else row


def _system(node: Node) -> str:
    """What a coded field says of its code's system (CWE.3), if it looks like one."""
    system = (node.leaf(3) or "").strip()
    return system if is_code(system) else ""


Read = Callable[[Run, Scope, "Node | None"], Any]
"""A compiled rule: gives a value, or None for nothing."""

Nodes = Callable[[Run, Scope, "Node | None"], Sequence[Node]]
"""A compiled path: all nodes that it meets."""

Test = Callable[[Run, Scope, "Node | None"], bool]
"""A compiled condition."""
