"""A referral and its end, in any version, for the tests of what goes back."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from gateway.close.case import Case
from gateway.parse.er7 import parse

AT = datetime(2024, 5, 7, 15, 4, 5, tzinfo=UTC)

VERSIONS = ("2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8", "2.8.1", "2.8.2")

REF = (
    "MSH|^~\\&|EHR^1.2.3^ISO|CEDARGEN|CAREGW|COUNTY|20240507090000||REF^I12|MSG7|P|{version}{end}",
    "RF1|P^Pending^HL70283|R|FOOD|||R\\T\\D-77^CEDAR&x^1.2^ISO|20240507",
    "PRD|RP^Referring^HL70286|POWELL^ROBERT^^^DR",
    "PRD|RT^Referred to^HL70286|COUNTY FOOD BANK",
    'PID|1||12^^^CEDARGEN&1.9&ISO^MR~""~987^5^M11^SSA^SS||EVERYMAN^ADAM^A^III|X|19610615083000|M',
)

OMG = (
    "MSH|^~\\&|EHR^1.2.3^ISO|RIVERSIDE|CAREGW|COUNTY|20240507090000||OMG^O19|MSG7|P|{version}{end}"
    "|||360X",
    "PID|1||12^^^RIVER&1.9&ISO^MR||EVERYMAN^ADAM^A^III|X|19610615083000|M",
    "ORC|NW|R\\T\\D-70^RIVER^1.2^ISO||||||||||34225^Allen^Anthony^M^III^MD^^^NPI&1.10&ISO^L",
    "OBR|1|R\\T\\D-70^RIVER^1.2^ISO||57133-1^Referral note^LN",
    "ORC|NW|R\\T\\D-77^RIVER^1.2^ISO||||||||||34225^Allen^Anthony^M^III^MD^^^NPI&1.10&ISO^L",
    "OBR|1|R\\T\\D-77^RIVER^1.2^ISO||FOOD^Food \\T\\ shelter^99RIVER",
)
"""An order that refers, as in 360X, in two parts; ours is the second."""


def ask(event: str, version: str = "2.5.1", *, control: str = "NW") -> Any:
    """The original of another event, "REF^I14" or "OMG^O19"; ``control`` is an order's ORC-1."""
    base = REF if event.startswith("REF") else OMG
    text = "\n".join(base).replace("REF^I12", event).replace("OMG^O19", event)
    return original(version, lines=tuple(text.replace("ORC|NW", f"ORC|{control}").split("\n")))


def original(version: str = "2.5.1", *, charset: str = "", lines: tuple[str, ...] = REF) -> Any:
    end = f"||||||{charset}" if charset or lines[0].endswith("360X") else ""
    raw = "\r".join(lines).replace("{version}", version).replace("{end}", end)
    python = {"8859/1": "latin-1"}.get(charset, "utf-8")
    return parse(raw.encode(python))


def case(
    status: str,
    version: str = "2.5.1",
    *,
    asked: Any = None,
    outputs: tuple[dict[str, Any], ...] = (),
    acknowledgement: str = "",
    **task: Any,
) -> Case:
    return Case(
        original=asked or original(version),
        task={"resourceType": "Task", "id": "t1", "status": status, **task},
        request={
            "resourceType": "ServiceRequest",
            "id": "0b6f2c36-9d0c-5f9c-8c5b-3a4a6a4cf3ad",
            "identifier": [{"value": "R&D-77"}],
            "code": {
                "coding": [
                    {
                        "system": "http://snomed.info/sct",
                        "code": "467771000124109",
                        "display": "Food & help",
                    }
                ]
            },
        },
        outputs=outputs or ((PROCEDURE,) if status == "completed" else ()),
        performer="County Food Bank",
        control_id="CG0001",
        at=AT,
        acknowledgement=acknowledgement,
    )


PROCEDURE = {
    "resourceType": "Procedure",
    "id": "p1",
    "code": {
        "coding": [{"system": "http://snomed.info/sct", "code": "710925007"}],
        "text": "Provision of food",
    },
    "performedDateTime": "2024-05-06T14:30:00-05:00",
}
APPOINTMENT = {
    "resourceType": "Appointment",
    "id": "a1",
    "status": "booked",
    "start": "2024-05-09T10:00:00-05:00",
    "end": "2024-05-09T10:30:00-05:00",
    "patientInstruction": "Bring a bag & a card",
}
BOOKED = [{"type": {"text": "appointment"}, "valueReference": {"reference": "Appointment/a1"}}]


def business(code: str) -> dict[str, Any]:
    """Task.businessStatus in BSeR's words."""
    system = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"
    return {"coding": [{"system": system, "code": code}]}
