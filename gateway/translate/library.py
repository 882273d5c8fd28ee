"""The library: all agencies and maps, loaded, checked and compiled; and translating by it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Final

from gateway.errors import MapError, TranslateError
from gateway.fhir.elements import Element
from gateway.model import Agency, Translation
from gateway.record import Record
from gateway.settings import shipped
from gateway.translate.agency import FILE, Profile, read_profile
from gateway.translate.feeds import Feed
from gateway.translate.folders import BuiltIn, built_in, digest, given_feeds, own_feeds
from gateway.translate.maps import KINDS, Maps, shown_folder
from gateway.translate.plans import Plan, Plans, served
from gateway.translate.readings import check_policy, check_table
from gateway.translate.recent import Recent
from gateway.translate.rules import Compiler
from gateway.translate.run import Run
from gateway.translate.source import refuse
from gateway.translate.tables import Table, Unmapped
from gateway.translate.values import moment_of, offset_of


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one agency translates by: its plans by event and its own tables.

    ``systems`` is a memory of what coding systems' names meant, ``memory`` of what was made of the
    same texts for ``agency``: of the maps and tables alone, so that they change nothing.
    ``policies`` are the agency's own, by table. ``compiler`` is what compiled the plans, ``feeds``
    are those of rows and JSON.
    """

    plans: Plans
    tables: Mapping[str, Table]
    coding_systems: Table | None
    version: str
    agency: Agency
    compiler: Compiler
    policies: Mapping[str, Unmapped] = field(default_factory=dict)
    feeds: Mapping[str, Feed] = field(default_factory=dict)
    systems: dict[str, str | None] = field(default_factory=dict)
    memory: Recent = field(default_factory=Recent)

    def serves(self, agency: Agency) -> bool:
        """Whether what was made for the shelf's own agency is right for one of the same id.

        It is if all is equal that translating looks at; an agency may have been renamed.
        """
        own = self.agency
        same = agency.authorities is own.authorities or agency.authorities == own.authorities
        return same and agency.timezone == own.timezone


