"""REF^I12 over MLLP to a durable AA, beside a server that only acknowledges, in the same run.

Each message is another referral of another patient by cedar-general's sample; client, gateway and
ceiling are processes of their own on the same cores.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterator, Sequence
from pathlib import Path

from tests.bench import machine
from tests.bench.run import Run
from tests.bench.scripts import figures as told
from tests.bench.scripts import server
from tests.bench.table import RATE, Figure
from tests.process import SERVE, Process

AGENCY = "cedar-general"
MEMBERS = (AGENCY, "food-bank")
SAMPLE = machine.ROOT / "mappings/agencies/cedar-general/food-referral.hl7"
WARM_UP = 300
CONNECTIONS = {1: "≥ 300", 32: "≥ 1000"}
"""Budgets by the number of connections."""

CEILING = "ack-only server"
Told = dict[str, float]


def figures(run: Run) -> Iterator[Figure]:
    """Messages a second, and what 99 of 100 wait at most."""
    counts = {each: run.size.messages // (1 if each > 1 else 4) for each in CONNECTIONS}
    bare, ours = (asyncio.run(measured(kind, run, counts)) for kind in ("ceiling", "gateway"))
    for each, budget in CONNECTIONS.items():
        work, found, floor = f"REF^I12 over MLLP, {each} connections", ours[each], bare[each]
        name, more = run.engine.name, f"{found['cpu']:.0f} µs of processor"
        yield Figure(work, found["rate"], RATE, floor["rate"], CEILING, budget, more, name)
        more = f"p50 {found['p50']:.1f} ms"
        yield Figure(f"{work}, p99", found["p99"], "ms", floor["p99"], CEILING, "≤ 100", more, name)


async def measured(kind: str, run: Run, counts: dict[int, int]) -> dict[int, Told]:
    """At each number of connections what the client tells of so many messages, and ``cpu``: the
    microseconds of processor time that one took of the gateway and its database.
    """
    found = {}
    async with gateway(run) if kind == "gateway" else ceiling() as (port, pid):
        await client(port, 4, min(WARM_UP, run.size.messages), "W")
        for connections, count in counts.items():
            before = machine.spent(pid) + run.engine.spent()
            one = await client(port, connections, max(1, count), f"C{connections}-")
            took = machine.spent(pid) + run.engine.spent() - before
            assert not one["refused"], "an answer wasn't AA"
            found[connections] = {**one, "cpu": took / max(1, count) * 1e6}
    return found


@contextlib.asynccontextmanager
async def ceiling() -> AsyncIterator[tuple[int, int]]:
    """A server that answers and does nothing else: its port, and no process to look at."""
    async with server("ack_only") as port:
        yield port, 0


@contextlib.asynccontextmanager
async def gateway(run: Run) -> AsyncIterator[tuple[int, int]]:
    """A gateway on a new hub, with its members: its MLLP port and its process."""
    process = await started(run, MEMBERS, {"GATEWAY_MLLP_AGENCY": AGENCY})
    try:
        yield process.mllp_port, process.pid
    finally:
        await process.stop()


async def started(run: Run, members: Sequence[str], settings: dict[str, str]) -> Process:
    """A gateway process on a new hub of the run's engine, ready."""
    folder = run.room("gateway")
    database = {"GATEWAY_DATABASE_URL": run.engine.database(folder)}
    process = Process(folder, SERVE, {**database, **settings})
    process.join(*members)
    await process.start()
    return process


async def client(
    port: int, connections: int, messages: int, prefix: str, sample: Path = SAMPLE
) -> Told:
    """Run the client in its own process; its figures."""
    return await told("mllp_client", port, connections, messages, prefix, sample)
