"""The library: all agencies and maps, loaded, checked and compiled; and translating by it."""

from __future__ import annotations

import hashlib
from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import Any

from gateway.errors import MapError, TranslateError
from gateway.fhir.elements import Element, resource_types
from gateway.model import Agency, Record, Translation
from gateway.translate.agency import FILE, Profile, read_profile
from gateway.translate.maps import KINDS, Maps, shown_folder
from gateway.translate.plans import Plan, compile_plans, served
from gateway.translate.readings import check_policy, check_table
from gateway.translate.rules import Compiler
from gateway.translate.run import Run
from gateway.translate.source import refuse
from gateway.translate.tables import Table, Unmapped
from gateway.translate.values import moment_of, offset_of


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one agency translates by: its plans by event and its own tables.

    ``systems`` is a memory of what coding systems' names meant, ``memory`` of what data type maps
    made for ``agency``: of the maps and tables alone, so that they change nothing. ``policies`` are
    the agency's own, by table.
    """

    plans: Mapping[str, Plan]
    tables: Mapping[str, Table]
    coding_systems: Table | None
    version: str
    agency: Agency
    policies: Mapping[str, Unmapped] = field(default_factory=dict)
    systems: dict[str, str | None] = field(default_factory=dict)
    memory: dict[Hashable, Any] = field(default_factory=dict)

    def serves(self, agency: Agency) -> bool:
        """Whether what was made for the shelf's own agency is right for one of the same id.

        It is if all is equal that translating looks at; an agency may have been renamed.
        """
        own = self.agency
        same = agency.authorities is own.authorities or agency.authorities == own.authorities
        return same and agency.timezone == own.timezone


@dataclass(frozen=True, slots=True)
class Library:
    """Every agency and map. ``version`` changes with any byte of the standard maps."""

    version: str
    agencies: Mapping[str, Agency]
    _layers: tuple[tuple[Path, str], ...]
    _standard: Compiler
    _plans: Mapping[str, Plan]
    _shelves: Mapping[str, Shelf]

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

    def knows(self, agency: Agency, table: str, code: str) -> bool:
        """Whether an agency's table, or the standard one of that name, has a code."""
        tables = self.shelf(agency).tables.get(table), self._standard.tables.get(table)
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
        return self._standard.uses.get(name, set())

    def _shelf(self, profile: Profile) -> Shelf:
        systems = self._standard.tables.get("coding-systems")
        if profile.folder is None:
            return Shelf(self._plans, {}, systems, self.version, profile.agency)
        compiler, plans = self._standard, self._plans
        if own := _own_layer(profile.folder):
            layered = Maps((own, *self._layers), self._standard.maps.read)
            compiler, plans = _compiled(layered, {**profile.tables, **self._standard.tables})
        for name, table in profile.tables.items():
            _check_used(compiler, name, table.place)
            check_table(table, compiler.uses.get(name, set()))
        for name, (policy, place) in profile.policies.items():
            _check_used(compiler, name, place)
            check_policy(policy, compiler.uses.get(name, set()), place)
        version = _digest([profile.folder], self.version)
        policies = {name: policy for name, (policy, _) in profile.policies.items()}
        return Shelf(plans, profile.tables, systems, version, profile.agency, policies)


def load(folders: Sequence[Path]) -> Library:
    """Load and check everything under ``folders``, the first of a name before the later ones.

    Each may hold ``hl7v2/`` and ``agencies/<id>/``. Raises MapError, with file and line.
    """
    _check_folders(folders)
    layers = tuple((folder / "hl7v2", "hl7v2") for folder in folders if (folder / "hl7v2").is_dir())
    maps = Maps(layers)
    compiler, plans = _compiled(maps, maps.tables())
    library = Library(
        version=_digest([folder for folder, _ in layers]),
        agencies=MappingProxyType({}),
        _layers=layers,
        _standard=compiler,
        _plans=plans,
        _shelves=MappingProxyType({}),
    )
    for folder in reversed(folders):
        for file in sorted((folder / "agencies").glob(f"*/{FILE}")):
            library = library.with_agency(file.parent.name, file.parent)
    return library


def translate(library: Library, agency: Agency, record: Record) -> Translation:
    """What a record becomes by its agency's maps.

    The order of entries is the map's; ids depend on keys alone. The record's own warnings aren't
    in ``warnings``. Raises TranslateError: at MSH-9 for an event that no map serves (condition 200
    or 201), at the place of a missing key or required value (101), or of a refused code (103); it
    bears the codes that somebody is to be asked about, as the Translation does.
    """
    shelf = library.shelf(agency)
    event = _text(record, 9, 1), _text(record, 9, 2)
    plan = shelf.plans.get("^".join(event))
    if plan is None:
        known = served(shelf.plans, event[0])
        raise TranslateError(
            f"no map serves this {'event' if known else 'type of message'}",
            place="MSH-9",
            code="not-supported",
            condition="201" if known else "200",
        )
    run = Run(
        agency,
        shelf.tables,
        shelf.coding_systems,
        shelf.systems,
        shelf.memory if shelf.serves(agency) else {},
        offset_of(_text(record, 7)),
        policies=shelf.policies,
    )
    try:
        entries = plan.run(run, record)
    except TranslateError as error:
        error.lacks = tuple(run.lacks.values())
        if error.lacks:  # it may be for one of them that something is missing
            told = (each for each in run.warnings if each.code == "code-invalid")
            error.issues = (*error.issues, *told)
        raise
    name = f"{plan.name}@{shelf.version}"
    said = _said(run, record)
    lacks = tuple(run.lacks.values())
    return Translation("^".join(event), name, entries, run.warnings, said, run.asked, lacks)


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


def _compiled(maps: Maps, tables: Mapping[str, Table]) -> tuple[Compiler, Mapping[str, Plan]]:
    maps.read_all()
    compiler = Compiler(maps, tables)
    for name in maps.names("datatypes"):
        source = maps.find("datatypes", name)
        if source is not None and source.to in resource_types():
            compiler.check_resource_map(source)
        elif source is not None:
            compiler.data_type(name, source.to, source.place)
    return compiler, compile_plans(compiler)


def _own_layer(folder: Path) -> tuple[Path, str] | None:
    """An agency's folder as a layer of maps, where it holds any."""
    holds = any(path for kind in KINDS for path in (folder / kind).glob("*.yaml"))
    return (folder, shown_folder(folder)) if holds else None


def _check_used(compiler: Compiler, name: str, place: str) -> None:
    if name not in compiler.tables:
        raise MapError(f"{place}: no rule uses a table '{name}'", place=place)


def _check_folders(folders: Iterable[Path]) -> None:
    for folder in folders:
        if not folder.is_dir():
            refuse(str(folder), "no such folder of mappings")


def _check_folder(folder: Path) -> None:
    if not (folder / FILE).is_file():
        refuse(f"{shown_folder(folder)}/{FILE}", "an agency's folder needs this file")


def _digest(folders: Iterable[Path], before: str = "") -> str:
    """The first 12 hex digits of a hash over all map files and tables."""
    total = hashlib.sha256(before.encode())
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            if path.suffix in (".yaml", ".csv"):
                total.update(f"{path.relative_to(folder).as_posix()}\n".encode())
                total.update(path.read_bytes())
    return total.hexdigest()[:12]
