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
from gateway.model import Agency, Record, Translation
from gateway.translate.agency import FILE, Profile, read_profile
from gateway.translate.maps import KINDS, Maps, shown_folder
from gateway.translate.plans import Plan, compile_plans, served
from gateway.translate.rules import Compiler
from gateway.translate.run import Run
from gateway.translate.source import refuse
from gateway.translate.tables import Table
from gateway.translate.values import moment_of, offset_of
from gateway.translate.verbs import check_table


@dataclass(frozen=True, slots=True)
class Shelf:
    """What one agency translates by: its plans by event and its own tables.

    ``systems`` is a memory of what coding systems' names meant, ``memory`` of what data type maps
    made for ``agency``: of the maps and tables alone, so that they change nothing.
    """

    plans: Mapping[str, Plan]
    tables: Mapping[str, Table]
    coding_systems: Table | None
    version: str
    agency: Agency
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

    def _shelf(self, profile: Profile) -> Shelf:
        systems = self._standard.tables.get("coding-systems")
        if profile.folder is None:
            return Shelf(self._plans, {}, systems, self.version, profile.agency)
        compiler, plans = self._standard, self._plans
        if own := _own_layer(profile.folder):
            layered = Maps((own, *self._layers), self._standard.maps.read)
            compiler, plans = _compiled(layered, {**profile.tables, **self._standard.tables})
        for name, table in profile.tables.items():
            if name not in compiler.tables:
                raise MapError(f"{table.place}: no rule uses a table '{name}'", place=table.place)
            check_table(table, compiler.uses.get(name, set()))
        version = _digest([profile.folder], self.version)
        return Shelf(plans, profile.tables, systems, version, profile.agency)


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
    or 201), at the place of a missing key or required value (101), or of a refused code (103).
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
    )
    entries = plan.run(run, record)
    name = f"{plan.name}@{shelf.version}"
    return Translation("^".join(event), name, entries, run.warnings, _said(run, record))


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
        if source is not None:
            compiler.data_type(name, source.to, source.place)
    return compiler, compile_plans(compiler)


def _own_layer(folder: Path) -> tuple[Path, str] | None:
    """An agency's folder as a layer of maps, where it holds any."""
    holds = any(path for kind in KINDS for path in (folder / kind).glob("*.yaml"))
    return (folder, shown_folder(folder)) if holds else None


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
