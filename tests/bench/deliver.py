"""Deliveries a second and a core, and commit to door.

Background work over a hub, notifications with payload (signed, in order,
each on record) to a sink in a process of its own; beside a bare httpx loop to the same sink with
the same body, one request after another. CPU is this process's without its main thread, which only
asks the sink: reading, judging, sending and noting, but not the writing of the resources.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import httpx
import uvloop

from gateway.errors import Unavailable
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, Transaction, open_hub
from gateway.work import Work
from tests.bench.run import Run
from tests.bench.table import RATE, Figure
from tests.shipped import library

CLINIC = Context("clinic", "bench")
TOGETHER, TRIES = 50, 5
SHARES = (1, 50, 1000)
"""Subscribers among whom the deliveries are shared out."""

BODY = {
    "resourceType": "Basic",
    "code": {"coding": [{"system": "urn:x", "code": "referral"}], "text": "x" * 1500},
}


class Bench:
    """A hub with background work, and a sink."""

    def __init__(self, hub: Hub, pipeline: Pipeline, work: Work, sink: str) -> None:
        self.hub, self.pipeline, self.work, self.sink = hub, pipeline, work, sink
        self._client = httpx.AsyncClient(trust_env=False)

    async def put(self, type_: str, id: str, body: dict[str, Any]) -> float:
        """When it was on disk."""
        raw = json.dumps({**body, "resourceType": type_, "id": id}).encode()
        await asyncio.wrap_future(self.pipeline.update(CLINIC, type_, id, raw))
        return time.monotonic()

    async def subscribe(self, ids: list[str], *, status: str) -> None:
        url, payload = f"http://{self.sink}", "application/fhir+json"
        channel = {"type": "rest-hook", "endpoint": url, "payload": payload}
        about = {"status": status, "reason": "x", "criteria": "Basic?", "channel": channel}
        await asyncio.gather(*(self.put("Subscription", id, about) for id in ids))

    async def log(self) -> list[tuple[str, float]]:
        """What the sink got since it was last asked."""
        lines = (await self._client.get(f"http://{self.sink}/log")).text.splitlines()
        return [(line.split()[0], float(line.split()[1])) for line in lines]

    async def heard(self, count: int) -> list[tuple[str, float]]:
        """The next so many that the sink gets."""
        got: list[tuple[str, float]] = []
        async with asyncio.timeout(300):
            while len(got) < count:
                await asyncio.sleep(0.1)
                got += await self.log()
        return got


@asynccontextmanager
async def bench(folder: Path, url: str) -> AsyncIterator[Bench]:
    settings = Settings(data_dir=folder, database_url=url, endpoint_networks=("127.0.0.0/8",))
    hub, work = open_hub(settings.database), Work(settings)
    pipeline = Pipeline(hub, library(), settings, as_message, work)
    pipeline.add_agency("clinic", None)
    gc.freeze()  # as the server does
    sink = subprocess.Popen([sys.executable, "-m", "tests.bench.sink"], stdout=subprocess.PIPE)
    assert sink.stdout is not None
    port = int(sink.stdout.readline())
    work.start(pipeline.drain, pipeline.behind, pipeline.close)
    try:
        yield Bench(hub, pipeline, work, f"127.0.0.1:{port}")
    finally:
        await asyncio.to_thread(pipeline.stop)
        await asyncio.to_thread(work.stop, 30)
        hub.close()
        sink.kill()


async def bare(sink: str, count: int) -> tuple[float, float]:
    """One bare httpx request after another: of each the processor time in seconds, and p99 in
    milliseconds.
    """
    raw = json.dumps(BODY).encode()
    took = []
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.put(f"http://{sink}/Basic/warm", content=raw)
        cpu = time.process_time()
        for number in range(count):
            began = time.perf_counter()
            await client.put(f"http://{sink}/Basic/{number}", content=raw)
            took.append(time.perf_counter() - began)
        return (time.process_time() - cpu) / count, sorted(took)[count * 99 // 100] * 1000


async def backlog(run: Run, made: Bench, subscribers: int, events: int) -> tuple[float, float]:
    """Seconds of wall and CPU to deliver ``events`` to each of so many, all of it due at once."""
    ids = [f"s{subscribers}-{number}" for number in range(subscribers)]
    await made.subscribe(ids, status="active")
    await asyncio.sleep(0.5)
    set_all(made, ids, "off")
    names = [f"e{subscribers}-{number}" for number in range(events)]
    await asyncio.gather(*(made.put("Basic", name, BODY) for name in names))
    await asyncio.sleep(0.5)
    await made.log()
    wall, cpu = time.perf_counter(), _cpu(run)
    set_all(made, ids, "active")
    for id in ids:
        made.work.wake(id)
    got = await made.heard(subscribers * events)
    took = time.perf_counter() - wall, _cpu(run) - cpu
    assert len(got) >= subscribers * events  # at least once: after a race one goes again
    for id in ids:
        made.hub.write(partial(Transaction.remove_subscriber, subscriber_id=id))
    made.pipeline._outgoing.forget()
    return took


def _cpu(run: Run) -> float:
    """Seconds of all threads but the main one, and of the database."""
    return time.process_time() - time.thread_time() + run.engine.spent()


def set_all(made: Bench, ids: list[str], status: Literal["active", "off"]) -> None:
    """Some in a unit; who has just looked at one may be in the way on PostgreSQL."""
    for at in range(0, len(ids), TOGETHER):
        unit = partial(_mark, ids=ids[at : at + TOGETHER], status=status)
        for left in reversed(range(TRIES)):
            try:
                made.hub.write(unit)
                break
            except Unavailable:
                if not left:
                    raise


def _mark(tx: Transaction, ids: list[str], status: Literal["active", "off"]) -> None:
    for id in ids:
        tx.mark(id, status)


async def knock(made: Bench, count: int) -> list[float]:
    """Milliseconds from commit to door, one at a time on an idle system."""
    await made.subscribe(["k"], status="active")
    await asyncio.sleep(0.5)
    await made.log()
    written = {}
    for number in range(count):
        name = f"k-{number}"
        written[name] = await made.put("Basic", name, BODY)
        await asyncio.sleep(0.03)
    got = dict(reversed(await made.heard(count)))
    made.hub.write(lambda tx: tx.remove_subscriber("k"))
    made.pipeline._outgoing.forget()
    return sorted(1000 * (got[name] - at) for name, at in written.items())


def figures(run: Run) -> Iterator[Figure]:
    """The door, and the rate by the number of subscribers."""
    yield from uvloop.run(_figures(run))


async def _figures(run: Run) -> list[Figure]:
    found, name, size = [], run.engine.name, run.size
    folder = run.room("deliver")
    async with bench(folder, run.engine.database(folder)) as made:
        cpu, p99 = await bare(made.sink, size.deliveries)
        took = await knock(made, size.knocks)
        work, more = "commit to subscriber's door, p99", f"p50 {took[len(took) // 2]:.1f} ms"
        last = took[len(took) * 99 // 100]
        found.append(Figure(work, last, "ms", p99, "bare httpx", "≤ 250", more, name))
        for subscribers in SHARES:
            events = max(1, size.deliveries // subscribers)
            wall, spent = await backlog(run, made, subscribers, events)
            count = subscribers * events
            more = f"{count / wall:.0f}/s of wall, {1e6 * spent / count:.0f} µs each"
            work, a_core = f"deliveries a core, {subscribers} subscribers", count / spent
            figure = Figure(work, a_core, RATE, 1 / cpu, "bare httpx", "≥ 1000", more, name)
            found.append(figure)
            if subscribers >= size.deliveries:
                break
    return found
