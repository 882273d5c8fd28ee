"""REF^I12 over MLLP to a durable AA, beside a server that only acknowledges, in the same run.

``python tests/bench/mllp.py [--messages N] [--sample FILE]`` prints messages a second, p50 and p99
at 1 and 32 connections. Each message is another referral of another patient by cedar-general's
sample; client, gateway and ceiling are processes of their own on the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))
sys.path.pop(1)  # this folder, whose fhir.py would hide the library

from tests.bench.scripts import figures, server  # noqa: E402
from tests.process import SERVE, Process  # noqa: E402

AGENCY = "cedar-general"
MEMBERS = (AGENCY, "food-bank")
SAMPLE = ROOT / "mappings/agencies/cedar-general/food-referral.hl7"
CONNECTIONS = (1, 32)
WARM_UP = 300


@contextlib.asynccontextmanager
async def gateway() -> AsyncIterator[int]:
    """A gateway on SQLite in a fresh folder, with its members; its MLLP port."""
    with tempfile.TemporaryDirectory() as folder:
        process = Process(Path(folder), SERVE, {"GATEWAY_MLLP_AGENCY": AGENCY})
        process.join(*MEMBERS)
        await process.start()
        try:
            yield process.mllp_port
        finally:
            await process.stop()


async def client(
    port: int, connections: int, messages: int, prefix: str, sample: Path
) -> dict[str, float]:
    """Run the client in its own process; its figures."""
    return await figures("mllp_client.py", port, connections, messages, prefix, sample)


async def measured(messages: int, sample: Path) -> AsyncIterator[tuple[str, int, dict[str, float]]]:
    """Run both servers at each number of connections; the name, the number and the figures."""
    for name, serving in (("ack-only", lambda: server("ack_only.py")), ("gateway", gateway)):
        async with serving() as port:
            await client(port, 4, WARM_UP, "W", sample)
            for connections in CONNECTIONS:
                count = messages if connections > 1 else messages // 4
                prefix = f"C{connections}-"
                yield name, connections, await client(port, connections, count, prefix, sample)


async def bench(messages: int, sample: Path) -> None:
    """Print the table."""
    print(
        f"{'server':<10}{'connections':>12}{'msg/s':>12}{'p50 ms':>12}{'p99 ms':>12}{'not AA':>12}"
    )
    rates: dict[tuple[str, int], float] = {}
    async for name, connections, found in measured(messages, sample):
        rates[name, connections] = found["rate"]
        print(
            f"{name:<10}{connections:>12}{found['rate']:>12.0f}{found['p50']:>12.2f}"
            f"{found['p99']:>12.2f}{found['refused']:>12.0f}"
        )
    for connections in CONNECTIONS:
        ratio = rates["ack-only", connections] / rates["gateway", connections]
        print(f"ack-only is {ratio:.1f} times as fast at {connections} connections")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--sample", type=Path, default=SAMPLE)
    options = parser.parse_args()
    asyncio.run(bench(options.messages, options.sample))
