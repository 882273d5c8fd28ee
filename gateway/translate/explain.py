"""Explaining: from an element of a resource back to what it was made of, and the rule that did.

The same maps, compiled once more by a compiler that listens: each rule marks what it makes with its
file and line and with the places that it read. Nothing of it stands in an ordinary translation.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final

from gateway.errors import GatewayError, Issue
from gateway.model import Agency, Entry, Reference, Resource
from gateway.record import Given, Node, Record
from gateway.translate.code import alone, called
from gateway.translate.conditions import Condition
from gateway.translate.feeds import compile_feed
from gateway.translate.library import Library, Shelf, plan_of, run_of
from gateway.translate.making import Making
from gateway.translate.origins import Kind, Origin, bare, tale_of, told
from gateway.translate.paths import Path
from gateway.translate.plans import Plan, compile_plan
from gateway.translate.queries import Query
from gateway.translate.recent import Recent
from gateway.translate.records import RecordPlan
from gateway.translate.resources import Maker, pair_of
from gateway.translate.rows import Rows
from gateway.translate.rules import Compiler
from gateway.translate.run import Read, Run, Scope
from gateway.translate.sites import Leaf, Rule, Site
from gateway.translate.source import Block, Yaml
from gateway.translate.tables import Row, Table
from gateway.translate.trees import RECORD, Value
from gateway.translate.watched import Journal, Note, Watched, watch

_KINDS: Final[dict[str, Kind]] = {"const": "const", "own": "const", "ref": "ref"}


@dataclass(frozen=True, slots=True)
class Told:
    """One element and where it came from.

    ``path`` is ``Patient.name[0].family``; ``value`` what stands there. ``rules`` are file:line,
    the rule that made it first, those around it after. ``refers`` is the resource whose name it is.
    """

    path: str
    value: Any = field(repr=False)
    kind: Kind
    rules: tuple[str, ...]
    read: tuple[str, ...]
    asked: tuple[str, ...] = ()
    rows: tuple[str, ...] = ()
    refers: Reference = ""


@dataclass(frozen=True, slots=True)
class Explained:
    """A record's entries, explained: ``entries`` as ``translate`` gives them."""

    map: str
    entries: tuple[Entry, ...]
    warnings: tuple[Issue, ...]
    _made: tuple[tuple[Resource, str, Origin], ...]

    def elements(self) -> Iterator[tuple[Reference, Told]]:
        """Every element that has a value, of every entry in order."""
        identities = {_named(resource): identity for resource, _, identity in self._made}
        for resource, place, identity in self._made:
            for one in _of_resource(resource, place, identity, identities):
                yield _named(resource), one


def explain(library: Library, agency: Agency, record: Record) -> Explained:
    """What a record becomes, and why. Raises TranslateError as ``translate`` does."""
    shelf = library.shelf(agency)
    _, plan = plan_of(shelf, record)
    journal = Journal()
    run = _Run(**_fields(run_of(shelf, agency, record)), journal=journal)
    entries = _explaining(shelf, plan).run(run, Watched(record, journal))
    return _explained(f"{plan.name}@{shelf.version}", entries, run)


class ExplainingRows(Rows):
    """A feed whose rows are explained. Its maps are compiled once for all of them."""

    def __init__(self, library: Library, agency: Agency, feed: str) -> None:
        super().__init__(library, agency, feed)
        own = self.feed
        made = compile_feed(
            own.layout, own.compiler.maps, own.compiler.tables, own.version, _Compiler
        )
        plans = [file.plan for file in made.files if file.plan is not None]
        self._plans = {plan.name: replace(plan, making=_listening(plan.making)) for plan in plans}

    def explain(self, name: str, given: Given) -> Explained:
        """What a row becomes by the map of that name, and why.

        Raises Refused and TranslateError as ``translate`` does.
        """
        plan, run = self._plans[name], self._listened()
        scope = _watched(plan, given, run.journal)
        plan.refuse(run, scope)
        return _explained(f"{name}@{self.feed.version}", plan.make(run, scope), run)

    def reads(self, name: str, given: Given) -> set[str]:
        """The places that are read of a row by the map of that name, whatever comes of it."""
        plan, run = self._plans[name], self._listened()
        scope = _watched(plan, given, run.journal)
        asked = [path for one in plan.refusals for path in one.condition.paths]
        named = [node for first in plan.ids if (node := first(run, scope, None)) is not None]
        places = {*_met(asked, run, scope, None), *(node.place for node in named)}
        with suppress(GatewayError):
            plan.make(run, scope)
        return {*places, *(note.place for note in run.journal.notes)}

    def _listened(self) -> _Run:
        return _Run(**_fields(self.run()), journal=Journal())


