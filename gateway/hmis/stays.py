"""Who has a place: stays that haven't ended, and who had a bed on a shelter's latest night.

Search is asked, by what ``mappings/hmis`` makes of an agency's rows: of an enrollment an
EpisodeOfCare, which its exit ends, and of a bed night an Encounter. So what it costs goes by those
who are there, not by all who ever were.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from gateway.fhir import codes, json
from gateway.fhir.search import parse_query
from gateway.hmis.events import FEED
from gateway.model import Context, Reference, Resource
from gateway.store import Reader
from gateway.translate.functions import own

NIGHT: Final = codes.BASE + "CodeSystem/hmis-record-type|200"
"""Encounter.type of a bed night (4.14)."""

PROJECT: Final = codes.BASE + "StructureDefinition/project"
"""The extension of an EpisodeOfCare that names the project's service."""

TOGETHER: Final = 50
"""Of how many stays the nights are asked for at once."""


def staying(reader: Reader, context: Context, day: str) -> Iterator[tuple[Reference, Reference]]:
    """Each of the agency's stays that began by a day (YYYY-MM-DD) and hasn't ended on it, with the
    service of its project."""
    system = own(context.agency, FEED, "EnrollmentID")
    for when in ([("status", "active")], [("status", "finished"), ("date", f"gt{day}")]):
        for stay in _own(reader, context, "EpisodeOfCare", *when):
            began = str((stay.get("period") or {}).get("start") or "")[:10]
            service = _service(stay)
            named = (each.get("system") == system for each in stay.get("identifier") or [])
            if service and began <= day and any(named):
                yield f"EpisodeOfCare/{stay['id']}", service


def last_night(reader: Reader, context: Context, stays: Sequence[Reference]) -> int:
    """How many beds were had on the latest night on which any of these stays had one."""
    latest, beds = "", 0
    for start in range(0, len(stays), TOGETHER):
        for night in _nights(reader, context, stays[start : start + TOGETHER], latest):
            if night < latest:
                break
            latest, beds = night, beds + 1 if night == latest else 1
    return beds


def _nights(
    reader: Reader, context: Context, stays: Sequence[Reference], since: str
) -> Iterator[str]:
    """The nights of some stays from a day on ("": all), the latest first, as YYYY-MM-DD."""
    asked = [("episode-of-care", ",".join(stays)), ("status", "finished"), ("type", NIGHT)]
    if since:
        asked.append(("date", f"ge{since}"))
    count = str(TOGETHER)  # no more are read than one night's
    for night in _own(reader, context, "Encounter", *asked, ("_sort", "-date"), count=count):
        began = (night.get("period") or {}).get("start")
        if began:
            yield str(began)[:10]


def _service(stay: Resource) -> Reference:
    """The service that a stay is in; "" where it names none."""
    found = (each for each in stay.get("extension") or [] if each.get("url") == PROJECT)
    return next((each.get("valueReference", {}).get("reference", "") for each in found), "")


def _own(
    reader: Reader, context: Context, type_: str, *asked: tuple[str, str], count: str = "1000"
) -> Iterator[Resource]:
    """What a search finds of the agency's own, page by page."""
    query = parse_query(type_, [*asked, ("_count", count), ("_total", "none")])
    while True:
        page = reader.search(context, query)
        for each in page.entries:
            if each.owner == context.agency:
                yield json.loads(each.body)
        if page.next is None:
            return
        query = replace(query, cursor=page.next)
