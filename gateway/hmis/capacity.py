"""Beds less open stays, at the HealthcareService, after each load of HMIS CSV.

A project's places are the beds of its Inventory rows in force; taken is who is enrolled and hasn't
left, and in a night-by-night shelter (project type 1) who had a bed on its latest night. Both are
as of the export (Export.ExportDate), and that is how old the word on capacity is: routing believes
it for 24 hours (``route.capacity``). A project without beds says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any, Final

from gateway.admission.rules import Change, Hall, admit
from gateway.fhir import gates
from gateway.hmis import cells
from gateway.hmis.events import FEED, zone_of
from gateway.hmis.layout import canonical
from gateway.hmis.stays import last_night, staying
from gateway.members import Members
from gateway.model import Agency, Context, Reference
from gateway.route.capacity import DETAIL, read_capacity, told
from gateway.route.facts import Room
from gateway.store import Header, Hub, Reader, Transaction
from gateway.translate import Rows
from gateway.translate.spreadsheet import written

NIGHTLY: Final = "1"

DATES: Final = "M/D/Y"
"""How dates stand in a file that a spreadsheet has written; the specification's are ISO's."""

_READ: Final = (
    "ProjectID", "ProjectType", "InventoryStartDate", "InventoryEndDate", "BedInventory",
    "ExportDate", "ExportEndDate",
)  # fmt: skip

Row = Mapping[str, str]
Submit = Callable[[Callable[[Transaction], Any]], "Future[Any]"]


@dataclass(frozen=True, slots=True)
class Kept:
    """What an agency's HMIS said last. ``empty`` are the texts that mean nothing there."""

    reader: Reader
    context: Context
    empty: frozenset[str]

    def rows(self, file: str, *, last: bool = False) -> Iterator[Row]:
        """The rows of a file that aren't deleted, by column; ``last``: the newest alone."""
        sheet = self.reader.sheet(self.context.agency, FEED, file)
        if sheet is None:
            return
        headers = {each.key: each for each in self.reader.headers(sheet)}
        wanted = {key: _wanted(each) for key, each in headers.items()}
        newest = self.reader.last_row(sheet) if last else None
        found = [newest] if newest else []
        for kept in found if last else self.reader.rows(self.context, FEED, file):
            if not kept.deleted:
                said = cells.cut(kept.raw.decode(), headers[kept.header].delimiter)
                yield {
                    name: self._meant(cells.read(said[at]).strip())
                    for at, name in wanted[kept.header]
                    if at < len(said)
                }

    def _meant(self, text: str) -> str:
        return "" if text in self.empty else text


def _wanted(header: Header) -> list[tuple[int, str]]:
    """Where those of a file's columns stand that are read here."""
    names = canonical(_READ, cells.texts(header.raw, header.delimiter))
    return [(at, name) for at, name in enumerate(names) if name in _READ]


@dataclass(frozen=True, slots=True)
class Beds:
    """A project's service, the places that it has and those that are taken."""

    service: Reference
    total: int
    taken: int


def reckon(hub: Hub, hall: Hall, submit: Submit, context: Context) -> None:
    """Write the capacity of each of the agency's projects whose beds are known.

    Rows are read beside the writer; only what came of them is a unit of its own.
    """
    member = hall.members.get(context.agency)
    if member is None:
        return
    with hub.read() as reader:
        kept = Kept(reader, context, _empty(hall.members, member))
        at = _asof(zone_of(hall.members, member), kept)
        beds = list(_beds(kept, at[0])) if at else []
    if at and beds:
        submit(lambda tx: _write(hall, tx, context, beds, at[1])).result()


def _write(
    hall: Hall, tx: Transaction, context: Context, beds: Sequence[Beds], at: datetime
) -> None:
    found = (_change(tx, each, at) for each in beds)
    changes = [change for change in found if change is not None]
    if changes:
        admit(hall, tx, context, changes, trusted=True)


def _empty(members: Members, agency: Agency) -> frozenset[str]:
    """What the agency's feed says of cells that mean nothing."""
    return Rows(members.library, agency, FEED).feed.layout.empty


def _beds(kept: Kept, day: str) -> Iterator[Beds]:
    """What each project has and what of it is taken on a day."""
    total = Counter[str]()
    for row in kept.rows("Inventory"):
        if _in_force(row, "InventoryStartDate", "InventoryEndDate", day):
            total[row.get("ProjectID", "")] += _number(row.get("BedInventory", ""))
    if not total:
        return
    services = _services(kept.reader, kept.context)
    nightly = {
        services.get(row.get("ProjectID", ""), "")
        for row in kept.rows("Project")
        if cells.code(row.get("ProjectType", "")) == NIGHTLY
    }
    taken = _taken(kept, nightly, day)
    for project, count in total.items():
        if count and project in services:
            yield Beds(services[project], count, taken[services[project]])


def _change(tx: Transaction, beds: Beds, at: datetime) -> Change | None:
    """The service with what is free of it; None where somebody said something newer."""
    service = tx.content(beds.service)
    if service is None:
        return None
    known = read_capacity(service)
    stated = any(each.get("url") == DETAIL for each in service.get("extension") or [])
    if known is not None and stated and known.at > at:
        return None
    free = max(0, beds.total - beds.taken)
    room = Room.CAPACITY if free else Room.NONE
    resource = told(service, room, at, free=free, total=beds.total)
    for each in resource["extension"]:
        if each.get("url") == DETAIL:
            parts = [part for part in each["extension"] if part["url"] != "beds"]
            each["extension"] = [*parts, {"url": "beds", "valueBoolean": True}]
    return Change(gates.check(resource, models=False))


def _asof(zone: tzinfo, kept: Kept) -> tuple[str, datetime] | None:
    """When the newest export was made, else the end of its period: the day (YYYY-MM-DD), and the
    moment; None where it says neither in a way to be read.
    """
    newest = next(kept.rows("Export", last=True), {})
    for said in (newest.get("ExportDate", ""), newest.get("ExportEndDate", "")):
        try:
            at = datetime.fromisoformat(written(DATES, said)).replace(tzinfo=zone)
        except ValueError:
            continue
        return at.date().isoformat(), min(at.astimezone(UTC), datetime.now(UTC))
    return None


def _taken(kept: Kept, nightly: Collection[Reference], day: str) -> Counter[Reference]:
    """How many places of each service are taken."""
    taken = Counter[Reference]()
    by_night: dict[Reference, list[Reference]] = {}
    for stay, service in staying(kept.reader, kept.context, day):
        if service in nightly:
            by_night.setdefault(service, []).append(stay)
        else:
            taken[service] += 1
    for service, stays in by_night.items():
        taken[service] = last_night(kept.reader, kept.context, stays)
    return taken


def _services(reader: Reader, context: Context) -> dict[str, Reference]:
    """The HealthcareService that each project's row made."""
    return {
        kept.id: reference
        for kept in reader.rows(context, FEED, "Project")
        for reference in kept.made
        if reference.startswith("HealthcareService/")
    }


def _day(row: Row, column: str) -> str:
    """A date as YYYY-MM-DD, whatever time stands beside it."""
    return written(DATES, row.get(column, ""))[:10]


def _in_force(row: Row, start: str, end: str, day: str) -> bool:
    return _day(row, start) <= day and (not row.get(end) or _day(row, end) >= day)


def _number(text: str) -> int:
    return int(cells.code(text)) if cells.code(text).isdecimal() else 0
