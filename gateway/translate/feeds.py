"""Feeds of rows and JSON: which files an agency sends, and which map reads each.

A built-in feed is a folder with ``feed.yaml`` (``mappings/hmis``); an agency declares its own, and
what differs of a built-in one, under ``feeds`` of its ``agency.yaml``. Their maps lie in
``records``, ``parts``, ``datatypes`` and ``tables`` of the feed's folder.
"""

from __future__ import annotations

import codecs
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import PurePosixPath
from typing import Any, Final, Literal, Protocol, cast, get_args
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from gateway.model import Signed
from gateway.record import Given
from gateway.translate.columns import ROW, Columns
from gateway.translate.conditions import Condition
from gateway.translate.maps import Maps
from gateway.translate.paths import Dialect, Frame
from gateway.translate.queries import Queries, records
from gateway.translate.records import Lookup, RecordPlan, compile_record
from gateway.translate.rules import Compiler
from gateway.translate.run import Run
from gateway.translate.sites import Site
from gateway.translate.source import Block, Yaml, block, refuse, several, text, texts
from gateway.translate.tables import Table

FILE: Final = "feed.yaml"

Kind = Literal["csv", "json"]
Dates = Literal["", "M/D/Y", "D/M/Y"]

_NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?")
KEYS: Final = frozenset(
    {"kind", "feed", "files", "timezone", "charset", "delimiter", "dates", "empty", "masked"}
    | {"signed", "refuse", "persons", "ignored", "pages"}
)
_ENTRY: Final = frozenset({"file", "map", "if", "at"})
_SIGNED: Final = frozenset({"by", "header", "prefix"})
_DELIMITERS: Final[Mapping[str, str]] = {
    "auto": "", ",": ",", ";": ";", "|": "|", "\t": "\t", "TAB": "\t"
}  # fmt: skip
MARK: Final = "#"
"""How the columns begin that the gateway itself adds to a file of set-aside rows."""


class MakeCompiler(Protocol):
    """Makes the compiler of a feed's maps: ``Compiler`` itself, or one that listens."""

    def __call__(  # noqa: D102
        self, maps: Maps, tables: Mapping[str, Table], feed: str, dialect: Dialect
    ) -> Compiler: ...


@dataclass(frozen=True, slots=True)
class Entry:
    """Which files a map reads: ``pattern`` over base names; ``map`` "" where none does.

    ``test`` is what a record must say to be the map's; ``records`` finds them in a JSON body.
    """

    pattern: str
    map: str
    place: str
    condition: Yaml | None = None
    at: str = ""


@dataclass(frozen=True, slots=True)
class Layout:
    """A feed as it is written, before its maps are compiled.

    Of its columns ``masked`` are never shown, and of ``ignored`` a change is none. ``persons`` are
    the maps of what is about persons; ``refuse`` says which loads are refused whole. ``pages`` are
    the keys under which a JSON object that no map takes has a list of records.
    """

    name: str
    kind: Kind
    place: str
    entries: tuple[Entry, ...]
    timezone: str = ""
    charset: str = "auto"
    delimiter: str = ""
    dates: Dates = ""
    empty: frozenset[str] = frozenset()
    masked: frozenset[str] = frozenset()
    ignored: frozenset[str] = frozenset()
    persons: frozenset[str] = frozenset()
    refuse: tuple[Block, ...] = ()
    signed: Signed | None = None
    pages: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class File:
    """One entry of a feed, compiled: its files' plan (None: no map reads them)."""

    pattern: str
    plan: RecordPlan | None
    condition: Condition | None = None
    records: Callable[[Any], list[tuple[str, Any]]] | None = None

    @property
    def name(self) -> str:
        """What lookups call it: its map, else its pattern without an ending."""
        return self.plan.name if self.plan is not None else PurePosixPath(self.pattern).stem

    def fits(self, file: str) -> bool:
        """Whether a file of that name is one of these."""
        base = PurePosixPath(file.replace("\\", "/")).name
        return fnmatch(base.casefold(), self.pattern.casefold())

    def takes(self, run: Run, given: Given) -> bool:
        """Whether a record is one for its map."""
        if self.condition is None or self.plan is None:
            return True
        return self.condition.test(run, self.plan.scope(given), None)


