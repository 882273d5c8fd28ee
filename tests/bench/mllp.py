"""REF^I12 over MLLP to a durable AA, beside a server that only acknowledges, in the same run.

``python tests/bench/mllp.py [--messages N] [--sample FILE]`` prints messages a second, p50 and p99
at 1 and 32 connections. Each message is another referral of another patient by cedar-general's
sample; client, gateway and ceiling are processes of their own on the same cores.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT))

from tests.process import SERVE, Process, free_port  # noqa: E402

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
        for id in MEMBERS:
            await process.command("agency", "add", id)
        await process.start()
        try:
            yield process.mllp_port
        finally:
            await process.stop()


@contextlib.asynccontextmanager
async def ceiling() -> AsyncIterator[int]:
    """The server that only acknowledges; its port."""
    port = free_port()
    command = (sys.executable, str(HERE / "ack_only.py"), str(port))
    process = await asyncio.create_subprocess_exec(*command)
    try:
        await _listens(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def client(
    port: int, connections: int, messages: int, prefix: str, sample: Path
) -> dict[str, float]:
    """Run the client in its own process; its figures."""
    arguments = (str(port), str(connections), str(messages), prefix, str(sample))
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(HERE / "mllp_client.py"),
        *arguments,
        stdout=asyncio.subprocess.PIPE,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, "the client failed"
    figures: dict[str, float] = json.loads(out)
    return figures


async def bench(messages: int, sample: Path) -> None:
    """Run both servers at each number of connections; print the table."""
    print(
        f"{'server':<10}{'connections':>12}{'msg/s':>10}{'p50 ms':>10}{'p99 ms':>10}{'not AA':>8}"
    )
    rates: dict[tuple[str, int], float] = {}
    for name, server in (("ack-only", ceiling), ("gateway", gateway)):
        async with server() as port:
            await client(port, 4, WARM_UP, "W", sample)
            for connections in CONNECTIONS:
                count = messages if connections > 1 else messages // 4
                figures = await client(port, connections, count, f"C{connections}-", sample)
                rates[name, connections] = figures["rate"]
                print(
                    f"{name:<10}{connections:>12}{figures['rate']:>12.0f}{figures['p50']:>12.2f}"
                    f"{figures['p99']:>12.2f}{figures['refused']:>12.0f}"
                )
    for connections in CONNECTIONS:
        ratio = rates["ack-only", connections] / rates["gateway", connections]
        print(f"ack-only is {ratio:.1f} times as fast at {connections} connections")


async def _listens(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4000)
    parser.add_argument("--sample", type=Path, default=SAMPLE)
    options = parser.parse_args()
    asyncio.run(bench(options.messages, options.sample))
