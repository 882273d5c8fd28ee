"""``$status``, ``$events`` and ``$resend`` over HTTP, and the CapabilityStatement."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from gateway.fhir.notification import CONTENT, TOPIC
from gateway.pipeline import Pipeline
from tests.api.calls import Caller, issue
from tests.api.operations.referrals import created
from tests.corpora import CORPORA, needs_corpora
from tests.store.samples import advance

TASKS = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"
IG = CORPORA.parent / "profiles/subscriptions-backport"

Json = dict[str, Any]


def subscribed(caller: Caller, **more: Any) -> str:
    payload = {"extension": [{"url": CONTENT, "valueCode": "id-only"}]}
    made = created(
        caller,
        {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "to hear of referrals",
            "criteria": TASKS,
            "channel": {
                "type": "rest-hook",
                "endpoint": "https://pantry.example/hook",
                "payload": "application/fhir+json",
                "_payload": payload,
            },
            **more,
        },
    )
    assert made["status"] == "requested"
    return str(made["id"])


def heard(caller: Caller, pipeline: Pipeline, id: str, count: int) -> None:
    """Events that a drain has numbered, and not yet sent."""
    for number in range(count):
        created(
            caller,
            {
                "resourceType": "Task",
                "status": "draft",
                "intent": "order",
                "priority": "routine",
                "description": f"number {number}",
                "requester": {"reference": "Organization/clinic"},
            },
        )
    hub = pipeline.members._hub
    hub.write(lambda tx: tx.mark(id, "active"))
    advance(hub, id, lambda event, _: event.interaction == "create")


def told(response: httpx.Response) -> list[Json]:
    """Of each status in a Bundle, its plain values by name."""
    assert response.status_code == 200, response.text
    return [values(one["resource"]) for one in response.json().get("entry", [])]


def values(parameters: Json) -> Json:
    return {
        one["name"]: next(value for name, value in one.items() if name.startswith("value"))
        for one in parameters["parameter"]
        if "part" not in one
    }


def events(bundle: Json) -> list[Json]:
    (said, *_) = bundle["entry"]
    return [
        {
            part["name"]: part.get("valueString") or part.get("valueReference")
            for part in one["part"]
        }
        for one in said["resource"]["parameter"]
        if one["name"] == "notification-event"
    ]


def test_a_status_is_a_searchset_of_parameters(clinic: Caller) -> None:
    id = subscribed(clinic)
    found = clinic.get(f"/fhir/Subscription/{id}/$status").json()
    assert (found["type"], found["total"]) == ("searchset", 1)
    assert values(found["entry"][0]["resource"]) == {
        "subscription": {"reference": f"http://gateway/fhir/Subscription/{id}"},
        "topic": TASKS,
        "status": "requested",
        "type": "query-status",
        "events-since-subscription-start": "0",
    }


@needs_corpora
@pytest.mark.corpora
def test_a_status_has_the_fields_of_the_published_one(clinic: Caller) -> None:
    file = CORPORA / "inferno-subscriptions/spec/fixtures/subscription_status_example.json"
    theirs = json.loads(file.read_bytes())
    ours = clinic.get(f"/fhir/Subscription/{subscribed(clinic)}/$status").json()
    for name in ("resourceType", "type", "total"):
        assert ours[name] == theirs[name]
    mine, published = ours["entry"][0], theirs["entry"][0]
    assert set(published) <= set(mine)
    assert set(published["resource"]) == set(mine["resource"])
    assert mine["resource"]["meta"] == published["resource"]["meta"]
    # Its one event is not for a status to tell: $events does.
    assert {*values(published["resource"])} == {*values(mine["resource"])}


def test_statuses_are_asked_by_id_and_by_status(clinic: Caller, caller: Any) -> None:
    first, second, third = (subscribed(clinic) for _ in range(3))
    off = clinic.get(f"/fhir/Subscription/{third}").json() | {"status": "off"}
    assert clinic.put(f"/fhir/Subscription/{third}", off).status_code == 200

    def asked(query: str, by: Caller = clinic) -> set[str]:
        found = told(by.get(f"/fhir/Subscription/$status{query}"))
        return {one["subscription"]["reference"].rpartition("/")[2] for one in found}

    assert asked(f"?id={first}&id={second}") == {first, second}
    assert asked(f"?id={first},{third}&status=off") == {third}
    assert {first, second, third} <= asked("")
    assert third not in asked("?status=requested,active")
    assert asked("", caller("stranger")) == set()
    body = {"resourceType": "Parameters", "parameter": [{"name": "id", "valueId": first}]}
    assert len(told(clinic.post("/fhir/Subscription/$status", body))) == 1


def test_events_are_asked_by_their_numbers(clinic: Caller, pipeline: Pipeline) -> None:
    id = subscribed(clinic)
    heard(clinic, pipeline, id, 4)
    path = f"/fhir/Subscription/{id}/$events"
    found = clinic.get(f"{path}?eventsSinceNumber=2&eventsUntilNumber=3").json()
    assert (found["type"], [one["event-number"] for one in events(found)]) == (
        "history",
        ["2", "3"],
    )
    assert all(one["focus"]["reference"].startswith("http://gateway/") for one in events(found))
    assert values(found["entry"][0]["resource"])["events-since-subscription-start"] == "4"
    whole = clinic.get(f"{path}?eventsSinceNumber=4&content=full-resource").json()
    assert [one["resource"]["resourceType"] for one in whole["entry"]] == ["Parameters", "Task"]
    bare = clinic.get(f"{path}?content=empty").json()
    assert [set(one) for one in events(bare)] == [{"event-number", "timestamp"}] * 4
    for wrong in ("eventsSinceNumber=-1", "eventsUntilNumber=x", "content=all"):
        assert clinic.get(f"{path}?{wrong}").status_code == 400


def test_events_and_resend_are_their_owners_alone(
    clinic: Caller, caller: Any, pipeline: Pipeline
) -> None:
    id = subscribed(clinic)
    stranger = caller("stranger")
    assert stranger.get(f"/fhir/Subscription/{id}/$events").status_code == 404
    assert stranger.get(f"/fhir/Subscription/{id}/$status").status_code == 404
    assert stranger.post(f"/fhir/Subscription/{id}/$resend", {}).status_code in (400, 404)
    narrow = caller("clinic", scopes=["system/Subscription.r"])
    heard(clinic, pipeline, id, 1)
    path = f"/fhir/Subscription/{id}/$events"
    assert narrow.get(path).status_code == 200
    assert narrow.get(f"{path}?content=full-resource").status_code == 403
    body = {"resourceType": "Parameters"}
    assert narrow.post(f"/fhir/Subscription/{id}/$resend", body).status_code == 403


def test_a_subscription_without_a_topic_has_no_numbered_events(clinic: Caller) -> None:
    made = created(
        clinic,
        {
            "resourceType": "Subscription",
            "status": "requested",
            "reason": "to hear of drafts",
            "criteria": "Task?status=draft",
            "channel": {"type": "rest-hook", "endpoint": "https://clinic.example/hook"},
        },
    )
    assert issue(clinic.get(f"/fhir/Subscription/{made['id']}/$events"))["code"] == "not-supported"
    (status,) = told(clinic.get(f"/fhir/Subscription/{made['id']}/$status"))
    assert status["status"] == "active"
    assert "topic" not in status


def test_resend_says_how_many_and_takes_instants(clinic: Caller, pipeline: Pipeline) -> None:
    id = subscribed(clinic)
    heard(clinic, pipeline, id, 2)
    path = f"/fhir/Subscription/{id}/$resend"

    def asked(**named: str) -> httpx.Response:
        given = [{"name": name, "valueInstant": value} for name, value in named.items()]
        return clinic.post(path, {"resourceType": "Parameters", "parameter": given})

    answer = asked(eventsSinceInstant="2026-01-01T00:00:00Z")
    assert answer.status_code == 200, answer.text
    assert issue(answer)["diagnostics"] == "sent again: 0 events"  # they are under way
    assert asked(eventsSinceInstant="yesterday").status_code == 400
    assert asked(eventsSinceInstant="2026-01-01T00:00:00").status_code == 400


@needs_corpora
@pytest.mark.corpora
def test_the_capability_statement_is_a_subscription_servers(clinic: Caller) -> None:
    ours = clinic.get("/fhir/metadata").json()
    theirs = json.loads(
        (IG / "CapabilityStatement-backport-subscription-server-r4.json").read_bytes()
    )
    assert theirs["url"] in ours["instantiates"]
    mine = {one["type"]: one for one in ours["rest"][0]["resource"]}
    topics = [one["valueCanonical"] for one in mine["Subscription"]["extension"]]
    assert TASKS in topics
    assert {one["url"] for one in mine["Subscription"]["extension"]} == {TOPIC}
    for asked in theirs["rest"][0]["resource"]:
        held = mine[asked["type"]]
        for kind, name in (("interaction", "code"), ("operation", "definition")):
            wanted = {one[name] for one in asked.get(kind, [])}
            assert wanted <= {one[name] for one in held.get(kind, [])}
        assert set(asked.get("supportedProfile", [])) <= set(held.get("supportedProfile", []))
        wanted = {one["name"] for one in asked["searchParam"]}
        assert wanted <= {one["name"] for one in held["searchParam"]}
