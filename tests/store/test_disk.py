"""What was told is on disk: the sync stands between a commit and whoever waits for it."""

from __future__ import annotations

import shutil
import sqlite3
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Unavailable
from gateway.store import Hub, Transaction, disk, open_hub
from tests.store.samples import CLINIC, create, ids, patient, search

Sync = Callable[[int], None]


@pytest.fixture
def file_hub(sqlite_url: str) -> Iterator[Hub]:
    hub = open_hub(sqlite_url)
    create(hub, CLINIC, patient("first"))
    yield hub
    hub.close()


def put(id: str) -> Callable[[Transaction], Any]:
    return lambda unit: unit.put(CLINIC, patient(id), interaction="create")


class Slow:
    """A disk whose sync takes until somebody lets it go."""

    def __init__(self, really: Sync) -> None:
        self.begun, self.release, self._really = threading.Event(), threading.Event(), really

    def __call__(self, file: int) -> None:
        self.begun.set()
        assert self.release.wait(30)
        self._really(file)


@pytest.fixture
def slow(monkeypatch: pytest.MonkeyPatch) -> Iterator[Slow]:
    slow = Slow(disk._sync)
    monkeypatch.setattr(disk, "_sync", slow)
    yield slow
    slow.release.set()


def test_nobody_is_told_before_the_log_is_on_disk(file_hub: Hub, slow: Slow) -> None:
    told = file_hub.submit(put("a"))
    assert slow.begun.wait(30)
    assert not told.done()
    assert ids(search(file_hub, CLINIC, "Patient")) == ["first", "a"]  # committed it is
    slow.release.set()
    told.result(30)


def test_the_writer_goes_on_while_the_disk_is_busy_and_commits_when_it_is_not(
    file_hub: Hub, slow: Slow
) -> None:
    first = file_hub.submit(put("a"))
    assert slow.begun.wait(30)
    ran = threading.Event()

    def second(unit: Transaction) -> None:
        unit.put(CLINIC, patient("b"), interaction="create")
        ran.set()

    later = file_hub.submit(second)
    assert ran.wait(30)
    assert not first.done()
    assert "b" not in ids(search(file_hub, CLINIC, "Patient"))
    slow.release.set()
    first.result(30), later.result(30)
    assert ids(search(file_hub, CLINIC, "Patient")) == ["first", "a", "b"]


def test_a_disk_that_fails_tells_nobody_that_all_is_well_and_is_healed_by_the_next_group(
    file_hub: Hub, monkeypatch: pytest.MonkeyPatch, sqlite_url: str
) -> None:
    really, calls = disk._sync, [0]

    def failing(file: int) -> None:
        calls[0] += 1
        if calls[0] == 1:
            raise OSError(5, "Input/output error")
        really(file)

    monkeypatch.setattr(disk, "_sync", failing)
    with pytest.raises(Unavailable):
        file_hub.write(put("a"))
    with pytest.raises(Unavailable):  # the log may have a hole: nothing is built on it
        file_hub.write(put("b"))
    file_hub.write(put("c"))
    log = Path(sqlite_url.removeprefix("sqlite:///"))
    alone = sqlite3.connect(f"file:{log}?immutable=1", uri=True)  # without the log
    held = {id for (id,) in alone.execute("SELECT id FROM resource WHERE type = 'Patient'")}
    alone.close()
    assert {"first", "a"} <= held
    assert ids(search(file_hub, CLINIC, "Patient")) == ["first", "a", "c"]


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc")
def test_the_log_of_a_new_connection_is_another_file(file_hub: Hub, sqlite_url: str) -> None:
    """SQLite deletes its log with the last connection; a sync of the old one would say nothing."""
    log = Path(f"{sqlite_url.removeprefix('sqlite:///')}-wal")

    def breaks(unit: Transaction) -> None:
        unit.link.broken = True

    with pytest.raises(Unavailable):
        file_hub.write(breaks)
    file_hub._engine.reads.dispose()
    create(file_hub, CLINIC, patient("again"))
    file_ = file_hub._committer._disk._file  # type: ignore[attr-defined]
    assert Path(f"/proc/self/fd/{file_}").readlink() == log


def test_what_an_ended_process_left_in_the_log_is_not_built_on(
    file_hub: Hub, sqlite_url: str, tmp_path: Path
) -> None:
    """Its last sync may have failed, and a later one wouldn't say so (fsync tells it once)."""
    left = tmp_path / "left"
    left.mkdir()
    for path in tmp_path.glob("gateway.sqlite*"):
        shutil.copy(path, left / path.name)
    assert (left / "gateway.sqlite-wal").stat().st_size
    command = sqlite3.connect(left / "gateway.sqlite")  # else SQLite empties it at the first close
    command.execute("SELECT * FROM hub").fetchall()
    hub = open_hub(f"sqlite:///{left / 'gateway.sqlite'}")
    create(hub, CLINIC, patient("second"))
    command.close()
    alone = sqlite3.connect(f"file:{left / 'gateway.sqlite'}?immutable=1", uri=True)
    held = {id for (id,) in alone.execute("SELECT id FROM resource WHERE type = 'Patient'")}
    alone.close()
    hub.close()
    assert "first" in held
