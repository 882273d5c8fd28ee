"""SIU: an appointment came of the referral (chapter 10): S12 booked, S26 missed, S15 given up.

From 2.5 on SCH-26 bears the referral's number; before that SCH-1, the placer's of the appointment.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.close.case import Case, escape
from gateway.close.result import asked
from gateway.close.standing import booking
from gateway.close.structure import finish, moment, ours, patient, put, start, version
from gateway.errors import CloseError
from gateway.model import Resource

_STATUS: Final[Mapping[str, str]] = {
    "S12": "Booked^Booked^HL70278",
    "S15": "Cancelled^Cancelled^HL70278",
    "S26": "Noshow^No-show^HL70278",
}


def build(case: Case) -> bytes:
    """The SIU for the Task as it stands, unframed. Raises CloseError where nothing is booked."""
    event = booking(case.task)
    if not event:
        raise CloseError("there is no appointment to tell of", place="Task.output")
    message = start(case, "SIU", event)
    visit = _appointment(case)
    _schedule(case, message.sch, visit, _STATUS[event])
    begins, ends = _moment(visit, "start"), _moment(visit, "end")
    if version(case) >= "2.5":
        tq1 = message.tq1
        put(tq1, 1, "1")
        put(tq1, 7, begins)
        put(tq1, 8, ends)
    else:
        put(message.sch, 11, f"1^^^{begins}^{ends}".rstrip("^"))
    for number, line in enumerate(filter(None, (visit.get("patientInstruction"), case.reason)), 1):
        nte = message.add_segment("NTE")
        put(nte, 1, str(number))
        put(nte, 3, escape(line))
    patient(case, message.add_group("SIU_S12_PATIENT").pid)
    resources = message.add_group("SIU_S12_RESOURCES")
    put(resources.rgs, 1, "1")
    ais = resources.add_group("SIU_S12_SERVICE").ais
    put(ais, 1, "1")
    put(ais, 3, asked(case))
    put(ais, 4, begins)
    return finish(message, case)


def _schedule(case: Case, sch: Any, visit: Resource, status: str) -> None:
    whose = f"^{escape(case.performer)}"
    modern = version(case) >= "2.5"
    put(sch, 1, "" if modern else case.originator)
    put(sch, 2, f"{visit['id']}^CAREGATEWAY" if visit else ours(case))
    put(sch, 6, "REFERRAL^Referral^99CAREGW")
    put(sch, 16, whose)
    put(sch, 20, whose)
    put(sch, 25, status)
    if modern:
        put(sch, 26, case.originator)
        put(sch, 27, ours(case))


def _appointment(case: Case) -> Resource:
    """The last Appointment among the outputs; empty where businessStatus alone tells of one."""
    found = [each for each in case.outputs if each.get("resourceType") == "Appointment"]
    return found[-1] if found else {}


def _moment(visit: Resource, element: str) -> str:
    return moment(str(visit[element])) if element in visit else ""
