"""Of several processes on one hub, one drains a subscriber at a time; on both engines."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
import sqlalchemy as sa

from gateway.errors import Conflict
from gateway.model import Subscriber
from gateway.store import Hub, Transaction
from gateway.store.link import Statement
from gateway.store.workers import LIFE, worker
from tests.store.samples import CLINIC, advance, create, task

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEEP = timedelta(seconds=90)


@pytest.fixture(autouse=True)
def subscribed(hub: Hub) -> None:
    told = Subscriber("s", CLINIC.agency, "rest-hook", "https://x.example", "Task?")
    hub.write(lambda unit: unit.put_subscriber(told))


def lease(hub: Hub, holder: str, keep: timedelta = KEEP) -> int | None:
    """By a process that says that it lives."""
    hub.write(lambda unit: unit.beat(holder))
    return hub.write(lambda unit: unit.lease("s", holder, keep))


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
    third = lease(hub, "b")
    assert third is not None, "what its last drain couldn't release is its own"
    assert third > second


def test_a_lease_ends_by_itself_and_its_fence_refuses_who_lost_it(hub: Hub) -> None:
    old = lease(hub, "dead", timedelta(seconds=-1))
    assert old is not None
    new = lease(hub, "alive")
    assert new is not None
    assert not hub.write(lambda unit: unit.renew_lease("s", old, KEEP))
    assert hub.write(lambda unit: unit.renew_lease("s", new, KEEP))
    create(hub, CLINIC, task("t"))
    assert advance(hub, "s", lambda event, stored: True, fence=old) == 0
    assert advance(hub, "s", lambda event, stored: True, fence=new) == 1
    with hub.read() as reader:
        (due,) = reader.due("s", NOW)
    with pytest.raises(Conflict):
        hub.write(lambda unit: unit.delivered([due], NOW, fence=old))
    hub.write(lambda unit: unit.delivered([due], NOW, fence=new))


def test_nobody_leases_what_is_not_there(hub: Hub) -> None:
    assert hub.write(lambda unit: unit.lease("none", "a", KEEP)) is None


def test_a_lease_ends_with_its_holders_life(hub: Hub) -> None:
    old = lease(hub, "dead")
    assert lease(hub, "alive") is None
    silent(hub, "dead")
    new = lease(hub, "alive")
    assert old is not None
    assert new is not None
    assert not hub.write(lambda unit: unit.renew_lease("s", old, KEEP))


def test_a_duty_is_one_living_processs_at_a_time(hub: Hub) -> None:
    for id in ("a", "b"):
        assert id in hub.write(partial(Transaction.beat, me=id))
    assert take(hub, "a")
    assert take(hub, "a"), "it is its own already"
    assert not take(hub, "b")
    hub.write(lambda unit: unit.leave_duty("beds", "b"))
    assert not take(hub, "b"), "nobody leaves what another has"
    hub.write(lambda unit: unit.leave_duty("beds", "a"))
    assert take(hub, "b")
    silent(hub, "b")
    assert take(hub, "a")
    hub.write(lambda unit: unit.beat("b"))
    assert not take(hub, "b"), "who was taken for dead has lost it"


def test_who_ends_or_was_long_silent_is_forgotten(hub: Hub) -> None:
    for id in ("a", "b", "c"):
        hub.write(partial(Transaction.beat, me=id))
    silent(hub, "c", seconds=7200)
    hub.write(lambda unit: unit.die("a"))
    assert hub.write(lambda unit: unit.beat("b")) == {"b"}
    rows = sa.select(worker.c.id)
    assert hub.write(lambda unit: [row[0] for row in unit.link.select(rows, {})]) == ["b"]


def take(hub: Hub, id: str) -> bool:
    return hub.write(lambda unit: unit.take_duty("beds", id))


def silent(hub: Hub, id: str, seconds: float = LIFE) -> None:
    """As if it had said nothing for so long."""
    since = worker.c.seen - int(seconds * 1_000_000)
    quiet = Statement(worker.update().where(worker.c.id == sa.bindparam("of")).values(seen=since))
    hub.write(lambda unit: unit.link.run(quiet, {"of": id}))
