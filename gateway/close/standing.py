"""How a referral stands, in the words of each message that tells of it.

The table is the hub's ConceptMap from Task to HL7 v2 (referral-protocol.md, section 3), which HL7's
own v2-to-FHIR guide lacks. RF1-1 is of table 0283, ORC-1 of 0119, ORC-5 of 0038, OBR-25 of 0123.
360X's own codes for accept and decline couldn't be read anywhere: these are HL7's plain meanings.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from gateway.close.case import Case
from gateway.errors import CloseError
from gateway.model import Resource


@dataclass(frozen=True, slots=True)
class Standing:
    """One row: RF1-1, ORC-1 (the event), ORC-5 (the state that it led to) and OBR-25."""

    referral: str
    control: str
    order: str
    result: str


STANDINGS: Final[Mapping[str, Standing]] = {
    "requested": Standing("P", "NW", "", "P"),
    "accepted": Standing("A", "OK", "IP", "P"),
    "rejected": Standing("R", "UA", "CA", "X"),
    "in-progress": Standing("A", "SC", "IP", "P"),
    "booked": Standing("A", "SC", "SC", "P"),
    "on-hold": Standing("A", "OH", "HD", "P"),
    "completed": Standing("A", "SC", "CM", "F"),
    "failed": Standing("R", "OD", "DC", "X"),
    "withdrawn": Standing("R", "CR", "CA", "X"),
    "cancelled": Standing("R", "OC", "CA", "X"),
    "expired": Standing("E", "OC", "CA", "X"),
}
"""By ``standing``: Task.status, but for what it can't say (booked, withdrawn, expired)."""

BOOKINGS: Final[Mapping[str, str]] = {"5.1.1": "S12", "5.1.2": "S26", "5.1.3": "S15"}
"""Task.businessStatus (BSeR's TaskBusinessStatusCS) to the event of a SIU."""

EXPIRED: Final = "expired"
"""The code in Task.statusReason of a referral that was cancelled because its time ran out."""


def standing(case: Case) -> Standing:
    """The row of a case. Raises CloseError for a draft, and for what was entered in error."""
    name = _name(case)
    if name not in STANDINGS:
        raise CloseError("no message has a word for this status", place="Task.status")
    return STANDINGS[name]


def booking(task: Resource) -> str:
    """The event of a SIU that a Task calls for: "S12", "S15", "S26", or "".

    By businessStatus; without it an Appointment among the outputs is a booking.
    """
    said = (task.get("businessStatus") or {}).get("coding") or []
    events = (BOOKINGS[each["code"]] for each in said if each.get("code") in BOOKINGS)
    return next(events, "S12" if appointments(task) else "")


def appointments(task: Resource) -> tuple[str, ...]:
    """The Appointments that Task.output refers to, in order."""
    values = (each.get("valueReference") or {} for each in task.get("output") or [])
    targets = (str(each.get("reference") or "") for each in values)
    return tuple(each for each in targets if each.startswith("Appointment/"))


def _name(case: Case) -> str:
    if case.status == "in-progress" and booking(case.task) == "S12":
        return "booked"
    if case.status != "cancelled":
        return case.status
    why = (case.task.get("statusReason") or {}).get("coding") or []
    if any(each.get("code") == EXPIRED for each in why):
        return "expired"
    return "withdrawn" if case.is_withdrawal else "cancelled"
