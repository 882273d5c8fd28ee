"""Many new resources into a hub, fast: rows in the order of their tables, indexes at last.

What is written is what ``Transaction.put`` writes, made by the same code; but nobody has what is
written already, so nothing is asked. On SQLite search rows wait in a file beside until all are
there, and then fill their tables in order, so that no page is written twice; on PostgreSQL they are
sorted a group at a time.
"""

from __future__ import annotations

import gc
import sqlite3
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import sqlalchemy as sa

from gateway.model import Context, Resource, ValidResource
from gateway.store import Hub, Transaction, prepare
from gateway.store.heads import Head
from gateway.store.link import Statement
from gateway.store.resources import RESOURCE, VERSION
from gateway.store.search import index
from gateway.store.tables import resource, version

GROUP = 20_000
BULKY = (resource, version, *index.TABLES)
LOOSE = ("journal_mode=OFF", "synchronous=OFF", "temp_store=FILE", "cache_size=-100000")

Rows = dict[Statement, list[tuple[Any, ...]]]


def fill(hub: Hub, full: int, made: Iterable[tuple[Context, Resource]]) -> None:
    """Put ``full`` more resources, none of which is there."""
    indexes = [each for table in BULKY for each in table.indexes] if full > GROUP else []
    with hub._engine.writes.begin() as connection:
        for each in indexes:
            each.drop(connection)
    gc.disable()  # rows are tuples: a collector would look through millions in vain
    with _staged(hub) as stage:
        rest = iter(made)
        while group := list(islice(rest, GROUP)):
            hub.write(partial(_put, group=group, stage=stage))
    gc.enable()
    with hub._engine.writes.begin() as connection:
        if hub._engine.grouped:
            connection.exec_driver_sql("PRAGMA cache_size=-1000000")
        for each in indexes:
            each.create(connection)
        if not hub._engine.grouped:
            connection.execute(sa.text("ANALYZE"))


@contextmanager
def _staged(hub: Hub) -> Iterator[sqlite3.Connection | None]:
    """A file for search rows, which go from there to their tables; None on PostgreSQL."""
    if not hub._engine.grouped:
        yield None
        return
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "stage.sqlite"
        with closing(sqlite3.connect(file, check_same_thread=False)) as stage:
            for pragma in LOOSE:
                stage.execute(f"PRAGMA {pragma}")
            for table in index.TABLES:
                stage.execute(f"CREATE TABLE {table.name} ({', '.join(_columns(table))})")
            yield stage
            stage.commit()
        _move(hub, file)


def _move(hub: Hub, file: Path) -> None:
    with closing(hub._engine.writes.raw_connection()) as connection:
        driver: Any = connection.dbapi_connection
        for statement in (*map("PRAGMA {}".format, LOOSE[2:]), f"ATTACH '{file}' AS stage"):
            driver.execute(statement)
        for table in index.TABLES:
            key = ", ".join(column.name for column in table.primary_key)
            columns = ", ".join(_columns(table))
            driver.execute(
                f"INSERT INTO main.{table.name} ({columns})"
                f" SELECT {columns} FROM stage.{table.name} ORDER BY {key}"
            )
        driver.execute("DETACH stage")


def _columns(table: sa.Table) -> list[str]:
    """In the order of the rows that ``index.filed`` makes, the resource's key last."""
    return [column.name for column in table.columns]


def _put(
    transaction: Transaction,
    group: Iterable[tuple[Context, Resource]],
    stage: sqlite3.Connection | None,
) -> None:
    rows: Rows = {}
    for context, each in group:
        _add(transaction, context, each, rows)
    for table, statement in zip(index.TABLES, index.INSERTS, strict=True):
        if stage is not None:
            marks = ", ".join("?" * len(table.columns))
            some = rows.pop(statement, [])
            stage.executemany(f"INSERT INTO {table.name} VALUES ({marks})", some)
    for statement, some in rows.items():
        some.sort()
        if stage is None:
            _copy(transaction, statement, some)
        else:
            transaction.link.later(statement, some)
    transaction.link.flush()


def _copy(transaction: Transaction, statement: Statement, rows: list[tuple[Any, ...]]) -> None:
    """PostgreSQL's own way for many rows."""
    core: Any = statement._core
    names = [column.key for column in core._values] if core._values else []
    columns = ", ".join(names)
    driver: Any = transaction.link.connection.connection.dbapi_connection
    with driver.cursor().copy(f"COPY {core.table.name} ({columns}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _add(transaction: Transaction, context: Context, made: Resource, rows: Rows) -> None:
    prepared = prepare(ValidResource(made))
    kinds, now = index.kinds(prepared.rows), transaction.clock()
    key = transaction.link.key(resource)
    head = Head(key, 1, now, context.agency, False, kinds, prepared.digest, None)
    type, id = made["resourceType"], made["id"]
    rows.setdefault(RESOURCE, []).append((key, type, id, *head[1:]))
    rows.setdefault(VERSION, []).append((key, type, 1, "create", now, prepared.body(head)))
    for kind, found in prepared.rows.items():
        rows.setdefault(index.INSERTS[kind], []).extend((*each, key) for each in found)
