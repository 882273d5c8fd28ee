"""``$route``, ``$decisions`` and ``$capacity``: who is asked, why, and who may know it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.api.examples import SERVICE_REQUEST
from gateway.fhir import codes
from gateway.pipeline import Pipeline
from tests.api.calls import Caller, issue
from tests.api.operations.referrals import created, patient


def need() -> dict[str, Any]:
    """A category that no other test's services have."""
    return {"coding": [{"system": codes.SDOH_CODES, "code": f"need-{uuid4().hex[:8]}"}]}


def serves(caller: Caller, *needs: dict[str, Any], **more: Any) -> str:
    """The id of a new service."""
    service = {"resourceType": "HealthcareService", "active": True, "name": "Open door"}
    return str(created(caller, {**service, "category": list(needs), **more})["id"])


def asks(caller: Caller, *needs: dict[str, Any], **more: Any) -> str:
    """The id of a new request for somebody of one's own."""
    who = created(caller, patient())
    request = {name: value for name, value in SERVICE_REQUEST.items() if name != "performer"}
    subject = {"reference": f"Patient/{who['id']}"}
    requester = {"requester": {"reference": "Organization/clinic"}}
    made = {**request, **requester, "category": list(needs), "subject": subject, **more}
    return str(created(caller, made)["id"])


def routed(caller: Caller, id: str, *, dry: bool = False) -> httpx.Response:
    inputs = [{"name": "dryRun", "valueBoolean": True}] if dry else []
    body = {"resourceType": "Parameters", **({"parameter": inputs} if inputs else {})}
    return caller.post(f"/fhir/ServiceRequest/{id}/$route", body)


def read(response: httpx.Response) -> tuple[str | None, list[dict[str, Any]]]:
    """The Task, and each decision by the names of its parts; candidates by their agency."""
    assert response.status_code == 200, response.text
    parts = response.json().get("parameter", [])
    task = next((p["valueReference"]["reference"] for p in parts if p["name"] == "task"), None)
    return task, [_values(p["part"]) for p in parts if p["name"] == "decision"]


def _values(parts: list[dict[str, Any]]) -> dict[str, Any]:
    plain = {p["name"]: _value(p) for p in parts if p["name"] != "candidate"}
    candidates = [_values(p["part"]) for p in parts if p["name"] == "candidate"]
    findings = [_values(p["part"]) for p in parts if p["name"] == "finding"]
    if findings:
        plain["finding"] = {each["rule"]: each["says"] for each in findings}
    by_agency = {each["agency"].partition("/")[2]: each for each in candidates}
    return {**plain, **({"candidates": by_agency} if candidates else {})}


def _value(part: dict[str, Any]) -> Any:
    value = next((v for name, v in part.items() if name.startswith("value")), None)
    return value["reference"] if isinstance(value, dict) else value


@pytest.fixture(scope="module")
def bank(caller: Callable[..., Caller]) -> Caller:
    return caller("bank")


def test_a_dry_run_shows_every_candidate_and_sends_nothing(
    clinic: Caller, pantry: Caller, bank: Caller
) -> None:
    food = need()
    id, service = asks(clinic, food), serves(pantry, food)
    serves(bank, need())
    for _ in range(2):
        task, (decision,) = read(routed(clinic, id, dry=True))
        assert task is None
        assert decision["outcome"] == "ask"
        assert decision["service"] == f"HealthcareService/{service}"
        assert decision["agency"] == "Organization/pantry"
        assert decision["candidates"]["pantry"]["standing"] == "chosen"
        assert decision["candidates"]["pantry"]["finding"]["consent"] == "confirm"
    tasks = clinic.get(f"/fhir/Task?focus=ServiceRequest/{id}").json()
    assert tasks["total"] == 0
    _, kept = read(clinic.get(f"/fhir/ServiceRequest/{id}/$decisions"))
    assert kept == []