@dataclass(frozen=True, slots=True)
class Library:
    """Every agency and map. ``version`` changes with any byte of the standard maps.

    What ships is compiled when it is asked for: its own tests have loaded it before it shipped.
    """

    version: str
    agencies: Mapping[str, Agency]
    _layers: tuple[tuple[Path, str], ...]
    _standard: Compiler
    _plans: Plans
    _shelves: Mapping[str, Shelf]
    _feeds: Mapping[str, BuiltIn]

    @property
    def fingerprint(self) -> str:
        """What tells this library from any other: of all its maps, tables and agencies."""
        shelves = sorted((id, shelf.version) for id, shelf in self._shelves.items())
        told = "\n".join((self.version, *(f"{id} {version}" for id, version in shelves)))
        return hashlib.sha256(told.encode()).hexdigest()

    def complete(self) -> Library:
        """The same, with the plans of all events compiled now. Raises MapError."""
        self._plans.complete()
        return self

    def checked(self, folders: Sequence[Path]) -> Library:
        """The same, with all that ships in these folders checked now too. Raises MapError."""
        for one in self._feeds.values():
            one.feed  # noqa: B018 - it is made by being read
        for id, home in {home.name: home for home in _homes(folders)}.items():
            if _ships(home):
                own = self._shelves[id]
                _check_own(read_profile(id, home, shown_folder(home)), own.plans, own.feeds)
        return self.complete()

    def map_version(self, id: str) -> str:
        """The version of an agency's maps, its own included."""
        shelf = self._shelves.get(id)
        return shelf.version if shelf is not None else self.version

    def with_agency(self, id_: str, folder: Path | None = None) -> Library:
        """The library with an agency more, or anew. Raises MapError where its folder is wrong."""
        if folder is None:
            profile = Profile(Agency(id_, id_, timezone=""), {})
        else:
            _check_folder(folder)
            profile = read_profile(id_, folder, shown_folder(folder))
        return replace(
            self,
            agencies=MappingProxyType({**self.agencies, id_: profile.agency}),
            _shelves=MappingProxyType({**self._shelves, id_: self._shelf(profile)}),
        )

    def shelf(self, agency: Agency) -> Shelf:
        """What an agency translates by; one that the library doesn't know, by the standard."""
        found = self._shelves.get(agency.id)
        return found if found is not None else self._shelf(Profile(agency, {}))

    def knows(self, agency: Agency, table: str, code: str, feed: str = "") -> bool:
        """Whether an agency's table, or the standard one (of a feed) of that name, has a code."""
        shelf = self.shelf(agency)
        if feed and feed not in shelf.feeds:
            return False
        standard = shelf.feeds[feed].compiler if feed else self._standard
        tables = shelf.tables.get(table), standard.tables.get(table)
        return any(one is not None and one.find(code) is not None for one in tables)

    def table(self, agency: Agency | None, name: str) -> tuple[Table, ...]:
        """The tables of that name: an agency's own, then the standard one; () for none."""
        own = self.shelf(agency).tables.get(name) if agency is not None else None
        return tuple(one for one in (own, self._standard.tables.get(name)) if one is not None)

    def table_system(self, name: str) -> str | None:
        """The one code system that all elements draw from that a table is read for, if it is one.

        A row that names its own system is of that.
        """
        bindings = {one.binding.system if one.binding else None for one in self._uses(name)}
        return bindings.pop() if len(bindings) == 1 else None

    def _uses(self, name: str) -> set[Element]:
        return self._plans.uses(name)

    def _shelf(self, profile: Profile) -> Shelf:
        systems = self._standard.tables.get("coding-systems")
        plans = self._plans
        if profile.folder is None:
            given, standard = given_feeds(self._feeds), self._standard
            return Shelf(plans, {}, systems, self.version, profile.agency, standard, feeds=given)
        known = {**profile.tables, **self._standard.tables}
        if own := _own_layer(profile.folder):
            layered = Maps((own, *self._layers), self._standard.maps.read)
            plans = _compiled(layered, known)
        feeds = own_feeds(profile.feeds, profile.folder, self._feeds, known)
        if not _ships(profile.folder):
            _check_own(profile, plans, feeds)
        return Shelf(
            plans,
            profile.tables,
            systems,
            digest([profile.folder], self.version),
            profile.agency,
            plans.compiler,
            {name: policy for name, (policy, _) in profile.policies.items()},
            feeds,
        )


def load(folders: Sequence[Path]) -> Library:
    """Load and check everything under ``folders``, the first of a name before the later ones.

    Each may hold ``hl7v2/``, feeds (``hmis/``) and ``agencies/<id>/``. Raises MapError, with file
    and line.
    """
    library = standard(folders)
    for home in _homes(folders):
        library = library.with_agency(home.name, home)
    return library


def _homes(folders: Sequence[Path]) -> Iterator[Path]:
    """The folders of agencies, those that count most last."""
    for folder in reversed(folders):
        for file in sorted((folder / "agencies").glob(f"*/{FILE}")):
            yield file.parent


def standard(folders: Sequence[Path]) -> Library:
    """The library without its agencies. Raises MapError."""
    _check_folders(folders)
    layers = tuple((folder / "hl7v2", "hl7v2") for folder in folders if (folder / "hl7v2").is_dir())
    maps = Maps(layers)
    maps.read_all()
    plans = Plans(Compiler(maps, maps.tables()))
    if not all(_ships(folder) for folder, _ in layers):
        plans.complete()
    return Library(
        version=digest(folder for folder, _ in layers),
        agencies=MappingProxyType({}),
        _layers=layers,
        _standard=plans.compiler,
        _plans=plans,
        _shelves=MappingProxyType({}),
        _feeds=built_in(folders, plans.compiler.tables),
    )


def _ships(folder: Path) -> bool:
    """Whether a folder of maps, or of an agency, came with the program."""
    return folder.is_relative_to(shipped("mappings"))


