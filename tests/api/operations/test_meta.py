from __future__ import annotations

from typing import Any

import httpx

from tests.api.calls import Caller
from tests.api.operations.referrals import created, patient, referred

TAG = {"system": "https://food-bank.example/tags", "code": "urgent"}


def body(**meta: Any) -> dict[str, Any]:
    given = {"name": "meta", "valueMeta": meta}
    return {"resourceType": "Parameters", "parameter": [given]}


def said(response: httpx.Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    meta: dict[str, Any] = response.json()["parameter"][0]["valueMeta"]
    return meta


def test_tags_are_added_once_and_taken_away(clinic: Caller) -> None:
    path = f"/fhir/Patient/{created(clinic, patient())['id']}"
    added = said(clinic.post(f"{path}/$meta-add", body(tag=[TAG], profile=["http://x.example/p"])))
    assert (added["tag"], added["versionId"]) == ([TAG], "2")
    again = said(clinic.post(f"{path}/$meta-add", body(tag=[{**TAG, "display": "Urgent"}])))
    assert again == added
    assert said(clinic.get(f"{path}/$meta")) == added
    assert clinic.get(path).json()["meta"] == added
    taken = said(clinic.post(f"{path}/$meta-delete", body(tag=[TAG])))
    assert "tag" not in taken
    assert taken["profile"] == ["http://x.example/p"]
    assert taken["versionId"] == "3"
    kept = said(clinic.post(f"{path}/$meta-delete", body(tag=[TAG])))
    assert kept == taken


def test_a_tag_is_found_by_search(clinic: Caller) -> None:
    made = created(clinic, patient())
    clinic.post(f"/fhir/Patient/{made['id']}/$meta-add", body(tag=[{**TAG, "code": made["id"]}]))
    bundle = clinic.get(f"/fhir/Patient?_tag={TAG['system']}|{made['id']}").json()
    assert [entry["resource"]["id"] for entry in bundle["entry"]] == [made["id"]]


def test_others_see_and_change_it_only_by_their_rights(clinic: Caller, pantry: Caller) -> None:
    made = created(clinic, patient())
    path = f"/fhir/Patient/{made['id']}"
    assert pantry.get(f"{path}/$meta").status_code == 404
    assert pantry.post(f"{path}/$meta-add", body(tag=[TAG])).status_code == 404
    referred(clinic, made, "pantry")
    assert said(pantry.get(f"{path}/$meta"))["versionId"] == "1"
    assert pantry.post(f"{path}/$meta-add", body(tag=[TAG])).status_code == 403
    assert said(clinic.get(f"{path}/$meta"))["versionId"] == "1"


def test_what_isnt_a_meta_is_refused(clinic: Caller) -> None:
    path = f"/fhir/Patient/{created(clinic, patient())['id']}/$meta-add"
    assert clinic.post(path, body(tag=[{"kode": "x"}])).status_code == 400
    assert clinic.post(path, {"resourceType": "Parameters"}).status_code == 400
    assert clinic.get(path).status_code in (404, 405)
