from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from gateway.errors import SettingError, Unavailable
from gateway.model import Event, Message, Receipt, Stored, Subscriber
from gateway.store import Hub, Transaction, open_hub, opening
from gateway.store import engine as engines
from gateway.store.engine import Engine, open_engine
from gateway.store.migrations import SHIPPED, Revision, Scheme
from gateway.store.migrations import run as moving
from gateway.store.migrations.run import forward, move, sql
from gateway.store.tables import metadata
from tests.store.catalogue import schema
from tests.store.plans import plan, watched
from tests.store.samples import ADMIN, CLINIC, advance, create, ids, patient, search, task
from tests.store.test_messages import came, keep

LATER = Scheme(
    (*SHIPPED.history, Revision("t1", "expand"), Revision("t2", "contract")),
    (*SHIPPED.folders, Path(__file__).with_name("revisions")),
)
ROUNDS = 2


@pytest.fixture
def database(database_url: str) -> Iterator[Engine]:
    """The engine of an empty database."""
    with beside(database_url) as engine:
        yield engine


@contextmanager
def beside(url: str) -> Iterator[Engine]:
    """A database as another process opens it."""
    engine = open_engine(url)
    try:
        yield engine
    finally:
        engine.close()


def run(engine: Engine, *statements: str) -> None:
    with engine.writes.begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def said(engine: Engine) -> opening.Said:
    with engine.writes.begin() as connection:
        return opening.look(connection) or {}


def unmake(engine: Engine) -> None:
    """Empty a database of all that stands in it."""
    if not engine.grouped:
        run(engine, "DROP SCHEMA public CASCADE", "CREATE SCHEMA public")
        return
    for file in Path(str(engine.writes.url.database)).parent.glob("gateway.sqlite*"):
        file.unlink()


def forget(engine: Engine, *tables: str) -> None:
    """Leave a hub as releases from before the revisions left theirs."""
    move(engine, "0001")
    gone = (f"DROP TABLE {table}" for table in ("alembic_version", *tables))
    run(engine, *gone, "DELETE FROM hub WHERE name = 'serves'")


# --- the schema ----------------------------------------------------------------------------------


def test_migrating_from_nothing_gives_what_a_new_database_has(
    database_url: str, database: Engine
) -> None:
    open_hub(database_url).close()
    made = schema(database_url)
    unmake(database)
    with database.writes.begin() as connection:
        metadata.tables["hub"].create(connection)
        connection.exec_driver_sql("INSERT INTO hub VALUES ('schema', '4'), ('secret', '00')")
    assert forward(database) == (None, SHIPPED.newest)
    assert schema(database_url) == made


def test_the_sql_that_is_shown_makes_what_a_new_database_has(
    database_url: str, database: Engine
) -> None:
    open_hub(database_url).close()
    made = schema(database_url)
    unmake(database)
    connection = database.writes.connect().execution_options(isolation_level="AUTOCOMMIT")
    with connection:
        driver: Any = connection.connection.dbapi_connection
        for statement in sql(database).split(";\n"):
            driver.execute(statement)
    assert schema(database_url) == made
    hub = open_hub(database_url)
    create(hub, CLINIC, patient())
    hub.close()


