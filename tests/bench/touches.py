"""What a message and a search cost in a hub, and the pages that they touch on the way.

PostgreSQL counts its own pages, by table and index. SQLite doesn't: there each row that a message
writes counts as one way down each tree of its table, and so do the lookups of a search: one where
it starts, and for each resource on its page the resource, its version and the grants.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

import sqlalchemy as sa

from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, open_hub
from gateway.store.tables import metadata
from tests.bench import searches, trees
from tests.bench.mllp import AGENCY, MEMBERS, SAMPLE
from tests.bench.mllp_client import numbered
from tests.bench.run import Run
from tests.bench.searches import CLINIC, SEARCHES
from tests.shipped import library
from tests.store import plans

MESSAGE: Final = "message"
OPERATIONS: Final = {
    MESSAGE: "",
    "search by number": SEARCHES["by system|value"],
    "search, a page of 20": SEARCHES["by name, a page of 20"],
}
"""By name what is searched for; "" for a REF^I12, understood and written."""

FLIGHT: Final = 16
"""Messages in flight, so that some share a group."""

KEYED: Final = {"SQLite": "resource", "PostgreSQL": "resource_pkey"}
"""The tree of a resource's key."""

_COUNTED: Final = """
SELECT indexrelname, idx_blks_hit + idx_blks_read FROM pg_statio_user_indexes
UNION ALL
SELECT relname, heap_blks_hit + heap_blks_read FROM pg_statio_user_tables
"""
_PROBED: Final = 10_000
SERIES: Final = {
    "SQLite": "WITH RECURSIVE s(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < {0})",
    "PostgreSQL": "WITH s(n) AS MATERIALIZED (SELECT generate_series(1, {0}))",
}

Ways = dict[str, float]
"""By tree: how often an operation goes from its root to an entry; to a heap, how many pages."""


@dataclass(frozen=True, slots=True)
class Taken:
    """Of one operation: microseconds of processor time, ways down by tree, statements."""

    cost: float
    ways: Ways
    statements: float


def taken(run: Run, url: str, full: int, here: trees.Trees) -> dict[str, Taken]:
    """Each operation among so many resources, in trees as they are."""
    return {name: _taken(run, url, full, name, here) for name in OPERATIONS}


def _taken(run: Run, url: str, full: int, name: str, here: trees.Trees) -> Taken:
    count = max(FLIGHT, run.size.people)
    if name == MESSAGE:
        count = FLIGHT * max(1, run.size.repeats // 2)
    before = _counts(url)
    with closing(open_hub(url)) as hub:
        once = _written(run, hub, full) if name == MESSAGE else _found(hub, full, OPERATIONS[name])
        seen = plans.watched(hub)
        once(0, count)
        seen.clear()
        step = FLIGHT if name == MESSAGE else 1
        numbers = range(count, 2 * count, step)
        cost = run.each(lambda number: once(number, step), numbers) / step
        statements = len(seen) / count
    counted = {
        tree: (all_ - before.get(tree, 0)) / (2 * count) for tree, all_ in _counts(url).items()
    }
    if run.engine.name != "SQLite":
        ways = {tree: each / here[tree].levels for tree, each in counted.items() if tree in here}
    else:
        ways = counted if name == MESSAGE else _looked(name)
    return Taken(cost, {tree: each for tree, each in ways.items() if each > 0}, statements)


def _found(hub: Hub, full: int, text: str) -> Callable[[int, int], None]:
    def once(first: int, count: int) -> None:
        for number in range(first, first + count):
            searches.once(hub, CLINIC, searches.asked(text, full, number))

    return once


def _written(run: Run, hub: Hub, full: int) -> Callable[[int, int], None]:
    """Messages of others than at any other number of resources."""
    pipeline = Pipeline(hub, library(), Settings(data_dir=run.room("scale")), as_message)
    for id in MEMBERS:
        pipeline.add_agency(id, None)
    sample = Path(SAMPLE).read_text(encoding="utf-8")

    def once(first: int, count: int) -> None:
        raws = [numbered(sample, f"S{full}-{n}")[1:-2] for n in range(first, first + count)]
        for at in range(0, count, FLIGHT):
            some = [as_message(AGENCY, "mllp", raw) for raw in raws[at : at + FLIGHT]]
            receipts = [pipeline.accept(*one) for one in some]
            assert all(one.result().acknowledgement == "AA" for one in receipts)

    return once


def _counts(url: str) -> Ways:
    """Page touches so far by tree on PostgreSQL; on SQLite the rows that are there."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    found: Ways = {}
    with engine.connect() as connection:
        if engine.dialect.name == "sqlite":
            for tree, table in _owners(connection).items():
                count = f"SELECT count(*) FROM {table}"
                found[tree] = float(connection.exec_driver_sql(count).scalar() or 0)
        else:
            time.sleep(0.3)  # a connection that closed tells what it did as it goes
            found = {name: float(n) for name, n in connection.exec_driver_sql(_COUNTED)}
    engine.dispose()
    return found


def _owners(connection: sa.Connection) -> dict[str, str]:
    """The table of each tree: itself and its indexes."""
    asked = "SELECT name, tbl_name FROM sqlite_schema WHERE type IN ('table', 'index')"
    rows: Sequence[Any] = connection.exec_driver_sql(asked).fetchall()
    return {name: table for name, table in rows if table in metadata.tables}


def _looked(name: str) -> Ways:
    """Ways down, of a search on SQLite."""
    start, page = ("token", 1) if name == "search by number" else ("string", 20)
    each = ("resource", "sqlite_autoindex_version_1", "version", "grants")
    return {start: 1.0, **dict.fromkeys(each, float(page))}


def probe(run: Run, url: str) -> float:
    """Microseconds of a look-up of a resource by its key among many, each at another page: ways
    down a tree that the database takes by itself, without a statement for each.
    """
    with closing(open_hub(url)) as hub, hub.read() as reader:
        most = max(2, searches.kept(hub))
        step = next(n for n in (7919, 104_729, 1_299_709) if most % n)
        connection = reader.link.connection
        if run.engine.name != "SQLite":
            connection.exec_driver_sql("SET LOCAL enable_hashjoin = off")
            connection.exec_driver_sql("SET LOCAL enable_mergejoin = off")
        series = SERIES[run.engine.name].format(_PROBED)
        key = f"1 + n * {step} - n * {step} / {most} * {most}"
        look = f"SELECT count(r.version) FROM s LEFT JOIN resource r ON r.key = {key}"
        asked = partial(connection.exec_driver_sql, f"{series} {look}")
        bare = partial(connection.exec_driver_sql, f"{series} SELECT count(n) FROM s")
        return max(0.05, _each(run, asked) - _each(run, bare))


def _each(run: Run, asked: Callable[[], sa.CursorResult[Any]]) -> float:
    asked().fetchall()
    best = float("inf")
    for _ in range(3):
        began = run.began()
        asked().fetchall()
        best = min(best, run.took(began))
    return best / _PROBED * 1e6