def _watched(plan: RecordPlan, given: Given, journal: Journal) -> Scope:
    """A row as its map sees it, noting what is read; JSON's values are noted where they are."""
    scope = plan.scope(given)
    for row, segments in scope.segments.items():
        if row != RECORD:
            scope.segments[row] = [watch(one, journal) for one in segments]
    return scope


def _explained(map_: str, entries: Sequence[Entry], run: _Run) -> Explained:
    made = tuple((one.resource, *run.identities[one.reference]) for one in entries)
    plain = tuple(replace(one, resource=bare(one.resource)) for one in entries)
    return Explained(map_, plain, run.warnings, made)


def _explaining(shelf: Shelf, plan: Plan) -> Plan:
    """The plan, compiled by a compiler that listens."""
    compiler = _Compiler(shelf.compiler.maps, shelf.compiler.tables)
    source = compiler.maps.find("messages", plan.name)
    assert source is not None, "it was compiled from there"
    made = compile_plan(compiler, source)
    return replace(made, making=_listening(made.making))


def _listening(making: Making) -> Making:
    return Making([_Maker(**_fields(maker)) for maker in making.makers], making.asks)


def _fields(item: Any) -> dict[str, Any]:
    return {one.name: getattr(item, one.name) for one in fields(item)}


# --- what listens --------------------------------------------------------------------------------


