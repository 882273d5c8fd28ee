"""Subscriptions from their handshake to their end, over a real hub and a real receiver."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gateway.errors import Denied, GatewayError, InvalidResource
from gateway.exchange.searching import Search
from gateway.fhir import gates
from gateway.fhir.conformance import deviations
from gateway.fhir.notification import (
    CONTENT,
    FILTER,
    HEARTBEAT,
    MAX_COUNT,
    NOTIFICATION,
    STATUS,
    SUBSCRIPTION,
)
from gateway.fhir.profiles import shipped
from gateway.model import Context, Stored
from gateway.offering import offer
from gateway.operations.subscriptions import Again
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, open_hub
from tests.deliver.sinks import Request, Writer, http, status
from tests.shipped import library

CLINIC = Context("clinic", "test")
BANK = Context("food-bank", "test")
SDOH = "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task"
OURS = "https://care-gateway.example/fhir/SubscriptionTopic/"
BASE = "https://hub.example/fhir"
AT = datetime(2026, 3, 2, tzinfo=UTC)

Json = dict[str, Any]


@pytest.fixture
def quick(tmp_path: Any) -> Iterator[Hub]:
    """A hub on SQLite alone: for what doesn't depend on the engine."""
    hub = open_hub(f"sqlite:///{tmp_path / 'gateway.sqlite'}")
    yield hub
    hub.close()


class Desk:
    """A clinic that refers, a food bank that subscribes, and the receiver of what it is told."""

    def __init__(self, hub: Hub) -> None:
        settings = Settings(endpoint_networks=("127.0.0.0/8",), public_url="https://hub.example/")
        self.hub = hub
        self.pipeline = Pipeline(hub, library(), settings, as_message)
        for agency in ("clinic", "food-bank"):
            self.pipeline.add_agency(agency, None)
        self.answer = status("200 OK")
        self.got: list[Request] = []
        self.address = ""

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        async def answered(request: Request, writer: Writer) -> None:
            await self.answer(request, writer)

        async with http(answered) as (self.address, self.got):
            try:
                yield
            finally:
                await self.pipeline.close()

    @property
    def told(self) -> list[Json]:
        """The notifications that came, each checked against the published profiles."""
        return [checked(json.loads(each.body)) for each in self.got]

    def make(self, context: Context, resource: Json) -> Stored:
        raw = json.dumps(resource).encode()
        done = self.pipeline.create(context, resource["resourceType"], raw).result()
        assert done.stored is not None
        return done.stored

    def change(self, context: Context, reference: str, **changes: Any) -> Json:
        type, id = reference.split("/")
        now = json.loads(self.pipeline.read(context, type, id).body)
        raw = json.dumps({**now, **changes}).encode()
        done = self.pipeline.update(context, type, id, raw).result()
        assert done.stored is not None
        out: Json = json.loads(done.stored.body)
        return out

    def read(self, context: Context, reference: str) -> Json:
        out: Json = json.loads(self.pipeline.read(context, *reference.split("/")).body)
        return out

    def subscribe(self, topic: str = SDOH, context: Context = BANK, **terms: Any) -> str:
        made = self.make(context, subscription(self.address, topic, **terms))
        return made.id

    def refer(self, **more: Any) -> str:
        """A referral by the clinic to the food bank; its Task."""
        person = self.make(CLINIC, PATIENT)
        asked = self.make(CLINIC, request(person.reference))
        return self.make(CLINIC, task(asked.reference, person.reference, **more)).reference

    async def drain(self, id: str) -> None:
        await self.pipeline.drain(id)

    def behind(self) -> list[str]:
        with self.hub.read() as reader:
            return reader.behind(datetime.now(UTC))

    def bundle(self, id: str, **asked: Any) -> Json:
        given = {"first": 1, "last": 99, "content": "", "context": BANK, **asked}
        run = self.pipeline.operations.subscriptions.events
        found = run(given["context"], BASE, id, given["first"], given["last"], given["content"])
        return checked(found)

    def standing(self, id: str) -> dict[str, str]:
        (found,) = self.pipeline.operations.subscriptions.status(BANK, BASE, id)
        return said(found)


