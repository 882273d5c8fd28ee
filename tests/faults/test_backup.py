"""A backup of a gateway under load: all that was acknowledged before it began is there after it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import sqlite3
import sys
from dataclasses import dataclass, replace
from pathlib import Path

import pytest

from gateway.store.backup import HUB, back_up
from tests.faults.check import Hub, kept
from tests.faults.load import Journal
from tests.faults.scene import scene, size
from tests.process import ROOT, SERVE, Process

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

LEAD = size("LEAD", 40)
"""How many messages are acknowledged before the backup begins."""


@dataclass(frozen=True)
class Taken:
    """What was copied of a gateway under load, and what was acknowledged before that began."""

    folder: Path
    before: Journal

    @property
    def data(self) -> Path:
        """The gateway's own, stopped by now."""
        return self.folder / "data"


@pytest.fixture(scope="module")
def taken(tmp_path_factory: pytest.TempPathFactory) -> Taken:
    """A backup as its keeper makes it beside the running gateway, and a copy as somebody might who
    doesn't know of the write-ahead log."""
    return asyncio.run(_take(tmp_path_factory.mktemp("backup")))


async def _take(folder: Path) -> Taken:
    async with scene(folder, SERVE) as made:
        async with made.load():
            while len(made.journal.acknowledged) < LEAD:
                await asyncio.sleep(0.01)
            before = snapshot(made.journal)
            (folder / "careless").mkdir()
            shutil.copyfile(folder / "data" / HUB, folder / "careless" / HUB)
            await _gateway("backup", str(folder / "backup"), data=folder / "data")
        assert await made.process.stop() == 0
        (folder / "key").write_text(made.keys["north"])
    return Taken(folder, before)


def test_a_backup_under_load_holds_what_was_acknowledged_before_it(taken: Taken) -> None:
    backup, data = taken.folder / "backup", taken.folder / "restored"
    asyncio.run(_gateway("restore", str(backup), data=data))
    assert contents(data / HUB) == contents(backup / HUB)
    assert contents(data / HUB) != contents(taken.data / HUB), "nothing came while it was made"
    assert asyncio.run(_served(taken, data)) == []


def test_the_check_fails_on_a_copy_of_the_file_without_its_log(taken: Taken) -> None:
    found = asyncio.run(_served(taken, taken.folder / "careless"))
    assert any(each.startswith("missing: ") for each in found)


def test_a_backup_at_rest_has_the_content_of_the_hub(taken: Taken) -> None:
    back_up(f"sqlite:///{taken.data / HUB}", taken.data, taken.folder / "at-rest")
    assert contents(taken.folder / "at-rest" / HUB) == contents(taken.data / HUB)


def snapshot(journal: Journal) -> Journal:
    """What the outside knows now."""
    return replace(
        journal,
        acknowledged=list(journal.acknowledged),
        created=dict(journal.created),
        refusals=list(journal.refusals),
    )


async def _served(taken: Taken, data: Path) -> list[str]:
    """What a gateway on that data folder lacks of what was acknowledged."""
    settings = {"GATEWAY_DATA_DIR": str(data), "GATEWAY_ENDPOINT_NETWORKS": "127.0.0.0/8"}
    process = Process(taken.folder, SERVE, settings)
    try:
        await process.start()
        hub = await Hub.read(f"{process.root}/fhir", (taken.folder / "key").read_text())
        assert await process.stop() == 0
    finally:
        await process.kill()
    return kept(taken.before, hub)


async def _gateway(*words: str, data: Path) -> None:
    environment = {
        **{name: value for name, value in os.environ.items() if "GATEWAY_" not in name},
        "PYTHONPATH": str(ROOT),
        "GATEWAY_DATA_DIR": str(data),
    }
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "gateway", *words, env=environment
    )
    assert await process.wait() == 0


def contents(hub: Path) -> dict[str, str]:
    """By table, a digest of all its rows."""
    connection = sqlite3.connect(f"file:{hub}?mode=ro", uri=True)
    tables = connection.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND sql NOT LIKE 'CREATE VIRTUAL%'"
    ).fetchall()
    found = {
        name: hashlib.sha256(
            "\n".join(sorted(map(repr, connection.execute(f'SELECT * FROM "{name}"')))).encode()
        ).hexdigest()
        for (name,) in tables
    }
    connection.close()
    return found
