"""Deliveries a second and a core, and commit to door: ``python -m tests.bench.deliver [URL]``.

Background work over a hub (SQLite, or the URL's), notifications with payload (signed, in order,
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
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Literal

import httpx
import uvloop

from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, Transaction, open_hub
from gateway.work import Work
from tests.bench.table import head, row
from tests.shipped import library

CLINIC = Context("clinic", "bench")
KNOCKS = 200
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
async def bench(folder: str, url: str) -> AsyncIterator[Bench]:
    settings = Settings(data_dir=Path(folder), database_url=url, endpoint_networks=("127.0.0.0/8",))
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
    """Seconds of wall and CPU of one bare httpx request after another."""
    raw = json.dumps(BODY).encode()
    async with httpx.AsyncClient(trust_env=False) as client:
        await client.put(f"http://{sink}/Basic/warm", content=raw)
        wall, cpu = time.perf_counter(), time.process_time()
        for number in range(count):
            await client.put(f"http://{sink}/Basic/{number}", content=raw)
        return time.perf_counter() - wall, time.process_time() - cpu


async def backlog(made: Bench, subscribers: int, events: int) -> tuple[float, float]:
    """Seconds of wall and CPU to deliver ``events`` to each of so many, all of it due at once."""
    ids = [f"s{subscribers}-{number}" for number in range(subscribers)]
    await made.subscribe(ids, status="active")
    await asyncio.sleep(0.5)
    made.hub.write(partial(_mark, ids=ids, status="off"))
    names = [f"e{subscribers}-{number}" for number in range(events)]
    await asyncio.gather(*(made.put("Basic", name, BODY) for name in names))
    await asyncio.sleep(0.5)
    await made.log()
    made.hub.write(partial(_mark, ids=ids, status="active"))
    wall, cpu = time.perf_counter(), _cpu()
    for id in ids:
        made.work.wake(id)
    got = await made.heard(subscribers * events)
    took = time.perf_counter() - wall, _cpu() - cpu
    assert len(got) == subscribers * events
    for id in ids:
        made.hub.write(partial(Transaction.remove_subscriber, subscriber_id=id))
    made.pipeline._outgoing.forget()
    return took


def _cpu() -> float:
    """Seconds of all threads but the main one."""
    return time.process_time() - time.thread_time()


def _mark(tx: Transaction, ids: list[str], status: Literal["active", "off"]) -> None:
    for id in ids:
        tx.mark(id, status)


async def knock(made: Bench) -> list[float]:
    """Milliseconds from commit to door, one at a time on an idle system."""
    await made.subscribe(["k"], status="active")
    await asyncio.sleep(0.5)
    await made.log()
    written = {}
    for number in range(KNOCKS):
        name = f"k-{number}"
        written[name] = await made.put("Basic", name, BODY)
        await asyncio.sleep(0.03)
    got = dict(reversed(await made.heard(KNOCKS)))
    made.hub.write(lambda tx: tx.remove_subscriber("k"))
    made.pipeline._outgoing.forget()
    return sorted(1000 * (got[name] - at) for name, at in written.items())


async def main(url: str) -> None:
    head()
    with tempfile.TemporaryDirectory() as folder:
        async with bench(folder, url) as made:
            wall, cpu = await bare(made.sink, 1000)
            row("bare httpx, one after another", 1000 / wall, "/s", f"{1000 / cpu:.0f} /s a core")
            took = await knock(made)
            row("commit to door, p50", took[KNOCKS // 2], "ms")
            row("commit to door, p99", took[int(KNOCKS * 0.99)], "ms", budget="≤ 250")
            for subscribers, events in ((1, 1000), (50, 40), (1000, 2)):
                wall, cpu = await backlog(made, subscribers, events)
                count = subscribers * events
                beside = f"{count / wall:.0f} /s, {1e6 * cpu / count:.0f} us"
                work = f"deliveries a core, {subscribers} subscribers"
                row(work, count / cpu, "/s", beside, "≥ 1000")


if __name__ == "__main__":
    uvloop.run(main(sys.argv[1] if len(sys.argv) > 1 else ""))
