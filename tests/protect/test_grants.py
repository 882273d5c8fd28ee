from __future__ import annotations

from typing import Any

from gateway.model import Grant
from gateway.protect.grants import grants_back, grants_for


def ref(reference: str) -> dict[str, str]:
    return {"reference": reference}


TASK: dict[str, Any] = {
    "resourceType": "Task",
    "id": "t",
    "focus": ref("ServiceRequest/s"),
    "for": ref("Patient/p"),
    "requester": ref("Organization/clinic"),
    "owner": ref("Organization/food-bank"),
}
REQUEST: dict[str, Any] = {
    "resourceType": "ServiceRequest",
    "id": "s",
    "subject": ref("Patient/p"),
    "requester": ref("PractitionerRole/role"),
    "performer": [ref("Organization/food-bank"), ref("Patient/other")],
    "reasonReference": [ref("Condition/c"), ref("Observation/o/_history/3")],
    "supportingInfo": [ref("Consent/k")],
    "insurance": [ref("Coverage/v"), ref("ClaimResponse/x")],
    "encounter": ref("Encounter/e"),
}
ROLE = {
    "resourceType": "PractitionerRole",
    "id": "role",
    "practitioner": ref("Practitioner/dr"),
    "organization": ref("Organization/ward"),
}


def reachable(*others: str, **resources: dict[str, Any]) -> dict[str, dict[str, Any]]:
    found = {f"{r['resourceType']}/{r['id']}": r for r in (TASK, REQUEST, ROLE)}
    for reference in others:
        type, _, id = reference.partition("/")
        found[reference] = {"resourceType": type, "id": id}
    return found | {r["resourceType"] + "/" + r["id"]: r for r in resources.values()}


def rights(grants: list[Grant]) -> dict[str, str]:
    return {grant.resource: grant.rights for grant in grants}


ALL = (
    "Patient/p",
    "Patient/other",
    "Condition/c",
    "Observation/o",
    "Consent/k",
    "Coverage/v",
    "ClaimResponse/x",
    "Encounter/e",
    "Practitioner/dr",
    "Organization/ward",
    "Condition/unrelated",
)


def test_the_performer_may_move_the_task_and_read_what_the_request_needs() -> None:
    assert rights(grants_for(TASK, reachable(*ALL), "food-bank")) == {
        "Task/t": "ru",
        "ServiceRequest/s": "r",
        "Patient/p": "r",
        "PractitionerRole/role": "r",
        "Practitioner/dr": "r",
        "Organization/ward": "r",
        "Condition/c": "r",
        "Observation/o": "r",
        "Consent/k": "r",
        "Coverage/v": "r",
    }


def test_every_grant_names_its_agency_and_its_referral_and_stands_once() -> None:
    grants = grants_for(TASK, reachable(*ALL), "food-bank")
    assert {grant.agency for grant in grants} == {"food-bank"}
    assert {grant.because for grant in grants} == {"Task/t"}
    assert len(grants) == len({grant.resource for grant in grants})


def test_what_the_requester_does_not_own_is_not_passed_on() -> None:
    grants = grants_for(TASK, reachable("Patient/p"), "food-bank")
    assert "Condition/c" not in rights(grants)
    assert rights(grants)["Patient/p"] == "r"


def test_a_task_alone_grants_itself_alone() -> None:
    assert rights(grants_for(TASK, {"Task/t": TASK}, "food-bank")) == {"Task/t": "ru"}


def test_a_focus_that_is_no_request_is_not_granted() -> None:
    task = TASK | {"focus": ref("Condition/c")}
    assert "Condition/c" not in rights(grants_for(task, {"Condition/c": {}}, "food-bank"))


def test_malformed_elements_grant_nothing_and_do_not_raise() -> None:
    task = TASK | {"focus": ["x", None], "for": {"reference": 3}, "requester": "Organization/a"}
    assert rights(grants_for(task, reachable(*ALL), "food-bank")) == {"Task/t": "ru"}


def test_the_requester_may_read_the_outcome_and_who_made_it() -> None:
    task = TASK | {
        "output": [
            {"type": {"text": "x"}, "valueReference": ref("Procedure/done")},
            {"type": {"text": "x"}, "valueCodeableConcept": {"text": "y"}},
            {"type": {"text": "x"}, "valueReference": ref("Observation/foreign")},
        ]
    }
    procedure = {
        "resourceType": "Procedure",
        "id": "done",
        "subject": ref("Patient/own"),
        "performer": [{"actor": ref("Practitioner/cook")}],
    }
    found = reachable("Practitioner/cook", "Patient/own", done=procedure)
    assert grants_back(task, found, "clinic") == [
        Grant("Procedure/done", "clinic", "Task/t"),
        Grant("Practitioner/cook", "clinic", "Task/t"),
    ]


def test_a_task_without_outputs_gives_nothing_back() -> None:
    assert grants_back(TASK, reachable(*ALL), "clinic") == []
