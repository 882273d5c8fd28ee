"""What a referral gave to read ends with it: of one that nobody serves the Task alone stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from gateway.errors import NotFound
from gateway.model import Context
from gateway.store import Hub, open_hub
from tests.coordination.county import CLINIC, County, Json

ASH = Context("ash", "test")


@pytest.fixture
def county(sqlite_url: str) -> Iterator[County]:
    hub = open_hub(sqlite_url)
    yield County(hub)
    hub.close()


def reads(county: County, context: Context, reference: str) -> bool:
    type, _, id = reference.partition("/")
    try:
        county.pipeline.read(context, type, id)
    except NotFound:
        return False
    return True


def asked_for(county: County, id: str) -> tuple[str, str]:
    """The request and the person of a Task."""
    task = county.task(id)
    return task["focus"]["reference"], task["for"]["reference"]


def support(county: County, id: str) -> str:
    """The clinic adds a Condition to what supports its request; the reference to it."""
    request, person = asked_for(county, id)
    found = {"resourceType": "Condition", "subject": {"reference": person}}
    added = county.create(CLINIC, found)
    name(county, request, added)
    return added


def name(county: County, request: str, supporting: str) -> None:
    (now,) = county.search(CLINIC, "ServiceRequest", [("_id", request.partition("/")[2])])
    county.put(CLINIC, {**now, "supportingInfo": [{"reference": supporting}]})


def consent(person: str, status: str = "active", **provision: object) -> Json:
    """A Consent to share what a referral needs, with whom its ``provision`` says."""
    scope = "http://terminology.hl7.org/CodeSystem/consentscope"
    return {
        "resourceType": "Consent",
        "id": "told-us",
        "status": status,
        "scope": {"coding": [{"system": scope, "code": "patient-privacy"}]},
        "category": [{"coding": [{"system": "http://loinc.org", "code": "59284-0"}]}],
        "patient": {"reference": person},
        "policyRule": {"text": "our form"},
        **({"provision": provision} if provision else {}),
    }


def whom(agency: str) -> list[Json]:
    return [{"role": {"text": "may read"}, "reference": {"reference": f"Organization/{agency}"}}]


@pytest.mark.parametrize(
    "moves", ["rejected", "accepted failed", "accepted cancelled", "withdrawn", "entered-in-error"]
)
def test_who_serves_a_referral_no_more_reads_its_task_alone(county: County, moves: str) -> None:
    id = county.refer(owner="ash")
    request, person = asked_for(county, id)
    reason = support(county, id)
    seen = (request, person, reason)
    assert all(reads(county, ASH, each) for each in seen)
    if moves == "withdrawn":
        county.move(id, status="cancelled", statusReason={"text": "not wanted"})
    elif moves == "entered-in-error":
        county.move(id, status=moves)
    else:
        for each in moves.split():
            county.answer("ash", each, "no-capacity")
    assert not any(reads(county, ASH, each) for each in seen)
    assert not reads(county, ASH, support(county, id))
    assert reads(county, ASH, f"Task/{id}")
    note = [{"text": "We have room again in May"}]
    county.move(id, ASH if moves != "withdrawn" else CLINIC, note=note)
    assert not reads(county, ASH, person)


def test_who_served_a_referral_reads_on_and_is_told_nothing_more(county: County) -> None:
    id = county.refer(owner="ash")
    _, person = asked_for(county, id)
    county.answer("ash", "accepted")
    county.answer("ash", "completed")
    county.move(id, ASH, note=[{"text": "Served"}])
    assert reads(county, ASH, person)
    assert not reads(county, ASH, support(county, id))


def test_who_was_asked_in_vain_reads_the_child_task_alone(hub: Hub) -> None:
    county = County(hub)
    county.service("ash")
    id = county.refer(priority="urgent")
    county.work()
    (child,) = county.inbox("ash")
    request, person = asked_for(county, child["id"])
    assert reads(county, ASH, request)
    assert reads(county, ASH, person)
    county.answer("ash", "rejected", "no-capacity")
    assert not reads(county, ASH, request)
    assert not reads(county, ASH, person)
    assert reads(county, ASH, f"Task/{child['id']}")
    assert not reads(county, ASH, support(county, id))


def test_who_did_not_answer_in_time_reads_the_child_task_alone(county: County) -> None:
    county.service("ash")
    id = county.refer(priority="urgent")
    _, person = asked_for(county, id)
    county.work()
    county.later(timedelta(hours=7))
    (child,) = county.inbox("ash", "cancelled")
    assert reads(county, ASH, f"Task/{child['id']}")
    assert not reads(county, ASH, person)


def test_a_navigator_reads_of_the_person_while_it_is_needed(sqlite_url: str) -> None:
    hub = open_hub(sqlite_url)
    county = County(hub, navigator="elm-street")
    keeper = Context("elm-street", "test")
    for ends in ("dismissed", "failed"):
        id = county.refer()
        _, person = asked_for(county, id)
        county.work()
        (task,) = county.inbox("elm-street")
        assert reads(county, keeper, person)
        if ends == "dismissed":
            county.move(id, status="cancelled", statusReason={"text": "not wanted"})
        else:
            county.answer("elm-street", "accepted")
            county.answer("elm-street", "failed", "no-capacity")
        assert not reads(county, keeper, person)
        assert reads(county, keeper, f"Task/{task['id']}")
    hub.close()


@pytest.mark.parametrize(
    ("moves", "said"),
    [
        ("", {"status": "inactive"}),
        ("accepted", {"status": "rejected"}),
        ("accepted completed", {"type": "deny", "actor": whom("ash")}),
    ],
)
def test_who_loses_the_consent_reads_the_task_alone(county: County, moves: str, said: Json) -> None:
    id = county.refer(owner="ash")
    request, person = asked_for(county, id)
    county.put(CLINIC, consent(person))
    name(county, request, "Consent/told-us")
    for each in moves.split():
        county.answer("ash", each)
    seen = (request, person, "Consent/told-us")
    assert all(reads(county, ASH, each) for each in seen)
    county.put(CLINIC, consent(person, **said))
    assert not any(reads(county, ASH, each) for each in seen)
    assert reads(county, ASH, f"Task/{id}")
    (now,) = county.search(CLINIC, "ServiceRequest", [("_id", request.partition("/")[2])])
    county.put(CLINIC, {**now, "note": [{"text": "Please hurry"}]})
    assert not reads(county, ASH, person)


def test_a_consent_that_is_given_again_opens_an_open_referral_again(county: County) -> None:
    id = county.refer(owner="ash")
    request, person = asked_for(county, id)
    county.put(CLINIC, consent(person))
    name(county, request, "Consent/told-us")
    county.put(CLINIC, consent(person, "inactive"))
    assert not reads(county, ASH, person)
    county.put(CLINIC, consent(person))
    assert reads(county, ASH, person)


def test_a_consent_to_somebody_else_opens_nothing(county: County) -> None:
    id = county.refer(owner="ash")
    request, person = asked_for(county, id)
    county.put(CLINIC, consent(person, type="permit", actor=whom("birch")))
    name(county, request, "Consent/told-us")
    assert not reads(county, ASH, person)
    county.put(CLINIC, consent(person, type="permit", actor=whom("ash")))
    assert reads(county, ASH, person)


def test_who_was_asked_by_the_hub_loses_the_consent_too(county: County) -> None:
    county.service("ash")
    id = county.refer()
    request, person = asked_for(county, id)
    county.put(CLINIC, consent(person))
    name(county, request, "Consent/told-us")
    county.work()
    (child,) = county.inbox("ash")
    assert reads(county, ASH, person)
    county.put(CLINIC, consent(person, "inactive"))
    assert not reads(county, ASH, person)
    assert not reads(county, ASH, child["focus"]["reference"])
    assert reads(county, ASH, f"Task/{child['id']}")


def labelled(county: County, reference: str, code: str) -> None:
    type, _, id = reference.partition("/")
    (now,) = county.search(CLINIC, type, [("_id", id)])
    system = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
    county.put(CLINIC, {**now, "meta": {"security": [{"system": system, "code": code}]}})


@pytest.mark.parametrize(("code", "open"), [("42CFRPart2", False), ("SUD", False), ("PHY", True)])
def test_what_goes_nowhere_without_a_consent_goes_with_one(
    county: County, code: str, open: bool
) -> None:
    id = county.refer(owner="ash")
    request, person = asked_for(county, id)
    labelled(county, request, code)
    assert [reads(county, ASH, each) for each in (request, person)] == [open, open]
    assert reads(county, ASH, f"Task/{id}")
    county.put(CLINIC, consent(person, actor=whom("ash")))
    name(county, request, "Consent/told-us")
    assert all(reads(county, ASH, each) for each in (request, person))


def test_a_labelled_reason_stays_behind_and_the_rest_goes(county: County) -> None:
    id = county.refer(owner="ash")
    request, person = asked_for(county, id)
    reason = county.create(CLINIC, {"resourceType": "Condition", "subject": {"reference": person}})
    labelled(county, reason, "SUD")
    name(county, request, reason)
    assert [reads(county, ASH, each) for each in (request, person, reason)] == [True, True, False]
