"""A victim service provider that the hub found: its asker isn't told which one it is."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import RouteError
from gateway.exchange.searching import Search
from gateway.fhir import codes
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.route.decision import UNTOLD
from tests.routing.haven import CLINIC, HAVEN, KEEPER, NOBODY, change, create, opened, read

FOOD = {"coding": [{"system": codes.SDOH_CODES, "code": "food-insecurity"}]}
US = {"reference": "Organization/haven"}


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Pipeline]:
    with opened(tmp_path) as pipeline:
        service = {"resourceType": "HealthcareService", "active": True, "name": "A door"}
        create(pipeline, HAVEN, {**service, "category": [FOOD]})
        yield pipeline


def seek(hub: Pipeline, **named: Any) -> tuple[str, str]:
    """A referral that the hub places, and may place with the haven; its request and Task."""
    who = {"reference": create(hub, CLINIC, NOBODY)}
    agreed = {"type": "permit", "actor": [{"role": {"text": "recipient"}, "reference": US}]}
    consent = {"resourceType": "Consent", "status": "active", "patient": who, "provision": agreed}
    scope = {"coding": [{"code": "patient-privacy"}]}
    policy = {"scope": scope, "category": [{"text": "x"}], "policyRule": {"text": "x"}}
    create(hub, CLINIC, {**consent, **policy, "dateTime": "2026-01-01"})
    request = {"resourceType": "ServiceRequest", "status": "active", "intent": "order"}
    asked = create(hub, CLINIC, {**request, "category": [FOOD], "subject": who, **named})
    order = {"resourceType": "Task", "status": "requested", "intent": "order", "for": who}
    sides = {"focus": {"reference": asked}, "requester": {"reference": CLINIC.organization}}
    kind = {"coding": [{"system": codes.TASK_CODE, "code": "fulfill"}]}
    task = create(hub, CLINIC, {**order, **sides, "code": kind})
    hub.referrals.run()
    return asked.partition("/")[2], task


def decided(hub: Pipeline, context: Context, request: str) -> list[Any]:
    return list(hub.operations.route.decisions(context, request))


def inbox(hub: Pipeline) -> str:
    (child,) = hub.search(HAVEN, Search("Task", [])).page.entries
    return child.reference


def test_its_asker_is_told_neither_that_it_was_chosen_nor_that_it_was_looked_at(
    hub: Pipeline,
) -> None:
    request, _ = seek(hub)
    assert inbox(hub)
    (told,) = decided(hub, CLINIC, request)
    assert (told["outcome"], told["agency"], told["chosen"]) == ("ask", None, None)
    assert (told["why"], told["candidates"]) == (UNTOLD, [])
    (shown,) = hub.operations.route.explain(CLINIC, request).decisions
    assert "haven" not in json.dumps([told, shown])
    (whole,) = decided(hub, KEEPER, request)
    assert whole["agency"] == "haven"


def test_nor_that_it_refused(hub: Pipeline) -> None:
    request, _ = seek(hub)
    change(hub, HAVEN, inbox(hub), status="rejected", statusReason={"text": "no room"})
    hub.referrals.run()
    assert len(decided(hub, CLINIC, request)) == 2
    assert "haven" not in json.dumps(decided(hub, CLINIC, request))
    assert decided(hub, KEEPER, request)[1]["asked"] == ["haven"]


def test_who_named_it_is_told(hub: Pipeline) -> None:
    request, _ = seek(hub, performer=[US])
    (told,) = decided(hub, CLINIC, request)
    assert told["agency"] == "haven"


SEEN = {"resourceType": "Observation", "status": "final", "code": {"text": "seen"}}


@pytest.mark.parametrize(
    ("said", "place"),
    [
        ({"performer": [US]}, "Observation.performer"),
        ({"performer": [{"display": "Haven"}]}, "Observation.performer"),
        ({"note": [{"text": "x", "authorString": "Haven"}]}, "Observation.authorString"),
        ({"meta": {"source": "https://haven.example"}}, "Observation.meta.source"),
        ({"extension": [{"url": "urn:x", "valueReference": US}]}, "Observation.extension[0]"),
    ],
)
def test_what_it_answers_names_no_doer(hub: Pipeline, said: Any, place: str) -> None:
    who = {"subject": {"reference": create(hub, HAVEN, NOBODY)}}
    with pytest.raises(RouteError) as refused:
        create(hub, HAVEN, {**SEEN, **who, **said})
    assert str(refused.value.place).startswith(place)
    seen = create(hub, HAVEN, {**SEEN, **who})
    with pytest.raises(RouteError):
        change(hub, HAVEN, seen, **said)


def test_its_asker_reads_what_came_of_it_and_not_who_did_it(hub: Pipeline) -> None:
    _, task = seek(hub)
    child = inbox(hub)
    change(hub, HAVEN, child, status="accepted")
    who = {"subject": read(hub, HAVEN, child)["for"]}
    seen = create(hub, HAVEN, {**SEEN, **who})
    for told in (US, {"reference": inbox(hub)}):
        output = [{"type": {"text": "result"}, "valueReference": told}]
        with pytest.raises(RouteError):
            change(hub, HAVEN, child, status="completed", output=output)
    output = [{"type": {"text": "result"}, "valueReference": {"reference": seen}}]
    change(hub, HAVEN, child, status="completed", output=output)
    assert read(hub, CLINIC, task)["output"] == output
    assert "haven" not in json.dumps([read(hub, CLINIC, task), read(hub, CLINIC, seen)])
