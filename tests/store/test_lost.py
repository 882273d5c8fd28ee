"""A PostgreSQL whose connections are cut: who comes next doesn't notice."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import psycopg
import pytest
import sqlalchemy as sa

from gateway.errors import Unavailable
from gateway.store import Hub, Transaction, connecting, engine, open_hub

CUT = """SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity
         WHERE datname = current_database() AND pid <> pg_backend_pid()"""


@pytest.fixture
def shared(postgres_url: str) -> Iterator[Hub]:
    hub = open_hub(postgres_url)
    yield hub
    hub.close()


def cut(url: str) -> int:
    """End every connection to the database; how many there were."""
    with psycopg.connect(url, autocommit=True) as administration:
        (count,) = administration.execute(CUT).fetchone() or (0,)
        while administration.execute(CUT).fetchone() != (0,):
            time.sleep(0.01)
    return int(count)


def beats(hub: Hub, *names: str) -> None:
    for future in [hub.submit(partial(Transaction.beat, me=name)) for name in names]:
        future.result()


def test_a_unit_is_run_again_by_a_new_connection_where_its_own_was_cut_before_it(
    shared: Hub, postgres_url: str
) -> None:
    beats(shared, *"abcdefgh")
    assert cut(postgres_url) > 0
    beats(shared, *"ijklmnop")
    assert len(shared.write(lambda tx: tx.beat("a"))) == 16


def test_a_unit_that_is_cut_off_is_run_again_and_its_first_run_left_nothing(
    shared: Hub, postgres_url: str
) -> None:
    runs: list[int] = []

    def unit(tx: Transaction) -> frozenset[str]:
        runs.append(1)
        tx.beat(f"run-{len(runs)}")
        if len(runs) == 1:
            cut(postgres_url)
        return tx.beat("last")

    assert shared.write(unit) == {"run-2", "last"}


def test_a_reader_of_an_idle_connection_that_was_cut_gets_another(
    shared: Hub, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(engine, "_IDLE", 0.0)
    for _ in range(2):
        with shared.read() as reader:
            assert reader.agencies() == []
        cut(postgres_url)
    with shared.read() as reader:
        assert reader.agencies() == []


def test_one_reader_that_finds_its_connection_cut_is_told_and_finds_out_for_all(
    shared: Hub, postgres_url: str
) -> None:
    with shared.read() as first, shared.read() as second:
        assert first.agencies() == second.agencies() == []
    with pytest.raises(Unavailable):
        _cut_off(shared, postgres_url)
    for _ in range(3):
        with shared.read() as one, shared.read() as other:
            assert one.agencies() == other.agencies() == []


def test_who_connects_while_another_finds_its_connection_cut_has_one(postgres_url: str) -> None:
    made = engine.open_engine(postgres_url)
    with made.writes.connect() as other:
        driver: Any = other.connection.dbapi_connection
        driver.close()
        sa.event.listen(made.reads, "connect", lambda *_: made.lost(other))
        for _ in range(2):
            with made.reads.connect() as connection:
                assert connection.scalar(sa.text("SELECT 1")) == 1
    made.close()


def test_who_is_paused_in_the_middle_of_a_unit_holds_its_rows_for_a_while_only(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connecting, "_HOLD", 50)
    paused, other = open_hub(postgres_url), open_hub(postgres_url)
    held, gate, runs = threading.Event(), threading.Event(), list[str]()

    def unit(tx: Transaction) -> None:
        runs.append("run")
        tx.beat("a")
        held.set()
        assert gate.wait(30)

    done = paused.submit(unit)
    assert held.wait(30)
    try:
        assert other.submit(partial(Transaction.beat, me="a")).result(30) == {"a"}
    finally:
        gate.set()
    done.result(30)
    assert len(runs) > 1, "its first run was undone, and it began again"
    paused.close()
    other.close()


def _cut_off(hub: Hub, url: str) -> None:
    with hub.read() as reader:
        cut(url)
        reader.agencies()
