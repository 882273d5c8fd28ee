"""FHIR over HTTP, durable: create, read, search and a transaction of 10, over a full hub.

With 1 connection and with 32, beside ``floor`` over a table as full; client, gateway and floor are
processes of their own. The gateway's processor time of a request, its database's too, says the same
on a machine that has other things to do.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any
from uuid import uuid4

from tests.bench import machine, searches
from tests.bench.floor import fill
from tests.bench.floor import row as floor_row
from tests.bench.run import Run
from tests.bench.scripts import figures as told
from tests.bench.scripts import server
from tests.bench.searches import AGENCY, CLINIC, OTHER, SYSTEM, keeper, patient, task
from tests.bench.table import RATE, Figure
from tests.process import SERVE, Process

CONNECTIONS = (1, 32)
WARM_UP = 200
BUDGETS = {
    "create, POST Patient": "≥ 1000",
    "read by id": "≥ 2000",
    "search, a page of 20": "≥ 500",
    "transaction of 10": "≥ 150",
}
SLOWER = {"transaction of 10": 8}
"""A kind of request that takes so many times as long is sent so many times less often."""

Make = Callable[[int], str]


def request(key: str, method: str, path: str, body: Any = None) -> str:
    """A request as HTTP/1.1 writes it."""
    sent = "" if body is None else json.dumps(body)
    head = [
        f"{method} /fhir{path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {key}",
        "Accept: application/fhir+json",
    ]
    if sent:
        head += ["Content-Type: application/fhir+json", f"Content-Length: {len(sent.encode())}"]
    return "\r\n".join((*head, "", sent))


def transaction(number: int) -> dict[str, Any]:
    """Five patients, each with a Task that refers to it."""
    entries = []
    for n in range(number * 5, number * 5 + 5):
        urn = f"urn:uuid:{uuid4()}"
        for full_url, resource in ((urn, patient(n)), (f"urn:uuid:{uuid4()}", task(n))):
            if resource["resourceType"] == "Task":
                resource |= {"for": {"reference": urn}, "status": "requested"}
                del resource["focus"]
            del resource["id"]
            how = {"method": "POST", "url": resource["resourceType"]}
            entries.append({"fullUrl": full_url, "resource": resource, "request": how})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def created(number: int) -> dict[str, Any]:
    made = patient(number)
    del made["id"]
    return made


def kinds(key: str, full: int) -> dict[str, Make]:
    """What is asked for, by its ordinal: of what is kept each time something else."""

    def one(number: int) -> int:
        found = number * 7919 % (full // 2)
        return found if keeper(found, full) is CLINIC else found + 1

    return {
        "create, POST Patient": lambda n: request(key, "POST", "/Patient", created(full + n)),
        "read by id": lambda n: request(key, "GET", f"/Patient/{patient(one(n))['id']}"),
        "search by identifier": lambda n: request(
            key, "GET", f"/Patient?identifier={SYSTEM}|{one(n)}"
        ),
        "search, a page of 20": lambda n: request(
            key, "GET", f"/Patient?family={patient(one(n))['name'][0]['family']}"
        ),
        "transaction of 10": lambda n: request(key, "POST", "", transaction(full + n)),
    }


def figures(run: Run) -> Iterator[Figure]:
    """Requests a second of each kind."""
    full = run.size.resources
    url = searches.filled(run, full)
    bare, ours = (asyncio.run(measured(run, one)) for one in (floor(run), gateway(run, url)))
    for (name, connections), found in ours.items():
        beside = bare[name, connections]["rate"]
        budget = BUDGETS.get(name, "") if connections > 1 else ""
        more = f"p50 {found['p50']:.1f} p99 {found['p99']:.1f} ms, {found['cpu']:.0f} µs"
        work = f"{name}, {connections} connections, {full:,} there"
        yield Figure(work, found["rate"], RATE, beside, "bare app", budget, more, run.engine.name)


Serving = AbstractAsyncContextManager[tuple[int, str, int]]


async def measured(run: Run, serving: Serving) -> dict[tuple[str, int], dict[str, float]]:
    """Each kind at each number of connections: the figures."""
    found = {}
    file = run.room("requests") / "requests.json"
    async with serving as (port, key, pid):
        at = 0
        for name, make in kinds(key, run.size.resources).items():
            for connections in (0, *CONNECTIONS):
                count = _count(run, name, connections)
                file.write_text(json.dumps([make(n) for n in range(at, at + count)]), "utf-8")
                at += count
                before = machine.spent(pid) + run.engine.spent()
                one = await told("http_client", port, connections or 4, file)
                took = machine.spent(pid) + run.engine.spent() - before
                assert not one["refused"], f"{name}: an answer wasn't 2xx"
                if connections:
                    found[name, connections] = {**one, "cpu": took / count * 1e6}
    return found


def _count(run: Run, name: str, connections: int) -> int:
    """So many requests; with no connections, those of the warm-up."""
    most = run.size.requests
    some = (most if connections > 1 else most // 4) if connections else min(WARM_UP, most)
    return max(1, some // SLOWER.get(name, 1))


@asynccontextmanager
async def gateway(run: Run, url: str) -> AsyncIterator[tuple[int, str, int]]:
    """A gateway over a hub: its port, a key and its process."""
    process = Process(run.room("gateway"), SERVE, {"GATEWAY_DATABASE_URL": url})
    key, _ = process.join(AGENCY, OTHER)
    await process.start()
    try:
        yield process.port, key, process.pid
    finally:
        await process.stop()


@asynccontextmanager
async def floor(run: Run) -> AsyncIterator[tuple[int, str, int]]:
    """The bare app over a table as full."""
    url = run.engine.database(run.room("floor"))
    fill(url, map(floor_row, _everything(run.size.resources)))
    async with server("floor", url) as port:
        yield port, "no", 0


def _everything(full: int) -> Iterator[dict[str, Any]]:
    for number in range(full // 2):
        yield patient(number)
        yield task(number)