def test_alembic_finds_nothing_that_a_migrated_database_lacks(
    database_url: str, database: Engine
) -> None:
    open_hub(database_url).close()
    forget(database, "waiting_row")
    forward(database)

    def ours(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in metadata.tables

    with database.reads.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": ours})
        assert compare_metadata(context, metadata) == []


def test_each_step_back_leaves_what_was_before_it(database_url: str, database: Engine) -> None:
    open_hub(database_url).close()
    steps = [schema(database_url)]
    for revision in LATER.ids[LATER.ids.index(SHIPPED.newest) + 1 :]:
        move(database, revision, LATER)
        steps.append(schema(database_url))
    for revision, was in zip(LATER.ids[::-1], steps[::-1], strict=False):
        move(database, revision, LATER)
        assert schema(database_url) == was
    move(database, "0001", LATER)
    assert "message_failed" not in str(schema(database_url))
    assert forward(database) == ("0001", SHIPPED.newest)
    assert schema(database_url) == steps[0]


# --- opening -------------------------------------------------------------------------------------


def test_a_hub_from_before_the_revisions_is_taken_up_whole(
    database_url: str, database: Engine
) -> None:
    hub = open_hub(database_url)
    create(hub, CLINIC, patient("p"))
    message = came(b"MSH|1")
    keep(hub, message)
    secret = hub.secret
    hub.close()
    forget(database, "waiting_row")
    hub = open_hub(database_url)
    assert hub.secret == secret
    assert ids(search(hub, CLINIC, "Patient")) == ["p"]
    with hub.read() as reader:
        assert reader.kept(CLINIC, message.id).message == message
    hub.close()
    assert said(database)["revision"] == SHIPPED.newest
    assert "waiting_row" in str(schema(database_url))


@pytest.mark.parametrize("older", ["1", "2", "3"])
def test_an_older_schema_is_refused_and_left_as_it_is(sqlite_url: str, older: str) -> None:
    open_hub(sqlite_url).close()
    with beside(sqlite_url) as database:
        forget(database)
        run(database, f"UPDATE hub SET value = '{older}' WHERE name = 'schema'")
        was = schema(sqlite_url)
        with pytest.raises(SettingError, match=rf"another schema \({older}\)"):
            open_hub(sqlite_url)
        with pytest.raises(SettingError, match="another schema"):
            move(database)
    assert schema(sqlite_url) == was


def test_a_hub_that_a_newer_release_expanded_is_served_on(
    database_url: str, database: Engine
) -> None:
    open_hub(database_url).close()
    move(database, "t1", LATER)
    hub = open_hub(database_url)
    create(hub, CLINIC, patient("p"))
    assert ids(search(hub, CLINIC, "Patient")) == ["p"]
    hub.close()
    assert said(database)["revision"] == "t1"
    with pytest.raises(SettingError, match="newer release made"):
        move(database)


def test_a_hub_that_a_newer_release_contracted_is_refused(
    database_url: str, database: Engine
) -> None:
    open_hub(database_url).close()
    move(database, "t2", LATER)
    with pytest.raises(SettingError, match=rf"revision t2.*t2 or later.*{SHIPPED.newest}"):
        open_hub(database_url)
    move(database, "t1", LATER)
    open_hub(database_url).close()


def test_a_start_brings_expansions_and_leaves_a_last_contraction_to_the_command(
    database_url: str, database: Engine
) -> None:
    open_hub(database_url).close()
    forget(database)
    opening.prepare(database, LATER)
    assert said(database)["revision"] == "t1"
    opening.prepare(database, LATER)
    assert said(database)["revision"] == "t1"
    assert move(database, "head", LATER) == ("t1", "t2")
    opening.prepare(database, LATER)


def test_a_contraction_that_is_followed_goes_with_what_follows_it() -> None:
    more = Scheme((*LATER.history, Revision("t3", "expand")), ())
    assert [more.at_start(each) for each in (None, "0001", "t2", "t3")] == [
        "t3",
        "t3",
        "t3",
        None,
    ]
    assert {more.serves(each) for each in SHIPPED.ids} == {"0001"}
    assert [more.serves(each) for each in ("t1", "t2", "t3")] == ["0001", "t2", "t2"]


def test_of_many_that_open_a_hub_that_is_behind_one_migrates(
    database_url: str, database: Engine
) -> None:
    open_hub(database_url).close()
    forget(database, "waiting_row")
    with ThreadPoolExecutor(4) as pool:
        hubs = list(pool.map(open_hub, [database_url] * 4))
    for hub in hubs:
        create(hub, CLINIC, patient())
        hub.close()
    assert said(database)["revision"] == SHIPPED.newest


def test_what_needs_no_migration_starts_without_alembic(sqlite_url: str) -> None:
    script = (
        "import sys; from gateway.store import open_hub\n"
        "for _ in range(2): open_hub(sys.argv[1]).close()\n"
        "assert 'alembic' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", script, sqlite_url], check=True, timeout=60)


def test_there_is_nothing_to_move_where_no_hub_is_nor_to_where_no_revision_is(
    database_url: str, database: Engine
) -> None:
    with pytest.raises(SettingError, match="no hub yet"):
        move(database)
    open_hub(database_url).close()
    with pytest.raises(SettingError, match="no such revision"):
        move(database, "0000")


# --- with traffic on -----------------------------------------------------------------------------


