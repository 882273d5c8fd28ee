"""One connection to the database, and how its errors are told.

Statements that run for every resource are built by SQLAlchemy Core, compiled once and run on the
driver's own cursor: Core's execution costs six times as much a call (26 against 4 microseconds).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa

from gateway.errors import StoreError, Unavailable
from gateway.store.engine import Engine

Row = Sequence[Any]


class Statement:
    """A Core statement with named binds, compiled once a dialect. Binds may have default values."""

    def __init__(self, core: sa.Executable, key: sa.Column[int] | None = None) -> None:
        self._core = core
        self._key = key
        self._compiled: dict[str, tuple[str, tuple[str, ...], Mapping[str, Any]]] = {}

    def sql(self, engine: Engine) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
        """Its text, the names of its binds by position, and their defaults."""
        name = engine.reads.dialect.name
        found = self._compiled.get(name)
        if found is None:
            core = self._core
            if self._key is not None and isinstance(core, sa.Insert):
                core = engine.keyed(core, self._key)
            compiled: Any = core.compile(dialect=engine.reads.dialect)  # type: ignore[attr-defined]
            found = (str(compiled), tuple(compiled.positiontup), compiled.params)
            self._compiled[name] = found
        return found


def insert_into(table: sa.Table, key: sa.Column[int] | None = None) -> Statement:
    """An insert of every column that has no value of its own, in the table's order."""
    columns = [c for c in table.columns if c.server_default is None and c is not key]
    return Statement(table.insert().values({c: sa.bindparam(c.name) for c in columns}), key)


class Link:
    """A connection in a transaction. Every driver's error comes out as one of ``gateway.errors``.

    After an error each call raises ``Unavailable``, until the unit has rolled back to a savepoint
    of its own; after one that set ``broken`` there is no way on: nothing may be committed.
    """

    __slots__ = ("_cursor", "_failed", "broken", "connection", "engine")

    def __init__(self, engine: Engine, connection: sa.Connection) -> None:
        self.engine = engine
        self.connection = connection
        driver: Any = connection.connection.dbapi_connection
        self._cursor = driver.cursor()
        self.broken = False
        self._failed = False

    def check(self) -> None:
        """Raise where a statement failed and nothing was rolled back: it may not be committed."""
        if self.broken or self._failed:
            raise Unavailable("the transaction is lost")

    def all(self, statement: Statement, values: Mapping[str, Any]) -> list[Row]:
        """Every row."""
        self._run(statement, values)
        rows: list[Row] = self._try(self._cursor.fetchall)
        return rows

    def one(self, statement: Statement, values: Mapping[str, Any]) -> Row | None:
        """The first row or None."""
        self._run(statement, values)
        row: Row | None = self._try(self._cursor.fetchone)
        return row

    def run(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """How many rows it changed."""
        self._run(statement, values)
        return int(self._cursor.rowcount)

    def key(self, statement: Statement, values: Mapping[str, Any]) -> int:
        """Run an ``insert_into(table, key)``; the key that it made."""
        self._run(statement, values)
        return self.engine.new_key(self._cursor)

    def many(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Run once a row; values in the order of the statement's binds."""
        text, _, _ = statement.sql(self.engine)
        self._try(self._cursor.executemany, text, rows)

    def select(self, core: sa.Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of a statement that is built anew each time (a search)."""
        rows: Sequence[Row] = self._try(lambda: self.connection.execute(core, values).fetchall())
        return rows

    def savepoint(self, name: str) -> None:
        """Open one; the innermost of a name is the one that counts."""
        self._try(self._cursor.execute, f"SAVEPOINT {name}")

    def roll_back_to(self, name: str) -> None:
        """Undo all since the savepoint, and close it. A broken link has nothing left to undo."""
        if not self.broken:
            self._failed = False
            self._try(self._cursor.execute, f"ROLLBACK TO SAVEPOINT {name}")
            self.release(name)

    def release(self, name: str) -> None:
        """Close the savepoint and keep what was done."""
        self._try(self._cursor.execute, f"RELEASE SAVEPOINT {name}")

    def _run(self, statement: Statement, values: Mapping[str, Any]) -> None:
        text, names, defaults = statement.sql(self.engine)
        given = [values[name] if name in values else defaults[name] for name in names]
        self._try(self._cursor.execute, text, given)

    def _try(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self.check()
        try:
            return call(*arguments)
        except (self.engine.error, sa.exc.DBAPIError) as error:
            raise self._told(error) from None
        except (UnicodeError, OverflowError):
            raise StoreError("a value that the database can't hold") from None

    def _told(self, error: Exception) -> Exception:
        self._failed = True
        origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        verdict = self.engine.verdict(origin or error)
        if isinstance(verdict, Unavailable):
            self.broken = True
        if verdict is origin:
            # A driver's text may quote values: only its kind is told.
            return StoreError(f"the database refuses a statement: {type(origin).__name__}")
        return verdict
