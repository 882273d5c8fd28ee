"""Background work on the real engine: DBOS on its own SQLite file."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path

import psycopg
import pytest

from gateway.settings import Settings
from gateway.work import Behind, Drain, Work, durable


def nobody() -> list[str]:
    return []


def until(condition: Callable[[], object], seconds: float = 20) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it didn't happen in time"
        time.sleep(0.005)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(data_dir=tmp_path, reconcile_every=0.2)


@pytest.fixture
def start(settings: Settings) -> Iterator[Callable[..., Work]]:
    works: list[Work] = []

    def started(drain: Drain, behind: Behind = nobody) -> Work:
        work = Work(settings)
        work.start(drain, behind)
        works.append(work)
        return work

    yield started
    for work in works:
        work.stop(5)


def test_a_wake_leads_to_a_drain(start: Callable[..., Work]) -> None:
    drained: list[str] = []

    async def drain(subscriber: str) -> None:
        drained.append(subscriber)

    work = start(drain)
    work.wake("Subscription-1")
    until(lambda: drained == ["Subscription-1"])


def test_wakes_during_a_drain_make_it_run_once_more_and_never_twice_at_once(
    start: Callable[..., Work],
) -> None:
    entered, release = threading.Event(), threading.Event()
    inside: Counter[str] = Counter()
    most: Counter[str] = Counter()
    runs: list[str] = []

    async def drain(subscriber: str) -> None:
        inside[subscriber] += 1
        most[subscriber] = max(most[subscriber], inside[subscriber])
        runs.append(subscriber)
        entered.set()
        await asyncio.to_thread(release.wait)
        inside[subscriber] -= 1

    work = start(drain)
    work.wake("a")
    assert entered.wait(10)
    for _ in range(50):
        work.wake("a")
    release.set()
    until(lambda: len(runs) == 2)
    work.wake("a")
    until(lambda: len(runs) == 3)
    assert most == {"a": 1}


def test_no_wake_is_lost_whatever_its_moment(start: Callable[..., Work]) -> None:
    asked = 0
    seen: list[int] = []

    async def drain(subscriber: str) -> None:
        seen.append(asked)
        await asyncio.sleep(0)

    work = start(drain)
    for _ in range(200):
        asked += 1
        work.wake("a")
        time.sleep(0.001)
    until(lambda: seen and seen[-1] == 200)
    assert len(seen) <= 200


def test_a_drain_may_wake_others(start: Callable[..., Work]) -> None:
    drained: list[str] = []

    async def drain(subscriber: str) -> None:
        drained.append(subscriber)
        if subscriber == "a":
            work.wake("b")
            work.later("c", datetime.now(UTC))

    work = start(drain)
    work.wake("a")
    until(lambda: sorted(drained) == ["a", "b", "c"])


def test_a_hundred_stuck_subscribers_hold_nobody_up(start: Callable[..., Work]) -> None:
    stuck, drained = threading.Event(), threading.Event()
    waiting: list[str] = []

    async def drain(subscriber: str) -> None:
        if subscriber == "quick":
            drained.set()
            return
        waiting.append(subscriber)
        while not stuck.is_set():
            await asyncio.sleep(0.01)

    work = start(drain)
    for number in range(100):
        work.wake(f"slow-{number}")
    until(lambda: len(waiting) == 100)
    work.wake("quick")
    assert drained.wait(10)
    stuck.set()


def test_whoever_is_woken_at_once_shares_a_workflow_and_waits_for_nobody_in_it(
    start: Callable[..., Work], settings: Settings
) -> None:
    stuck = threading.Event()
    drained: Counter[str] = Counter()

    async def drain(subscriber: str) -> None:
        drained[subscriber] += 1
        while subscriber == "stuck" and not stuck.is_set():
            await asyncio.sleep(0.01)

    work = start(drain)
    work.wake("first")
    for number in range(200):
        work.wake(str(number))
    work.wake("stuck")
    until(lambda: len(drained) == 202)
    assert len(_workflows(settings)) <= 2
    for times in (2, 3):
        work.wake("7")
        until(partial(lambda times: drained["7"] >= times, times))
    assert drained["stuck"] == 1
    stuck.set()


def test_a_drain_that_fails_is_logged_without_values_and_hinders_nothing(
    start: Callable[..., Work], caplog: pytest.LogCaptureFixture
) -> None:
    drained = threading.Event()

    async def drain(subscriber: str) -> None:
        if subscriber == "bad":
            raise ValueError("Adam Everyman, born 1961")
        drained.set()

    work = start(drain)
    work.wake("bad")
    work.wake("good")
    assert drained.wait(10)
    until(lambda: any("a drain failed" in line.message for line in caplog.records))
    assert "Everyman" not in caplog.text


def test_later_wakes_at_its_time_and_the_earliest_counts(start: Callable[..., Work]) -> None:
    drained: list[datetime] = []

    async def drain(subscriber: str) -> None:
        drained.append(datetime.now(UTC))

    work = start(drain)
    due = datetime.now(UTC) + timedelta(seconds=0.3)
    work.later("a", datetime.now(UTC) + timedelta(hours=1))
    work.later("a", due)
    work.later("a", datetime.now(UTC) + timedelta(hours=1))
    until(lambda: drained)
    assert drained[0] >= due - timedelta(milliseconds=20)  # two clocks, one of them monotonic


def test_the_reconciler_wakes_whoever_is_behind_at_start_and_ever_after(
    start: Callable[..., Work],
) -> None:
    drained: list[str] = []
    behind = ["left-by-a-crash"]

    async def drain(subscriber: str) -> None:
        drained.append(subscriber)
        if subscriber in behind:
            behind.remove(subscriber)

    start(drain, lambda: list(behind))
    until(lambda: drained == ["left-by-a-crash"])
    behind.append("left-since")
    until(lambda: drained == ["left-by-a-crash", "left-since"])


def test_the_reconciler_survives_a_hub_that_fails(start: Callable[..., Work]) -> None:
    drained = threading.Event()
    failures = 0

    async def drain(subscriber: str) -> None:
        drained.set()

    def behind() -> list[str]:
        nonlocal failures
        failures += 1
        if failures < 3:
            raise OSError("the disk is full")
        return ["a"]

    start(drain, behind)
    assert drained.wait(10)


def test_drains_that_ended_are_forgotten(start: Callable[..., Work], settings: Settings) -> None:
    drained: list[str] = []

    async def drain(subscriber: str) -> None:
        drained.append(subscriber)

    work = start(drain)
    for number in range(20):
        work.wake(str(number))
    until(lambda: len(drained) == 20)
    until(lambda: _workflows(settings) == [])


def test_stop_waits_for_the_drain_in_hand_and_closes_on_the_same_loop(settings: Settings) -> None:
    entered = threading.Event()
    loops: list[asyncio.AbstractEventLoop] = []
    story: list[str] = []

    async def drain(subscriber: str) -> None:
        entered.set()
        loops.append(asyncio.get_running_loop())
        await asyncio.sleep(0.3)
        story.append("drained")

    async def closing() -> None:
        loops.append(asyncio.get_running_loop())
        story.append("closed")

    work = Work(settings)
    work.start(drain, nobody, closing)
    work.wake("a")
    assert entered.wait(10)
    work.stop(10)
    assert story == ["drained", "closed"]
    assert loops[0] is loops[1]
    work.wake("a")  # too late, and harmless
    work.later("a", datetime.now(UTC))
    work.stop(1)


def test_a_drain_cut_off_by_stop_is_taken_up_at_the_next_start(settings: Settings) -> None:
    entered = threading.Event()
    drained: list[str] = []

    async def stuck(subscriber: str) -> None:
        entered.set()
        await asyncio.sleep(3600)

    async def drain(subscriber: str) -> None:
        drained.append(subscriber)

    work = Work(settings)
    work.start(stuck, nobody)
    work.wake("a")
    assert entered.wait(10)
    for other in ("b", "c", "d"):
        work.wake(other)
    until(lambda: len(_workflows(settings)) == 2)
    work.stop(0.1)
    assert _workflows(settings) == ["PENDING"] * 2
    again = Work(settings)
    again.start(drain, nobody)
    until(lambda: sorted(drained) == ["a", "b", "c", "d"])
    until(lambda: _workflows(settings) == [])
    again.stop(5)


KILLED = """
import asyncio, os, sys
from pathlib import Path
from gateway.settings import Settings
from gateway.work import Work