@dataclass(frozen=True, slots=True, eq=False)
class Feed:
    """A feed, ready to run. ``version`` changes with any byte of its maps.

    ``barred``: of each file that decides over whole loads, what its first row may not say, and why.
    """

    layout: Layout
    files: tuple[File, ...]
    compiler: Compiler
    version: str
    barred: tuple[tuple[RecordPlan, Condition, str], ...] = ()

    @property
    def name(self) -> str:
        """Its name, as in ``/intake/csv/{feed}``."""
        return self.layout.name

    @property
    def entries(self) -> tuple[Entry, ...]:
        """Its files as they are written."""
        return self.layout.entries

    def of(self, file: str) -> tuple[File, ...]:
        """The entries that a file of that name is for; a feed of one takes whatever it is."""
        found = tuple(one for one in self.files if one.fits(file))
        return found or (self.files if len({one.name for one in self.files}) == 1 else ())

    def order(self, file: str) -> int:
        """Where a file stands among those of a load."""
        fits = (number for number, one in enumerate(self.files) if one.fits(file))
        return next(fits, len(self.files))

    def into(self, name: str) -> tuple[File, ...]:
        """The entries that a lookup means."""
        return tuple(one for one in self.files if one.name == name)


def read_layout(body: Block, base: Layout | None = None) -> Layout:
    """A feed's block; of a built-in feed (``base``) only what differs. Raises MapError."""
    body.refuse_unknown(KEYS, "a feed of rows or JSON")
    name = named(body)
    kind = cast("Kind", text(body.need("kind")))
    if base is not None and kind != base.kind:
        refuse(body.places["kind"], f"'{name}' is a feed of {base.kind}")
    found = base or Layout(name, kind, body.place, _entries(body.need("files"), kind))
    said = {key: read(body.items[key]) for key, read in _READ.items() if key in body.items}
    if base is not None and "files" in body.items:
        said["entries"] = _entries(body.items["files"], kind)
    for key in ("signed", "pages"):
        if found.kind == "csv" and key in body.items:
            refuse(body.places[key], f"'{key}' serves JSON")
    return replace(found, **said)


def named(body: Block) -> str:
    """The name of a feed. Raises MapError."""
    item = body.need("feed")
    if not _NAME.fullmatch(text(item, "'feed'")):
        refuse(item.place, "a feed's name is small letters, digits and '-'")
    return text(item)


def _entries(item: Yaml, kind: Kind) -> tuple[Entry, ...]:
    return tuple(_entry(block(one, "a file of a feed"), kind) for one in several(item))


def _entry(body: Block, kind: Kind) -> Entry:
    body.refuse_unknown(_ENTRY, "a file of a feed")
    if kind == "csv" and "at" in body.items:
        refuse(body.places["at"], "'at' serves JSON")
    said = {key: text(body.items[key]) for key in ("file", "map", "at") if key in body.items}
    if "map" not in said and ("if" in body.items or "file" not in said):
        refuse(body.place, "a file that no map reads has a name, and no 'if'")
    pattern = said.get("file", "*")
    return Entry(pattern, said.get("map", ""), body.place, body.get("if"), said.get("at", ""))


def timezone(item: Yaml) -> str:
    """The name of an IANA timezone. Raises MapError."""
    name = text(item, "'timezone'")
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError):
        refuse(item.place, f"'{name}' is no timezone of the IANA database")
    return name


def _charset(item: Yaml) -> str:
    name = text(item, "'charset'")
    if name != "auto":
        try:
            codecs.lookup(name)
        except LookupError:
            refuse(item.place, f"'{name}' is no charset that Python knows")
    return name


def _delimiter(item: Yaml) -> str:
    said = text(item, "'delimiter'")
    if said not in _DELIMITERS:
        refuse(item.place, "'delimiter' is auto, TAB, or one of , ; |")
    return _DELIMITERS[said]


def _dates(item: Yaml) -> Dates:
    said = text(item, "'dates'")
    if said not in get_args(Dates):
        refuse(item.place, "'dates' is M/D/Y or D/M/Y")
    return cast("Dates", said)


def _set(item: Yaml) -> frozenset[str]:
    return frozenset(one for one, _ in texts(item, "a text"))


def _signed(item: Yaml) -> Signed:
    body = block(item, "'signed'")
    body.refuse_unknown(_SIGNED, "'signed'")
    by = text(body.need("by"), "'by'")
    said = {key: text(body.items[key]) for key in ("header", "prefix") if key in body.items}
    if by == "standard-webhooks" and not said:
        return Signed("standard-webhooks")
    if by == "hmac-sha256" and "header" in said:
        return Signed("hmac-sha256", **said)
    refuse(item.place, "by: standard-webhooks, or by: hmac-sha256 with a header (and a prefix)")


