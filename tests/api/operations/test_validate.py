from __future__ import annotations

from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.api.examples import PATIENT, SERVICE_REQUEST, TASK
from gateway.operations import validation
from tests.api.calls import Caller
from tests.api.operations.referrals import observation

SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/"
US_PATIENT = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-patient"


def errors(response: httpx.Response) -> dict[str, str]:
    """What is wrong, by place."""
    assert response.status_code == 200, response.text
    issues = response.json()["issue"]
    return {
        issue.get("expression", [""])[0]: issue["code"]
        for issue in issues
        if issue["severity"] == "error"
    }


def asked(resource: dict[str, Any], **given: str) -> dict[str, Any]:
    parameters = [{"name": "resource", "resource": resource}]
    kinds = {"mode": "valueCode", "profile": "valueUri"}
    parameters += [{"name": name, kinds[name]: value} for name, value in given.items()]
    return {"resourceType": "Parameters", "parameter": parameters}


def test_a_valid_resource_gets_good_news(clinic: Caller) -> None:
    response = clinic.post("/fhir/Patient/$validate", PATIENT)
    assert errors(response) == {}
    assert response.json()["issue"] == [{"severity": "information", "code": "informational"}]


def test_what_the_gates_refuse_is_told_with_200(clinic: Caller) -> None:
    bad = {**TASK, "status": "bogus", "stauts": 1}
    assert set(errors(clinic.post("/fhir/$validate", asked(bad)))) == {"Task.status", "Task.stauts"}


def test_another_type_than_the_urls_is_an_error(clinic: Caller) -> None:
    assert errors(clinic.post("/fhir/Patient/$validate", TASK)) == {"": "invalid"}


def test_r4s_invariants_are_held(clinic: Caller) -> None:
    contact = {**PATIENT, "contact": [{"gender": "female"}]}
    assert errors(clinic.post("/fhir/Patient/$validate", contact)) == {
        "Patient.contact[0]": "invariant"
    }


def test_a_profile_is_held_by_name_and_by_claim(clinic: Caller) -> None:
    profile = SDOH + "SDOHCC-TaskForReferralManagement"
    task = {**TASK, "intent": "plan", "statusReason": {"coding": [{"code": "x"}]}}
    del task["authoredOn"]
    expected = {
        "Task.intent": "value",
        "Task.statusReason.text": "required",
        "Task.authoredOn": "required",
    }
    assert errors(clinic.post("/fhir/$validate", task)) == {}
    assert errors(clinic.post("/fhir/$validate", asked(task, profile=profile))) == expected
    claimed = {**task, "meta": {"profile": [profile]}}
    assert errors(clinic.post("/fhir/Task/$validate", claimed)) == expected


def test_slices_extensions_and_value_sets_of_us_core_are_held(clinic: Caller) -> None:
    race = "http://hl7.org/fhir/us/core/StructureDefinition/us-core-race"
    patient = {**PATIENT, "extension": [{"url": race, "extension": []}]}
    patient["extension"][0]["extension"] = [{"url": "ombCategory", "valueString": "x"}]
    found = errors(clinic.post("/fhir/Patient/$validate", asked(patient, profile=US_PATIENT)))
    assert found["Patient.extension[0].extension"] == "required"  # its slice text
    assert "Patient.extension[0].extension[0].value" in str(found)


def test_an_unknown_profile_is_an_error_when_asked_and_a_warning_when_claimed(
    clinic: Caller,
) -> None:
    url = "https://elsewhere.example/StructureDefinition/x"
    assert (
        "not-found" in errors(clinic.post("/fhir/$validate", asked(PATIENT, profile=url))).values()
    )
    claimed = {**PATIENT, "meta": {"profile": [url]}}
    response = clinic.post("/fhir/Patient/$validate", claimed)
    assert errors(response) == {}
    assert response.json()["issue"][0]["severity"] == "warning"


def test_what_cant_be_checked_here_is_said(clinic: Caller) -> None:
    profile = SDOH + "SDOHCC-ServiceRequest"
    response = clinic.post("/fhir/$validate", asked(SERVICE_REQUEST, profile=profile))
    assert errors(response) == {}
    told = [issue["diagnostics"] for issue in response.json()["issue"]]
    assert "not checked: the profile's base isn't known here" in told


