"""Record maps compiled: who a CSV file's row or a JSON record is, what it finds, what it makes.

A row says all of what its map knows: where a cell is empty, the element goes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final, Protocol, cast

from gateway.errors import Refused
from gateway.model import Entry
from gateway.record import Found, Given, Segment
from gateway.translate.cells import Row
from gateway.translate.columns import ROW, Columns
from gateway.translate.conditions import Condition, compile_choice
from gateway.translate.groups import Groups
from gateway.translate.making import Making
from gateway.translate.maps import Source
from gateway.translate.moves import read_first, read_nodes
from gateway.translate.paths import First, Frame, compile_nodes
from gateway.translate.queries import Queries
from gateway.translate.resources import compile_resources
from gateway.translate.rules import Compiler
from gateway.translate.run import Nodes, Run, Scope
from gateway.translate.sites import Site
from gateway.translate.source import Block, Yaml, block, flag, refuse, several, text, texts
from gateway.translate.trees import RECORD, Record
from gateway.translate.values import moment_of

_MOMENTS: Final = 4_096
_moments: dict[tuple[str, ...], datetime | None] = {}
_KEYS: Final = frozenset(
    {"map", "id", "updated", "deleted", "needs", "columns", "lookup", "refuse", "again"}
    | {"resources"}
)
_LOOKUP: Final = frozenset({"in", "by", "refused"})
_REFUSE: Final = frozenset({"if", "because", "keep"})
_CSV_ALONE: Final = ("lookup", "columns", "needs", "again")


class Joins(Protocol):
    """Finds rows of other files."""

    def __call__(self, lookup: Lookup, wanted: Sequence[str]) -> Sequence[Found]:
        """The rows whose column is one of ``wanted``; without a column, the first of all."""


@dataclass(frozen=True, slots=True, eq=False)
class Lookup:
    """Rows of the file ``into`` whose ``column`` is what ``ours`` gives; "" and None: the first.

    ``columns`` are those that the map reads of them, in its order. ``refused``: only those that
    their own map refuses (True), or doesn't (False).
    """

    name: str
    into: str
    column: str
    ours: Nodes | None
    source: str = ""
    """The row that ``ours`` is read of."""
    refused: bool | None = None
    columns: tuple[str, ...] = ()

    def wanted(self, run: Run, scope: Scope) -> list[str]:
        """The texts that rows are sought by."""
        nodes = self.ours(run, scope, None) if self.ours is not None else ()
        return list(dict.fromkeys(found for node in nodes if (found := node.text())))


@dataclass(frozen=True, slots=True)
class Refusal:
    """Rows that may not go in, and why. ``keeps``: the row itself is kept with the reason.

    ``looks``: other rows say so, and where they aren't there nobody can tell.
    """

    condition: Condition
    because: str
    keeps: bool
    place: str
    looks: bool


@dataclass(frozen=True, slots=True, eq=False)
class RecordPlan:
    """A record's map, ready to run.

    ``needs`` are the columns without which a file is refused, ``columns`` those that are read.
    ``again`` names the lookups whose rows are to be made again when this one changes.
    """

    name: str
    place: str
    ids: tuple[First, ...]
    id_columns: tuple[str, ...]
    updated: First | None
    deleted: Condition | None
    needs: tuple[str, ...]
    columns: tuple[str, ...]
    known: frozenset[str] | None
    lookups: tuple[Lookup, ...]
    refusals: tuple[Refusal, ...]
    making: Making
    frame: Frame
    again: tuple[str, ...] = ()

    def ask(self, column: str) -> None:
        """Ask for a column more of its own rows: ``renewed`` has it."""
        if isinstance(self.frame.dialect, Columns):
            numbers = self.frame.dialect.numbers[ROW]
            numbers.setdefault(column, len(numbers) + 1)

    def renewed(self) -> RecordPlan:
        """The same, with the columns that are asked for by now."""
        dialect = self.frame.dialect
        return replace(self, columns=dialect.names(ROW)) if isinstance(dialect, Columns) else self

    def judging(self) -> RecordPlan:
        """The same, with no more lookups than it takes to tell whether a row is refused."""
        asked = {path.segment for one in self.refusals for path in one.condition.paths}
        kept = []
        for lookup in reversed(self.lookups):
            if lookup.name in asked:
                asked.add(lookup.source)
                kept.append(lookup)
        return replace(self, lookups=tuple(reversed(kept)))

    def scope(self, given: Given) -> Scope:
        """A record as paths see it."""
        scope = self._alone(given)
        number = 0
        for lookup in self.lookups:
            number = _add(scope, lookup, given.found.get(lookup.name, ()), number)
        return scope

    def _alone(self, given: Given) -> Scope:
        scope = Scope(None)
        if self.frame.name == RECORD:
            scope.segments[RECORD] = [Record(given.file, given.pointer, given.value)]
        else:
            where = f"{given.file}:{given.line}"
            scope.segments[ROW] = [Row(ROW, 0, 1, where, self.columns, given.texts)]
        return scope

    def find(self, run: Run, given: Given, joins: Joins) -> tuple[Given, Scope]:
        """A row with what its lookups found, one after the other; and as paths see it."""
        scope = self._alone(given)
        if not self.lookups:
            return given, scope
        found: dict[str, tuple[Found, ...]] = {}
        number = 0
        for lookup in self.lookups:
            rows = found[lookup.name] = tuple(joins(lookup, lookup.wanted(run, scope)))
            number = _add(scope, lookup, rows, number)
        return Given(given.file, given.line, given.texts, found), scope

    def id(self, run: Run, scope: Scope) -> tuple[str, ...]:
        """Who a record is; () where it doesn't say all of it."""
        named = [_text(first, run, scope) for first in self.ids]
        return tuple(named) if all(named) else ()

    def said(self, run: Run, scope: Scope) -> datetime | None:
        """When it was last changed; None where it doesn't say, or not in a way to be read."""
        said = _text(self.updated, run, scope) if self.updated is not None else ""
        if not said:
            return None
        key = run.agency.timezone, run.dates, run.offset, said
        try:  # what one night's export changed bears few times
            return _moments[key]
        except KeyError:
            found = moment_of(run, said) or moment_of(run, f"{said}T00:00:00")
        if len(_moments) >= _MOMENTS:
            _moments.clear()
        _moments[key] = found
        return found

    def is_deleted(self, run: Run, scope: Scope) -> bool:
        """Whether it says that it is no more."""
        return self.deleted is not None and self.deleted.test(run, scope, None)

    def refuse(self, run: Run, scope: Scope) -> None:
        """Raises Refused for a record that may not go in."""
        for one in self.refusals:
            if one.condition.test(run, scope, None):
                raise Refused(one.because, place=_about(one, scope), keeps=one.keeps)

    def refuses(self, run: Run, scope: Scope) -> bool:
        """Whether a record may not go in."""
        return any(one.condition.test(run, scope, None) for one in self.refusals)

    def make(self, run: Run, scope: Scope) -> tuple[Entry, ...]:
        """What it becomes."""
        try:
            return self.making(run, {self.frame.name: (scope,)})
        finally:
            scope.close()


