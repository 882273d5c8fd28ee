from __future__ import annotations

from tests.api.calls import Caller
from tests.api.operations.referrals import created, patient, referred


def test_a_person_is_let_go_of_and_answers_410(clinic: Caller, pantry: Caller) -> None:
    made = created(clinic, patient())
    path = f"/fhir/Patient/{made['id']}"
    assert pantry("POST", f"{path}/$purge").status_code == 404
    assert clinic.get(f"{path}/$purge").status_code == 405
    done = clinic("POST", f"{path}/$purge")
    assert done.status_code == 200
    assert [one["code"] for one in done.json()["issue"]] == ["informational", "informational"]
    for way in ("", "/_history/2", "/$everything"):
        assert clinic.get(path + way).status_code == 410
    assert clinic.get(f"{path}/_history/1").status_code == 404
    entries = clinic.get(f"{path}/_history").json()["entry"]
    assert [one["request"]["method"] for one in entries] == ["DELETE"]
    assert clinic("POST", f"{path}/$purge").status_code == 200
    put = {"resourceType": "Patient", "id": made["id"]}
    assert pantry.put(path, put).status_code == 404  # the id isn't anybody else's


def test_an_open_referral_is_ended_first(clinic: Caller, pantry: Caller) -> None:
    made = created(clinic, patient())
    task = referred(clinic, made, "pantry")
    refused = clinic("POST", f"/fhir/Patient/{made['id']}/$purge")
    assert refused.status_code == 409
    assert f"Task/{task['id']}" in refused.text
    assert pantry("POST", f"/fhir/Patient/{made['id']}/$purge").status_code == 403
