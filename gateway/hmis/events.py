"""Referrals that an agency made here, as rows of Event.csv (coordinated entry, 4.20).

Only what its HMIS can hold: the person is of its Client.csv and was enrolled, and there is an event
of that kind. The EventID is ``cg`` and most of the Task's id, so that it is the same each time, and
``mappings/hmis/records/Event.yaml`` knows it for the hub's own when HMIS sends it back.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import tzinfo
from types import MappingProxyType
from typing import Any, Final
from zoneinfo import ZoneInfo

from gateway.errors import NotFound, TranslateError
from gateway.fhir import codes, json
from gateway.fhir.search import parse_query
from gateway.hmis.outcomes import moment, outcome
from gateway.hmis.report import Report
from gateway.members import Members
from gateway.model import Agency, Context, Reference, Resource
from gateway.store import Reader
from gateway.translate import Rows
from gateway.translate.functions import own

FEED: Final = "hmis"
MARK: Final = "cg"
"""How the EventIDs of the hub's own referrals begin."""

LONGEST: Final = 32
"""HMIS's ids have at most so many characters."""

EVENT_TYPE: Final = codes.BASE + "CodeSystem/hmis-event-type"
PROJECT_TYPE: Final = codes.BASE + "CodeSystem/hmis-project-type"

BY_PROJECT: Final = MappingProxyType(
    {
        "0": "10", "1": "10", "8": "10", "2": "11", "13": "13", "3": "14", "9": "15", "10": "15",
        "4": "6", "12": "1",
    }
)  # fmt: skip
"""The event (4.20.2) by the type of the project that was asked (2.02.6)."""

BY_CATEGORY: Final = MappingProxyType(
    {
        "homelessness": "10",
        "housing-instability": "1",
        "inadequate-housing": "7",
        "material-hardship": "16",
        "financial-insecurity": "16",
        "utility-insecurity": "16",
    }
)
"""The event by SDOH-CC's category of need, where the project doesn't tell."""


def zone_of(members: Members, agency: Agency) -> ZoneInfo:
    """The zone in which an agency's HMIS writes times: its feed's, else its own, else UTC."""
    try:
        said = Rows(members.library, agency, FEED).agency.timezone
    except TranslateError:
        said = agency.timezone
    return ZoneInfo(said or "UTC")


@dataclass(frozen=True, slots=True)
class Desk:
    """Whose referrals, read by whom, and the zone in which its HMIS writes times."""

    reader: Reader
    context: Context
    zone: tzinfo

    def system(self, column: str) -> str:
        """The identifier system of the agency's own ids in a column."""
        return own(self.context.agency, FEED, column)

    def read(self, reference: Reference) -> Resource | None:
        """A resource that the agency may read; None for any other."""
        type_, _, id_ = reference.partition("/")
        try:
            return json.loads(self.reader.read(self.context, type_, id_).body)
        except NotFound:
            return None

    def found(self, type_: str, pairs: list[tuple[str, str]]) -> Iterator[Resource]:
        """All that a search finds, page by page."""
        query = parse_query(type_, [*pairs, ("_count", "500"), ("_total", "none")])
        while True:
            page = self.reader.search(self.context, query)
            yield from (json.loads(each.body) for each in page.entries)
            if page.next is None:
                return
            query = replace(query, cursor=page.next)

    def own_id(self, resource: Resource, column: str) -> str:
        """What the agency's HMIS calls a resource; "" for one that isn't of it."""
        system = self.system(column)
        ids = (each for each in resource.get("identifier") or [] if each.get("system") == system)
        return next((str(each.get("value") or "") for each in ids), "")


def made_here(desk: Desk, report: Report) -> Iterator[dict[str, str]]:
    """A row, by column, for each referral of the agency's that HMIS doesn't know yet."""
    asker = desk.context.organization
    for task in desk.found("Task", [("requester", asker), ("intent", "order")]):
        known = desk.own_id(task, "EventID") or desk.own_id(task, "ServicesID")
        focus = str((task.get("focus") or {}).get("reference") or "")
        if known or not focus.startswith("ServiceRequest/") or task["status"] == "draft":
            continue
        row = _row(desk, task, focus, report)
        if row is not None:
            yield row


def _row(desk: Desk, task: Resource, focus: Reference, report: Report) -> dict[str, str] | None:
    request = desk.read(focus) or {}
    said = str(task.get("authoredOn") or request.get("authoredOn") or task["meta"]["lastUpdated"])
    made = moment(said, desk.zone)
    patient = desk.read(str((task.get("for") or {}).get("reference") or "")) or {}
    person = desk.own_id(patient, "PersonalID")
    place = _place(desk, request, task)
    kind = _kind(request, place)
    enrollment = _enrollment(desk, str(patient["id"]), made[:10]) if person else ""
    for lacks, because in (
        (not person, "the person is none of Client.csv"),
        (not enrollment, "the person has no enrollment"),
        (not kind, "coordinated entry has no such event"),
    ):
        if lacks:
            report.leave_out(because)
            return None
    ended = outcome(task, desk.zone)
    return {
        "EventID": MARK + str(task["id"]).replace("-", "")[: LONGEST - len(MARK)],
        "EnrollmentID": enrollment,
        "PersonalID": person,
        "EventDate": made[:10],
        "Event": kind,
        "LocationCrisisOrPHHousing": desk.own_id(place, "ProjectID"),
        "ReferralResult": ended.result if ended else "",
        "ResultDate": ended.date if ended else "",
        "DateCreated": made,
        "DateUpdated": moment(str(task["meta"]["lastUpdated"]), desk.zone),
    }


def _place(desk: Desk, request: Resource, task: Resource) -> Resource:
    """The service that was asked, where the request or its Task names one."""
    asked = [*(request.get("performer") or []), task.get("owner") or {}]
    named = (str(each.get("reference") or "") for each in asked)
    found = (desk.read(each) for each in named if each.startswith("HealthcareService/"))
    return next((each for each in found if each is not None), {})


def _kind(request: Resource, place: Resource) -> str:
    """The event's code: said outright, by the project's type, or by the need; "" for none."""
    said = _codes([request.get("code") or {}])
    projects = _codes(place.get("type") or [])
    needs = _codes(request.get("category") or [])
    return (
        next((code for system, code in said if system == EVENT_TYPE), "")
        or next((BY_PROJECT.get(c, "") for s, c in projects if s == PROJECT_TYPE), "")
        or next(
            (BY_CATEGORY[c] for s, c in needs if s == codes.SDOH_CODES and c in BY_CATEGORY), ""
        )
    )


def _codes(concepts: list[Mapping[str, Any]]) -> list[tuple[str, str]]:
    found = (each for concept in concepts for each in concept.get("coding") or [])
    return [(str(each.get("system") or ""), str(each.get("code") or "")) for each in found]


def _enrollment(desk: Desk, patient: str, day: str) -> str:
    """The person's enrollment on that day, the latest that had begun; else the latest of all."""
    stays = [
        (str((each.get("period") or {}).get("start") or "")[:10], desk.own_id(each, "EnrollmentID"))
        for each in desk.found("EpisodeOfCare", [("patient", f"Patient/{patient}")])
    ]
    known = sorted(each for each in stays if each[1])
    begun = [each for each in known if each[0] <= day]
    return (begun or known)[-1][1] if known else ""
