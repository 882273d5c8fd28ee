"""RRI^I12 to I15: the answer to a referral (HL7 v2.3 to 2.8, chapter 11, return referral).

It answers in the event of the message that asked: I13 a modification, I14 a cancellation, I15 a
status query. RF1-1 from table 0283 says how it stands, MSA-2 which message it answers, PV1 the
visit that came of it, NTE why. An end is told in OBR, OBX and NTE.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.close.case import NAME, Case, escape, field
from gateway.close.result import order, results
from gateway.close.served import services
from gateway.close.standing import standing
from gateway.close.structure import (
    finish,
    moment,
    ours,
    patient,
    put,
    stamp,
    start,
    version,
    wording,
)
from gateway.model import Resource

REFERRAL_STATUS: Final[Mapping[str, str]] = {
    "P": "P^Pending^HL70283",
    "A": "A^Accepted^HL70283",
    "R": "R^Rejected^HL70283",
    "E": "E^Expired^HL70283",
}
EVENTS: Final = frozenset({"I12", "I13", "I14", "I15"})

_ENDS: Final = frozenset({"completed", "failed", "cancelled"})
_CLASSES: Final = {"AMB": "O", "IMP": "I", "ACUTE": "I", "NONAC": "I", "EMER": "E", "OBSENC": "B"}
"""R4's v3-ActCode to table 0004; an Appointment makes an outpatient."""


def build(case: Case) -> bytes:
    """The RRI for the Task as it stands, unframed. Raises CloseError."""
    message = start(case, "RRI", case.trigger if case.trigger in EVENTS else "I12")
    put(message.msa, 1, "AA")
    put(message.msa, 2, case.answered)
    put(message.rf1, 1, REFERRAL_STATUS[standing(case).referral])
    put(message.rf1, 6, case.originator)
    put(message.rf1, 9, stamp(case.at))
    put(message.rf1, 11, ours(case))
    old = version(case) == "2.3"
    for role, name in _providers(case):
        prd = message.add_group(f"RRI_I12_PROVIDER{'' if old else '_CONTACT'}").add_segment("PRD")
        put(prd, 1, role)
        put(prd, 2, name)
    patient(case, message.pid)
    if case.status in _ENDS:
        told = message.add_group(f"RRI_I12_{'RESULTS' if old else 'OBSERVATION'}")
        order(case, told.obr)
        results(case, told, f"RRI_I12_{'OBSERVATION' if old else 'RESULTS_NOTES'}")
    for visit in _visits(case):
        _visit(message.add_group(f"RRI_I12_{'' if old else 'PATIENT_'}VISIT").pv1, visit)
    for number, line in enumerate(_remarks(case), 1):
        nte = message.add_segment("NTE")
        put(nte, 1, str(number))
        put(nte, 3, escape(line))
    return finish(message, case)


def _providers(case: Case) -> Iterator[tuple[str, str]]:
    """(PRD-1, PRD-2): the referring provider as the sender wrote it, and who answers."""
    for each in case.original.segments:
        if each.name == "PRD" and field(each, 1, {1: 1}) == "RP":
            yield field(each, 1, NAME), field(each, 2, NAME)
    yield "RT^Referred to Provider^HL70286", escape(case.performer)


def _visits(case: Case) -> list[Resource]:
    """The visit that came of the referral: the last among the outputs, an Encounter first."""
    for type_ in ("Encounter", "Appointment"):
        found = [each for each in case.outputs if each.get("resourceType") == type_]
        if found:
            return found[-1:]
    return []


def _visit(pv1: Any, visit: Resource) -> None:
    """Fill PV1: patient class, our number of the visit, and when it begins."""
    booked = visit["resourceType"] == "Appointment"
    begins = visit.get("start") if booked else (visit.get("period") or {}).get("start")
    code = "AMB" if booked else (visit.get("class") or {}).get("code")
    put(pv1, 2, _CLASSES.get(str(code), "O"))
    put(pv1, 19, f"{visit['id']}^^^CAREGATEWAY^VN")
    put(pv1, 44, moment(str(begins)) if begins else "")


def _remarks(case: Case) -> Iterator[str]:
    """The NTEs: how it ended, what was done and when, and why."""
    if case.status in _ENDS:
        yield f"Referral {case.status}"
    for service in services(case):
        yield ", ".join(filter(None, (wording(service.concept), service.date[:10])))
    if case.reason:
        yield case.reason
