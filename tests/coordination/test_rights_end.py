"""What a referral gave to read ends with it: of one that nobody serves the Task alone stays."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import pytest

from gateway.errors import NotFound
from gateway.model import Context
from gateway.store import Hub, open_hub
from tests.coordination.county import CLINIC, County

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
    (now,) = county.search(CLINIC, "ServiceRequest", [("_id", request.partition("/")[2])])
    county.put(CLINIC, {**now, "supportingInfo": [{"reference": added}]})
    return added


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
