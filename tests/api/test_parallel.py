"""Many clients at one moment, over real sockets, against one gateway on each database engine."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.process import SERVE, Process

MANY = 32
NUMBER = {"system": "urn:x", "value": "1"}
PATIENT = {"resourceType": "Patient", "identifier": [NUMBER]}
BY_NUMBER = "identifier=urn:x|1"

Ask = Callable[[httpx.AsyncClient, int], Awaitable[httpx.Response]]


@dataclass(frozen=True, slots=True)
class Crowd:
    """Clients of one agency, each with a connection of its own."""

    runner: asyncio.Runner
    base: str
    key: str

    def client(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.base,
            headers={"authorization": f"Bearer {self.key}"},
            trust_env=False,
            timeout=60,
        )

    def ask(self, asking: Ask) -> list[httpx.Response]:
        """Every client's answer to its own call; none calls before all are connected."""

        async def run() -> list[httpx.Response]:
            start = asyncio.Barrier(MANY)

            async def one(number: int) -> httpx.Response:
                async with self.client() as client:
                    await client.get("/metadata")
                    await start.wait()
                    return await asking(client, number)

            return await asyncio.gather(*map(one, range(MANY)))

        return self.runner.run(run())

    def call(self, method: str, path: str, **given: Any) -> httpx.Response:
        """One client's call."""

        async def run() -> httpx.Response:
            async with self.client() as client:
                return await client.request(method, path, **given)

        return self.runner.run(run())


@pytest.fixture
def crowd(database_url: str, tmp_path: Path) -> Iterator[Crowd]:
    settings = {"GATEWAY_TRANSLATORS": "0", "GATEWAY_DATABASE_URL": database_url}
    process = Process(tmp_path, SERVE, settings)
    (key,) = process.join("clinic")
    with asyncio.Runner() as runner:
        runner.run(process.start())
        try:
            yield Crowd(runner, f"{process.root}/fhir", key)
        finally:
            assert runner.run(process.stop()) == 0, process.log.read_text()[-4000:]


def test_of_many_at_once_one_creates_and_one_updates(crowd: Crowd) -> None:
    only = {"if-none-exist": BY_NUMBER}
    answers = crowd.ask(lambda client, _: client.post("/Patient", json=PATIENT, headers=only))
    assert Counter(each.status_code for each in answers) == {201: 1, 200: MANY - 1}
    (id,) = {each.json()["id"] for each in answers}
    assert crowd.call("GET", f"/Patient?{BY_NUMBER}&_total=accurate").json()["total"] == 1

    def change(client: httpx.AsyncClient, number: int) -> Awaitable[httpx.Response]:
        body = PATIENT | {"id": id, "multipleBirthInteger": number + 1}
        return client.put(f"/Patient/{id}", json=body, headers={"if-match": 'W/"1"'})

    answers = crowd.ask(change)
    assert Counter(each.status_code for each in answers) == {200: 1, 412: MANY - 1}
    (won,) = (each.json() for each in answers if each.status_code == 200)
    now = crowd.call("GET", f"/Patient/{id}").json()
    assert (now, now["meta"]["versionId"]) == (won, "2")


def test_of_many_conditional_updates_and_transactions_one_creates(crowd: Crowd) -> None:
    def upsert(client: httpx.AsyncClient, number: int) -> Awaitable[httpx.Response]:
        body = PATIENT | {"multipleBirthInteger": number + 1}
        return client.put(f"/Patient?{BY_NUMBER}", json=body)

    answers = crowd.ask(upsert)
    assert Counter(each.status_code for each in answers) == {201: 1, 200: MANY - 1}
    (id,) = {each.json()["id"] for each in answers}
    versions = sorted(int(each.json()["meta"]["versionId"]) for each in answers)
    assert versions == list(range(1, MANY + 1))

    post = {"method": "POST", "url": "Observation", "ifNoneExist": "identifier=urn:x|o"}
    observed = {
        "resourceType": "Observation",
        "identifier": [NUMBER | {"value": "o"}],
        "status": "final",
        "code": {"text": "weight"},
        "subject": {"reference": f"Patient?{BY_NUMBER}"},
    }
    entry = [{"resource": observed, "request": post}]
    sent = {"resourceType": "Bundle", "type": "transaction", "entry": entry}
    answers = crowd.ask(lambda client, _: client.post("", json=sent))
    assert {each.status_code for each in answers} == {200}, answers[0].text
    said = [each.json()["entry"][0]["response"] for each in answers]
    assert Counter(each["status"][:3] for each in said) == {"201": 1, "200": MANY - 1}
    assert len({each["location"].split("/_history")[0] for each in said}) == 1
    found = crowd.call("GET", f"/Observation?subject=Patient/{id}&_total=accurate")
    assert found.json()["total"] == 1
