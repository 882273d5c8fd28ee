"""The hub's B-trees as they are: pages, levels, cells to a page; and how they will be.

SQLite tells by its ``dbstat`` table. PostgreSQL tells sizes alone: a page above the leaves is taken
to lead to 0.8 times as many pages as a leaf holds rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil, log
from typing import Final

import sqlalchemy as sa

PAGE: Final = {"sqlite": 2048, "postgresql": 8192}
ABOVE: Final = 0.8

_SQLITE: Final = """
SELECT name, sum(pagetype = 'leaf'),
       avg(CASE WHEN pagetype = 'internal' THEN ncell + 1 END)
FROM dbstat WHERE pagetype IN ('leaf', 'internal') GROUP BY name
"""
_POSTGRESQL: Final = """
SELECT c.relname, pg_relation_size(c.oid) / 8192, c.reltuples,
       c.relkind
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'public' AND c.relkind IN ('i', 'r')
"""


@dataclass(frozen=True, slots=True)
class Tree:
    """A table or index: leaf pages, and how many of them one page above leads to.

    ``fan`` is 0 for a heap, which is one page away, however large.
    """

    leaves: float
    fan: float

    def times(self, factor: float) -> Tree:
        """Of so many times as many rows."""
        return Tree(max(1.0, self.leaves * factor), self.fan)

    @property
    def levels(self) -> int:
        """Pages from the root to an entry."""
        if self.fan <= 1:
            return 1
        return 1 + max(0, ceil(log(max(self.leaves, 1.0)) / log(self.fan) - 1e-9))


Trees = dict[str, Tree]


def of(url: str) -> Trees:
    """All that the database has, by name."""
    engine = sa.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    is_sqlite = engine.dialect.name == "sqlite"
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        if not is_sqlite:
            connection.exec_driver_sql("VACUUM ANALYZE")
        rows = connection.exec_driver_sql(_SQLITE if is_sqlite else _POSTGRESQL).fetchall()
    engine.dispose()
    return {row[0]: _sqlite(*row[1:]) if is_sqlite else _postgresql(*row[1:]) for row in rows}


def _sqlite(leaves: int, fan: float | None) -> Tree:
    return Tree(float(max(leaves, 1)), float(fan or 40.0))


def _postgresql(pages: int, rows: float, kind: str) -> Tree:
    if kind in ("r", b"r"):
        return Tree(float(max(pages, 1)), 0.0)
    return Tree(float(max(pages, 1)), max(ABOVE * rows / max(pages, 1), 32.0))
