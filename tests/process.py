"""A gateway in a process of its own, that can be killed and started again."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import httpx

from gateway.members import Members
from gateway.settings import Settings
from gateway.store import open_hub
from tests.agencies import small_library

SERVE = (sys.executable, "-m", "gateway", "serve")
ROOT = Path(__file__).resolve().parents[1]
READY_WITHIN = 240.0
FIRST_PORT = 10_000 + os.getpid() * 32 % 20_000
PORTS = itertools.cycle(range(FIRST_PORT, FIRST_PORT + 32))


class Process:
    """``gateway serve`` (or another command that serves) on a data folder and fixed ports."""

    def __init__(self, folder: Path, serve: Sequence[str], settings: Mapping[str, str]) -> None:
        self.port, self.mllp_port = free_port(), free_port()
        self.root = f"http://127.0.0.1:{self.port}"
        self.log = folder / "gateway.log"
        self._serve = tuple(serve)
        self._environment = {
            **{name: value for name, value in os.environ.items() if "GATEWAY_" not in name},
            "PYTHONPATH": str(ROOT),
            "GATEWAY_DATA_DIR": str(folder / "data"),
            "GATEWAY_PORT": str(self.port),
            "GATEWAY_MLLP_PORT": str(self.mllp_port),
            "GATEWAY_LOG_LEVEL": "warning",
            **settings,
        }
        self._process: asyncio.subprocess.Process | None = None

    @property
    def database(self) -> str:
        """The URL of the hub that it opens."""
        settings = Settings(
            data_dir=Path(self._environment["GATEWAY_DATA_DIR"]),
            database_url=self._environment.get("GATEWAY_DATABASE_URL", ""),
        )
        settings.data_dir.mkdir(exist_ok=True)
        return settings.database

    def join(self, *ids: str, folder: Path | None = None) -> list[str]:
        """Make agencies members of the hub that it will open: a key of each.

        An agency whose id is the name of ``folder`` is described there.
        """
        hub = open_hub(self.database)
        members = Members(hub, small_library())
        for id in ids:
            members.add(id, folder if folder is not None and folder.name == id else None)
        keys = [members.add_key(id) for id in ids]
        hub.close()
        return keys

    def keeper(self) -> str:
        """A keeper's key of the hub that it will open."""
        hub = open_hub(self.database)
        key = Members(hub, small_library()).add_key("", admin=True)
        hub.close()
        return key

    @property
    def pid(self) -> int:
        """Its number, once it is started."""
        assert self._process is not None
        return self._process.pid

    async def start(self) -> None:
        """Start it, and return when it is ready."""
        with self.log.open("ab") as log:
            self._process = await asyncio.create_subprocess_exec(
                *self._serve, env=self._environment, stdout=log, stderr=log
            )
        async with asyncio.timeout(READY_WITHIN), httpx.AsyncClient(trust_env=False) as client:
            while not await self._ready(client):
                assert self._process.returncode is None, self.log.read_text()[-4000:]
                await asyncio.sleep(0.02)

    async def _ready(self, client: httpx.AsyncClient) -> bool:
        try:
            return (await client.get(f"{self.root}/readyz")).is_success
        except httpx.TransportError:
            return False

    async def kill(self) -> None:
        """SIGKILL: no handler runs, nothing is flushed."""
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
            await self._process.wait()

    async def stop(self) -> int:
        """SIGTERM; the exit code."""
        assert self._process is not None
        self._process.terminate()
        return await self._process.wait()


def free_port() -> int:
    """A loopback port that nothing listens on, and that no connection is given.

    It is below those that the kernel hands out, and beside those of another test process: nobody
    takes it while the gateway that listens on it is killed and started again.
    """
    for port in PORTS:
        with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise AssertionError("the ports go round for ever")
