"""What is too much, over HTTP: 429 for an agency's own flood, 503 where the whole is full."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import pytest

from gateway.api import build_api
from gateway.pipeline import Pipeline
from gateway.protect.limits import Limits, limits_of
from gateway.receive.arrival import take_in
from gateway.settings import Settings
from tests.api.calls import FHIR, Caller, issue

PATIENT = {"resourceType": "Patient", "name": [{"family": "Rivera"}]}


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    folder = tmp_path_factory.mktemp("hub")
    return Settings(data_dir=folder, agency_rate=1e-9, agency_burst=5, message_limit=200_000)


def test_an_agency_that_sends_too_fast_is_told_when_to_come_again(
    caller: Callable[..., Caller],
) -> None:
    hasty, other = caller("hasty"), caller("other")
    assert [hasty.post("/fhir/Patient", PATIENT).status_code for _ in range(5)] == [201] * 5
    refused = hasty.post("/fhir/Patient", PATIENT)
    assert refused.status_code == 429
    assert int(refused.headers["retry-after"]) >= 1
    assert issue(refused)["code"] == "throttled"
    assert hasty.get("/livez").status_code == 200
    assert other.get("/fhir/Patient").status_code == 200


def test_the_keeper_comes_in_whatever_comes_in(caller: Callable[..., Caller]) -> None:
    keeper = caller("admin")
    assert [keeper.get("/fhir/Patient").status_code for _ in range(10)] == [200] * 10


@pytest.fixture
def entered(
    pipeline: Pipeline, settings: Settings
) -> Callable[..., tuple[httpx.AsyncClient, Limits]]:
    """A client of a new agency, and the limits that it meets."""

    def enter(name: str, **others: Any) -> tuple[httpx.AsyncClient, Limits]:
        pipeline.members.add(name, None, name)
        own = settings.model_copy(update={"agency_rate": 0, **others})
        limits = limits_of(own, pipeline.members.allowance)
        app = build_api(pipeline, own, take_in=take_in, ready=lambda: True, limits=limits)
        headers = {
            "authorization": f"Bearer {pipeline.members.add_key(name)}",
            "content-type": FHIR,
        }
        transport = httpx.ASGITransport(app)
        return httpx.AsyncClient(
            transport=transport, base_url="http://gateway", headers=headers
        ), limits

    return enter


async def slowly(going: asyncio.Event, start: bytes) -> AsyncIterator[bytes]:
    yield start
    await going.wait()
    yield b"x"


@pytest.mark.parametrize(
    ("setting", "status"), [({"agency_in_hand": 3}, 429), ({"most_in_hand": 3}, 503)]
)
def test_what_is_under_way_has_an_end_and_its_places_come_back(
    entered: Callable[..., tuple[httpx.AsyncClient, Limits]], setting: dict[str, int], status: int
) -> None:
    client, limits = entered(f"crowd-{status}", **setting)

    async def run() -> None:
        going = asyncio.Event()
        slow = [
            asyncio.create_task(client.post("/fhir/Patient", content=slowly(going, b"{")))
            for _ in range(3)
        ]
        while limits.in_hand < 3:
            await asyncio.sleep(0)
        refused = await client.post("/fhir/Patient", json=PATIENT)
        assert refused.status_code == status
        assert int(refused.headers["retry-after"]) >= 1
        assert issue(refused)["code"] == "throttled"
        going.set()
        assert {each.status_code for each in await asyncio.gather(*slow)} == {400}
        assert (limits.in_hand, limits.held) == (0, 0)
        assert (await client.post("/fhir/Patient", json=PATIENT)).status_code == 201

    asyncio.run(run())


def test_bodies_under_way_have_an_end_in_bytes(
    entered: Callable[..., tuple[httpx.AsyncClient, Limits]],
) -> None:
    client, limits = entered("heavy")
    size = 190_000

    async def run() -> None:
        going = asyncio.Event()
        slow = [
            asyncio.create_task(client.post("/fhir/Patient", content=slowly(going, b"x" * size)))
            for _ in range(20)
        ]
        done, _ = await asyncio.wait(slow, return_when=asyncio.FIRST_COMPLETED)
        while limits.in_hand > 8:
            await asyncio.sleep(0)
        assert limits.held <= 8 * 200_000
        assert all(each.result().status_code == 429 for each in done)
        going.set()
        answered = [each.status_code for each in await asyncio.gather(*slow)]
        assert answered.count(400) == 8
        assert answered.count(429) == 12
        assert (limits.in_hand, limits.held) == (0, 0)

    asyncio.run(run())


def test_a_client_that_leaves_gives_its_place_back(
    entered: Callable[..., tuple[httpx.AsyncClient, Limits]],
) -> None:
    client, limits = entered("leaver")

    async def run() -> None:
        going = asyncio.Event()
        slow = asyncio.create_task(client.post("/fhir/Patient", content=slowly(going, b"{")))
        while not limits.held:
            await asyncio.sleep(0)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)
        assert (limits.in_hand, limits.held) == (0, 0)

    asyncio.run(run())


def test_a_batch_leaves_its_place_once_whatever_doors_it_asks_at(
    entered: Callable[..., tuple[httpx.AsyncClient, Limits]],
) -> None:
    client, limits = entered("asker")
    entries = [{"request": {"method": "GET", "url": url}} for url in ("metadata", "?_type=Task")]
    batch = {"resourceType": "Bundle", "type": "batch", "entry": entries * 3}

    async def run() -> None:
        answered = (await client.post("/fhir", json=batch)).json()["entry"]
        assert [each["response"]["status"] for each in answered] == ["200 OK"] * 6
        assert (limits.in_hand, limits.held) == (0, 0)

    asyncio.run(run())
