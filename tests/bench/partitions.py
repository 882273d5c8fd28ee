"""What PostgreSQL takes for a look-up among partitions: real ones, with the hub's own rows.

A copy of ``resource`` stands in 1, 4, 16 and 64 partitions by tenant. A look-up by type and id that
names its tenant goes to one of them; one that doesn't goes through all.
"""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from typing import Any, Final

import psycopg

from tests.bench.run import Run

COUNTS: Final = (1, 4, 16, 64)
ROUNDS: Final = 20
"""Times a run's repeats: look-ups of each kind."""


@dataclass(frozen=True, slots=True)
class Partitioned:
    """Microseconds of processor time: for a statement that names its partition, and for each
    further partition that one goes through. ``through`` is what was measured, by their number.
    """

    named: float
    each: float
    through: dict[int, float]


NONE: Final = Partitioned(0.0, 0.0, {})


def measured(run: Run, url: str) -> Partitioned:
    """Make them, look up, and drop them."""
    named, through = {}, {}
    with psycopg.connect(url, autocommit=True) as connection:
        for count in COUNTS:
            _make(connection, count)
            ids = connection.execute("SELECT tenant, type, id FROM parted LIMIT 100").fetchall()
            pruned = "SELECT key FROM parted WHERE tenant = %s AND type = %s AND id = %s"
            named[count] = _cost(run, connection, pruned, ids)
            every = "SELECT key FROM parted WHERE type = %s AND id = %s"
            through[count] = _cost(run, connection, every, [one[1:] for one in ids])
            connection.execute("DROP TABLE parted")
    slope = statistics.linear_regression(list(through), list(through.values())).slope
    most = COUNTS[-1]
    return Partitioned(max(0.0, named[most] - named[1]), max(0.0, slope), through)


def _make(connection: psycopg.Connection[Any], count: int) -> None:
    columns = "tenant int, key bigint, type text, id text"
    connection.execute(f"CREATE TABLE parted ({columns}) PARTITION BY LIST (tenant)")
    for number in range(count):
        one = f"CREATE TABLE parted_{number} PARTITION OF parted FOR VALUES IN ({number})"
        connection.execute(one.encode())
    rows = f"SELECT key % {count}, key, type, id FROM resource"
    connection.execute(f"INSERT INTO parted {rows}".encode())
    connection.execute("CREATE INDEX ON parted (type, id)")
    connection.execute("ANALYZE parted")


def _cost(
    run: Run, connection: psycopg.Connection[Any], statement: str, values: list[tuple[Any, ...]]
) -> float:
    """Microseconds of the server's processor time of one, prepared."""
    rounds = run.size.repeats * ROUNDS
    for one in values[:10]:
        connection.execute(statement.encode(), one, prepare=True).fetchall()
    began = run.engine.spent()
    for number in range(rounds):
        one = values[number % len(values)]
        connection.execute(statement.encode(), one, prepare=True).fetchall()
    return (run.engine.spent() - began) / rounds * 1e6