def _add(scope: Scope, lookup: Lookup, found: Sequence[Found], number: int) -> int:
    """Put rows that a lookup found into a scope; the number of the last."""
    rows: list[Segment] = []
    for ordinal, one in enumerate(found, 1):
        where = f"{one.file}:{one.line}"
        rows.append(Row(lookup.name, number + ordinal, ordinal, where, lookup.columns, one.texts))
    if rows:
        scope.segments[lookup.name] = rows
    return number + len(rows)


def _about(refusal: Refusal, scope: Scope) -> str | None:
    """The column of the row itself that a refusal looks at; else the row."""
    for path in refusal.condition.paths:
        if path.search is not None or (path.segment == ROW and path.column):
            return path.shown(scope)
    return cast("Row", scope.segments[ROW][0]).where if ROW in scope.segments else None


def _text(first: First, run: Run, scope: Scope) -> str:
    node = first(run, scope, None)
    return (node.text() or "").strip() if node is not None else ""


# --- compiled ------------------------------------------------------------------------------------


def compile_record(compiler: Compiler, source: Source) -> RecordPlan:
    """The plan of one map in ``records``; MapError for what it can't mean."""
    body = source.body
    body.refuse_unknown(_KEYS, "a record's map")
    if isinstance(compiler.dialect, Queries):
        for key in _CSV_ALONE:
            if key in body.items:
                refuse(body.places[key], f"'{key}' serves CSV")
        return _plan(compiler, source, Frame(RECORD, None, dialect=compiler.dialect), ())
    columns = Columns(_known(body.get("columns")))
    lookups, frame = _lookups(body.get("lookup"), columns)
    plan = _plan(compiler, source, frame, lookups)
    needs = (
        tuple(one for one, _ in texts(body.items["needs"], "a column"))
        if "needs" in body.items
        else ()
    )
    return replace(
        plan,
        needs=needs or plan.id_columns,
        columns=columns.names(ROW),
        known=columns.known,
        lookups=tuple(replace(one, columns=columns.names(one.name)) for one in lookups),
    )


