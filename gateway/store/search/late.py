"""Rows that are made before the first search for them, and not when a resource is written.

Full text, the texts beside codes (``:text``) and custom parameters are looked for seldom, and
would cost every message that comes in. Each of these has its place in the log of its type; a
search brings it up to date first, so that you find what you wrote. What is made of a version is
made outside the writer. It is made again where the place can't move on yet: on PostgreSQL a
version that commits late may stand before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.fhir.json import loads
from gateway.fhir.query import Late
from gateway.store.dialects import BEFORE_ALL, later_than, settled_below
from gateway.store.link import Statement
from gateway.store.search import index, words
from gateway.store.session import Session
from gateway.store.tables import late as places
from gateway.store.tables import resource, version

BATCH: Final = 256

Place = tuple[int, int]
"""A version's transaction and sequence; the log's order."""


@dataclass(frozen=True, slots=True)
class Made:
    """What was made of one resource: its key, the version that it was made of, and the rows."""

    key: int
    version: int
    rows: index.Rows
    documents: tuple[words.Document, ...]


@dataclass(frozen=True, slots=True)
class Batch:
    """What was made of some versions; ``end`` is the place of the last, and ``settled`` of the
    last before which no other can come any more (None: there is none)."""

    late: Late
    made: tuple[Made, ...]
    end: Place
    settled: Place | None


_PLACE: Final = Statement(
    sa.select(places.c.xid, places.c.sequence).where(places.c.name == sa.bindparam("name"))
)
_UNMADE: Final = Statement(
    sa.select(
        version.c.xid,
        version.c.sequence,
        version.c.xid < settled_below(),
        resource.c.key,
        resource.c.version,
        version.c.body,
    )
    .join_from(
        version,
        resource,
        sa.and_(resource.c.key == version.c.resource, resource.c.version == version.c.version),
    )
    .where(
        version.c.type == sa.bindparam("type"),
        later_than(
            version.c.xid,
            version.c.sequence,
            sa.bindparam("xid", type_=sa.BigInteger()),
            sa.bindparam("sequence", type_=sa.BigInteger()),
        ),
    )
    .order_by(version.c.xid, version.c.sequence)
    .limit(sa.bindparam("count"))
)
_VERSIONS: Final = Statement(
    sa.select(resource.c.version).where(resource.c.key == sa.bindparam("key"))
)
_NEW: Final = insert(places).values({c: sa.bindparam(c.name) for c in places.columns})
_MOVE: Final = Statement(
    _NEW.on_conflict_do_update(
        index_elements=[places.c.name],
        set_={"xid": _NEW.excluded.xid, "sequence": _NEW.excluded.sequence},
    ),
    apart=True,
)


_PARAM: Final = tuple(
    [column.name for column in table.columns if column.name != "resource"].index("param")
    for table in index.TABLES
)
"""Where the parameter stands in a row of each table."""


class Lates(Session):
    """What isn't made yet."""

    def unmade(self, late: Late, after: Place | None = None, count: int = BATCH) -> Batch | None:
        """What is next, made; None where nothing is left. ``after``: not up to that place."""
        place = self._place(late) if after is None else after
        values = {"type": late.type, "xid": place[0], "sequence": place[1], "count": count}
        rows = self.link.all(_UNMADE, values)
        if not rows:
            return None
        made = tuple(_made(late, key, number, body) for _, _, _, key, number, body in rows)
        settled = [(xid, sequence) for xid, sequence, is_settled, *_ in rows if is_settled]
        return Batch(late, made, (rows[-1][0], rows[-1][1]), settled[-1] if settled else None)

    def _place(self, late: Late) -> Place:
        row = self.link.one(_PLACE, {"name": late.name})
        return (row[0], row[1]) if row else (BEFORE_ALL, -1)


def _made(late: Late, key: int, number: int, body: bytes) -> Made:
    if not body:  # it was deleted
        return Made(key, number, {}, ())
    found = loads(body)
    if late.rows is None:
        return Made(key, number, {}, tuple(words.documents(key, found)))
    return Made(key, number, index.filed(late.type, late.rows(found)), ())


class Making(Lates):
    """Files what was made."""

    def make(self, batch: Batch) -> None:
        """Put the rows in place of the former. What has a newer version by now is left to it."""
        place = max(self._place(batch.late), batch.settled or (-1, -1))
        # Written even where it doesn't move: two that file the same on PostgreSQL must meet here.
        self.link.run(_MOVE, {"name": batch.late.name, "xid": place[0], "sequence": place[1]})
        for one in batch.made:
            row = self.link.one(_VERSIONS, {"key": one.key})
            if row is not None and row[0] == one.version:
                self._file(batch.late, one)
        self.link.flush()

    def _file(self, late: Late, one: Made) -> None:
        if late.rows is None:
            self.link.run(words.DELETE, {"whole": 2 * one.key, "part": 2 * one.key + 1})
            self.link.many(words.INSERT, one.documents)
            return
        params = {index.param_key(late.type, name) for name in late.params}
        kinds = [index.TABLES.index(index.TABLE[kind]) for kind in late.kinds]
        self._replace(one, kinds, params.__contains__)

    def _replace(self, one: Made, kinds: Iterable[int], is_of: Callable[[int], bool]) -> None:
        """A resource's rows of these kinds and some parameters."""
        for kind in kinds:
            old = {
                tuple(row)
                for row in self.link.all(index.OWN[kind], {"key": one.key})
                if is_of(row[_PARAM[kind]])
            }
            new = set(one.rows.get(kind, ()))
            if gone := [(*row, one.key) for row in old - new]:
                self.link.later(index.DELETES[kind], gone)
            if come := [(*row, one.key) for row in new - old]:
                self.link.later(index.INSERTS[kind], come)


def catch_up(
    late: Late,
    unmade: Callable[[Late, Place | None], Batch | None],
    file: Callable[[Batch], None],
    most: int,
) -> int:
    """Make what is missing, at most about ``most`` of it. How many of them are made."""
    done, after, whole = 0, None, True
    while done < most:
        batch = unmade(late, after)
        if batch is None:
            return done
        # Behind what wasn't settled something may have been committed since, which no later batch
        # has: the place may not pass it.
        file(batch if whole else replace(batch, settled=None))
        whole = whole and batch.settled == batch.end
        done, after = done + len(batch.made), batch.end
    return done
