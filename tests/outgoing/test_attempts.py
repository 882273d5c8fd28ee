"""What becomes of deliveries that fail: put off, set aside in view, given up, replayed."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.model import CLOSING, Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, open_hub
from gateway.store.attempts import Attempt
from tests.deliver import sinks
from tests.deliver.sinks import Request, Writer, http, status
from tests.shipped import library
from tests.store.samples import advance
from tests.test_closing import FOOD, _aa, _listening_at, sample

CLINIC = Context("clinic", "test")
PAUSE = 0.01


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "gateway.sqlite"


def quick(**more: Any) -> Settings:
    """Settings by which days pass in a blink."""
    about = {"retry_first": 0.005, "retry_limit": 0.02, "retry_give_up": 60.0, **more}
    return Settings(endpoint_networks=("127.0.0.0/8",), **about)


def opened(hub: Hub, settings: Settings) -> Pipeline:
    pipeline = Pipeline(hub, library(), settings, as_message)
    pipeline.add_agency("clinic", None)
    return pipeline


def put(pipeline: Pipeline, resource: dict[str, Any]) -> None:
    raw = json.dumps(resource).encode()
    pipeline.update(CLINIC, resource["resourceType"], resource["id"], raw).result()


def subscribe(pipeline: Pipeline, endpoint: str, *, state: str = "active") -> None:
    channel = {"type": "rest-hook", "endpoint": endpoint, "payload": "application/fhir+json"}
    put(
        pipeline,
        {
            "resourceType": "Subscription",
            "id": "s",
            "status": state,
            "reason": "test",
            "criteria": "Basic?",
            "channel": channel,
        },
    )


def happen(pipeline: Pipeline, *names: str) -> None:
    for name in names:
        put(pipeline, {"resourceType": "Basic", "id": name, "code": {"text": name}})


async def drained(pipeline: Pipeline, id: str, until: Callable[[], bool]) -> None:
    """Drain as often as it takes, as work would."""
    for _ in range(500):
        await pipeline.drain(id)
        if until():
            return
        await asyncio.sleep(PAUSE)
    raise AssertionError("it never came")


def went(hub: Hub, id: str = "s") -> list[tuple[str, str]]:
    """Each of a subscriber's deliveries, by number: what it was about, and its outcome."""
    with hub.read() as reader:
        return [(each.event.id, each.outcome) for each in reader.deliveries(subscriber=id)[::-1]]


def attempts(hub: Hub, about: str) -> list[Attempt]:
    with hub.read() as reader:
        (found,) = [each for each in reader.deliveries() if each.event.id == about]
        return reader.attempts(found.id)


def standing(hub: Hub, id: str = "s") -> tuple[str, str]:
    with hub.read() as reader:
        found = reader.standing(id)
    assert found is not None
    return found.subscriber.status, found.subscriber.error


def refusing(*names: str) -> tuple[set[str], Callable[[Request, Writer], Awaitable[None]]]:
    """An answer that is 400 for what is in the set, and 200 for the rest."""
    refused = set(names)

    async def answer(request: Request, writer: Writer) -> None:
        name = request.target.rpartition("/")[2]
        await status("400 Bad Request" if name in refused else "200 OK")(request, writer)

    return refused, answer


def taken(got: list[Request]) -> list[str]:
    return [request.target.rpartition("/")[2] for request in got]


def play(story: Callable[[], Awaitable[None]]) -> None:
    asyncio.run(story())  # type: ignore[arg-type]


def test_what_a_receiver_refuses_is_set_aside_in_time_and_holds_up_nobody_for_good(
    hub: Hub,
) -> None:
    pipeline = opened(hub, quick(retry_refused=0.05))
    refused, answer = refusing("poison")

    async def story() -> None:
        async with http(answer) as (address, got):
            subscribe(pipeline, address)
            happen(pipeline, "first", "poison", "last")
            await drained(pipeline, "s", lambda: taken(got)[-1:] == ["last"])
            tried = taken(got)
            assert tried[0] == "first"
            assert set(tried[1:-1]) == {"poison"}
            assert len(tried) > 3
            assert went(hub) == [("first", "delivered"), ("poison", "aside"), ("last", "delivered")]
            newest, *before = attempts(hub, "poison")
            assert (newest.outcome, newest.reason) == ("aside", "the endpoint answered 400")
            assert {each.outcome for each in before} == {"failed"}
            refused.clear()
            replay(pipeline, hub, "poison")
            await drained(pipeline, "s", lambda: taken(got)[-1:] == ["poison"])
            await pipeline.close()
        assert went(hub)[1] == ("poison", "delivered")
        assert standing(hub) == ("active", "")

    play(story)


def replay(pipeline: Pipeline, hub: Hub, about: str) -> None:
    with hub.read() as reader:
        (found,) = [each for each in reader.deliveries() if each.event.id == about]
    hub.write(lambda tx: tx.replay(found.id, "test", datetime.now(UTC)))


def test_the_same_delivery_is_replayed_under_its_id_and_number_and_it_is_on_record(
    hub: Hub,
) -> None:
    pipeline = opened(hub, quick())

    async def story() -> None:
        async with http(status("200 OK")) as (address, got):
            subscribe(pipeline, address)
            happen(pipeline, "one")
            await pipeline.drain("s")
            replay(pipeline, hub, "one")
            await pipeline.drain("s")
            await pipeline.close()
        first, second = got
        assert first.headers["webhook-id"] == second.headers["webhook-id"]
        assert [each.outcome for each in attempts(hub, "one")] == ["replayed"]
        assert went(hub) == [("one", "delivered")]

    play(story)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it writes into the file