def test_a_mode_tries_the_write_and_leaves_nothing(clinic: Caller, pantry: Caller) -> None:
    lost = {**SERVICE_REQUEST, "subject": {"reference": f"Patient/{uuid4()}"}}
    assert errors(clinic.post("/fhir/$validate", lost)) == {}
    found = errors(clinic.post("/fhir/$validate", asked(lost, mode="create")))
    assert found == {"ServiceRequest.subject": "not-found"}
    before = clinic.get("/fhir/Patient?_total=accurate&_count=0").json()["total"]
    assert errors(clinic.post("/fhir/$validate", asked(PATIENT, mode="create"))) == {}
    assert clinic.get("/fhir/Patient?_total=accurate&_count=0").json()["total"] == before


def test_updating_what_isnt_yours_would_be_refused(clinic: Caller, pantry: Caller) -> None:
    made = clinic.post("/fhir/Patient", PATIENT).json()
    path = f"/fhir/Patient/{made['id']}/$validate"
    changed = {**PATIENT, "id": made["id"], "gender": "male"}
    assert errors(clinic.post(path, asked(changed, mode="update"))) == {}
    assert clinic.get(f"/fhir/Patient/{made['id']}").json()["gender"] == "female"
    assert errors(pantry.post(path, asked(changed, mode="update"))) == {"": "not-found"}


def test_the_stored_resource_is_validated_only_for_who_may_see_it(
    clinic: Caller, pantry: Caller
) -> None:
    made = clinic.post("/fhir/Patient", PATIENT).json()
    path = f"/fhir/Patient/{made['id']}/$validate"
    assert errors(clinic.get(path)) == {}
    assert pantry.get(path).status_code == 404
    assert errors(clinic.get(f"{path}?profile={US_PATIENT}")) == {}


def test_a_deletion_is_tried(clinic: Caller, pantry: Caller) -> None:
    made = clinic.post("/fhir/Patient", PATIENT).json()
    path = f"/fhir/Patient/{made['id']}"
    assert errors(clinic.get(f"{path}/$validate?mode=delete")) == {}
    assert clinic.get(path).status_code == 200
    assert pantry.get(f"{path}/$validate?mode=delete").status_code == 404
    clinic.post("/fhir/Observation", observation(made))
    assert errors(clinic.get(f"{path}/$validate?mode=delete")) != {}


def test_a_very_large_resource_isnt_held_to_what_would_take_minutes(
    clinic: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(validation, "LARGEST", 1000)
    large = {**PATIENT, "contact": [{"gender": "female"}], "name": [{"family": "x" * 1000}]}
    response = clinic.post("/fhir/Patient/$validate", large)
    assert errors(response) == {}
    assert response.json()["issue"][0]["code"] == "too-costly"


def test_unknown_parameters_and_bodies_are_refused(clinic: Caller) -> None:
    for path, body in (
        ("/fhir/Patient/$validate?bogus=1", PATIENT),
        ("/fhir/Patient/$validate?mode=sideways", PATIENT),
        ("/fhir/Patient/$validate", {"x": 1}),
        ("/fhir/Patient/$validate", None),
    ):
        response = clinic.post(path, body)
        assert response.status_code == 400, (path, response.text)
        assert response.json()["resourceType"] == "OperationOutcome"
    assert clinic.post("/fhir/Nothing/$validate", PATIENT).status_code == 404


def test_scopes_bound_the_modes(caller: Any) -> None:
    reader = caller("reader", scopes=("system/*.rs",))
    assert reader.post("/fhir/$validate", asked(PATIENT)).status_code == 200
    assert reader.post("/fhir/$validate", asked(PATIENT, mode="create")).status_code == 403


def test_it_stands_in_the_capability_statement_and_the_document(app: Any, clinic: Caller) -> None:
    rest = clinic.get("/fhir/metadata").json()["rest"][0]
    assert "validate" in [one["name"] for one in rest["operation"]]
    patient = next(one for one in rest["resource"] if one["type"] == "Patient")
    assert "validate" in [one["name"] for one in patient["operation"]]
    assert "/fhir/{resource_type}/$validate" in app.state.openapi