async def drain(subscriber):
    print("in", flush=True)
    await asyncio.sleep(3600)

name = sys.argv[2]
work = Work(Settings(data_dir=Path(sys.argv[1])), executor=name)
work.start(drain, lambda: [])
work.wake(f"of-{name}")
asyncio.run(asyncio.sleep(3600))
"""


@pytest.mark.faults
def test_a_killed_process_leaves_its_drain_to_the_next_which_runs_it_once_at_a_time(
    settings: Settings,
) -> None:
    child = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(settings.data_dir), "gateway"], stdout=subprocess.PIPE
    )
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == b"in\n"
        child.kill()
    inside, most, runs = 0, 0, 0

    async def drain(subscriber: str) -> None:
        nonlocal inside, most, runs
        inside, runs = inside + 1, runs + 1
        most = max(most, inside)
        await asyncio.sleep(0.2)
        inside -= 1

    work = Work(settings)
    work.start(drain, nobody)
    until(lambda: runs >= 1)
    work.wake("of-gateway")
    until(lambda: runs >= 2 and inside == 0)
    until(lambda: _workflows(settings) == [])
    work.stop(5)
    assert most == 1


def test_work_that_nobody_else_can_do_leaves_nothing_behind(
    settings: Settings,
) -> None:
    drained: list[str] = []

    async def drain(subscriber: str) -> None:
        drained.append(subscriber)

    work = Work(settings, durable=False)
    work.start(drain, lambda: ["bound"])
    work.wake("a")
    until(lambda: sorted(set(drained)) == ["a", "bound"])
    work.stop(5)
    assert list(settings.data_dir.iterdir()) == []


def test_who_is_told_to_look_looks_at_once(tmp_path: Path) -> None:
    behind: list[str] = []
    looks: list[int] = []
    drained: list[str] = []

    async def drain(subscriber: str) -> None:
        drained.append(subscriber)

    def look() -> list[str]:
        looks.append(1)
        return list(behind)

    work = Work(Settings(data_dir=tmp_path, reconcile_every=3600), durable=False)
    work.start(drain, look)
    until(lambda: looks)
    behind.append("left-by-a-process-that-died")
    work.look()
    until(lambda: drained == behind)
    work.stop(5)


def test_the_drains_of_a_process_that_died_are_resumed_and_those_of_one_that_lives_are_not(
    postgres_url: str, tmp_path: Path
) -> None:
    settings = Settings(data_dir=tmp_path, database_url=postgres_url, reconcile_every=0.2)
    for name in ("dead", "alive"):
        _left_by(settings, name)
    drained: list[str] = []

    async def drain(subscriber: str) -> None:
        drained.append(subscriber)

    work = Work(settings, executor="me", living=lambda: {"me", "alive"})
    work.start(drain, nobody)
    pending = "SELECT executor_id FROM dbos.workflow_status"
    with psycopg.connect(postgres_url, autocommit=True) as database:
        until(lambda: database.execute(pending).fetchall() == [("alive",)])
    work.stop(5)
    assert drained == ["of-dead"]


def test_a_drain_whose_end_could_not_be_noted_is_begun_anew(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(durable, "LOST", 0.0)
    entered, again = threading.Event(), threading.Event()

    async def drain(subscriber: str) -> None:
        if entered.is_set():
            again.set()
            return
        entered.set()
        with sqlite3.connect(settings.work_database.removeprefix("sqlite:///")) as file:
            file.execute(
                "CREATE TRIGGER full BEFORE UPDATE ON workflow_status BEGIN "
                "SELECT raise(ABORT, 'the disk is full'); END"
            )

    work = Work(settings)
    work.start(drain, nobody)
    work.wake("a")
    assert entered.wait(10)
    time.sleep(0.3)
    with sqlite3.connect(settings.work_database.removeprefix("sqlite:///")) as file:
        file.execute("DROP TRIGGER full")
    assert again.wait(10)
    until(lambda: _workflows(settings) == [])
    work.stop(5)


def _left_by(settings: Settings, name: str) -> None:
    """A drain that another process had in hand when it was killed."""
    environment = {**os.environ, "GATEWAY_DATABASE_URL": settings.database_url}
    command = [sys.executable, "-c", KILLED, str(settings.data_dir), name]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, env=environment)
    assert child.stdout is not None
    with child, child.stdout:
        assert child.stdout.readline() == b"in\n"
        child.kill()


def test_a_database_that_cannot_be_opened_is_told_at_start(tmp_path: Path) -> None:
    async def drain(subscriber: str) -> None:
        """Never called."""

    work = Work(Settings(data_dir=tmp_path / "missing"))
    with pytest.raises(Exception, match="unable to open"):
        work.start(drain, nobody)


def _workflows(settings: Settings) -> list[str]:
    path = settings.work_database.removeprefix("sqlite:///")
    connection = sqlite3.connect(path)
    try:
        rows = connection.execute("select status from workflow_status").fetchall()
    finally:
        connection.close()
    return [row[0] for row in rows]