@dataclass(slots=True)
class _Run(Run):
    """A translation that is listened to.

    ``identities`` are where resources stand in their maps, and where their ids come from.
    """

    journal: Journal = field(default_factory=Journal)
    identities: dict[Reference, tuple[str, Origin]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.memory, self.tables = Recent(), _Always(self.tables)

    def find(self, name: str, standard: Table | None, code: str) -> Row | None:
        found = Run.find(self, name, standard, code)
        if found is not None:
            self.journal.rows.append(found.place)
        return found


class _Always(dict[str, Table]):
    """Tables that are never passed by for having none: every look into one is noted."""

    def __bool__(self) -> bool:
        return True


@dataclass(slots=True)
class _Compiler(Compiler):
    """Compiles rules that say of what they make where it came from."""

    def noted(self, rule: Rule, item: Block) -> Rule:
        kind: Kind = next((_KINDS[key] for key in item.items if key in _KINDS), "read")
        default = rule.default
        told_of = _telling(alone(rule.write, item.place), Origin(item.place, kind))

        def by_default() -> object:
            assert default is not None
            return told(default(), Origin(item.place, "default"))

        return replace(rule, write=called(told_of), default=default and by_default)

    def heard(self, leaf: Leaf, item: Block) -> Leaf:
        origin = Origin(item.place)

        def read(run: Run, node: Node) -> Any:
            journal = _journal(run)
            before, rows = len(journal.notes), len(journal.rows)
            with journal.reading("leaf"):
                if isinstance(node, Value) and node.text() is not None:
                    journal.note(node.place)
                value = leaf(run, node)
            return _marked(value, origin, journal, before, rows, journal.rule)

        return read

    def condition(self, item: Yaml | None, site: Site) -> Condition | None:
        found = Compiler.condition(self, item, site)
        if found is None:
            return None
        test = found.test

        def asked(run: Run, scope: Scope, node: Node | None) -> bool:
            with _journal(run).reading("condition"):
                for place in _met(found.paths, run, scope, node):
                    _journal(run).note(place)
                return test(run, scope, node)

        return replace(found, write=called(asked), test=asked)


def _met(paths: Sequence[Path], run: Run, scope: Scope, node: Node | None) -> Iterator[str]:
    """The places in JSON that a condition's queries meet."""
    queries = (path.search for path in paths if isinstance(path.search, Query))
    for query in queries:
        yield from (each.place for each in query.nodes(run, scope, node))


class _Maker(Maker):
    """A maker that notes by what each resource is known."""

    __slots__ = ()

    def named(self, run: Run, scope: Scope, node: Node | None) -> Reference:
        assert isinstance(run, _Run)
        before = len(run.journal.notes)
        reference = Maker.named(self, run, scope, node)
        origin = self._identity(run, scope, node)
        if origin is None:
            origin = Origin(self.place, "key", _read(run.journal.notes[before:], 0)[0])
        run.identities.setdefault(reference, (self.place, replace(origin, kind="key")))
        return reference

    def _identity(self, run: Run, scope: Scope, node: Node | None) -> Origin | None:
        """Where the very identifier comes from that the id was made of, if it says so."""
        for key, many in self.keys:
            value = key.call(run, scope, node)
            if value is None:
                continue
            pairs = [pair_of(one) for one in (value if many else (value,))]
            known = [pair for pair in pairs if pair[1]]
            if known:
                tales = [tale for text in reversed(min(known)) if (tale := tale_of(text))]
                read_ = tuple(dict.fromkeys(place for one in tales for place in one.origin.read))
                return replace(tales[0].origin, read=read_) if tales else None
        return None


def _journal(run: Run) -> Journal:
    assert isinstance(run, _Run)
    return run.journal


def _telling(read: Read, origin: Origin) -> Read:
    def telling(run: Run, scope: Scope, node: Node | None) -> Any:
        journal = _journal(run)
        before, rows = len(journal.notes), len(journal.rows)
        with journal.running() as rule:
            value = read(run, scope, node)
            if origin.kind == "ref":
                _refer(run, value)
        return _marked(value, origin, journal, before, rows, rule)

    return telling


def _refer(run: Run, value: Any) -> None:
    """Who names another resource has read what that one is known by."""
    assert isinstance(run, _Run)
    for one in value if isinstance(value, list) else (value,):
        reference = one["reference"] if isinstance(one, dict) else one
        if reference in run.identities:
            with run.journal.reading("leaf"):
                for place in run.identities[reference][1].read:
                    run.journal.note(place)


def _marked(value: Any, origin: Origin, journal: Journal, before: int, rows: int, rule: int) -> Any:
    if value is None:
        return None
    read, asked = _read(journal.notes[before:], rule)
    through = tuple(dict.fromkeys(journal.rows[rows:]))
    return told(value, replace(origin, read=read, asked=asked, rows=through))


def _read(notes: Sequence[Note], rule: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The places that something was made of, and those by which its own rule only decided.

    What it read itself goes before what rules within it did (a table's code, of a whole CWE). Where
    no reading of a value is known as such (``minutes``), what the paths met is what was read.
    """
    leaves = [note for note in notes if note.how == "leaf"]
    mine = [note for note in leaves if note.rule == rule]
    met = [note for note in notes if note.how == "path"]
    read = dict.fromkeys(note.place for note in mine or leaves or met)
    own = (note.place for note in notes if note.rule == rule)
    asked = dict.fromkeys(place for place in own if place not in read)
    return tuple(read), tuple(asked)


# --- what is told --------------------------------------------------------------------------------


def _named(resource: Resource) -> Reference:
    return f"{resource['resourceType']}/{resource['id']}"


def _of_resource(
    resource: Resource, place: str, identity: Origin, identities: dict[Reference, Origin]
) -> Iterator[Told]:
    type_ = resource["resourceType"]
    yield Told(f"{type_}.resourceType", type_, "type", (place,), ())
    yield _told(f"{type_}.id", resource["id"], [identity, Origin(place, "key")], identities)
    for name, value in resource.items():
        if name not in ("resourceType", "id"):
            yield from _walked(f"{type_}.{name}", value, [], identities)


def _walked(
    path: str, value: Any, around: list[Origin], identities: dict[Reference, Origin]
) -> Iterator[Told]:
    tale = tale_of(value)
    origins = [tale.origin, *tale.around, *around] if tale else around
    if isinstance(value, dict):
        for name, one in value.items():
            yield from _walked(f"{path}.{name}", one, origins, identities)
    elif isinstance(value, list):
        for at, one in enumerate(value):
            yield from _walked(f"{path}[{at}]", one, origins, identities)
    else:
        yield _told(path, value, origins, identities)


def _told(
    path: str, value: Any, origins: Sequence[Origin], identities: dict[Reference, Origin]
) -> Told:
    first = origins[0]
    refers = str(value) if first.kind == "ref" and value in identities else ""
    asked = dict.fromkeys(
        place for one in origins for place in one.asked if place not in first.read
    )
    rules = tuple(dict.fromkeys(one.rule for one in origins))
    plain = bare(value)
    return Told(path, plain, first.kind, rules, first.read, tuple(asked), first.rows, refers)