def _plan(
    compiler: Compiler, source: Source, frame: Frame, lookups: tuple[Lookup, ...]
) -> RecordPlan:
    body, site = source.body, Site(frame, {}, [])
    item = body.get("id")
    ids = tuple(read_first(one, site) for one in several(item)) if item is not None else ()
    named = tuple(path.column for path in site.reads)
    said = body.get("updated")
    made = body.get("resources") or Block(body.place, {}, {})
    return RecordPlan(
        name=source.name,
        place=source.place,
        ids=ids,
        id_columns=named,
        updated=read_first(said, site) if said is not None else None,
        deleted=compiler.condition(body.get("deleted"), site),
        needs=(),
        columns=(),
        known=None,
        lookups=lookups,
        refusals=_refusals(compiler, body.get("refuse"), site),
        making=Making(compile_resources(compiler, Groups(frame, {}, {}), made)),
        frame=frame,
        again=_again(body.get("again"), lookups),
    )


def _known(item: Yaml | None) -> frozenset[str] | None:
    """All columns of the file, where the map says them."""
    return frozenset(_named(item)) if item is not None else None


def _named(item: Yaml) -> tuple[str, ...]:
    return tuple(one for one, _ in texts(item, "a column"))


def _lookups(item: Yaml | None, columns: Columns) -> tuple[tuple[Lookup, ...], Frame]:
    """The lookups in order, each seeing those above, and the frame that sees them all."""
    frame, found = Frame(ROW, frozenset({ROW}), dialect=columns), []
    for name, one in (block(item, "'lookup'").items if item is not None else {}).items():
        body = block(one, f"the lookup '{name}'")
        body.refuse_unknown(_LOOKUP, "a lookup")
        if name in columns.numbers:
            refuse(body.place, f"'{name}' is the row itself")
        found.append(_lookup(name, body, frame))
        columns.add(name)
        frame = replace(frame, segments=frozenset(columns.numbers))
    return tuple(found), frame


def _lookup(name: str, body: Block, frame: Frame) -> Lookup:
    into, by = text(body.need("in"), "'in'"), body.get("by")
    refused = flag(body.items["refused"], "'refused'") if "refused" in body.items else None
    if by is None:
        return Lookup(name, into, "", None, refused=refused)
    theirs, ours = text(by, "a column") if not isinstance(by, Block) else "", by
    if isinstance(by, Block):
        if len(by.items) != 1:
            refuse(by.place, "'by' is a column, or {theirs: ours}")
        ((theirs, ours),) = by.items.items()
    site = Site(frame, {}, [])
    path = read_nodes(ours, site)
    nodes = compile_nodes(path, compile_choice, ours.place)
    return Lookup(name, into, theirs, nodes, path.segment, refused)


def _again(item: Yaml | None, lookups: Sequence[Lookup]) -> tuple[str, ...]:
    named = tuple(texts(item, "a lookup's name")) if item is not None else ()
    known = {one.name for one in lookups}
    for name, place in named:
        if name not in known:
            refuse(place, f"there is no lookup '{name}'")
    return tuple(name for name, _ in named)


def _refusals(compiler: Compiler, item: Yaml | None, site: Site) -> tuple[Refusal, ...]:
    return tuple(_refusal(compiler, one, site) for one in several(item)) if item else ()


def _refusal(compiler: Compiler, item: Yaml, site: Site) -> Refusal:
    body = block(item, "a refusal")
    body.refuse_unknown(_REFUSE, "a refusal")
    site = Site(site.frame, {}, [])
    condition = compiler.condition(body.need("if"), site)
    assert condition is not None, "there is an 'if'"
    keeps = flag(body.items["keep"], "'keep'") if "keep" in body.items else True
    looks = any(path.segment != ROW for path in (*site.reads, *site.tested))
    return Refusal(condition, text(body.need("because"), "'because'"), keeps, body.place, looks)
