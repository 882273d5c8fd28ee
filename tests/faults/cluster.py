"""Several gateways on one PostgreSQL database, behind a balancer that knows nothing of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg

from tests.faults.load import receiver
from tests.faults.scene import CALM, SETTINGS, Reached, members
from tests.process import SERVE, Process

HANG = 120.0
"""Seconds after which what should have happened won't."""

ALL = "api,mllp,work"


@dataclass(kw_only=True)
class Cluster(Reached):
    """Gateways that run, where they are reached together, and their database."""

    processes: Sequence[Process]
    url: str

    def ask(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """Rows of the database."""
        with psycopg.connect(self.url, autocommit=True) as connection:
            return connection.execute(sql, values).fetchall()

    async def until(self, sql: str, *values: Any) -> list[tuple[Any, ...]]:
        """The rows, once there are any."""
        async with asyncio.timeout(HANG):
            while not (rows := self.ask(sql, *values)):
                await asyncio.sleep(0.01)
        return rows


@asynccontextmanager
async def cluster(
    folder: Path, url: str, roles: Sequence[str], settings: Mapping[str, str] | None = None
) -> AsyncIterator[Cluster]:
    """A gateway for each of ``roles``, with members and subscribers. All are killed at the end."""
    own = {**CALM, "GATEWAY_DATABASE_URL": url}
    given = {**SETTINGS, **own, **(settings or {})}
    processes = [Process(folder, SERVE, {**given, "GATEWAY_ROLES": each}) for each in roles]
    keys = members(processes[0], folder)
    both = list(zip(processes, roles, strict=True))
    calls = [one.port for one, each in both if "api" in each]
    messages = [one.mllp_port for one, each in both if "mllp" in each]
    async with balancer(calls) as http, balancer(messages) as mllp:
        api = f"http://127.0.0.1:{http}/fhir"
        made = Cluster(processes=processes, url=url, api=api, mllp_port=mllp, keys=keys)
        async with receiver(made.journal) as endpoint:
            try:
                await asyncio.gather(*(each.start() for each in processes))
                await made.subscribe(endpoint)
                yield made
            finally:
                for each in processes:
                    await each.kill()


@asynccontextmanager
async def balancer(ports: Sequence[int]) -> AsyncIterator[int]:
    """Connections to its port go to those ports in turn, past those where nobody listens."""
    turns = itertools.count()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in ports:
            with contextlib.suppress(OSError):
                inner = await asyncio.open_connection("127.0.0.1", ports[next(turns) % len(ports)])
                break
        else:
            writer.close()
            return
        await asyncio.gather(_pass(reader, inner[1]), _pass(inner[0], writer))

    async with await asyncio.start_server(connected, "127.0.0.1", 0) as server:
        yield server.sockets[0].getsockname()[1]


async def _pass(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(OSError):
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    writer.close()
