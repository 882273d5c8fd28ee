"""Beds less open stays, at the HealthcareService, after each load of HMIS CSV.

A project's places are the beds of its Inventory rows in force; taken is who is enrolled and hasn't
left, and in a night-by-night shelter (project type 1) who had a bed on its latest night. Both are
as of the export (Export.ExportDate), and that is how old the word on capacity is: routing believes
it for 24 hours (``route.capacity``). A project without beds says nothing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.admission.rules import Change, Hall, admit
from gateway.fhir import gates
from gateway.hmis import cells
from gateway.hmis.events import FEED, zone_of
from gateway.hmis.layout import canonical
from gateway.model import Context, Reference
from gateway.route.capacity import DETAIL, read_capacity, told
from gateway.route.facts import Room
from gateway.store import Hub, Reader, Transaction
from gateway.translate.values import written

NIGHTLY: Final = "1"
BED_NIGHT: Final = "200"

DATES: Final = "M/D/Y"
"""How dates stand in a file that a spreadsheet has written; the specification's are ISO's."""

_READ: Final = (
    "ProjectID", "ProjectType", "InventoryStartDate", "InventoryEndDate", "BedInventory",
    "EnrollmentID", "EntryDate", "ExitDate", "RecordType", "DateProvided", "ExportDate",
    "ExportEndDate",
)  # fmt: skip

Row = Mapping[str, str]
Submit = Callable[[Callable[[Transaction], Any]], "Future[Any]"]


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
    with hub.read() as reader:
        at = _asof(hall, reader, context)
        beds = list(_beds(reader, context, at[0])) if at else []
    if at and beds:
        submit(lambda tx: _write(hall, tx, context, beds, at[1])).result()


def _write(
    hall: Hall, tx: Transaction, context: Context, beds: Sequence[Beds], at: datetime
) -> None:
    found = (_change(tx, each, at) for each in beds)
    changes = [change for change in found if change is not None]
    if changes:
        admit(hall, tx, context, changes, trusted=True)


def _beds(reader: Reader, context: Context, day: str) -> Iterator[Beds]:
    """What each project has and what of it is taken on a day."""
    total = Counter[str]()
    for row in _rows(reader, context, "Inventory"):
        if _in_force(row, "InventoryStartDate", "InventoryEndDate", day):
            total[row.get("ProjectID", "")] += _number(row.get("BedInventory", ""))
    if not total:
        return
    types = {r.get("ProjectID", ""): r.get("ProjectType", "") for r in _projects(reader, context)}
    taken = _taken(reader, context, types, day)
    services = _services(reader, context)
    for project, count in total.items():
        if count and project in services:
            yield Beds(services[project], count, taken[project])


def _projects(reader: Reader, context: Context) -> Iterator[Row]:
    return _rows(reader, context, "Project")


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


def _asof(hall: Hall, reader: Reader, context: Context) -> tuple[str, datetime] | None:
    """When the newest export was made, else the end of its period: the day (YYYY-MM-DD), and the
    moment; None where it says neither in a way to be read.
    """
    newest = next(_rows(reader, context, "Export", last=True), {})
    member = hall.members.get(context.agency)
    zone = zone_of(hall.members, member) if member else UTC
    for said in (newest.get("ExportDate", ""), newest.get("ExportEndDate", "")):
        try:
            at = datetime.fromisoformat(written(DATES, said)).replace(tzinfo=zone)
        except ValueError:
            continue
        return at.date().isoformat(), min(at.astimezone(UTC), datetime.now(UTC))
    return None


def _taken(reader: Reader, context: Context, types: Mapping[str, str], day: str) -> Counter[str]:
    """How many places of each project are taken."""
    left = {
        row["EnrollmentID"]
        for row in _rows(reader, context, "Exit")
        if "EnrollmentID" in row and _day(row, "ExitDate") <= day
    }
    open_ = Counter[str]()
    nightly: dict[str, str] = {}
    for row in _rows(reader, context, "Enrollment"):
        project, enrollment = row.get("ProjectID", ""), row.get("EnrollmentID", "")
        if enrollment in left or _day(row, "EntryDate") > day:
            continue
        if types.get(project) == NIGHTLY:
            nightly[enrollment] = project
        else:
            open_[project] += 1
    return open_ + _last_night(reader, context, nightly) if nightly else open_


def _last_night(reader: Reader, context: Context, nightly: Mapping[str, str]) -> Counter[str]:
    """How many had a bed on each project's latest night, of those that are enrolled there."""
    nights: dict[str, Counter[str]] = {}
    for row in _rows(reader, context, "Services"):
        project = nightly.get(row.get("EnrollmentID", ""))
        if project is not None and row.get("RecordType") == BED_NIGHT:
            nights.setdefault(project, Counter())[_day(row, "DateProvided")] += 1
    return Counter({project: count[max(count)] for project, count in nights.items()})


def _services(reader: Reader, context: Context) -> dict[str, Reference]:
    """The HealthcareService that each project's row made."""
    return {
        kept.id: reference
        for kept in reader.rows(context, FEED, "Project")
        for reference in kept.made
        if reference.startswith("HealthcareService/")
    }


def _rows(reader: Reader, context: Context, file: str, *, last: bool = False) -> Iterator[Row]:
    """The kept rows of a file that aren't deleted, by column; ``last``: the newest alone."""
    sheet = reader.sheet(context.agency, FEED, file)
    if sheet is None:
        return
    headers = {each.key: each for each in reader.headers(sheet)}
    named = {
        key: canonical(_READ, cells.texts(each.raw, each.delimiter))
        for key, each in headers.items()
    }
    newest = reader.last_row(sheet) if last else None
    found = ([newest] if newest else []) if last else reader.rows(context, FEED, file)
    for kept in found:
        if not kept.deleted:
            said = cells.texts(kept.raw.decode(), headers[kept.header].delimiter)
            texts = (text.strip() for text in said)
            yield dict(zip(named[kept.header], texts, strict=False))


def _day(row: Row, column: str) -> str:
    """A date as YYYY-MM-DD, whatever time stands beside it."""
    return written(DATES, row.get(column, ""))[:10]


def _in_force(row: Row, start: str, end: str, day: str) -> bool:
    return _day(row, start) <= day and (not row.get(end) or _day(row, end) >= day)


def _number(text: str) -> int:
    return int(text) if text.isdecimal() else 0
