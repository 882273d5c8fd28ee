from __future__ import annotations

import os
import random
import resource
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from gateway.errors import SettingError, Unavailable
from gateway.model import Event
from gateway.store import Hub, Transaction, engine, open_hub
from gateway.store.commit import start
from tests.store.groups import Writer, held, outcome
from tests.store.samples import CLINIC, create, ids, patient, search, update

WRITER = Path(__file__).with_name("writer.py")


def put(id: str) -> Any:
    return lambda unit: unit.put(CLINIC, patient(id), interaction="create")


def broken(unit: Transaction) -> None:
    unit.put(CLINIC, patient("broken"), interaction="create")
    raise ValueError("mine")


@pytest.fixture
def file_hub(sqlite_url: str) -> Iterator[Hub]:
    hub = open_hub(sqlite_url)
    yield hub
    hub.close()


def test_units_that_wait_share_one_commit(sqlite_url: str) -> None:
    open_hub(sqlite_url).close()
    made = engine.open_engine(sqlite_url)
    commits: list[int] = []
    sa.event.listen(made.writes, "commit", lambda _: commits.append(1))
    committer = start(made)
    busy, release = threading.Event(), threading.Event()

    def hold(_: Any) -> None:
        busy.set()
        assert release.wait(30)

    first = committer.submit(hold)
    assert busy.wait(30)

    def number(n: int) -> Any:
        return lambda _: n

    rest = [committer.submit(number(n)) for n in range(20)]
    release.set()
    first.result()
    assert [future.result() for future in rest] == list(range(20))
    assert len(commits) == 1
    committer.close()


def test_a_group_waits_for_what_is_expected(file_hub: Hub) -> None:
    """Both units are given the same transaction's connection, though the second comes later."""
    coming: Future[None] = Future()
    second: list[Future[object]] = []
    coming.add_done_callback(lambda _: second.append(file_hub.submit(lambda tx: tx.link)))
    file_hub.expect(coming)

    def first(tx: Transaction) -> object:
        threading.Timer(0.001, lambda: coming.set_result(None)).start()
        return tx.link

    assert file_hub.submit(first).result(30) is second[0].result(30)


def test_what_is_expected_and_never_comes_holds_nobody_up(file_hub: Hub) -> None:
    file_hub.expect(Future())
    assert file_hub.submit(lambda tx: "done").result(30) == "done"


def test_one_unit_s_error_leaves_the_others_of_its_group(hub: Hub) -> None:
    futures = [hub.submit(put("a")), hub.submit(broken), hub.submit(put("b"))]
    assert [outcome(future) for future in futures] == ["done", "ValueError", "done"]
    assert ids(search(hub, CLINIC, "Patient", ("_sort", "_id"))) == ["a", "b"]


def test_a_unit_that_swallows_a_failed_statement_is_not_committed(hub: Hub) -> None:
    def unit(transaction: Transaction) -> str:
        transaction.put(CLINIC, patient("p"), interaction="create")
        transaction.add_key("k1", "hash", "a")
        try:
            transaction.link.savepoint("no such name;")
        except Exception:  # noqa: BLE001 - the very mistake that must not be committed
            return "all is well"
        raise AssertionError

    with pytest.raises(Unavailable):
        hub.write(unit)
    assert search(hub, CLINIC, "Patient").total == 0
    create(hub, CLINIC, patient("q"))


@pytest.mark.parametrize("group", [False, True])
@pytest.mark.parametrize("raises", [False, True])
def test_a_race_is_run_again_whatever_a_unit_makes_of_it(
    postgres_url: str, group: bool, raises: bool
) -> None:
    """It saw what is no more, and may say "done", or that something else is wrong."""
    hub, tries = open_hub(postgres_url), [0]
    create(hub, CLINIC, patient("p"))
    writer = Writer(postgres_url)

    def unit(tx: Transaction) -> str:
        tries[0] += 1
        tx.current("Patient", "p")
        if tries[0] == 1:
            update(hub, CLINIC, patient("p", gender="other"))
        try:
            with tx.savepoint():
                tx.put(CLINIC, patient("p", gender="female"), interaction="update")
                tx.flush()
        except Exception:  # noqa: BLE001 - as what keeps a message whatever became of it
            if raises:
                raise ValueError("mine") from None
            return "swallowed"
        return "done"

    done = writer.together(unit, *[put("q")] * group)
    assert [outcome(each) for each in done] == ["done"] * (1 + group)
    assert done[0].result() == "done"
    assert tries == [2]
    writer.close()
    hub.close()


def test_a_hub_that_could_not_write_says_so_until_it_can(file_hub: Hub) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    create(file_hub, CLINIC, patient("before"))
    assert file_hub.writable()
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert file_hub.writable()  # nobody has tried
        with pytest.raises(Unavailable):
            create(file_hub, CLINIC, patient("a"))
        assert not file_hub.writable()
        assert not file_hub.writable()
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert file_hub.writable()


