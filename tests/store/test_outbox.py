from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from gateway.deliver.failure import Failure
from gateway.errors import Unavailable
from gateway.model import Delivery, Event, Grant, Stored, Subscriber
from gateway.store import Hub, Transaction, open_hub
from gateway.store.hub import Ask
from tests.store import plans
from tests.store.samples import CLINIC, PANTRY, advance, create, patient, task, update

NOW = datetime(2030, 1, 1, tzinfo=UTC)
MINUTE = timedelta(minutes=1)


def subscriber(id: str = "s", agency: str = "cedar-general", type_: str = "Task") -> Subscriber:
    return Subscriber(id, agency, "rest-hook", "https://x.example", f"{type_}?status=requested")


def add(hub: Hub, told: Subscriber) -> None:
    hub.write(lambda unit: unit.put_subscriber(told))


def every(event: Event, stored: Stored) -> bool:
    assert (event.type, event.id, event.version) == (stored.type, stored.id, stored.version)
    return True


def due(hub: Hub, id: str = "s", now: datetime = NOW) -> list[Delivery]:
    with hub.read() as reader:
        return reader.due(id, now)


def behind(hub: Hub, now: datetime = NOW) -> list[str]:
    with hub.read() as reader:
        return reader.behind(now)


def deliver(hub: Hub, delivery: Delivery) -> None:
    hub.write(lambda unit: unit.delivered([delivery], NOW))


def fail(hub: Hub, delivery: Delivery, retry_at: datetime) -> None:
    hub.write(lambda unit: unit.failed(delivery, Failure("503"), retry_at, at=NOW))


def test_an_end_beyond_the_calendar_is_its_last_moment(hub: Hub) -> None:
    add(hub, replace(subscriber(), until=datetime.fromisoformat("9999-12-31T23:59:59-14:00")))
    add(hub, subscriber("other"))
    with hub.read() as reader:
        ends = {each.id: each.until for each in reader.subscribers()}
    assert ends == {"s": datetime.max.replace(tzinfo=UTC), "other": None}


def test_a_subscriber_starts_at_the_end_of_the_log(hub: Hub) -> None:
    create(hub, CLINIC, task("before"))
    add(hub, subscriber())
    assert behind(hub) == []
    create(hub, CLINIC, task("after"))
    create(hub, CLINIC, patient())
    assert behind(hub) == ["s"]
    assert advance(hub, "s", every) == 1
    (delivery,) = due(hub)
    assert (delivery.number, delivery.event.id, delivery.event.owner) == (1, "after", CLINIC.agency)
    assert behind(hub) == ["s"]
    deliver(hub, delivery)
    assert behind(hub) == []
    assert due(hub) == []


def test_only_what_is_chosen_is_queued_and_all_that_was_read_is_passed(hub: Hub) -> None:
    add(hub, subscriber())
    for number in range(6):
        create(hub, CLINIC, task(f"t{number}"))
    assert advance(hub, "s", lambda event, _: event.id in ("t1", "t4"), limit=4) == 4
    assert advance(hub, "s", lambda event, _: event.id in ("t1", "t4"), limit=4) == 2
    assert advance(hub, "s", every) == 0
    assert [(one.number, one.event.id) for one in due(hub)] == [(1, "t1"), (2, "t4")]


def test_an_agency_is_told_only_of_what_it_may_see(hub: Hub) -> None:
    add(hub, subscriber(agency=PANTRY.agency))
    create(hub, CLINIC, task("hidden"))

    def granted(unit: Transaction) -> None:
        unit.put(CLINIC, task("granted"), interaction="create")
        unit.grant(Grant("Task/granted", PANTRY.agency, "Task/granted"))

    hub.write(granted)
    assert advance(hub, "s", every) == 2
    assert [one.event.id for one in due(hub)] == ["granted"]


def test_a_deletion_is_an_event_too(hub: Hub) -> None:
    add(hub, subscriber())
    create(hub, CLINIC, task("t"))
    hub.write(lambda unit: unit.delete(CLINIC, "Task", "t"))
    seen: list[tuple[str, bool]] = []

    def note(event: Event, stored: Stored) -> bool:
        seen.append((event.interaction, stored.deleted))
        return False

    advance(hub, "s", note)
    assert seen == [("create", False), ("delete", True)]


