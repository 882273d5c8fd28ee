"""A COMMIT that is cut off: what became of it is asked, and told."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import Future
from typing import Any

import psycopg
import pytest

from gateway.errors import Unavailable
from gateway.store import Hub, Transaction, fate, open_hub
from tests.store.between import Between, Cut, after, before, between, meanwhile
from tests.store.groups import Writer, outcome
from tests.store.samples import CLINIC, patient


@pytest.fixture
def way(postgres_url: str) -> Iterator[Between]:
    """To the server, by something that cuts."""
    with between(postgres_url) as made:
        yield made


@pytest.fixture
def hub(way: Between) -> Iterator[Hub]:
    hub = open_hub(way.url)
    yield hub
    hub.close()


class Unit:
    """Keeps a Patient named after its run; the COMMIT of its first run is cut."""

    def __init__(self, way: Between, cut: Cut) -> None:
        self.runs = 0
        self._way, self._cut = way, cut

    def __call__(self, tx: Transaction) -> int:
        self.runs += 1
        if self.runs == 1:
            self._way.cut = self._cut
        tx.put(CLINIC, patient(f"run-{self.runs}"), interaction="create")
        return self.runs


def there(hub: Hub, *runs: int) -> list[bool]:
    with hub.read() as reader:
        return [reader.visible(CLINIC, f"Patient/run-{run}") for run in runs]


def test_what_was_committed_and_not_heard_of_is_told_as_committed(hub: Hub, way: Between) -> None:
    unit = Unit(way, after)
    assert hub.write(unit) == 1
    assert unit.runs == 1
    assert there(hub, 1, 2) == [True, False]


def test_what_was_not_committed_is_run_again(hub: Hub, way: Between) -> None:
    unit = Unit(way, before)
    assert hub.write(unit) == 2
    assert there(hub, 1, 2) == [False, True]


def test_what_is_still_under_way_is_waited_for(hub: Hub, way: Between) -> None:
    unit = Unit(way, meanwhile)
    assert hub.write(unit) == 1
    assert unit.runs == 1
    assert there(hub, 1, 2) == [True, False]


def test_what_stays_under_way_is_unavailable(
    hub: Hub, way: Between, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fate, "_PATIENCE", 0.0)
    unit = Unit(way, meanwhile)
    with pytest.raises(Unavailable):
        hub.write(unit)
    assert unit.runs == 1


@pytest.mark.parametrize(("cut", "runs"), [(after, 1), (before, 2)])
def test_a_group_is_told_together(hub: Hub, way: Between, cut: Cut, runs: int) -> None:
    writer, unit = Writer(way.url), Unit(way, cut)

    def broken(_: Transaction) -> None:
        raise ValueError("mine")

    def other(tx: Transaction) -> Any:
        return tx.put(CLINIC, patient("other"), interaction="create")

    done = writer.together(unit, broken, other)
    assert [outcome(each) for each in done] == ["done", "ValueError", "done"]
    assert done[0].result() == unit.runs == runs
    assert there(hub, 1, 2) == [runs == 1, runs == 2]
    writer.close()


@pytest.fixture
def standby(postgres_server: str) -> Iterator[psycopg.Connection[Any]]:
    """A server that waits for a standby that isn't there, until the setting is taken back."""
    with psycopg.connect(postgres_server, autocommit=True) as server:
        try:
            server.execute("ALTER SYSTEM SET synchronous_standby_names = 'nobody'")
            server.execute("SELECT pg_reload_conf()")
            yield server
        finally:
            _let_go(server)


def _let_go(server: psycopg.Connection[Any]) -> None:
    server.execute("ALTER SYSTEM RESET synchronous_standby_names")
    server.execute("SELECT pg_reload_conf()")


def test_what_a_standby_has_not_got_is_not_told_as_committed(
    hub: Hub, standby: psycopg.Connection[Any]
) -> None:
    """The server ends who waits for a standby; the commit stands, but here alone."""
    done = hub.submit(lambda tx: tx.beat("a"))
    first = _waiting(standby, done)
    standby.execute("SELECT pg_terminate_backend(%s)", [first])
    assert _waiting(standby, done, first) != first, "who asks waits, too"
    _let_go(standby)
    assert done.result(30) == {"a"}


def _waiting(server: psycopg.Connection[Any], done: Future[Any], but: int = 0) -> int:
    """The process that waits for a standby, as long as the unit isn't done."""
    asked = "SELECT pid FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND pid <> %s"
    while not done.done():
        if row := server.execute(asked, [but]).fetchone():
            return int(row[0])
        time.sleep(0.01)
    raise AssertionError("nobody waits")


def test_what_wrote_nothing_is_run_again(hub: Hub, way: Between) -> None:
    runs: list[str] = []

    def unit(tx: Transaction) -> str:
        runs.append("run")
        if len(runs) == 1:
            way.cut = after
        return "done" if tx.agencies() == [] else "odd"

    assert hub.write(unit) == "done"
    assert len(runs) == 2


def test_a_server_that_ran_anew_is_not_believed(hub: Hub, way: Between, postgres_url: str) -> None:
    """It may have given the number to another: what tells is here reset by hand."""

    def cut(way: Between, client: Any, server: Any) -> None:
        with psycopg.connect(postgres_url, autocommit=True) as administration:
            administration.execute("SELECT pg_stat_reset_shared('bgwriter')")
        after(way, client, server)

    unit = Unit(way, cut)
    with pytest.raises(Unavailable):
        hub.write(unit)
    assert unit.runs == 1
    way.cut = after
    assert hub.write(lambda tx: tx.beat("a")) == {"a"}, "connections of now are to this run"


def test_a_server_that_can_not_tell_is_not_asked(way: Between, postgres_url: str) -> None:
    with psycopg.connect(postgres_url, autocommit=True) as administration:
        administration.execute("ALTER FUNCTION pg_xact_status RENAME TO unknown_here")
    hub = open_hub(way.url)
    unit = Unit(way, after)
    with pytest.raises(Unavailable):
        hub.write(unit)
    assert unit.runs == 1
    assert there(hub, 1) == [True]
    hub.close()