PATIENT: Json = {
    "resourceType": "Patient",
    "name": [{"family": "Núñez", "given": ["Ana"]}],
    "identifier": [{"system": "http://hl7.org/fhir/sid/us-ssn", "value": "000-12-3456"}],
    "maritalStatus": {"text": "single"},
}


def request(person: str) -> Json:
    return {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": person},
        "requester": {"reference": "Organization/clinic"},
    }


def task(focus: str, person: str, **more: Any) -> Json:
    return {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"code": "fulfill"}], "text": "Fulfil the request"},
        "focus": {"reference": focus},
        "for": {"reference": person},
        "authoredOn": "2026-03-02T15:04:05Z",
        "requester": {"reference": "Organization/clinic"},
        "owner": {"reference": "Organization/food-bank"},
        **more,
    }


def subscription(
    address: str,
    topic: str = SDOH,
    *,
    content: str = "id-only",
    filters: tuple[str, ...] = (),
    heartbeat: int = 0,
    most: int = 0,
    **more: Any,
) -> Json:
    channel: Json = {
        "type": "rest-hook",
        "endpoint": f"{address}/hook",
        "payload": "application/fhir+json",
        "_payload": {"extension": [{"url": CONTENT, "valueCode": content}]},
    }
    if heartbeat:
        channel["extension"] = [{"url": HEARTBEAT, "valueUnsignedInt": heartbeat}]
    if most:
        channel["extension"] = [{"url": MAX_COUNT, "valuePositiveInt": most}]
    out: Json = {
        "resourceType": "Subscription",
        "meta": {"profile": [SUBSCRIPTION]},
        "status": "requested",
        "reason": "to hear of referrals",
        "criteria": topic,
        "channel": channel,
    }
    if filters:
        out["_criteria"] = {"extension": [{"url": FILTER, "valueString": e} for e in filters]}
    return out | more


def checked(bundle: Json) -> Json:
    gates.check(bundle, type="Bundle")
    for resource, profile in (
        (bundle, NOTIFICATION),
        (bundle["entry"][0]["resource"], STATUS),
    ):
        known = shipped().get(profile)
        assert known is not None
        wrong = [e for e in deviations(resource, known, shipped()) if e.severity == "error"]
        assert wrong == []
    return bundle


def said(parameters: Json) -> dict[str, str]:
    """Of a status its plain values."""
    return {
        each["name"]: next(value for name, value in each.items() if name.startswith("value"))
        for each in parameters["parameter"]
        if "part" not in each and each["name"] not in ("subscription", "error")
    }


def kind(bundle: Json) -> str:
    return said(bundle["entry"][0]["resource"])["type"]


def events(bundle: Json) -> list[dict[str, Any]]:
    return [
        {part["name"]: part.get("valueString") or part.get("valueReference") for part in e["part"]}
        for e in bundle["entry"][0]["resource"]["parameter"]
        if e["name"] == "notification-event"
    ]


def numbers(bundles: list[Json]) -> list[str]:
    return [each["event-number"] for one in bundles for each in events(one)]


Scene = Callable[[Desk], Awaitable[None]]


def play(hub: Hub, scene: Scene) -> None:
    async def run() -> None:
        desk = Desk(hub)
        async with desk.open():
            await scene(desk)

    asyncio.run(run())


# --- the handshake -------------------------------------------------------------------------------