def test_deliveries_are_numbered_without_gaps_under_concurrent_drains(hub: Hub) -> None:
    for id in ("s", "u"):
        add(hub, subscriber(id))
    done = threading.Event()

    def drain(id: str) -> None:
        while not done.is_set() or advance(hub, id, every, limit=5):
            advance(hub, id, every, limit=5)

    with ThreadPoolExecutor(12) as pool:
        drains = [pool.submit(drain, id) for id in ("s", "u") * 3]
        written = list(pool.map(lambda n: create(hub, CLINIC, task(f"t{n}")), range(60)))
        done.set()
        for one in drains:
            one.result()
    for id in ("s", "u"):
        while advance(hub, id, every):
            pass
        with hub.read() as reader:
            deliveries = reader.due(id, NOW, limit=1000)
        assert [one.number for one in deliveries] == list(range(1, 61))
        assert {one.event.id for one in deliveries} == {one.id for one in written}


def test_the_head_holds_up_its_own_subscriber_and_nobody_else(hub: Hub) -> None:
    for id in ("dead", "live"):
        add(hub, subscriber(id))
    for number in range(3):
        create(hub, CLINIC, task(f"t{number}"))
    for id in ("dead", "live"):
        advance(hub, id, every)
    head = due(hub, "dead")[0]
    fail(hub, head, NOW + MINUTE)
    assert due(hub, "dead") == []
    assert behind(hub) == ["live"]
    assert len(due(hub, "live")) == 3
    assert behind(hub, NOW + MINUTE) == ["dead", "live"]
    retried = due(hub, "dead", NOW + MINUTE)
    assert [one.number for one in retried] == [1, 2, 3]
    assert (retried[0].id, retried[0].attempts, retried[0].first_attempt) == (head.id, 1, NOW)


def test_a_failing_subscriber_remembers_since_when_until_it_is_well(hub: Hub) -> None:
    add(hub, subscriber())
    create(hub, CLINIC, task())
    advance(hub, "s", every)
    for _ in range(2):
        (delivery,) = due(hub, now=NOW + MINUTE)
        fail(hub, delivery, NOW + MINUTE)
    with hub.read() as reader:
        standing = reader.standing("s")
    assert standing
    assert (standing.failing_since, standing.retry_at) == (NOW, NOW + MINUTE)
    assert standing.subscriber.error == "503"
    deliver(hub, due(hub, now=NOW + MINUTE)[0])
    with hub.read() as reader:
        standing = reader.standing("s")
    assert standing
    assert (standing.failing_since, standing.retry_at) == (None, None)
    assert standing.subscriber.error == ""


def test_only_an_active_subscriber_is_read_for(hub: Hub) -> None:
    add(hub, subscriber())
    create(hub, CLINIC, task())
    hub.write(lambda unit: unit.mark("s", "error", "gave up"))
    assert advance(hub, "s", every) == 0
    assert behind(hub) == []
    hub.write(lambda unit: unit.mark("s", "active"))
    assert advance(hub, "s", every) == 1


def test_a_changed_subscriber_keeps_its_place_and_a_removed_one_is_forgotten(hub: Hub) -> None:
    add(hub, subscriber())
    create(hub, CLINIC, task())
    advance(hub, "s", every)
    changed = replace(subscriber(), endpoint="https://y.example", headers=("X: 1",))
    add(hub, changed)
    with hub.read() as reader:
        assert reader.subscribers() == [changed]
    assert [one.number for one in due(hub)] == [1]
    hub.write(lambda unit: unit.remove_subscriber("s"))
    assert due(hub) == []
    assert advance(hub, "s", every) == 0
    add(hub, changed)
    assert advance(hub, "s", every) == 0


def test_events_come_in_the_order_of_their_commits_after_a_sequence(hub: Hub) -> None:
    create(hub, CLINIC, task("t"))
    create(hub, CLINIC, patient("p"))
    update(hub, CLINIC, task("t", "accepted"))
    with hub.read() as reader:
        events = reader.events_after(0, ["Task", "Patient"])
        assert [(e.type, e.version, e.interaction) for e in events] == [
            ("Task", 1, "create"),
            ("Patient", 1, "create"),
            ("Task", 2, "update"),
        ]
        assert reader.events_after(events[0].sequence, ["Task", "Patient"], 1) == events[1:2]
        assert reader.events_after(0, ["Task"]) == [events[0], events[2]]


