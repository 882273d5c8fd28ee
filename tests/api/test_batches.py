"""What Bundles ask as HL7's examples and the peers' suites have it (R4 http, 3.1.0.11)."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.api.calls import Caller, issue

GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"


def sent(caller: Caller, kind: str, *entries: dict[str, Any]) -> Any:
    return caller.post("/fhir", {"resourceType": "Bundle", "type": kind, "entry": list(entries)})


def entry(method: str, url: str, resource: Any = None, full: str = "", **more: str) -> Any:
    out: dict[str, Any] = {"request": {"method": method, "url": url, **more}}
    out |= {"fullUrl": full} if full else {}
    return out | ({"resource": resource} if resource is not None else {})


def made(caller: Caller, **more: Any) -> Any:
    return caller.post("/fhir/Patient", {"resourceType": "Patient", **more}).json()


def seen(patient: str) -> dict[str, Any]:
    code, subject = {"text": "x"}, {"reference": patient}
    return {"resourceType": "Observation", "status": "final", "code": code, "subject": subject}


def test_a_batch_asks_whatever_can_be_asked_alone(clinic: Caller) -> None:
    who = f"Patient/{made(clinic)['id']}"
    clinic.post("/fhir/Observation", seen(who))
    asked = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "system", "valueUri": "http://hl7.org/fhir/administrative-gender"},
            {"name": "code", "valueCode": "male"},
        ],
    }
    answer = sent(
        clinic,
        "batch",
        entry("GET", f"{who}/$everything"),
        entry("POST", "CodeSystem/$lookup", asked),
        entry("GET", f"ValueSet/$expand?url={GENDERS}&count=1"),
        entry("POST", "Patient/$validate", {"resourceType": "Patient"}),
        entry("GET", f"?_type=Patient&_id={who.partition('/')[2]}"),
        entry("GET", f"{who}/Observation"),
        entry("GET", "metadata"),
        entry("GET", "ValueSet/$expand?url=urn:x:none"),
        entry("GET", f"{who}/$nothing"),
        entry("HEAD", f"{who}/Observation"),
    )
    assert answer.status_code == 200, answer.text
    entries = answer.json()["entry"]
    told = [each["response"]["status"][:3] for each in entries]
    assert told == ["200"] * 7 + ["404"] * 2 + ["200"]
    kinds = [each["resource"]["resourceType"] for each in entries[:7]]
    assert kinds == [
        "Bundle",
        "Parameters",
        "ValueSet",
        "OperationOutcome",
        "Bundle",
        "Bundle",
        "CapabilityStatement",
    ]
    assert [len(entries[n]["resource"]["entry"]) for n in (0, 4, 5)] == [2, 1, 1]
    assert entries[7]["response"]["outcome"]["issue"][0]["code"] == "not-found"
    assert not any("resource" in each for each in entries[8:])


def test_what_a_batch_asks_elsewhere_sees_what_its_asker_may(
    clinic: Caller, pantry: Caller
) -> None:
    who = made(clinic)["id"]
    for caller, status in ((clinic, "200"), (pantry, "404")):
        answer = sent(caller, "batch", entry("GET", f"Patient/{who}/$everything"))
        assert answer.json()["entry"][0]["response"]["status"].startswith(status)


def test_a_batch_asks_elsewhere_so_often_and_a_transaction_never(clinic: Caller) -> None:
    answer = sent(clinic, "batch", *[entry("GET", "metadata")] * 101).json()["entry"]
    assert answer[99]["response"]["status"].startswith("200")
    assert answer[100]["response"]["outcome"]["issue"][0]["code"] == "too-costly"
    refused = sent(clinic, "transaction", entry("GET", f"ValueSet/$expand?url={GENDERS}"))
    assert refused.status_code == 400
    assert issue(refused)["expression"] == ["Bundle.entry[0].request.url"]


def test_an_entry_is_not_sent_again_to_who_has_it_since(clinic: Caller) -> None:
    who = made(clinic)
    url, at = f"Patient/{who['id']}", who["meta"]["lastUpdated"]
    answer = sent(
        clinic,
        "batch",
        entry("GET", url, ifModifiedSince=at),
        entry("GET", url, ifModifiedSince="2001-01-01T00:00:00+10:00"),
        entry("GET", url, ifModifiedSince=at, ifNoneMatch='W/"7"'),
    ).json()["entry"]
    assert [each["response"]["status"][:3] for each in answer] == ["304", "200", "200"]


def test_a_narratives_links_lead_where_its_references_do(clinic: Caller) -> None:
    name, other = f"urn:uuid:{uuid4()}", f"urn:uuid:{uuid4()}"
    div = f'<a href="{name}">{name}</a><img alt="" src = \'{name}\'/><a href="{other}">x</a>'
    text = {"status": "generated", "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{div}</div>'}
    answer = sent(
        clinic,
        "transaction",
        entry("POST", "Patient", {"resourceType": "Patient", "text": text}, name),
    ).json()["entry"][0]["resource"]
    who = f"Patient/{answer['id']}"
    led = f'<a href="{who}">{name}</a><img alt="" src = \'{who}\'/><a href="{other}">x</a>'
    assert led in answer["text"]["div"]


def test_what_has_no_full_url_is_called_by_its_senders_id_where_that_is_free(
    clinic: Caller,
) -> None:
    mine = f"mine-{uuid4()}"
    person = {"resourceType": "Patient", "id": mine}
    answer = sent(
        clinic,
        "transaction",
        entry("POST", "Patient", person),
        entry("POST", "Observation", seen(f"Patient/{mine}")),
    )
    assert answer.status_code == 200, answer.text
    first, second = (each["resource"] for each in answer.json()["entry"])
    assert second["subject"]["reference"] == f"Patient/{first['id']}" != f"Patient/{mine}"

    there = made(clinic)["id"]
    answer = sent(
        clinic,
        "transaction",
        entry("POST", "Patient", person | {"id": there}),
        entry("POST", "Observation", seen(f"Patient/{there}")),
    ).json()["entry"]
    assert answer[1]["resource"]["subject"]["reference"] == f"Patient/{there}"

    twice = [entry("POST", "Patient", person)] * 2
    assert sent(clinic, "transaction", *twice).status_code == 200
    refused = sent(
        clinic, "transaction", *twice, entry("POST", "Observation", seen(f"Patient/{mine}"))
    )
    assert refused.status_code == 400


def test_criteria_may_stand_behind_their_type_and_base(clinic: Caller) -> None:
    number = uuid4().hex
    person = {"resourceType": "Patient", "identifier": [{"system": "urn:x", "value": number}]}
    first = clinic.post("/fhir/Patient", person).json()["id"]
    by = f"identifier=urn:x|{number}"
    for asked in (by, f"?{by}", f"Patient?{by}", f"http://gateway/fhir/Patient?{by}"):
        again = clinic.post("/fhir/Patient", person, if_none_exist=asked)
        assert (again.status_code, again.json()["id"]) == (200, first), asked
        answer = sent(clinic, "transaction", entry("POST", "Patient", person, ifNoneExist=asked))
        assert answer.json()["entry"][0]["resource"]["id"] == first
    other = clinic.post("/fhir/Patient", person, if_none_exist=f"Observation?{by}")
    assert other.status_code == 400


def test_who_asks_is_told_which_fhir_is_spoken(nobody: Caller) -> None:
    told = nobody.get("/fhir/$versions").json()["parameter"]
    assert {each["name"]: each["valueCode"] for each in told} == {
        "version": "4.0",
        "default": "4.0",
    }
    plain = nobody.get("/fhir/$versions", accept="application/json")
    assert plain.json() == {"versions": ["4.0"], "default": "4.0"}
