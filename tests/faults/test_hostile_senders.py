"""Floods, duplicates, shuffled messages and clocks that step: nothing is lost, doubled or stuck."""

from __future__ import annotations

import asyncio
import random
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any

import httpx
import pytest
import time_machine

from gateway.errors import DeliverError
from gateway.exchange.searching import Search
from gateway.fhir import gates
from gateway.members import KEEPER
from gateway.model import Context, Subscriber
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, Transaction
from tests.faults.hostile import MB, PATIENCE, Target, adt, answered, attacked, field
from tests.faults.load import referral
from tests.faults.scene import seeded, size
from tests.shipped import library

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

FLOOD = size("FLOOD", 3000)
"""Requests that wait at the same time."""

SENDERS = 8
MESSAGES = size("REPEATED", 12)
HOUR = timedelta(hours=1)
Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    limits = {"agency_in_hand": "500", "most_in_hand": "800"}
    with attacked(tmp_path_factory.mktemp("embedded"), **limits) as target:
        yield target


@pytest.fixture
def outgrown(tmp_path: Path, postgres_url: str) -> Iterator[Target]:
    with attacked(tmp_path, database_url=postgres_url) as target:
        yield target


# --- a flood --------------------------------------------------------------------------------------


async def posted(target: Target, key: str, number: int) -> tuple[int, str, str]:
    """One POST on a connection of its own: its status, Retry-After and the id that was made."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.process.port)
    body = (
        f'{{"resourceType":"Patient","identifier":[{{"system":"urn:flood","value":"{number}"}}]}}'
    )
    writer.write(
        f"POST /fhir/Patient HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n"
        f"content-type: application/fhir+json\r\ncontent-length: {len(body)}\r\n\r\n{body}".encode()
    )
    async with asyncio.timeout(PATIENCE):
        head = (await reader.readuntil(b"\r\n\r\n")).decode().lower()
    writer.close()
    said = dict(line.split(": ", 1) for line in head.split("\r\n")[1:] if line)
    return int(head.split()[1]), said.get("retry-after", ""), said.get("location", "")


def test_a_flood_is_answered_to_the_last_and_takes_no_more_than_there_is(embedded: Target) -> None:
    """While nothing can be written, 503 and 429 tell who is too much; MLLP waits and loses none."""
    target, senders = embedded, 50
    database = target.process.database.removeprefix("sqlite:///")

    async def sender(number: int) -> list[bytes]:
        reader, writer = await asyncio.open_connection("127.0.0.1", target.process.mllp_port)
        for each in range(20):
            writer.write(b"\x0b" + adt(f"F{number}-{each}", f"F{number}").encode() + b"\x1c\r")
        async with asyncio.timeout(PATIENCE):
            heard = [await reader.readuntil(b"\x1c\r") for _ in range(20)]
        writer.close()
        return heard

    async def run() -> tuple[list[tuple[int, str, str]], list[list[bytes]]]:
        with closing(sqlite3.connect(database, isolation_level=None)) as other:
            other.execute("BEGIN IMMEDIATE")  # the writer waits for it, and so do all
            keys = (target.clinic, target.bank)
            web = [asyncio.create_task(posted(target, keys[n % 2], n)) for n in range(FLOOD)]
            mllp = [asyncio.create_task(sender(number)) for number in range(senders)]
            done: set[asyncio.Task[Any]] = set()
            while len(done) < FLOOD - 800:
                done = {each for each in web if each.done()}
                await asyncio.sleep(0.02)
            other.execute("ROLLBACK")
        return await asyncio.gather(*web), await asyncio.gather(*mllp)

    target.forget_peak()
    before = target.resident
    web, mllp = target.runner.run(run())
    print(Counter(status for status, _, _ in web), f"{(target.peak - before) / MB:.0f} MB more")
    assert target.peak - before < 300 * MB
    assert {status for status, _, _ in web} <= {201, 429, 503}
    assert all(int(after) >= 1 for status, after, _ in web if status != 201)
    assert any(status != 201 for status, _, _ in web)
    for number, heard in enumerate(mllp):
        told = [(field(each[1:-2], "MSA", 1), field(each[1:-2], "MSA", 2)) for each in heard]
        assert [id for _, id in told] == [f"F{number}-{each}" for each in range(20)]
        assert {code for code, _ in told} <= {"AA", "AE"}
    made = [where for status, _, where in web if status == 201]
    assert len(set(made)) == len(made)

    async def kept(key: str) -> int:
        async with target.client(key) as client:
            found = await client.get("/fhir/Patient?identifier=urn:flood|&_summary=count")
            return int(found.json()["total"])

    both = (target.clinic, target.bank)
    assert sum(target.runner.run(kept(key)) for key in both) == len(made)
    target.runner.run(target.served())


# --- duplicates and order -------------------------------------------------------------------------


async def connections(target: Target, count: int) -> list[Stream]:
    port = target.process.mllp_port
    return [await asyncio.open_connection("127.0.0.1", port) for _ in range(count)]


def test_the_same_message_from_eight_connections_at_once_is_taken_once(embedded: Target) -> None:
    _same_from_all(embedded)


def test_the_same_message_from_eight_connections_is_taken_once_on_postgresql(
    outgrown: Target,
) -> None:
    _same_from_all(outgrown)
    _shuffled(outgrown, seeded())


def _same_from_all(target: Target) -> None:
    async def run() -> dict[str, Any]:
        streams = await connections(target, SENDERS)
        for number in range(MESSAGES):
            raw = referral(f"S9-{number:05d}")
            heard = await asyncio.gather(*(answered(*each, raw) for each in streams))
            assert {field(each, "MSA", 1) for each in heard} == {"AA"}, heard
            assert len(set(heard)) == 1, "the stored answer, to the byte"
        for _, writer in streams:
            writer.close()
        async with target.client() as client:
            return {
                type_: (await client.get(f"/fhir/{type_}?_summary=count")).json()["total"]
                for type_ in ("ServiceRequest", "Task")
            }

    assert target.runner.run(run()) == {"ServiceRequest": MESSAGES, "Task": MESSAGES}


def test_messages_in_any_order_come_to_what_they_say_in_order(embedded: Target) -> None:
    _shuffled(embedded, seeded())


def _shuffled(target: Target, chance: random.Random) -> None:
    """Updates of a few people by four connections, shuffled, against the same in order."""
    people, start = 4, datetime(2026, 3, 1, 8, tzinfo=UTC)
    told: dict[str, list[tuple[datetime, dict[str, str]]]] = {}
    for person in range(people):
        told[f"Z{person}"] = [
            (
                start + timedelta(minutes=chance.randrange(10**5)),
                {
                    "family": f"Family{number}",
                    "given": chance.choice(["Ana", "Bo", "Cy"]),
                    "sex": chance.choice("FMO"),
                    "city": f"City{chance.randrange(100)}",
                },
            )
            for number in range(6)
        ]
    orders = {"in order": sorted, "shuffled": lambda all_: chance.sample(all_, len(all_))}

    async def state(how: str) -> list[Any]:
        every = [
            (at, f"{how[0]}{mrn}{at:%d%H%M}", f"{how[0]}{mrn}", said)
            for mrn, updates in told.items()
            for at, said in updates
        ]
        streams = await connections(target, 1 if how == "in order" else 4)
        queue = list(orders[how](every))  # type: ignore[operator]

        async def send(stream: Stream) -> None:
            while queue:
                at, id, mrn, said = queue.pop(0)
                raw = adt(id, mrn, at=f"{at:%Y%m%d%H%M}+0000", **said).encode()
                assert field(await answered(*stream, raw), "MSA", 1) == "AA"

        await asyncio.gather(*map(send, streams))
        for _, writer in streams:
            writer.close()
        async with target.client() as client:
            return [await _person(client, f"{how[0]}{mrn}") for mrn in told]

    in_order = target.runner.run(state("in order"))
    assert target.runner.run(state("shuffled")) == in_order
    for found, updates in zip(in_order, told.values(), strict=True):
        newest = max(updates, key=lambda each: each[0])[1]
        assert found["name"][0]["family"] == newest["family"]
        assert found["address"][0]["city"] == newest["city"]


async def _person(client: httpx.AsyncClient, mrn: str) -> dict[str, Any]:
    bundle = (await client.get(f"/fhir/Patient?identifier={mrn}")).json()
    (entry,) = bundle["entry"]
    patient: dict[str, Any] = entry["resource"]
    return {name: patient.get(name) for name in ("name", "gender", "address", "birthDate")}


# --- clocks ---------------------------------------------------------------------------------------

STEPS: Sequence[timedelta] = (
    timedelta(),
    timedelta(hours=1),
    timedelta(hours=-1),
    timedelta(days=365),
    timedelta(days=-365),
    timedelta(days=-40 * 365),
    timedelta(),
)


def test_a_clock_that_steps_loses_nothing_and_turns_nothing_round(hub: Hub) -> None:
    pipeline = Pipeline(hub, library(), Settings(), as_message)
    pipeline.add_agency("north", None)
    now, context = datetime.now(UTC), Context("north", "test")
    for number, step in enumerate(STEPS):
        with time_machine.travel(now + step, tick=True):
            raw = adt(f"T{number}", "T", at=f"{now:%Y%m%d}", family=f"F{number}").encode()
            receipt = pipeline.accept(*as_message("north", "mllp", raw)).result(PATIENCE)
            assert receipt.acknowledgement == "AA"
            repeated = pipeline.accept(*as_message("north", "mllp", raw)).result(PATIENCE)
            assert repeated.answer == receipt.answer
    (found,) = pipeline.search(context, Search("Patient", [("identifier", "T")])).page.entries
    versions = list(reversed(pipeline.history(context, type="Patient", id=found.id).entries))
    assert [each.version for each in versions] == list(range(1, len(versions) + 1))
    assert all(one.updated < next_.updated for one, next_ in pairwise(versions))
    with hub.read() as reader:
        events = reader.events_after(0, ["Patient"], limit=1000)
        assert [each.version for each in events] == [each.version for each in versions]
        assert len(reader.accepted_messages(KEEPER, count=100)) == len(STEPS)


def test_a_retry_that_was_set_by_a_clock_a_year_ahead_is_due_once_it_is_right(hub: Hub) -> None:
    now = datetime.now(UTC)
    ahead = now + timedelta(days=365)
    hub.write(lambda tx: tx.put_subscriber(Subscriber("s", "north", "rest-hook", "", "Basic")))
    basic = {"resourceType": "Basic", "id": "b", "code": {"text": "x"}}
    put = gates.check(basic)
    hub.write(lambda tx: tx.put(Context("north", "test"), put, interaction="create"))
    down = DeliverError("it is down")
    for at, due in ((now, False), (ahead, True)):
        hub.write(
            partial(Transaction.ill, subscriber_id="s", error=down, retry_at=at + HOUR, at=at)
        )
        with hub.read() as reader:
            assert (reader.behind(now) == ["s"]) is due