def translate(library: Library, agency: Agency, record: Record) -> Translation:
    """What a record becomes by its agency's maps.

    The order of entries is the map's; ids depend on keys alone. The record's own warnings aren't
    in ``warnings``. Raises TranslateError: at MSH-9 for an event that no map serves (condition 200
    or 201), at the place of a missing key or required value (101), or of a refused code (103); it
    bears the codes that somebody is to be asked about, as the Translation does.
    """
    shelf = library.shelf(agency)
    event, plan = plan_of(shelf, record)
    run = run_of(shelf, agency, record)
    try:
        entries = plan.run(run, record)
    except TranslateError as error:
        run.bear(error)
        raise
    name = f"{plan.name}@{shelf.version}"
    said = _said(run, record)
    lacks = tuple(run.lacks.values())
    return Translation(event, name, entries, run.warnings, said, run.asked, lacks)


def run_of(shelf: Shelf, agency: Agency, record: Record) -> Run:
    """A translation of one record, about to begin."""
    return Run(
        agency,
        shelf.tables,
        shelf.coding_systems,
        shelf.systems,
        shelf.memory if shelf.serves(agency) else Recent(),
        offset_of(_text(record, 7)),
        policies=shelf.policies,
        record=record,
    )


_ONLY: Final = MappingProxyType({"ORM": "O01", "ORU": "R01", "VXU": "V04"})
"""The event of a type that had one alone when MSH-9 named none (v2.1, v2.2)."""


def plan_of(shelf: Shelf, record: Record) -> tuple[str, Plan]:
    """A record's event, and the plan that serves it. Raises TranslateError at MSH-9."""
    kind = _text(record, 9, 1)
    event = f"{kind}^{_text(record, 9, 2) or _ONLY.get(kind, '')}"
    plan = shelf.plans.get(event)
    if plan is not None:
        return event, plan
    known = served(shelf.plans, kind)
    raise TranslateError(
        f"no map serves this {'event' if known else 'type of message'}",
        place="MSH-9",
        code="not-supported",
        condition="201" if known else "200",
    )


def _said(run: Run, record: Record) -> datetime | None:
    """When the event was recorded (EVN-2), else when the message was made (MSH-7)."""
    for number, segment in enumerate(record.segments):
        if segment.name == "EVN":
            recorded = moment_of(run, _text(record, 2, segment=number))
            return recorded or moment_of(run, _text(record, 7))
    return moment_of(run, _text(record, 7))


def _text(record: Record, field: int, component: int = 1, segment: int = 0) -> str:
    """A text of the message's header, or of another of its segments; "" where there is none."""
    nodes = record.segments[segment].repetitions(field) if record.segments else ()
    node = nodes[0].child(component) if nodes else None
    return (node.text() if node is not None else None) or ""


def _compiled(maps: Maps, tables: Mapping[str, Table]) -> Plans:
    maps.read_all()
    plans = Plans(Compiler(maps, tables))
    plans.complete()
    return plans


def _own_layer(folder: Path) -> tuple[Path, str] | None:
    """An agency's folder as a layer of maps, where it holds any."""
    holds = any(path for kind in KINDS for path in (folder / kind).glob("*.yaml"))
    return (folder, shown_folder(folder)) if holds else None


def _check_own(profile: Profile, plans: Plans, feeds: Mapping[str, Feed]) -> None:
    """MapError for a table or policy of an agency's own that no rule uses, or that doesn't fit."""
    for name, table in profile.tables.items():
        check_table(table, _users(plans, feeds, name, table.place))
    for name, (policy, place) in profile.policies.items():
        check_policy(policy, _users(plans, feeds, name, place), place)


def _users(plans: Plans, feeds: Mapping[str, Feed], name: str, place: str) -> set[Element]:
    """The elements that a table is read for, in messages or else in rows."""
    if name in plans.compiler.tables:
        return plans.uses(name)
    used = [feed.compiler for feed in feeds.values() if name in feed.compiler.tables]
    if not used:
        raise MapError(f"{place}: no rule uses a table '{name}'", place=place)
    return {one for each in used for one in each.uses.get(name, ())}


def _check_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            refuse(str(folder), "no such folder of mappings")


def _check_folder(folder: Path) -> None:
    if not (folder / FILE).is_file():
        refuse(f"{shown_folder(folder)}/{FILE}", "an agency's folder needs this file")
