"""A referral from the clinic to the pantry, through the API, for tests of what each then sees."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from gateway.api.examples import PATIENT, SERVICE_REQUEST, TASK
from tests.api.calls import Caller

_LETTERS = str.maketrans("0123456789abcdef", "ghijklmnopqrstuv")

SSN = "http://hl7.org/fhir/sid/us-ssn"


def created(caller: Caller, resource: dict[str, Any]) -> dict[str, Any]:
    response = caller.post(f"/fhir/{resource['resourceType']}", resource)
    assert response.status_code == 201, response.text
    made: dict[str, Any] = response.json()
    return made


def patient(family: str = "", **more: Any) -> dict[str, Any]:
    """A Patient that no other test's is like, with a social security number."""
    number = uuid4().hex
    return {
        **PATIENT,
        "identifier": [
            {"system": "urn:mrn", "value": f"mrn-{number}"},
            {"system": SSN, "value": f"ssn-{number}"},
        ],
        "name": [{"family": family or number[:12].translate(_LETTERS), "given": ["Ana"]}],
        **more,
    }


def referred(clinic: Caller, who: dict[str, Any], to: str) -> dict[str, Any]:
    """The Task of a referral of a stored Patient, from the clinic to another agency."""
    subject = {"reference": f"Patient/{who['id']}"}
    request = created(
        clinic,
        {
            **SERVICE_REQUEST,
            "subject": subject,
            "requester": {"reference": "Organization/clinic"},
            "performer": [{"reference": f"Organization/{to}"}],
        },
    )
    return created(
        clinic,
        {
            **TASK,
            "focus": {"reference": f"ServiceRequest/{request['id']}"},
            "for": subject,
            "requester": {"reference": "Organization/clinic"},
            "owner": {"reference": f"Organization/{to}"},
        },
    )


def observation(who: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient/{who['id']}"},
        **more,
    }
