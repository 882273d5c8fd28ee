"""Hubs that tell each other of everything: each event goes round and ends."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn

from gateway.api import build_api
from gateway.fhir import json
from gateway.model import Subscriber
from gateway.receive.arrival import take_in
from gateway.settings import Settings
from tests.deliver.sinks import http
from tests.faults.test_receivers import CLINIC, FINE, Door, Gateway, gateway, until

pytestmark = pytest.mark.faults

HUBS = 3
MOST = 5
"""Notifications an origin event, over all hubs and per receiver (the catalogue's T23)."""


@asynccontextmanager
async def served(made: Gateway) -> AsyncIterator[str]:
    """The hub's FHIR base."""
    app = build_api(made.pipeline, Settings(), take_in=take_in, ready=lambda: True)
    with socket.create_server(("127.0.0.1", 0)) as bound:
        config = uvicorn.Config(app, log_config=None, lifespan="off", timeout_graceful_shutdown=1)
        server = uvicorn.Server(config)
        serving = asyncio.create_task(server.serve(sockets=[bound]))
        try:
            yield f"http://127.0.0.1:{bound.getsockname()[1]}/fhir"
        finally:
            server.should_exit = True
            await serving


def befriend(made: Gateway, number: int, other: int, address: str, secret: str) -> None:
    """All of one hub's Basics go to another, which takes them as the clinic's own."""
    told = Subscriber(
        id=f"from-{number}-to-{other}",
        agency=CLINIC.agency,
        channel="rest-hook",
        endpoint=address,
        criteria="Basic?",
        payload="application/fhir+json",
        headers=(f"Authorization: Bearer {secret}",),
    )
    made.hub.write(lambda tx: tx.put_subscriber(told))


def sent(hubs: list[Gateway]) -> int:
    count = 0
    for made in hubs:
        with made.hub.read() as reader:
            count += len(reader.deliveries(outcome="delivered", count=10_000))
    return count


def idle(hubs: list[Gateway]) -> bool:
    for made in hubs:
        with made.hub.read() as reader:
            if reader.deliveries(outcome=""):
                return False
    return True


def basic(made: Gateway, id: str) -> Any:
    return json.loads(made.pipeline.read(CLINIC, "Basic", id).body)


def test_three_hubs_that_tell_each_other_all_come_to_rest(tmp_path: Path) -> None:
    async def story() -> None:
        async with AsyncExitStack() as stack:
            hubs: list[Gateway] = []
            for number in range(HUBS):
                (tmp_path / str(number)).mkdir()
                hubs.append(await stack.enter_async_context(gateway(tmp_path / str(number))))
            bases = [await stack.enter_async_context(served(made)) for made in hubs]
            keys = [made.pipeline.members.add_key("clinic") for made in hubs]
            for number, made in enumerate(hubs):
                for other in range(HUBS):
                    if other != number:
                        befriend(made, number, other, bases[other], keys[other])
                made.pipeline._outgoing.forget()
            await hubs[0].happen("one")
            await until(lambda: sent(hubs) >= HUBS - 1)
            await until(lambda: idle(hubs))
            await asyncio.sleep(1)
            assert idle(hubs)
            assert sent(hubs) <= MOST * HUBS
            assert [basic(made, "one")["meta"]["versionId"] for made in hubs] == ["1"] * HUBS

            # Two write the same at once, and would undo each other's for ever.
            before = sent(hubs)
            both = [{"resourceType": "Basic", "id": "one", "code": {"text": t}} for t in "xy"]
            await asyncio.gather(*(made.put(each) for made, each in zip(hubs, both, strict=False)))
            await asyncio.sleep(1)
            await until(lambda: idle(hubs))
            assert sent(hubs) - before <= MOST * HUBS * 2

    asyncio.run(story())


def test_an_update_says_how_many_hubs_it_came_through_and_ends_after_three(tmp_path: Path) -> None:
    door = Door(FINE, well=True)

    async def story() -> None:
        async with (
            gateway(tmp_path) as made,
            served(made) as base,
            http(door) as (address, _),
            httpx.AsyncClient(trust_env=False) as client,
        ):
            await made.subscribe("s", address)
            key = made.pipeline.members.add_key("clinic")
            for hops in ("", "2", "3", "1", "nonsense"):
                headers = {"Authorization": f"Bearer {key}", "care-gateway-hops": hops}
                name = f"h{hops}"
                body = {"resourceType": "Basic", "id": name, "code": {"text": name}}
                answer = await client.put(f"{base}/Basic/{name}", json=body, headers=headers)
                assert answer.status_code == 201
            await until(lambda: len(door.taken) == 4)
            told = [(each.target[8:], each.headers["care-gateway-hops"]) for each in door.knocks]
            assert told == [("", "1"), ("2", "3"), ("1", "2"), ("nonsense", "1")]
            with made.hub.read() as reader:
                (aside,) = reader.deliveries(outcome="aside")
                assert aside.event.id == "h3"
                assert "so many hubs" in reader.attempts(aside.id)[0].reason

    asyncio.run(story())
