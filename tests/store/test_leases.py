"""Of several processes on one hub, one drains a subscriber at a time; on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.errors import Conflict
from gateway.model import Subscriber
from gateway.store import Hub
from tests.store.samples import CLINIC, advance, create, task

NOW = datetime(2030, 1, 1, tzinfo=UTC)
SOON = NOW + timedelta(seconds=90)
LATER = SOON + timedelta(seconds=1)


@pytest.fixture(autouse=True)
def subscribed(hub: Hub) -> None:
    told = Subscriber("s", CLINIC.agency, "rest-hook", "https://x.example", "Task?")
    hub.write(lambda unit: unit.put_subscriber(told))


def lease(hub: Hub, holder: str, now: datetime = NOW, until: datetime = SOON) -> int | None:
    return hub.write(lambda unit: unit.lease("s", holder, now, until))


def test_a_lease_is_one_processs_until_it_is_released(hub: Hub) -> None:
    first = lease(hub, "a")
    assert first is not None
    assert lease(hub, "b") is None
    hub.write(lambda unit: unit.release("s", first))
    second = lease(hub, "b")
    assert second is not None
    assert second > first
    assert lease(hub, "a") is None
    hub.write(lambda unit: unit.release("s", first))
    assert lease(hub, "a") is None, "a release of an old lease ends no new one"


def test_a_lease_ends_by_itself_and_its_fence_refuses_who_lost_it(hub: Hub) -> None:
    old = lease(hub, "dead")
    assert old is not None
    new = lease(hub, "alive", LATER, LATER + timedelta(seconds=90))
    assert new is not None
    assert not hub.write(lambda unit: unit.renew_lease("s", old, LATER + timedelta(days=1)))
    assert hub.write(lambda unit: unit.renew_lease("s", new, LATER + timedelta(days=1)))
    create(hub, CLINIC, task("t"))
    assert advance(hub, "s", lambda event, stored: True, fence=old) == 0
    assert advance(hub, "s", lambda event, stored: True, fence=new) == 1
    with hub.read() as reader:
        (due,) = reader.due("s", NOW)
    with pytest.raises(Conflict):
        hub.write(lambda unit: unit.delivered([due], NOW, fence=old))
    hub.write(lambda unit: unit.delivered([due], NOW, fence=new))


def test_nobody_leases_what_is_not_there(hub: Hub) -> None:
    assert hub.write(lambda unit: unit.lease("none", "a", NOW, SOON)) is None
