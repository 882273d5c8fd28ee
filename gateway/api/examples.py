"""The examples of the OpenAPI document: one referral for food, as its requests and answers.

The agencies are Cedar County's (``gateway demo``), the codes SDOH Clinical Care's.
"""

from __future__ import annotations

from typing import Any, Final

Example = dict[str, Any]

SDOH: Final = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
TASK_CODE: Final = "http://hl7.org/fhir/CodeSystem/task-code"
SNOMED: Final = "http://snomed.info/sct"
ID: Final = "0b3f8f6e-5d0e-5c55-9a39-0c8e2f1f8a11"
BASE: Final = "http://127.0.0.1:8080/fhir"
_META: Final = {"versionId": "1", "lastUpdated": "2026-03-02T15:04:05.123Z"}

PATIENT: Final[Example] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:oid:2.16.840.1.113883.3.9999.1", "value": "MRN-1001"}],
    "name": [{"family": "Rivera", "given": ["Ana"]}],
    "gender": "female",
    "birthDate": "1984-07-19",
}
SERVICE_REQUEST: Final[Example] = {
    "resourceType": "ServiceRequest",
    "status": "active",
    "intent": "order",
    "category": [{"coding": [{"system": SDOH, "code": "food-insecurity"}]}],
    "code": {"coding": [{"system": SNOMED, "code": "467771000124109"}]},
    "subject": {"reference": f"Patient/{ID}"},
    "requester": {"reference": "Organization/cedar-general"},
    "performer": [{"reference": "Organization/food-bank"}],
}
TASK: Final[Example] = {
    "resourceType": "Task",
    "identifier": [{"system": "https://cedar-general.example/referrals", "value": "R-1001"}],
    "status": "requested",
    "intent": "order",
    "code": {"coding": [{"system": TASK_CODE, "code": "fulfill"}]},
    "focus": {"reference": f"ServiceRequest/{ID}"},
    "for": {"reference": f"Patient/{ID}"},
    "authoredOn": "2026-03-02T15:04:05Z",
    "requester": {"reference": "Organization/cedar-general"},
    "owner": {"reference": "Organization/food-bank"},
}
SUBSCRIPTION: Final[Example] = {
    "resourceType": "Subscription",
    "status": "requested",
    "reason": "New referrals",
    "criteria": "Task?owner=Organization/food-bank&status=requested",
    "channel": {
        "type": "rest-hook",
        "endpoint": "https://food-bank.example/hook",
        "payload": "application/fhir+json",
    },
}


_BACKPORT: Final = "http://hl7.org/fhir/uv/subscriptions-backport/StructureDefinition/backport-"
FOLLOWING: Final[Example] = {
    "resourceType": "Subscription",
    "status": "requested",
    "reason": "What becomes of my referrals",
    "criteria": "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task",
    "_criteria": {
        "extension": [
            {
                "url": f"{_BACKPORT}filter-criteria",
                "valueString": "Task?requester=Organization/cedar-general",
            }
        ]
    },
    "channel": {
        "extension": [{"url": f"{_BACKPORT}max-count", "valuePositiveInt": 20}],
        "type": "rest-hook",
        "endpoint": "https://cedar-general.example/hook",
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": f"{_BACKPORT}payload-content", "valueCode": "id-only"}]},
    },
}
"""A topic's Subscription (R4 Backport 1.1)."""

BOUND: Final[Example] = FOLLOWING | {
    "channel": {
        "type": "websocket",
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": f"{_BACKPORT}payload-content", "valueCode": "id-only"}]},
    },
}


def stored(resource: Example, **changes: object) -> Example:
    """A resource as it comes back: with an id and its meta."""
    kept = {name: value for name, value in resource.items() if name != "resourceType"}
    head = {"resourceType": resource["resourceType"], "id": ID, "meta": _META}
    return head | kept | changes


ACCEPTED: Final = stored(TASK, status="accepted")

