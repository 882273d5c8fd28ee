"""From the command to ready, and memory after many messages, of one gateway process.

A start is beside that of a bare Starlette app with the same server; memory beside what the process
held when it was warm. What it holds is its own and its children's, shared pages once.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections.abc import Iterator

from tests.bench import machine, mllp
from tests.bench.run import Run
from tests.bench.scripts import server
from tests.bench.table import Figure

STEPS = 10
"""How often memory is looked at while messages come."""

ALL = 32


def figures(run: Run) -> Iterator[Figure]:
    """Seconds to ready: the median of starts on a hub that is there."""
    floor, took = asyncio.run(_starts(run))
    name, more = run.engine.name, f"{len(took)} starts"
    value = statistics.median(took)
    yield Figure("start to ready", value, "s", floor, "bare app", "≤ 3", more, name)


async def _starts(run: Run) -> tuple[float, list[float]]:
    began = time.perf_counter()
    async with server("floor", run.engine.database(run.room("floor"))):
        floor = time.perf_counter() - began
    process = await mllp.started(run, mllp.MEMBERS, {})
    took = []
    for _ in range(run.size.starts):
        await process.stop()
        began = time.perf_counter()
        await process.start()
        took.append(time.perf_counter() - began)
    await process.stop()
    return floor, took


def memory(run: Run) -> Iterator[Figure]:
    """Megabytes after the messages; flat is a second half that grows by nothing."""
    seen = asyncio.run(_held(run))
    held = [sum(each) for each in seen]
    warm, last = held[0], held[-1]
    each = run.size.remembered // STEPS
    slope = statistics.linear_regression(range(len(held) // 2 + 1), held[len(held) // 2 :]).slope
    growth = f"{slope / max(each, 1) * 1000:+.2f} MB a 1,000 at the end"
    apart = " + ".join(f"{one:.0f}" for one in seen[-1])
    work = f"memory after {each * STEPS:,} messages"
    yield Figure(
        work, last, "MB", warm, "when warm", "≤ 300", f"{apart}; {growth}", run.engine.name
    )


async def _held(run: Run) -> list[list[float]]:
    """Megabytes of each process, first when warm, then after each step."""
    each = max(1, run.size.remembered // STEPS)
    async with mllp.gateway(run) as (port, pid):
        await mllp.client(port, ALL, each, "W")
        held = [machine.memory(pid)]
        for step in range(STEPS):
            told = await mllp.client(port, ALL, each, f"M{step}-")
            assert not told["refused"], "an answer wasn't AA"
            held.append(machine.memory(pid))
    return held
