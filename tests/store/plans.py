"""How a database means to answer the statements of a search."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import sqlalchemy as sa

from gateway.store import Hub
from gateway.store.engine import Engine
from gateway.store.link import Link

Seen = list[tuple[str, Any]]
Call = Callable[..., Any]


def watched(hub: Hub) -> Seen:
    """The statements that reads will execute, each with its parameters, as they come."""
    seen: Seen = []

    def watch(_: Any, __: Any, statement: str, parameters: Any, *___: Any) -> None:
        seen.append((statement, parameters))

    sa.event.listen(hub._engine.reads, "before_cursor_execute", watch)
    _WATCHED.append((hub._engine, seen))
    return seen


_WATCHED: list[tuple[Engine, Seen]] = []
_TRY = Link._try


def _told(link: Link, call: Call, *arguments: Any) -> Any:
    """What a link runs on the driver's own cursor, where SQLAlchemy has no event."""
    if len(arguments) == 2:
        for engine, seen in _WATCHED:
            if engine is link.engine:
                seen.append((arguments[0], tuple(arguments[1])))
    return _TRY(link, call, *arguments)


Link._try = _told  # type: ignore[method-assign]


def plan(hub: Hub, statement: str, parameters: Any) -> list[str]:
    """The lines of a statement's plan; PostgreSQL reads no table whole where it can help it."""
    sqlite = hub._engine.reads.dialect.name == "sqlite"
    with hub._engine.reads.connect() as connection:
        if not sqlite:
            connection.exec_driver_sql("SET LOCAL enable_seqscan = off")
        explain = "EXPLAIN QUERY PLAN " if sqlite else "EXPLAIN "
        rows = connection.exec_driver_sql(explain + statement, parameters).fetchall()
    return [str(row[-1]) for row in rows]


def is_whole(line: str) -> bool:
    """Whether a line of a plan reads all of a table (FTS5 calls its own index a scan).

    All of a type, in no order that anybody asked for, is as much.
    """
    if "VIRTUAL TABLE INDEX" in line or line == "SCAN CONSTANT ROW":
        return False
    if "sqlite_autoindex_resource_1 (type=?)" in line:
        return True
    scanned = re.match(r"SCAN (\w+)|.*Seq Scan on (\w+)", line)
    return scanned is not None and not (scanned[1] or scanned[2]).startswith("anon")