def test_an_event_that_nobody_can_judge_is_set_aside_and_the_next_arrives(
    hub: Hub, file: Path
) -> None:
    pipeline = opened(hub, quick())

    async def story() -> None:
        async with http(status("200 OK")) as (address, got):
            subscribe(pipeline, address)
            happen(pipeline, "poison", "sound")
            with sqlite3.connect(file) as raw:
                raw.execute(
                    "UPDATE version SET body = x'7b' WHERE sequence ="
                    " (SELECT min(sequence) FROM version WHERE type = 'Basic')"
                )
            raw.close()
            await pipeline.drain("s")
            await pipeline.close()
        assert taken(got) == ["sound"]
        assert went(hub) == [("poison", "aside"), ("sound", "delivered")]
        (why,) = attempts(hub, "poison")
        assert why.reason

    play(story)


@pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)  # it writes into the file
def test_what_cannot_be_made_is_set_aside_after_a_few_tries_and_made_when_mended(
    hub: Hub, file: Path, tmp_path: Path
) -> None:
    pipeline = opened(hub, quick())

    async def story() -> None:
        async with sinks.mllp(_aa) as (address, heard):
            pipeline.add_agency("food-bank", None)
            pipeline.add_agency("cedar-general", _listening_at(address, "cedar-general", tmp_path))
            pipeline.accept(*as_message("cedar-general", "mllp", sample(FOOD))).result()
            told = f"{CLOSING}cedar-general"
            bank = Context("food-bank", "test")
            with hub.read() as reader:
                (about,) = reader.events_after(0, ["Task"])
            task = json.loads(pipeline.read(bank, "Task", about.id).body)
            accepted = json.dumps({**task, "status": "accepted"}).encode()
            pipeline.update(bank, "Task", about.id, accepted).result()
            with hub.read() as reader:
                standing = reader.standing(told)
            assert standing is not None
            advance(hub, told, lambda event, _: event.version == 2)
            sound = swapped(file, b"no message at all")
            await drained(pipeline, told, lambda: bool(went(hub, told)[0][1]))
            assert went(hub, told)[0][1] == "aside"
            tries = attempts(hub, about.id)
            assert [each.outcome for each in tries] == ["aside", "failed", "failed"]
            assert {each.stage for each in tries} == {"parse"}
            assert heard == []
            swapped(file, sound)
            replay(pipeline, hub, about.id)
            await drained(pipeline, told, lambda: went(hub, told)[0][1] == "delivered")
            assert len(heard) == 1
            await pipeline.close()

    play(story)


def swapped(file: Path, raw: bytes) -> bytes:
    """Put other bytes in the place of the only kept message's."""
    with sqlite3.connect(file) as hub:
        (was,) = hub.execute("SELECT raw FROM message").fetchone()
        hub.execute("UPDATE message SET raw = ?", (raw,))
    hub.close()
    return bytes(was)


def test_after_the_policys_end_it_errs_with_the_reason_and_a_new_start_delivers_all_in_order(
    hub: Hub,
) -> None:
    pipeline = opened(hub, quick(retry_give_up=0.1))

    async def story() -> None:
        async with http(status("500 Oh")) as (address, got):
            subscribe(pipeline, address)
            happen(pipeline, "a", "b", "c")
            await drained(pipeline, "s", lambda: standing(hub)[0] == "error")
            assert set(taken(got)) == {"a"}
            assert standing(hub)[1].endswith("the endpoint answered 500")
            told = json.loads(pipeline.read(CLINIC, "Subscription", "s").body)
            assert (told["status"], told["error"]) == standing(hub)
            tried = len(got)
            happen(pipeline, "d")
            await pipeline.drain("s")
            assert len(got) == tried
        async with http(status("503 Later")) as (address, got):
            subscribe(pipeline, address)
            await pipeline.drain("s")
            assert taken(got) == ["a"]
            assert standing(hub)[0] == "active", "a new start is a new period"
        async with http(status("200 OK")) as (address, got):
            subscribe(pipeline, address)
            await drained(pipeline, "s", lambda: len(got) == 4)
            assert taken(got) == ["a", "b", "c", "d"]
            await pipeline.close()

    play(story)


def test_410_stops_at_once_and_keeps_the_events(hub: Hub) -> None:
    pipeline = opened(hub, quick())

    async def story() -> None:
        async with http(status("410 Gone")) as (address, got):
            subscribe(pipeline, address)
            happen(pipeline, "a", "b")
            await pipeline.drain("s")
            await pipeline.drain("s")
            assert taken(got) == ["a"]
            assert standing(hub)[0] == "error"
            assert went(hub) == [("a", ""), ("b", "")]
            await pipeline.close()

    play(story)


def test_two_processes_on_one_hub_send_each_event_once_and_in_order(postgres_url: str) -> None:
    hubs = [open_hub(postgres_url) for _ in range(2)]
    due = [f"e-{number:02}" for number in range(30)]

    async def slowly(request: Request, writer: Writer) -> None:
        await asyncio.sleep(0.003)
        await status("200 OK")(request, writer)

    async def story() -> None:
        async with http(slowly) as (address, got):
            gateways = [opened(hub, quick()) for hub in hubs]
            subscribe(gateways[0], address)
            happen(gateways[0], *due)

            async def drains(gateway: Pipeline) -> None:
                while len(got) < len(due):
                    await gateway.drain("s")
                    await asyncio.sleep(PAUSE)

            await asyncio.wait_for(asyncio.gather(*map(drains, gateways)), 60)
            assert taken(got) == due
            for gateway in gateways:
                await gateway.close()

    try:
        play(story)
    finally:
        for hub in hubs:
            hub.close()