@contextmanager
def traffic(hub: Hub) -> Iterator[list[Message]]:
    """Two that write messages with a resource each, and read back what they wrote last."""
    acknowledged: list[Message] = []
    stop = threading.Event()

    def write(writer: int) -> None:
        for number in count():
            if stop.is_set():
                return
            message = came(b"MSH|%d" % number, control_id=f"{writer}-{number}")
            hub.submit(_unit(message)).result(60)
            acknowledged.append(message)
            with hub.read() as reader:
                assert reader.kept(CLINIC, message.id).message == message

    with ThreadPoolExecutor(2) as pool:
        writers = [pool.submit(write, number) for number in range(2)]
        try:
            yield acknowledged
        finally:
            stop.set()
        for writer in writers:
            writer.result(60)


def _unit(message: Message) -> Any:
    def unit(transaction: Transaction) -> None:
        transaction.put(CLINIC, patient(message.id), interaction="create")
        transaction.message(message, Receipt(message.id, "AA", (), b"MSA|AA"), event="REF^I12")

    return unit


def test_with_traffic_on_nothing_acknowledged_is_lost_forward_and_back(
    hub: Hub, database: Engine
) -> None:
    with traffic(hub) as acknowledged:
        for revision in ("t2", "0001", SHIPPED.newest) * ROUNDS:
            before = len(acknowledged)
            while len(acknowledged) < before + 5:
                time.sleep(0.001)
            move(database, revision, LATER)
    with hub.read() as reader:
        kept = [reader.kept(CLINIC, each.id).message for each in acknowledged]
        assert not reader.missing(CLINIC, [f"Patient/{each.id}" for each in acknowledged])
    assert kept == acknowledged


def test_a_step_lets_others_pass_while_it_waits_for_a_long_reader(
    postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without a limit to its waiting all writers would stand behind the step."""
    monkeypatch.setattr(engines, "PATIENCE", 50)
    hub = open_hub(postgres_url)
    with ThreadPoolExecutor(1) as pool, beside(postgres_url) as database:
        with hub.read() as reader:
            reader.missing(CLINIC, ["Patient/none"])
            step = pool.submit(move, database, "t1", LATER)
            for number in range(20):
                create(hub, CLINIC, patient(f"p{number}"))
            assert not step.done()
        assert step.result(60) == (SHIPPED.newest, "t1")
    assert search(hub, CLINIC, "Patient").total == 20
    hub.close()


def test_a_file_that_another_writes_for_too_long_is_too_busy(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_hub(sqlite_url).close()
    monkeypatch.setattr(engines, "BUSY", 0.01)
    monkeypatch.setattr(moving, "LONGEST", 0.1)
    with beside(sqlite_url) as other, beside(sqlite_url) as database:
        with other.alone(), pytest.raises(Unavailable, match="too busy"):
            move(database, "0001")
        assert move(database, "0001") == (SHIPPED.newest, "0001")


# --- what the shipped revisions are for ----------------------------------------------------------


def test_messages_that_failed_are_found_by_their_own_index(hub: Hub) -> None:
    for number in range(20):
        keep(hub, came(b"MSH|%d" % number, control_id=str(number)))
    seen = watched(hub)
    with hub.read() as reader:
        reader.failed_messages(ADMIN)
    (statement, parameters), *_ = seen
    assert any("message_failed" in line for line in plan(hub, statement, parameters))


# --- brought to another server -------------------------------------------------------------------


def test_a_log_that_was_brought_to_another_server_goes_on_there(postgres_url: str) -> None:
    """Its numbers are of a server that had counted further than this one."""
    hub = open_hub(postgres_url)
    told = Subscriber("s", CLINIC.agency, "rest-hook", "https://x.example", "Task")
    create(hub, CLINIC, task("before"))
    hub.write(lambda unit: unit.put_subscriber(told))
    for id in ("a", "b"):
        create(hub, CLINIC, task(id))
    assert advance(hub, "s", lambda event, _: True, limit=1) == 1
    hub.close()
    with beside(postgres_url) as database:
        run(
            database,
            "UPDATE version SET xid = xid + 1000000000",
            "UPDATE subscriber SET cursor_xid = cursor_xid + 1000000000",
        )
    hub = open_hub(postgres_url)
    create(hub, CLINIC, task("c"))
    read: list[str] = []

    def note(event: Event, _: Stored) -> bool:
        read.append(event.id)
        return True

    while advance(hub, "s", note):
        pass
    assert read == ["b", "c"]
    with hub.read() as reader:
        assert [event.id for event in reader.events_after(0, ["Task"], 10)] == [
            "before",
            "a",
            "b",
            "c",
        ]
    assert ids(search(hub, CLINIC, "Task", ("_text", "x"))) == []
    hub.close()