def test_a_topics_subscription_is_active_once_its_endpoint_took_the_handshake(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe()
        assert desk.read(BANK, f"Subscription/{id}")["status"] == "requested"
        assert desk.behind() == [id]
        await desk.drain(id)
        (hello,) = desk.told
        assert said(hello["entry"][0]["resource"]) == {
            "topic": SDOH,
            "status": "requested",
            "type": "handshake",
            "events-since-subscription-start": "0",
        }
        assert desk.got[0].method == "POST"
        assert desk.got[0].target == "/hook"
        assert desk.got[0].headers["content-type"] == "application/fhir+json"
        assert desk.read(BANK, f"Subscription/{id}")["status"] == "active"
        assert desk.behind() == []

    play(hub, scene)


def test_what_happens_before_the_handshake_is_told_after_it(quick: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe()
        desk.refer()
        await desk.drain(id)
        assert [kind(each) for each in desk.told] == ["handshake", "event-notification"]

    play(quick, scene)


def test_an_endpoint_that_is_gone_puts_it_in_error_and_a_new_request_greets_it_again(
    hub: Hub,
) -> None:
    async def scene(desk: Desk) -> None:
        desk.answer = status("410 Gone")
        id = desk.subscribe()
        await desk.drain(id)
        failed = desk.read(BANK, f"Subscription/{id}")
        assert failed["status"] == "error"
        assert "410" in failed["error"]
        assert desk.standing(id)["status"] == "error"
        desk.refer()
        await desk.drain(id)
        assert len(desk.got) == 1
        desk.answer = status("200 OK")
        again = desk.change(BANK, f"Subscription/{id}", status="requested")
        assert again["status"] == "requested"
        await desk.drain(id)
        assert [kind(each) for each in desk.told[1:]] == ["handshake", "event-notification"]
        active = desk.read(BANK, f"Subscription/{id}")
        assert active["status"] == "active"
        assert "error" not in active

    play(hub, scene)


def test_a_handshake_that_fails_for_a_minute_is_given_up(quick: Hub) -> None:
    async def scene(desk: Desk) -> None:
        desk.answer = status("503 Unavailable")
        id = desk.subscribe()
        await desk.drain(id)
        assert desk.read(BANK, f"Subscription/{id}")["status"] == "requested"
        await desk.drain(id)  # it waits for its next attempt
        assert len(desk.got) == 1
        age(desk.hub, id, timedelta(minutes=2))
        await desk.drain(id)
        assert desk.read(BANK, f"Subscription/{id}")["status"] == "error"

    play(quick, scene)


def age(hub: Hub, id: str, by: timedelta) -> None:
    """As if its failing had begun, and it had last been told, so long ago."""
    before = datetime.now(UTC) - by
    error = GatewayError("aged")

    def unit(tx: Any) -> None:
        tx.well(id)
        tx.ill(id, error, before, at=before)
        tx.told(id, before)

    hub.write(unit)


def test_a_client_that_writes_active_is_greeted_all_the_same(quick: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe(status="active")
        assert desk.read(BANK, f"Subscription/{id}")["status"] == "requested"
        await desk.drain(id)
        reference = f"Subscription/{id}"
        assert desk.change(BANK, reference, reason="another")["status"] == "active"
        assert desk.change(BANK, reference, status="off")["status"] == "off"
        assert desk.change(BANK, reference, status="active")["status"] == "requested"
        await desk.drain(id)
        moved = desk.read(BANK, reference)["channel"] | {"endpoint": f"{desk.address}/other"}
        assert desk.change(BANK, reference, channel=moved)["status"] == "requested"

    play(quick, scene)


def test_its_end_turns_it_off(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        soon = datetime.now(UTC) + timedelta(milliseconds=700)
        id = desk.subscribe(end=soon.isoformat(timespec="milliseconds"))
        await desk.drain(id)
        assert desk.read(BANK, f"Subscription/{id}")["status"] == "active"
        await asyncio.sleep(max(0.0, (soon - datetime.now(UTC)).total_seconds()))
        assert desk.behind() == [id]
        await desk.drain(id)
        assert desk.read(BANK, f"Subscription/{id}")["status"] == "off"
        assert desk.behind() == []

    play(hub, scene)


def test_a_heartbeat_follows_a_silence_and_is_no_event(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe(heartbeat=3600)
        await desk.drain(id)
        assert desk.behind() == []
        age(desk.hub, id, timedelta(hours=2))
        assert desk.behind() == [id]
        await desk.drain(id)
        assert [kind(each) for each in desk.told] == ["handshake", "heartbeat"]
        assert said(desk.told[1]["entry"][0]["resource"])["events-since-subscription-start"] == "0"
        assert desk.behind() == []

    play(hub, scene)


# --- events --------------------------------------------------------------------------------------


def test_events_are_numbered_and_filtered_and_tell_what_they_are_about(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe(
            filters=("Task?owner=Organization/food-bank&status=requested,accepted",)
        )
        await desk.drain(id)
        first = desk.refer()
        desk.refer(status="draft")
        desk.change(BANK, first, status="accepted")
        desk.change(BANK, first, status="in-progress")
        await desk.drain(id)
        _, one, two = desk.told
        (happened,) = events(one)
        assert happened["focus"] == {"reference": f"{BASE}/{first}"}
        assert numbers([one, two]) == ["1", "2"]
        assert len(one["entry"]) == 1
        subscription = one["entry"][0]["resource"]["parameter"][0]["valueReference"]
        assert subscription == {"reference": f"{BASE}/Subscription/{id}"}
        assert one["entry"][0]["request"]["url"] == f"{BASE}/Subscription/{id}/$status"

    play(hub, scene)


def test_an_empty_notification_tells_a_number_and_a_time(quick: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe(content="empty")
        await desk.drain(id)
        desk.refer()
        await desk.drain(id)
        (happened,) = events(desk.told[1])
        assert set(happened) == {"event-number", "timestamp"}
        assert len(desk.told[1]["entry"]) == 1

    play(quick, scene)


def test_a_full_notification_brings_what_the_subscriber_may_see_and_no_more(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe(f"{OURS}referral", content="full-resource")
        await desk.drain(id)
        reference = desk.refer()
        await desk.drain(id)
        _, focus, *along = desk.told[1]["entry"]
        assert focus["fullUrl"] == f"{BASE}/{reference}"
        assert focus["resource"]["status"] == "requested"
        assert focus["request"] == {"method": "POST", "url": "Task"}
        assert focus["response"] == {"status": "201"}
        found = {each["resource"]["resourceType"]: each["resource"] for each in along}
        assert set(found) == {"ServiceRequest", "Patient"}
        assert found["Patient"]["name"] == PATIENT["name"]
        assert {"identifier", "maritalStatus"}.isdisjoint(found["Patient"])

    play(hub, scene)


def test_events_go_together_as_many_as_the_subscriber_takes(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe(most=2)
        await desk.drain(id)
        for _ in range(5):
            desk.refer()
        desk.answer = status("503 Unavailable")
        await desk.drain(id)
        desk.answer = status("200 OK")
        desk.change(BANK, f"Subscription/{id}", reason="tried again at once")
        await desk.drain(id)
        assert [numbers([each]) for each in desk.told[1:]] == [
            ["1", "2"],
            ["1", "2"],
            ["3", "4"],
            ["5"],
        ]
        ids = [each.headers["webhook-id"] for each in desk.got[1:]]
        assert ids[0] == ids[1]
        assert len(set(ids)) == 3

    play(hub, scene)


def test_a_right_that_has_ended_leaves_a_number_and_nothing_else(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe(f"{OURS}referral", content="full-resource", most=10)
        await desk.drain(id)
        first, second = desk.refer(), desk.refer()
        desk.answer = status("503 Unavailable")
        await desk.drain(id)
        desk.hub.write(lambda tx: tx.revoke(first))
        desk.answer = status("200 OK")
        desk.change(BANK, f"Subscription/{id}", reason="tried again at once")
        await desk.drain(id)
        one, two = events(desk.told[-1])
        assert set(one) == {"event-number", "timestamp"}
        assert two["focus"] == {"reference": f"{BASE}/{second}"}
        assert first not in json.dumps(desk.told[-1])
        assert numbers([desk.bundle(id)]) == ["1", "2"]
        assert first not in json.dumps(desk.bundle(id))

    play(hub, scene)


def test_what_no_longer_matches_is_an_event_where_the_topic_says_so(quick: Hub) -> None:
    async def scene(desk: Desk) -> None:
        ours = desk.subscribe(f"{OURS}referral", filters=("status=requested",))
        plain = desk.subscribe(SDOH, filters=("status=requested",))
        answered = desk.subscribe(f"{OURS}referral-answered")
        reference = desk.refer()
        desk.change(BANK, reference, status="accepted")
        desk.change(BANK, reference, status="in-progress")
        for id in (ours, plain, answered):
            await desk.drain(id)
        assert numbers([desk.bundle(ours)]) == ["1", "2"]
        assert numbers([desk.bundle(plain)]) == ["1"]
        assert numbers([desk.bundle(answered)]) == ["1"]

    play(quick, scene)


def test_a_deletion_is_told_to_whoever_could_see_it(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe(
            f"{OURS}referral", CLINIC, content="full-resource", filters=("status=draft",)
        )
        await desk.drain(id)
        draft = task("ServiceRequest/none", "Patient/none", status="draft")
        kept = {name: draft[name] for name in ("resourceType", "status", "intent", "requester")}
        reference = desk.make(CLINIC, kept).reference
        desk.pipeline.delete(CLINIC, *reference.split("/")).result()
        await desk.drain(id)
        last = desk.told[-1]["entry"][1]
        assert last == {
            "fullUrl": f"{BASE}/{reference}",
            "request": {"method": "DELETE", "url": reference},
            "response": {"status": "204"},
        }

    play(hub, scene)


def test_an_outage_is_told_in_order_and_without_gaps(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe()
        await desk.drain(id)
        desk.answer = status("410 Gone")
        desk.refer()
        await desk.drain(id)
        for _ in range(3):
            desk.refer()
        assert desk.read(BANK, f"Subscription/{id}")["status"] == "error"
        desk.answer = status("200 OK")
        desk.change(BANK, f"Subscription/{id}", status="requested")
        before = len(desk.got)
        await desk.drain(id)
        back = desk.told[before:]
        assert kind(back[0]) == "handshake"
        assert numbers(back) == ["1", "2", "3", "4"]

    play(hub, scene)


# --- what is asked afterwards --------------------------------------------------------------------


def test_events_can_be_asked_for_by_their_numbers_and_sent_again(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe()
        await desk.drain(id)
        tasks = [desk.refer() for _ in range(4)]
        await desk.drain(id)
        some = desk.bundle(id, first=2, last=3, content="full-resource")
        assert kind(some) == "query-event"
        assert numbers([some]) == ["2", "3"]
        assert [each["fullUrl"] for each in some["entry"][1:]] == [
            f"{BASE}/{each}" for each in tasks[1:3]
        ]
        count = desk.standing(id)["events-since-subscription-start"]
        assert count == "4"
        sent = desk.got[2].headers["webhook-id"]
        long_ago, far_off = AT.replace(year=2000), AT.replace(year=3000)
        run = desk.pipeline.operations.subscriptions.resend
        assert run(BANK, id, Again(2, 3, far_off, far_off)).result() == 0
        assert run(BANK, id, Again(2, 3, long_ago, far_off)).result() == 2
        before = len(desk.got)
        await desk.drain(id)
        assert numbers(desk.told[before:]) == ["2", "3"]
        assert desk.got[before].headers["webhook-id"] == sent

    play(hub, scene)


def test_another_agency_neither_sees_nor_resends_a_subscription(quick: Hub) -> None:
    async def scene(desk: Desk) -> None:
        id = desk.subscribe()
        run = desk.pipeline.operations.subscriptions
        for asked in (
            lambda: run.status(CLINIC, BASE, id),
            lambda: run.events(CLINIC, BASE, id, 1, 9, ""),
        ):
            with pytest.raises(GatewayError, match="no such resource"):
                asked()
        assert run.statuses(CLINIC, BASE, [id], ()) == []
        assert len(run.statuses(BANK, BASE, [], ("requested",))) == 1
        assert run.statuses(BANK, BASE, [], ("error",)) == []

    play(quick, scene)


# --- plain criteria ------------------------------------------------------------------------------


def test_plain_criteria_may_be_any_search(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        made = {}
        for criteria in (
            "Task?patient.family=nunez",
            "Task?patient.family=smith",
            "ServiceRequest?_has:Task:focus:status=requested",
            "Task?_has:Provenance:target:_id=none",
            "Task?code:text=fulfil",
        ):
            plain = subscription(desk.address, criteria)
            plain["channel"] = {"type": "rest-hook", "endpoint": f"{desk.address}/knock"}
            made[criteria] = desk.make(CLINIC, plain).id
        reference = desk.refer()
        focus = desk.read(CLINIC, reference)["focus"]["reference"]
        desk.change(CLINIC, focus, priority="urgent")
        heard = {}
        for criteria, id in made.items():
            before = len(desk.got)
            await desk.drain(id)
            heard[criteria] = len(desk.got) - before
        assert list(heard.values()) == [1, 0, 2, 0, 1]

    play(hub, scene)


def test_a_chain_tells_nothing_of_what_the_subscriber_can_not_see(quick: Hub) -> None:
    async def scene(desk: Desk) -> None:
        plain = subscription(desk.address, "Task?patient.identifier=000-12-3456")
        plain["channel"] = {"type": "rest-hook", "endpoint": f"{desk.address}/knock"}
        id = desk.make(BANK, plain).id
        desk.refer()
        await desk.drain(id)
        assert desk.got == []

    play(quick, scene)


# --- what is refused -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"criteria": "http://example.org/SubscriptionTopic/none"}, "Subscription.criteria"),
        (
            {"_criteria": {"extension": [{"url": FILTER, "valueString": "focus=x"}]}},
            "Subscription.criteria",
        ),
        ({"criteria": "Task?status=requested"}, "Subscription.channel.payload.extension"),
    ],
)
def test_what_could_never_be_told_is_refused_when_written(
    quick: Hub, change: Json, place: str
) -> None:
    async def scene(desk: Desk) -> None:
        with pytest.raises(InvalidResource) as caught:
            desk.make(BANK, subscription(desk.address) | change)
        assert caught.value.place == place

    play(quick, scene)


def test_a_keys_scopes_bound_what_it_may_subscribe_to(quick: Hub) -> None:
    async def scene(desk: Desk) -> None:
        narrow = Context("food-bank", "k", frozenset({"system/Subscription.c", "system/Task.s"}))
        desk.make(narrow, subscription(desk.address))
        with pytest.raises(Denied):
            desk.make(narrow, subscription(desk.address, content="full-resource"))
        plain = subscription(desk.address, "Task?patient.family=nunez")
        plain["channel"] = {"type": "rest-hook", "endpoint": f"{desk.address}/knock"}
        with pytest.raises(Denied):
            desk.make(narrow, plain)

    play(quick, scene)


# --- what can be followed ------------------------------------------------------------------------


def test_everybody_may_read_the_topics_in_force_and_no_others(hub: Hub) -> None:
    async def scene(desk: Desk) -> None:
        topics = desk.pipeline.topics
        hub.write(lambda tx: offer(tx, topics))
        hub.write(lambda tx: offer(tx, {SDOH: topics[SDOH]}))
        mine = {"resourceType": "Basic", "code": {"coding": [{"code": "SubscriptionTopic"}]}}
        own = desk.make(BANK, mine).id
        hub.write(lambda tx: offer(tx, {SDOH: topics[SDOH]}))
        asked = Search("Basic", [("code", "SubscriptionTopic")])
        found = desk.pipeline.search(CLINIC, asked).page.entries
        (told,) = (json.loads(each.body) for each in found)
        assert told["meta"]["versionId"] == "1"
        assert SDOH in {each.get("valueUri") for each in told["extension"]}
        assert desk.read(BANK, f"Basic/{own}")["id"] == own

    play(hub, scene)
