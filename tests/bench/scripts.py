"""The benches' own clients and servers, each a module in a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
from collections.abc import AsyncIterator
from pathlib import Path

from tests.process import free_port

ROOT = Path(__file__).resolve().parents[2]


async def figures(client: str, *arguments: object) -> dict[str, float]:
    """Run a client; the line of JSON that it prints."""
    process = await asyncio.create_subprocess_exec(
        *_command(client, *arguments), cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()
    assert process.returncode == 0, "the client failed"
    found: dict[str, float] = json.loads(out)
    return found


@contextlib.asynccontextmanager
async def server(script: str, *arguments: object) -> AsyncIterator[int]:
    """A server, ``SCRIPT PORT ARGUMENTS``, while it is used: its port."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(*_command(script, port, *arguments), cwd=ROOT)
    try:
        await _listens(port)
        yield port
    finally:
        process.terminate()
        await process.wait()


def _command(script: str, *arguments: object) -> tuple[str, ...]:
    return (sys.executable, "-m", f"tests.bench.{script}", *map(str, arguments))


async def _listens(port: int) -> None:
    async with asyncio.timeout(10):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.02)