def test_a_referral_without_an_owner_is_sent_and_the_decision_is_kept(
    clinic: Caller, pantry: Caller, bank: Caller
) -> None:
    food = need()
    id, service = asks(clinic, food), serves(pantry, food)
    task, (decision,) = read(routed(clinic, id))
    assert decision["agency"] == "Organization/pantry"
    assert task is not None
    assert clinic.get(f"/fhir/{task}").json()["focus"]["reference"] == f"ServiceRequest/{id}"
    mine = pantry.get("/fhir/Task?owner=Organization/pantry&status=requested&_sort=-_lastUpdated")
    child = mine.json()["entry"][0]["resource"]
    assert child["partOf"][0]["reference"] == task
    asked = pantry.get(f"/fhir/{child['focus']['reference']}").json()
    assert asked["intent"] == "filler-order"
    assert asked["basedOn"][0]["reference"] == f"ServiceRequest/{id}"
    _, (kept,) = read(clinic.get(f"/fhir/ServiceRequest/{id}/$decisions"))
    assert kept == decision
    assert kept["service"] == f"HealthcareService/{service}"
    again = routed(clinic, id)
    assert again.status_code == 409, again.text


def test_who_was_asked_is_not_asked_again_in_the_next_dry_run(
    clinic: Caller, pantry: Caller, bank: Caller
) -> None:
    food = need()
    id = asks(clinic, food)
    for agency in (pantry, bank):
        serves(agency, food)
    _, (first,) = read(routed(clinic, id))
    _, (second,) = read(routed(clinic, id, dry=True))
    assert second["asked"] == first["agency"]
    assert {first["agency"], second["agency"]} == {"Organization/pantry", "Organization/bank"}


def test_each_of_several_needs_is_decided_apart(
    clinic: Caller, pantry: Caller, bank: Caller
) -> None:
    food, bed = need(), need()
    serves(pantry, food)
    serves(bank, bed)
    id = asks(clinic, food, bed)
    _, decisions = read(routed(clinic, id, dry=True))
    agencies = ["Organization/pantry", "Organization/bank"]
    assert [each["agency"] for each in decisions] == agencies
    _, decisions = read(routed(clinic, id))
    assert [each["agency"] for each in decisions] == agencies


def test_where_nobody_can_people_take_it(clinic: Caller) -> None:
    id = asks(clinic, need())
    task, (decision,) = read(routed(clinic, id))
    assert decision["outcome"] == "nobody"
    assert "agency" not in decision
    assert task is not None


def test_only_the_requester_asks_why(
    clinic: Caller, pantry: Caller, nobody: Caller, admin: Caller
) -> None:
    food = need()
    id = asks(clinic, food)
    serves(pantry, food)
    assert routed(pantry, id, dry=True).status_code == 404
    read(routed(clinic, id))
    for response in (routed(pantry, id, dry=True), pantry.get(decisions_of(id))):
        assert response.status_code in (403, 404), response.text
    assert nobody.get(decisions_of(id)).status_code == 401
    _, kept = read(admin.get(decisions_of(id)))
    assert len(kept) == 1
    assert routed(clinic, str(uuid4()), dry=True).status_code == 404


def decisions_of(id: str) -> str:
    return f"/fhir/ServiceRequest/{id}/$decisions"


def test_a_key_that_may_only_read_sends_nothing(
    caller: Callable[..., Caller], clinic: Caller, pantry: Caller
) -> None:
    food = need()
    id = asks(clinic, food)
    serves(pantry, food)
    reader = caller("clinic", scopes=("system/*.rs",))
    _, (shown,) = read(routed(reader, id, dry=True))
    assert shown["outcome"] == "ask"
    assert routed(reader, id).status_code == 403


