"""The referral that every client drives: a clinic asks a pantry for food, and hears of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from gateway.api import examples

Resource = dict[str, Any]

REQUESTER, PERFORMER = "clinic", "pantry"
NUMBERS = "urn:oid:2.16.840.1.113883.3.9999.1"
ASKED = {
    "requester": {"reference": f"Organization/{REQUESTER}"},
    "owner": {"reference": f"Organization/{PERFORMER}"},
}
SERVED: Resource = {
    "coding": [
        {
            "system": "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/"
            "SDOHCC-CodeSystemTemporaryCodes",
            "code": "resulting-activity",
        }
    ]
}


@dataclass(frozen=True, slots=True)
class Place:
    """Where the gateway is, and the keys of the two agencies."""

    base: str
    requester: str
    performer: str


def number() -> str:
    """A medical record number that nobody else has."""
    return uuid4().hex


def patient(value: str, family: str = "Rivera") -> Resource:
    identifier = [{"system": NUMBERS, "value": value}]
    return examples.PATIENT | {"identifier": identifier, "name": [{"family": family}]}


def request(patient: str) -> Resource:
    """The ServiceRequest for a Patient, by reference."""
    by = {"requester": ASKED["requester"], "performer": [ASKED["owner"]]}
    return examples.SERVICE_REQUEST | by | {"subject": {"reference": patient}}


def task(patient: str, request: str) -> Resource:
    about = {"for": {"reference": patient}, "focus": {"reference": request}}
    return examples.TASK | ASKED | about


def procedure(patient: str, request: str) -> Resource:
    """What the performer did."""
    return {
        "resourceType": "Procedure",
        "status": "completed",
        "subject": {"reference": patient},
        "basedOn": [{"reference": request}],
    }


def output(procedure: str) -> list[Resource]:
    """A Task's output that names it."""
    return [{"type": SERVED, "valueReference": {"reference": procedure}}]


def transaction(value: str) -> Resource:
    """The whole referral in one Bundle, whose entries refer to each other."""
    who, what, asked = (f"urn:uuid:{uuid4()}" for _ in range(3))
    entries = {
        who: patient(value) | {"active": True},
        what: request(who),
        asked: task(who, what),
    }
    return {
        "resourceType": "Bundle",
        "type": "transaction",
        "entry": [
            {
                "fullUrl": urn,
                "resource": each,
                "request": {"method": "POST", "url": each["resourceType"]},
            }
            for urn, each in entries.items()
        ],
    }
