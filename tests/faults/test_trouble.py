"""A disk that is full or fails, a file that another has locked: no AA and no 201, and it heals.

As long as it lasts a sender hears AE and a client 503, and ``readyz`` says 503; whoever sends again
once it is over loses nothing.
"""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager, closing
from pathlib import Path

import pytest

from tests.faults import drive
from tests.faults.check import faults
from tests.faults.load import exchange, referral
from tests.faults.scene import CALM, CLINICS, DESKS, Scene, broken, scene, size, summary
from tests.faults.test_power import postgresql_at
from tests.faults.trouble import cannot_attach, filled, locked, refused, small
from tests.process import SERVE

pytestmark = [pytest.mark.faults, pytest.mark.timeout(600)]

LOCK = float(size("LOCK", 10))
"""Seconds."""
AWHILE = 1.5
"""Seconds that trouble lasts once it is felt."""

Trouble = Callable[[Scene], AbstractAsyncContextManager[None]]

WRITING = "pwrite64,pwritev,ftruncate,fallocate"
SYNCING = "fdatasync,fsync"
KERNEL = {
    "no room": (WRITING, "ENOSPC"),
    "writes fail": (WRITING, "EIO"),
    "syncs fail": (SYNCING, "EIO"),
    "all fails": (f"{WRITING},{SYNCING}", "EIO"),
}
attaching = pytest.mark.skipif(bool(cannot_attach()), reason=cannot_attach())
mounting = pytest.mark.skipif(bool(drive.why_not()), reason=drive.why_not())


def refusing(kind: str) -> Trouble:
    """The hub's file and that of background work, both."""
    return lambda made: refused(made.process.pid, *KERNEL[kind])


@attaching
def test_a_disk_that_refuses_is_told_of_and_heals(tmp_path: Path) -> None:
    asyncio.run(_troubled(tmp_path, SERVE, {}, [refusing(kind) for kind in KERNEL]))
    _sound(tmp_path / "data")


@attaching
def test_the_check_fails_on_a_build_that_acknowledges_before_it_commits(tmp_path: Path) -> None:
    with pytest.raises(ExceptionGroup) as caught:
        asyncio.run(_troubled(tmp_path, broken("broken_build.py"), {}, [refusing("no room")]))
    assert caught.group_contains(AssertionError)


@mounting
@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_file_system_that_is_full_is_told_of_and_heals(folder: Path, engine: str) -> None:
    """What a database has room for in its files it may still take."""
    disk = folder / "disk"
    with contextlib.ExitStack() as stack:
        stack.enter_context(small(disk, 400 if engine == "postgresql" else 40))
        settings = {"GATEWAY_DATA_DIR": str(disk / "data")}
        if engine == "postgresql":
            settings |= stack.enter_context(postgresql_at(disk))
        asyncio.run(_troubled(folder, SERVE, settings, [lambda _: filled(disk)], total=False))
        if engine == "sqlite":
            _sound(disk / "data")


def test_a_file_that_another_has_locked_is_told_of_and_heals(tmp_path: Path) -> None:
    file = tmp_path / "data" / "gateway.sqlite"
    asyncio.run(_troubled(tmp_path, SERVE, {}, [lambda _: locked(file)], lasts=LOCK))
    _sound(tmp_path / "data")


async def _troubled(
    folder: Path,
    serve: Sequence[str],
    settings: dict[str, str],
    troubles: Sequence[Trouble],
    lasts: float = AWHILE,
    *,
    total: bool = True,
) -> None:
    """Load, trouble, load, …: what was promised is there, and nothing was while it lasted.

    A trouble that isn't ``total`` lets some through.
    """
    async with scene(folder, serve, {**CALM, **settings}, again=True) as made:
        journal = made.journal
        async with made.load():
            await _serves(made)
            for trouble in troubles:
                async with asyncio.timeout(120), trouble(made):
                    await asyncio.gather(asyncio.sleep(lasts), _felt(made, total))
                    if total:
                        await _refuses(made)
                await _serves(made)
        hub = await made.hub()
        print(summary(journal, hub))
        assert await made.process.stop() == 0
    assert faults(journal, hub) == []


async def _serves(made: Scene) -> None:
    """Until clinics and desks are promised something again."""
    journal = made.journal
    acknowledged, created = len(journal.acknowledged) + 5, len(journal.created) + 5
    await _until(
        lambda: len(journal.acknowledged) >= acknowledged and len(journal.created) >= created
    )
    assert await made.ready() == 200


async def _refuses(made: Scene) -> None:
    """Nothing is promised, whoever asks is told so, and no message can be kept."""
    journal = made.journal
    promised = len(journal.acknowledged), len(journal.created)
    await asyncio.sleep(AWHILE)
    assert promised == (len(journal.acknowledged), len(journal.created))
    assert await made.ready() == 503
    assert await _told(made) == b"AE"


async def _felt(made: Scene, total: bool) -> None:
    """Until a clinic heard AE and a desk 503. What was on its way may still be promised."""
    journal = made.journal
    known = len(journal.put_off)
    acknowledged, created = len(journal.acknowledged) + CLINICS, len(journal.created) + DESKS

    def felt() -> bool:
        assert len(journal.acknowledged) <= acknowledged or not total
        assert len(journal.created) <= created or not total
        return {each[0] for each in journal.put_off[known:]} == {"S", "D"}

    await _until(felt)


async def _told(made: Scene) -> bytes:
    """What is answered to a message that can't be understood, and so can't be kept either."""
    unknown = referral("S9-99999").replace(b"REF^I12^REF_I12", b"ZZZ^Z99^ZZZ_Z99")
    stream = await asyncio.open_connection("127.0.0.1", made.process.mllp_port)
    answer = await exchange(*stream, unknown)
    stream[1].close()
    return answer.partition(b"\rMSA|")[2][:2]


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(120):
        while not condition():
            await asyncio.sleep(0.05)


def _sound(data: Path) -> None:
    for name in ("gateway.sqlite", "work.sqlite"):
        with closing(sqlite3.connect(data / name)) as database:
            assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