SEARCHSET: Final[Example] = {
    "resourceType": "Bundle",
    "type": "searchset",
    "total": 1,
    "link": [{"relation": "self", "url": f"{BASE}/Task?status=requested"}],
    "entry": [
        {"fullUrl": f"{BASE}/Task/{ID}", "resource": stored(TASK), "search": {"mode": "match"}}
    ],
}
HISTORY: Final[Example] = {
    "resourceType": "Bundle",
    "type": "history",
    "total": 1,
    "link": [{"relation": "self", "url": f"{BASE}/Task/{ID}/_history"}],
    "entry": [
        {
            "fullUrl": f"{BASE}/Task/{ID}",
            "resource": stored(TASK),
            "request": {"method": "POST", "url": "Task"},
            "response": {
                "status": "201",
                "etag": 'W/"1"',
                "lastModified": _META["lastUpdated"],
            },
        }
    ],
}
_PATIENT_URN: Final = "urn:uuid:3d0c1f0e-58b5-4c0a-9f5c-1d1a0d0a7c01"
_REQUEST_URN: Final = "urn:uuid:3d0c1f0e-58b5-4c0a-9f5c-1d1a0d0a7c02"


def _entry(urn: str, resource: Example) -> Example:
    post = {"method": "POST", "url": resource["resourceType"]}
    return {"fullUrl": urn, "resource": resource, "request": post}


TRANSACTION: Final[Example] = {
    "resourceType": "Bundle",
    "type": "transaction",
    "entry": [
        _entry(_PATIENT_URN, PATIENT),
        _entry(_REQUEST_URN, SERVICE_REQUEST | {"subject": {"reference": _PATIENT_URN}}),
        _entry(
            "urn:uuid:3d0c1f0e-58b5-4c0a-9f5c-1d1a0d0a7c03",
            TASK | {"focus": {"reference": _REQUEST_URN}, "for": {"reference": _PATIENT_URN}},
        ),
    ],
}
TRANSACTION_RESPONSE: Final[Example] = {
    "resourceType": "Bundle",
    "type": "transaction-response",
    "entry": [
        {
            "response": {
                "status": "201 Created",
                "location": f"{type}/{ID}/_history/1",
                "etag": 'W/"1"',
                "lastModified": _META["lastUpdated"],
            }
        }
        for type in ("Patient", "ServiceRequest", "Task")
    ],
}
BATCH: Final[Example] = {
    "resourceType": "Bundle",
    "type": "batch",
    "entry": [
        {"resource": PATIENT, "request": {"method": "POST", "url": "Patient"}},
        {"request": {"method": "GET", "url": "Task?status=requested"}},
    ],
}
JSON_PATCH: Final = [{"op": "replace", "path": "/status", "value": "accepted"}]
MERGE_PATCH: Final = {"status": "accepted"}
FHIRPATH_PATCH: Final[Example] = {
    "resourceType": "Parameters",
    "parameter": [
        {
            "name": "operation",
            "part": [
                {"name": "type", "valueCode": "replace"},
                {"name": "path", "valueString": "Task.status"},
                {"name": "value", "valueCode": "accepted"},
            ],
        }
    ],
}
REFERRAL: Final = (
    "MSH|^~\\&|EHR|CEDARGEN|GATEWAY|HUB|20260302150405-0600||REF^I12^REF_I12|MSG00001|P|2.5.1\r"
    "RF1|P||REF|||R-1001\r"
    "PRD|RP|Okafor^Amara^^^Dr|||||1234567893^NPI\r"
    "PRD|RT|County Food Bank\r"
    "PID|1||MRN-1001^^^CEDARGEN^MR||Rivera^Ana||19840719|F\r"
    "DG1|1||Z59.41^Food insecurity^I10\r"
)
ACK: Final = (
    "MSH|^~\\&|GATEWAY|HUB|EHR|CEDARGEN|20260302210405.123+0000||ACK^I12^ACK|A1|P|2.5.1\r"
    "MSA|AA|MSG00001\r"
)


def outcome(code: str, text: str, place: str | None = None) -> Example:
    """An OperationOutcome with one error."""
    issue: Example = {"severity": "error", "code": code, "diagnostics": text}
    if place:
        issue["expression"] = [place]
    return {"resourceType": "OperationOutcome", "issue": [issue]}