def test_a_version_that_commits_late_is_not_skipped_on_postgresql(postgres_url: str) -> None:
    hub = open_hub(postgres_url)
    add(hub, subscriber())
    written, release = threading.Event(), threading.Event()

    def slow(unit: Transaction) -> None:
        unit.put(CLINIC, task("late"), interaction="create")
        unit.flush()
        written.set()
        assert release.wait(30)

    late = hub.submit(slow)
    assert written.wait(30)
    create(hub, CLINIC, task("early"))
    with hub.read() as reader:
        assert reader.read(CLINIC, "Task", "early").version == 1
    assert advance(hub, "s", every) == 0
    release.set()
    late.result()
    assert advance(hub, "s", every) == 2
    assert [(one.number, one.event.id) for one in due(hub)] == [(1, "late"), (2, "early")]
    hub.close()


def test_whoever_asks_has_ended_or_was_silent_too_long_has_something_to_hear(hub: Hub) -> None:
    now = datetime.now(UTC)
    quiet = subscriber("quiet")
    add(hub, replace(subscriber("asks"), status="requested"))
    add(hub, replace(subscriber("ended"), until=now))
    add(hub, replace(subscriber("goes-on"), until=now + MINUTE))
    add(hub, replace(quiet, id="beats", heartbeat=30))
    add(hub, quiet)
    add(hub, replace(subscriber("off"), status="off", until=now, heartbeat=1))
    assert behind(hub, now) == ["asks", "ended"]
    assert behind(hub, now + MINUTE) == ["asks", "beats", "ended", "goes-on"]
    hub.write(lambda unit: unit.told("beats", now + MINUTE))
    assert "beats" not in behind(hub, now + MINUTE)
    with hub.read() as reader:
        standing = reader.standing("ended")
    assert standing is not None
    assert standing.subscriber.until == now


def test_deliveries_are_found_by_their_numbers_whatever_became_of_them(hub: Hub) -> None:
    add(hub, subscriber())
    for number in range(5):
        create(hub, CLINIC, task(f"t{number}"))
    advance(hub, "s", every)
    deliver(hub, due(hub)[0])
    with hub.read() as reader:
        found = reader.numbered("s", 1, 3, 10)
        assert [(one.number, one.event.id) for one in found] == [(1, "t0"), (2, "t1"), (3, "t2")]
        assert [one.number for one in reader.numbered("s", 2, 99, 2)] == [2, 3]
        assert reader.numbered("another", 1, 99, 10) == []


def test_many_are_read_for_at_once_and_what_one_raises_is_its_own(hub: Hub) -> None:
    for id, agency in (("a", "cedar-general"), ("b", "cedar-general"), ("c", "shelter")):
        add(hub, subscriber(id, agency))
    create(hub, CLINIC, task("t"))
    with hub.read() as reader:
        asks = [Ask(found) for id in "abc" if (found := reader.standing(id))]

    def decide(told: Subscriber, event: Event, stored: Stored) -> bool:
        if told.id == "b":
            raise Unavailable("ask again")
        return True

    read = hub.advance(asks, decide)
    assert (read["a"], read["c"]) == (1, 1)
    assert isinstance(read["b"], Unavailable)
    assert {id: len(due(hub, id)) for id in "abc"} == {"a": 1, "b": 0, "c": 0}, "c may not see it"
    read = hub.advance(asks, every_of)
    assert read == {"a": 0, "b": 1, "c": 0}, "the others moved on since"
    assert [len(due(hub, id)) for id in "ab"] == [1, 1]


def every_of(told: Subscriber, event: Event, stored: Stored) -> bool:
    return every(event, stored)


def test_any_number_of_successes_is_noted_at_once(hub: Hub) -> None:
    add(hub, subscriber())
    for number in range(40):
        create(hub, CLINIC, task(f"t{number}"))
    advance(hub, "s", every)
    waiting = due(hub)
    hub.write(lambda unit: unit.delivered(waiting[:3], NOW))
    assert [each.number for each in due(hub)] == list(range(4, 41))
    hub.write(lambda unit: unit.delivered(waiting[3:39], NOW))
    assert [each.number for each in due(hub)] == [40]
    with hub.read() as reader:
        sent = reader.deliveries(subscriber="s", outcome="delivered", count=100)
    assert {each.attempts for each in sent} == {1}


def test_what_was_read_isnt_read_again_to_find_what_is_new(sqlite_url: str) -> None:
    """SQLite compares pairs by an index on their first column alone."""
    hub = open_hub(sqlite_url)
    seen = plans.watched(hub)
    add(hub, subscriber())
    create(hub, CLINIC, task("a"))
    assert advance(hub, "s", every) == 1
    read = [each for each in seen if "FROM version JOIN" in each[0]]
    (line,) = {line for each in read for line in plans.plan(hub, *each) if "version_log" in line}
    assert line.endswith("version_log (type=? AND xid=? AND sequence>?)")
    hub.close()
