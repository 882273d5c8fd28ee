from __future__ import annotations

from typing import Any

import httpx

from tests.api.calls import Caller
from tests.api.operations.referrals import created, patient, referred


def matched(caller: Caller, person: dict[str, Any], **given: Any) -> list[tuple[str, str]]:
    """(id, grade) of what is found, in order."""
    response = found(caller, person, **given)
    assert response.status_code == 200, response.text
    entries = response.json().get("entry", [])
    assert response.json()["total"] == len(entries)
    scores = [one["search"]["score"] for one in entries]
    assert scores == sorted(scores, reverse=True)
    return [(e["resource"]["id"], e["search"]["extension"][0]["valueCode"]) for e in entries]


def found(caller: Caller, person: dict[str, Any], **given: Any) -> httpx.Response:
    kinds = {bool: "valueBoolean", int: "valueInteger"}
    parameters = [{"name": "resource", "resource": person}]
    parameters += [{"name": name, kinds[type(value)]: value} for name, value in given.items()]
    body = {"resourceType": "Parameters", "parameter": parameters}
    return caller.post("/fhir/Patient/$match", body)


def test_a_record_is_found_by_number_and_by_name_and_birth_date(clinic: Caller) -> None:
    who = patient(telecom=[{"system": "phone", "value": "(555) 010-4477"}])
    made = created(clinic, who)
    assert matched(clinic, who) == [(made["id"], "certain")]
    nameless = {"resourceType": "Patient", "identifier": who["identifier"][:1]}
    assert matched(clinic, nameless) == [(made["id"], "probable")]
    numberless = {name: value for name, value in who.items() if name != "identifier"}
    assert matched(clinic, numberless) == [(made["id"], "certain")]


def test_a_misspelt_name_is_found(clinic: Caller) -> None:
    made = created(clinic, patient("Zbigniewski"))
    wanted = {
        "resourceType": "Patient",
        "name": [{"family": "Zbignewski", "given": ["Anna"]}],
        "birthDate": made["birthDate"],
        "gender": made["gender"],
    }
    assert [id for id, _ in matched(clinic, wanted)] == [made["id"]]


def test_nobody_like_it_is_nobody(clinic: Caller) -> None:
    assert matched(clinic, patient()) == []
    assert matched(clinic, {"resourceType": "Patient"}) == []


def test_another_agencys_records_are_found_only_once_shared(clinic: Caller, pantry: Caller) -> None:
    who = patient()
    made = created(clinic, who)
    assert matched(pantry, who) == []
    referred(clinic, made, "pantry")
    response = found(pantry, who)
    assert [e["resource"]["id"] for e in response.json()["entry"]] == [made["id"]]
    assert "ssn-" not in response.text


def test_what_isnt_shown_finds_nobody_and_raises_no_score(clinic: Caller, pantry: Caller) -> None:
    who = patient()
    made = created(clinic, who)
    referred(clinic, made, "pantry")
    by_ssn = {"resourceType": "Patient", "identifier": who["identifier"][1:]}
    assert matched(pantry, by_ssn) == []
    assert matched(clinic, by_ssn) == [(made["id"], "probable")]
    plain = {"resourceType": "Patient", "name": who["name"], "birthDate": who["birthDate"]}
    guess = {**plain, "identifier": who["identifier"][1:]}
    scores = [found(pantry, one).json()["entry"][0]["search"]["score"] for one in (plain, guess)]
    assert scores[0] == scores[1]


def test_only_the_one_certain_match_is_given_when_asked(clinic: Caller) -> None:
    who = patient(telecom=[{"system": "phone", "value": "555 010 9911"}])
    first = created(clinic, who)
    assert matched(clinic, who, onlyCertainMatches=True) == [(first["id"], "certain")]
    created(clinic, who)
    assert len(matched(clinic, who)) == 2
    assert matched(clinic, who, onlyCertainMatches=True) == []
    assert len(matched(clinic, who, count=1)) == 1


def test_what_isnt_a_patient_is_refused(clinic: Caller, caller: Any) -> None:
    assert found(clinic, {"resourceType": "Observation"}).status_code == 400
    assert found(clinic, {"resourceType": "Patient", "gender": "x"}).status_code == 400
    assert clinic.post("/fhir/Patient/$match", None).status_code == 400
    assert clinic.get("/fhir/Patient/$match").status_code in (404, 405)
    assert found(caller("clinic", scopes=("system/Patient.r",)), patient()).status_code == 403


def test_marks_of_searching_in_a_name_are_only_a_name(clinic: Caller) -> None:
    made = created(clinic, patient("O,B$r|i\\en"))
    wanted = {"resourceType": "Patient", "name": made["name"], "birthDate": made["birthDate"]}
    assert [id for id, _ in matched(clinic, wanted)] == [made["id"]]
