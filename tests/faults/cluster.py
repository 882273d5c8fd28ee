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

from tests.faults.check import Hub, delivered
from tests.faults.load import Journal, Posters, Senders, receiver
from tests.faults.scene import BANK, CLINIC, CLINICS, DESKS, SETTINGS, SUBSCRIBERS, members
from tests.faults.scene import subscribe as subscribed
from tests.process import SERVE, Process

HANG = 120.0
"""Seconds after which what should have happened won't."""

ALL = "api,mllp,work"


@dataclass
class Cluster:
    """Gateways that run, where they are reached together, and what the outside knows."""

    processes: Sequence[Process]
    url: str
    api: str
    mllp_port: int
    keys: Mapping[str, str]
    journal: Journal

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Clinics send and desks post meanwhile; at the end each message has its AA."""
        senders = Senders(self.mllp_port, CLINICS, self.journal)
        posters = Posters(self.api, self.keys[CLINIC], DESKS, self.journal)
        async with asyncio.TaskGroup() as running:
            running.create_task(senders.run())
            running.create_task(posters.run())
            yield
            senders.stop()
            posters.stop()

    async def hub(self) -> Hub:
        """What the hub has, once everybody has heard of it."""
        hub = await Hub.read(self.api, self.keys[CLINIC])
        await delivered(self.journal, hub)
        return hub

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
    own = {"GATEWAY_DATABASE_URL": url, "GATEWAY_TRANSLATORS": "0"}  # it starts in half the time
    given = {**SETTINGS, **own, **(settings or {})}
    processes = [Process(folder, SERVE, {**given, "GATEWAY_ROLES": each}) for each in roles]
    keys = dict(zip((CLINIC, BANK), members(processes[0], folder), strict=True))
    journal = Journal(subscribers=tuple(SUBSCRIBERS))
    both = list(zip(processes, roles, strict=True))
    calls = [one.port for one, each in both if "api" in each]
    messages = [one.mllp_port for one, each in both if "mllp" in each]
    async with (
        receiver(journal) as endpoint,
        balancer(calls) as http,
        balancer(messages) as mllp,
    ):
        try:
            await asyncio.gather(*(each.start() for each in processes))
            api = f"http://127.0.0.1:{http}/fhir"
            for name, (whose, criteria) in SUBSCRIBERS.items():
                await subscribed(api, keys[whose], f"{endpoint}/{name}", criteria)
            yield Cluster(processes, url, api, mllp, keys, journal)
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
