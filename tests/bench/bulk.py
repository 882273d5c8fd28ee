"""Many new resources into an empty hub, fast: rows in the order of their tables, indexes at last.

What is written is what ``Transaction.put`` writes, made by the same code; but nobody has what is
written already, so nothing is asked, and a tree that is filled in its own order stays in memory.
"""

from __future__ import annotations

import gc
from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any

import sqlalchemy as sa

from gateway.model import Context, Resource, ValidResource
from gateway.store import Hub, Transaction, prepare
from gateway.store.heads import Head
from gateway.store.link import Statement
from gateway.store.resources import _RESOURCE, _VERSION
from gateway.store.search import index
from gateway.store.tables import resource, version

GROUP = 100_000
BULKY = (resource, version, *index.TABLES)

Rows = dict[Statement, list[tuple[Any, ...]]]


def fill(hub: Hub, full: int, made: Iterable[tuple[Context, Resource]]) -> None:
    """Put ``full`` resources, none of which is there."""
    indexes = [each for table in BULKY for each in table.indexes] if full > GROUP else []
    with hub._engine.writes.begin() as connection:
        for each in indexes:
            each.drop(connection)
    gc.disable()  # rows are tuples: a collector would look through millions in vain
    rest = iter(made)
    while group := list(islice(rest, GROUP)):
        hub.write(partial(_put, group=group))
    gc.enable()
    with hub._engine.writes.begin() as connection:
        if hub._engine.grouped:
            connection.exec_driver_sql("PRAGMA cache_size=-1000000")
        for each in indexes:
            each.create(connection)
        if not hub._engine.grouped:
            connection.execute(sa.text("ANALYZE"))


def _put(transaction: Transaction, group: Iterable[tuple[Context, Resource]]) -> None:
    if transaction.link.engine.grouped:  # a group's pages stay in memory until it is committed
        transaction.link.connection.exec_driver_sql("PRAGMA cache_size=-1000000")
    rows: Rows = {}
    for context, each in group:
        _add(transaction, context, each, rows)
    for statement, some in rows.items():
        some.sort()
        transaction.link.later(statement, some)
    transaction.link.flush()


def _add(transaction: Transaction, context: Context, made: Resource, rows: Rows) -> None:
    prepared = prepare(ValidResource(made))
    kinds, now = index.kinds(prepared.rows), transaction.clock()
    key = transaction.link.key(resource)
    head = Head(key, 1, now, context.agency, False, kinds, prepared.digest, None)
    type, id = made["resourceType"], made["id"]
    rows.setdefault(_RESOURCE, []).append((key, type, id, *head[1:]))
    rows.setdefault(_VERSION, []).append((key, type, 1, "create", now, prepared.body(head)))
    for kind, found in prepared.rows.items():
        rows.setdefault(index.INSERTS[kind], []).extend((*each, key) for each in found)
