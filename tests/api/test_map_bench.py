"""The bench over HTTP: what a member may ask of its own, and the keeper of all."""

from __future__ import annotations

from collections.abc import Callable
from uuid import uuid4

import pytest

from tests.api.calls import Caller, issue
from tests.api.test_intake import HL7, adt


def admitted(clinic: Caller) -> str:
    """Send an ADT; the id of its patient."""
    id = uuid4().hex[:18]
    assert clinic("POST", "/intake/hl7v2", content=adt(id, f"M{id}"), headers=HL7).is_success
    (entry,) = clinic.get(f"/fhir/Patient?identifier=M{id}").json()["entry"]
    return str(entry["resource"]["id"])


def test_a_stored_element_leads_back_to_the_bytes_of_its_message(clinic: Caller) -> None:
    id = admitted(clinic)
    told = clinic.get(f"/maps/explain?path=Patient/{id}.name.family").json()
    (element,) = told["elements"]
    assert element["path"] == "Patient.name[0].family"
    assert element["rules"][0].startswith("hl7v2/datatypes/XPN.yaml:")
    (read,) = element["read"]
    assert read["place"] == "PID-5.1"
    assert "value" not in element
    assert told["message"]


def test_nobody_is_told_of_anothers(clinic: Caller, pantry: Caller, admin: Caller) -> None:
    id = admitted(clinic)
    path = f"/maps/explain?path=Patient/{id}.name"
    assert pantry.get(path).status_code == 404
    assert admin.get(path).status_code == 200
    assert pantry.get("/maps/coverage?agency=clinic").status_code == 404
    assert pantry.get("/maps/diff?agency=clinic").status_code == 404
    assert pantry.get("/maps/coverage").json()["messages"] == 0


def test_a_message_is_explained_and_not_kept(clinic: Caller) -> None:
    id = uuid4().hex[:18]
    raw = adt(id, f"M{id}")
    answer = clinic("POST", "/maps/explain?path=Patient.identifier", content=raw, headers=HL7)
    elements = answer.json()["elements"]
    value = next(each for each in elements if each["path"].endswith("identifier[0].value"))
    (start, end) = value["read"][0]["bytes"]
    assert raw[start:end].decode() == f"M{id}"
    assert "entry" not in clinic.get(f"/fhir/Patient?identifier=M{id}").json()


def test_what_no_rule_read_and_what_would_differ(clinic: Caller, admin: Caller) -> None:
    admitted(clinic)
    told = clinic.get("/maps/coverage?count=1").json()
    assert told["messages"] == 1
    assert told["segments"]["PID"]["read"] == 1
    assert admin.get("/maps/coverage?agency=clinic&count=1").json()["messages"] == 1
    assert issue(admin.get("/maps/coverage"))
    told = clinic.get("/maps/diff?count=1").json()
    assert told["messages"] == 1
    assert told["changed"] == []


def test_what_a_map_did_not_say_shows_as_a_difference(clinic: Caller) -> None:
    id = admitted(clinic)
    patient = clinic.get(f"/fhir/Patient/{id}").json()
    assert clinic.put(f"/fhir/Patient/{id}", {**patient, "gender": "other"}).is_success
    (changed,) = clinic.get("/maps/diff?count=1").json()["changed"]
    (one,) = changed["differences"]
    assert (one["path"], one["resource"]) == ("Patient.gender", f"Patient/{id}")
    assert "before" not in one


def test_a_keeper_checks_tries_and_renews_maps(clinic: Caller, admin: Caller) -> None:
    assert admin.get("/admin/maps/check").json() == {"problems": []}
    tried = admin.get("/admin/maps/test").json()
    assert tried["failed"] == 0
    assert tried["passed"] >= 18
    state = admin("POST", "/admin/maps/reload").json()
    assert state == clinic.get("/maps").json()
    assert state["error"] is None
    for path in ("/admin/maps/check", "/admin/maps/test"):
        assert clinic.get(path).status_code == 403
    assert clinic("POST", "/admin/maps/reload").status_code == 403


def test_what_cannot_be_asked_is_refused(clinic: Caller, caller: Callable[..., Caller]) -> None:
    assert clinic.get("/maps/explain").status_code == 400
    assert clinic.get("/maps/explain?path=family").status_code == 404
    assert clinic.get("/maps/diff?count=0").status_code == 400
    assert clinic.get("/maps/diff?number=1").status_code == 400
    assert caller(None).get("/maps").status_code == 401


def test_a_sample_is_drafted_and_not_kept(clinic: Caller) -> None:
    sheet = b"Card no,First name,Last name,Shoe size\nE-17,Marcus,Bell,42\n"
    told = clinic("POST", "/maps/draft?file=visits.csv", content=sheet).json()
    assert set(told["files"]) == {
        "agency.yaml",
        "visits/records/visits.yaml",
        "visits/samples/visits.csv",
    }
    assert told["files"]["agency.yaml"].startswith("agency: clinic\n")
    unsure = {one["column"]: one["unsure"] for one in told["proposals"]}
    assert unsure["Shoe size"] == "kept as text, under its own name"
    assert clinic("POST", "/maps/draft?file=x.pdf", content=b"%PDF").status_code == 400
    assert clinic("POST", "/maps/draft", content=sheet).status_code == 400


@pytest.mark.parametrize(
    ("name", "status"),
    [("%00", 400), ("/", 400), ("a%00.csv", 200), ("%C3%A9" * 300 + ".csv", 200)],
)
def test_a_name_that_no_file_can_have_is_made_one(clinic: Caller, name: str, status: int) -> None:
    answer = clinic("POST", f"/maps/draft?file={name}", content=b"a,b\n1,2\n", headers={})
    assert answer.status_code == status, answer.text
    assert ("file" in answer.text) or status == 200