def test_the_directory_is_everybodys_while_it_is_active(clinic: Caller, pantry: Caller) -> None:
    place = created(pantry, {"resourceType": "Location", "address": {"postalCode": "52240"}})
    covered = [{"reference": f"Location/{place['id']}"}]
    id = serves(pantry, need(), coverageArea=covered)
    service = clinic.get(f"/fhir/HealthcareService/{id}")
    assert service.status_code == 200
    assert clinic.get(f"/fhir/Location/{place['id']}").status_code == 200
    pantry.put(f"/fhir/HealthcareService/{id}", {**service.json(), "coverageArea": []} | gone())
    assert clinic.get(f"/fhir/HealthcareService/{id}").status_code == 404
    assert clinic.get(f"/fhir/Location/{place['id']}").status_code == 404


def gone() -> dict[str, Any]:
    return {"active": False, "coverageArea": [{"display": "nowhere"}]}


def test_one_tap_says_how_a_service_stands(clinic: Caller, pantry: Caller) -> None:
    food = need()
    id, service = asks(clinic, food), serves(pantry, food)
    for status, outcome in (("no-capacity", "nobody"), ("waitlist", "wait"), ("capacity", "ask")):
        told = tapped(pantry, service, status=status)
        assert told.status_code == 200, told.text
        _, (decision,) = read(routed(clinic, id, dry=True))
        assert decision["outcome"] == outcome
    extension = pantry.get(f"/fhir/HealthcareService/{service}").json()["extension"]
    assert sum(each["url"] == codes.CAPACITY_STATUS for each in extension) == 1


def tapped(caller: Caller, id: str, **given: str | int) -> httpx.Response:
    kinds = {"status": "valueCode", "free": "valueInteger", "notes": "valueString"}
    parts = [{"name": name, kinds[name]: value} for name, value in given.items()]
    body = {"resourceType": "Parameters", "parameter": parts}
    return caller.post(f"/fhir/HealthcareService/{id}/$capacity", body)


def test_only_its_agency_says_how_a_service_stands(clinic: Caller, pantry: Caller) -> None:
    id = serves(pantry, need())
    assert tapped(clinic, id, status="no-capacity").status_code == 403
    assert tapped(pantry, str(uuid4()), status="capacity").status_code == 404
    wrong = tapped(pantry, id, status="busy")
    assert wrong.status_code == 400
    assert "waitlist" in issue(wrong)["diagnostics"]
    assert tapped(pantry, id, free=3).status_code == 400


def test_what_a_search_finds_of_room_is_what_was_tapped(clinic: Caller, pantry: Caller) -> None:
    id = serves(pantry, need())
    tapped(pantry, id, status="capacity", free=3, notes="families only")
    extension = clinic.get(f"/fhir/HealthcareService/{id}").json()["extension"]
    detail = next(each for each in extension if each["url"].endswith("capacity-detail"))
    assert {"url": "free", "valueInteger": 3} in detail["extension"]
    status = next(each for each in extension if each["url"] == codes.CAPACITY_STATUS)
    assert {"url": "capacityNotes", "valueString": "families only"} in status["extension"]


def test_one_tap_wakes_who_waits(clinic: Caller, pantry: Caller, pipeline: Pipeline) -> None:
    bed = need()
    id, service = asks(clinic, bed), serves(pantry, bed)
    assert tapped(pantry, service, status="waitlist").status_code == 200
    task, (decision,) = read(routed(clinic, id))
    assert decision["outcome"] == "wait"
    assert asked_of(pantry, str(task)) == []
    assert tapped(pantry, service, status="capacity", free=1).status_code == 200
    pipeline.referrals.run()
    (child,) = asked_of(pantry, str(task))
    assert child["status"] == "requested"
    _, kept = read(clinic.get(decisions_of(id)))
    assert [each["outcome"] for each in kept] == ["wait", "ask"]


def asked_of(caller: Caller, parent: str) -> list[dict[str, Any]]:
    """The Tasks that an agency was asked by, as parts of another."""
    entries = caller.get(f"/fhir/Task?part-of={parent}").json().get("entry", [])
    return [each["resource"] for each in entries]