def test_a_role_that_would_not_wait_for_the_disk_waits(postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as server:
        name = server.info.dbname
        server.execute(f"ALTER DATABASE {name} SET synchronous_commit = off")
    made = engine.open_engine(postgres_url)
    asked = sa.text("SHOW synchronous_commit")
    for each in (made.writes, made.reads):
        with each.connect() as connection:
            assert connection.scalar(asked) == "on"
            connection.rollback()
            assert connection.scalar(asked) == "on"
    made.close()


def test_a_server_that_does_not_sync_is_told_of(
    postgres_url: str, caplog: pytest.LogCaptureFixture
) -> None:
    open_hub(postgres_url).close()  # the tests' own has fsync off
    assert "the server has fsync off" in caplog.text


def test_a_cancelled_unit_is_not_run(file_hub: Hub) -> None:
    with held(file_hub):
        future = file_hub.submit(put("a"))
        assert future.cancel()
        kept = file_hub.submit(put("b"))
    kept.result()
    assert ids(search(file_hub, CLINIC, "Patient")) == ["b"]


def test_a_failing_commit_fails_its_whole_group_and_the_next_one_works(file_hub: Hub) -> None:
    create(file_hub, CLINIC, patient("before"))
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    with held(file_hub):
        futures = [file_hub.submit(put("a")), file_hub.submit(broken), file_hub.submit(put("b"))]
        # From here on every write beyond a file's first bytes fails, as on a full disk.
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, hard))
    try:
        assert [outcome(future) for future in futures] == ["Unavailable"] * 3
        with pytest.raises(Unavailable):
            create(file_hub, CLINIC, patient("c"))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    create(file_hub, CLINIC, patient("after"))
    assert ids(search(file_hub, CLINIC, "Patient")) == ["before", "after"]


def test_a_full_database_refuses_the_group_that_does_not_fit(sqlite_url: str) -> None:
    made = engine.open_engine(sqlite_url)
    open_hub(sqlite_url).close()
    full = [True]

    def connected(connection: sqlite3.Connection, _: object) -> None:
        if full:
            connection.execute("PRAGMA max_page_count=90")

    sa.event.listen(made.writes, "connect", connected)
    hub = Hub(made, b"secret")
    with pytest.raises(Unavailable):
        create(hub, CLINIC, patient("big", text={"div": "x" * 500_000}))
    full.clear()
    create(hub, CLINIC, patient("fits"))
    assert ids(search(hub, CLINIC, "Patient")) == ["fits"]
    hub.close()


def test_a_file_that_another_process_locks_is_unavailable_until_it_lets_go(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "BUSY", 0.1)
    hub = open_hub(sqlite_url)
    create(hub, CLINIC, patient("before"))
    other = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"), isolation_level=None)
    other.execute("BEGIN EXCLUSIVE")
    futures = [hub.submit(put(id)) for id in ("a", "b")]
    assert [outcome(future) for future in futures] == ["Unavailable"] * 2
    assert ids(search(hub, CLINIC, "Patient")) == ["before"]
    other.execute("ROLLBACK")
    other.close()
    create(hub, CLINIC, patient("after"))
    assert ids(search(hub, CLINIC, "Patient")) == ["before", "after"]
    hub.close()


def test_what_was_acknowledged_survives_kill_9(database_url: str) -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    open_hub(database_url).close()
    acknowledged: list[str] = []
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, str(WRITER), database_url],
            stdout=subprocess.PIPE,
            cwd=WRITER.parent.parent.parent,
            env={**os.environ, "PYTHONPATH": "."},
        )
        assert process.stdout
        first = process.stdout.readline()
        time.sleep(rng.uniform(0.0, 0.3))
        process.kill()
        lines = (first + process.communicate()[0]).decode().splitlines(keepends=True)
        acknowledged += [line.strip() for line in lines if line.endswith("\n")]
    hub = open_hub(database_url)
    with hub.read() as reader:
        assert reader.missing(CLINIC, [f"Patient/{id}" for id in acknowledged]) == []
        events: list[Event] = []
        while batch := reader.events_after(events[-1].sequence if events else 0, ["Patient"], 500):
            events += batch
    assert len(acknowledged) >= 4
    assert {event.id for event in events} >= set(acknowledged)
    assert len({event.id for event in events}) == len(events)
    assert search(hub, CLINIC, "Patient", ("_count", "0")).total == len(events)
    hub.close()


def test_a_closed_hub_finishes_what_was_submitted_and_takes_no_more(database_url: str) -> None:
    hub = open_hub(database_url)
    futures = [hub.submit(put(str(n))) for n in range(10)]
    hub.close()
    assert [outcome(future) for future in futures] == ["done"] * 10
    with pytest.raises(Unavailable):
        hub.submit(put("late"))


def test_two_hubs_may_open_an_empty_database_at_once(database_url: str) -> None:
    opened: list[Hub] = []
    threads = [
        threading.Thread(target=lambda: opened.append(open_hub(database_url))) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(opened) == 4
    for hub in opened:
        create(hub, CLINIC, patient())
        hub.close()


@pytest.mark.parametrize("url", ["", "sqlite://", "sqlite:///:memory:", "mysql://x/y", "nonsense"])
def test_another_database_is_refused(url: str) -> None:
    with pytest.raises(SettingError):
        open_hub(url)


def test_a_file_of_another_schema_is_refused(sqlite_url: str) -> None:
    open_hub(sqlite_url).close()
    file = sqlite3.connect(sqlite_url.removeprefix("sqlite:///"))
    file.execute("UPDATE hub SET value = '999' WHERE name = 'schema'")
    file.commit()
    file.close()
    with pytest.raises(SettingError):
        open_hub(sqlite_url)