_READ: Final[Mapping[str, Callable[[Yaml], Any]]] = {
    "timezone": timezone,
    "charset": _charset,
    "delimiter": _delimiter,
    "dates": _dates,
    "empty": _set,
    "masked": _set,
    "ignored": _set,
    "persons": _set,
    "refuse": lambda item: tuple(block(one, "a refusal") for one in several(item)),
    "signed": _signed,
    "pages": lambda item: tuple(one for one, _ in texts(item, "a key")),
}


# --- compiled ------------------------------------------------------------------------------------


def compile_feed(
    layout: Layout, maps: Maps, tables: Mapping[str, Table], version: str, make: MakeCompiler
) -> Feed:
    """A feed with its maps; ``tables`` serve after its own. Raises MapError."""
    maps.read_all()
    dialect = Columns() if layout.kind == "csv" else Queries()
    compiler = make(maps, {**tables, **maps.tables()}, layout.name, dialect)
    for name in maps.names("datatypes"):
        source = maps.find("datatypes", name)
        if source is not None:
            compiler.check_data_type(source)
    plans = {name: _plan(compiler, name) for name in maps.names("records")}
    files = tuple(_file(compiler, entry, plans) for entry in layout.entries)
    barred = tuple(_barred(compiler, one, plans) for one in layout.refuse)
    # Conditions beside the maps, and lookups of others, may have asked for more of their columns.
    for lookup in (lookup for plan in plans.values() for lookup in plan.lookups):
        for one in files:
            if one.plan is not None and one.name == lookup.into and lookup.column:
                one.plan.ask(lookup.column)
    files = tuple(replace(one, plan=one.plan and one.plan.renewed()) for one in files)
    barred = tuple((plan.renewed(), *rest) for plan, *rest in barred)  # type: ignore[misc]
    feed = Feed(layout, files, compiler, version, barred)
    for plan in plans.values():
        _check_lookups(feed, plan)
    return feed


def _plan(compiler: Compiler, name: str) -> RecordPlan:
    source = compiler.maps.find("records", name)
    assert source is not None, "it was listed"
    return compile_record(compiler, source)


def _barred(
    compiler: Compiler, body: Block, plans: Mapping[str, RecordPlan]
) -> tuple[RecordPlan, Condition, str]:
    body.refuse_unknown(frozenset({"in", "if", "because"}), "a feed's refusal")
    name = body.need("in")
    if text(name) not in plans:
        refuse(name.place, f"there is no record map '{text(name)}'")
    plan = plans[text(name)]
    condition = compiler.condition(body.need("if"), Site(_alone(plan), {}, []))
    assert condition is not None, "there is an 'if'"
    return plan, condition, text(body.need("because"), "'because'")


def _alone(plan: RecordPlan) -> Frame:
    """What a plan's paths see before any lookup."""
    csv = plan.frame.segments is not None
    return replace(plan.frame, segments=frozenset({ROW})) if csv else plan.frame


def _file(compiler: Compiler, entry: Entry, plans: Mapping[str, RecordPlan]) -> File:
    if not entry.map:
        return File(entry.pattern, None)
    plan = plans.get(entry.map)
    if plan is None:
        refuse(entry.place, f"there is no record map '{entry.map}'")
    find = records(entry.at, entry.place) if entry.at else None
    if entry.condition is None:
        return File(entry.pattern, plan, None, find)
    condition = compiler.condition(entry.condition, Site(_alone(plan), {}, []))
    return File(entry.pattern, plan, condition, find)


def _check_lookups(feed: Feed, plan: RecordPlan) -> None:
    for lookup in plan.lookups:
        into = feed.into(lookup.into)
        if not into:
            names = ", ".join(one.name for one in feed.files)
            refuse(plan.place, f"'{lookup.into}' is no file of this feed; there are {names}")
        for one in into:
            _check_columns(one, plan, lookup)


def _check_columns(file: File, plan: RecordPlan, lookup: Lookup) -> None:
    known = file.plan.known if file.plan is not None else None
    for column in {lookup.column, *lookup.columns} - {""}:
        if known is not None and column not in known:
            refuse(plan.place, f"'{file.name}' has no column '{column}'")
