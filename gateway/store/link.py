"""One connection to the database, what waits to be written on it, and how its errors are told.

Statements that run for every resource are built by SQLAlchemy Core, compiled once and run on the
driver's own cursor: Core's execution costs six times as much a call (26 against 4 microseconds).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import chain
from typing import Any, NamedTuple

import sqlalchemy as sa

from gateway.errors import StoreError, Unavailable
from gateway.store.columns import ByColumn, by_column
from gateway.store.engine import Engine, Retry
from gateway.store.fate import NUMBER, Number

Row = Sequence[Any]


class Statement:
    """A Core statement with named binds, compiled once a dialect. Binds may have default values.

    ``apart``: it needs none of the rows that wait, so they needn't be written before it.
    """

    def __init__(self, core: sa.Executable, *, apart: bool = False) -> None:
        self.apart = apart
        self.inserts = isinstance(core, sa.Insert)
        self.reads = isinstance(core, sa.Select)
        self._core = core
        self._compiled: dict[str, tuple[str, tuple[str, ...], Mapping[str, Any]]] = {}
        self._wide: dict[int, str] = {}
        self._by_column: ByColumn | None = None
        self._looked = False

    @cached_property
    def rank(self) -> int:
        """The place of a write's table among all: what a row refers to is written before it."""
        assert isinstance(self._core, (sa.Insert, sa.Delete))
        table = self._core.table
        assert isinstance(table, sa.Table)
        return table.metadata.sorted_tables.index(table)

    def sql(self, engine: Engine) -> tuple[str, tuple[str, ...], Mapping[str, Any]]:
        """Its text, the names of its binds by position, and their defaults."""
        name = engine.reads.dialect.name
        found = self._compiled.get(name)
        if found is None:
            compiled: Any = self._core.compile(dialect=engine.reads.dialect)  # type: ignore[attr-defined]
            found = (str(compiled), tuple(compiled.positiontup), compiled.params)
            self._compiled[name] = found
        return found

    def wide(self, engine: Engine, rows: int) -> str:
        """The text of an insert of so many rows at once."""
        found = self._wide.get(rows)
        if found is None:
            head, values, rest = self.sql(engine)[0].partition(" VALUES ")
            row, close, tail = rest.partition(")")
            found = head + values + ", ".join([row + close] * rows) + tail
            self._wide[rows] = found
        return found

    def by_column(self, engine: Engine) -> ByColumn | None:
        """The insert of any number of rows at once, where the engine has one."""
        if not self._looked and isinstance(self._core, sa.Insert):
            text, names, _ = self.sql(engine)
            self._by_column = by_column(self._core, text, names, engine.reads.dialect)
        self._looked = True
        return self._by_column


def insert_into(table: sa.Table, *own: sa.Column[int], apart: bool = False) -> Statement:
    """An insert of every column but ``own``, which number themselves, in the table's order."""
    columns = [c for c in table.columns if c.server_default is None and c not in own]
    core = table.insert().values({c: sa.bindparam(c.name) for c in columns})
    return Statement(core, apart=apart)


class _Mark(NamedTuple):
    """Where a savepoint began among the rows that wait.

    ``opened``: the database knows of it; None where it never will.
    """

    name: str
    rows: int
    written: int
    opened: bool | None
    wrote: int


class Apart(Retry):
    """What failed can't be undone without what others did: each unit is run again alone."""


class Link:
    """A connection in a transaction. Every driver's error comes out as one of ``gateway.errors``.

    After an error each call raises ``Unavailable``, until the unit has rolled back to a savepoint
    of its own; after one that set ``broken`` there is no way on: nothing may be committed. Nor is
    there after a race (``Retry``), whoever catches it on its way: the whole unit is run again.

    Rows that need no answer wait (``later``) and are written together: at the end, or before a
    statement that could miss them. A savepoint that is rolled back takes with it what waits since,
    and what was written since but waited before waits again. An ``eager`` link writes them with
    the savepoint that they belong to, so that it is this one that fails. One that is ``lazy`` opens
    a savepoint when something is written in it: of most, all that is written waits. What can't be
    undone then (``Apart``) takes the whole transaction with it.

    ``known`` is what callers remember of the transaction's state; it is forgotten with a rollback.
    ``promised``: somebody is told when this unit is on disk, and believes it.
    """

    __slots__ = (
        "_cursor",
        "_failed",
        "_keys",
        "_marks",
        "_raced",
        "_waiting",
        "_written",
        "_wrote",
        "broken",
        "connection",
        "eager",
        "engine",
        "known",
        "lazy",
        "promised",
    )

    def __init__(
        self,
        engine: Engine,
        connection: sa.Connection,
        *,
        eager: bool = True,
        lazy: bool = False,
    ) -> None:
        self.engine = engine
        self.connection = connection
        self.eager = eager
        self.lazy = lazy
        driver: Any = connection.connection.dbapi_connection
        self._cursor = driver.cursor()
        self.broken = False
        self._failed = False
        self._raced: Retry | None = None
        self._waiting: list[tuple[Statement, Sequence[Row]]] = []
        self._written = 0
        self._wrote = 0
        self._marks: list[_Mark] = []
        self._keys: dict[str, Iterator[int]] = {}
        self.known: dict[Any, Any] = {}
        self.promised = False

    def check(self) -> None:
        """Raise where a statement failed and nothing was rolled back: it may not be committed."""
        self.check_race()
        if self.broken or self._failed:
            raise Unavailable("the transaction is lost")

    def check_race(self) -> None:
        """Raise where all has to be run again, whatever the unit made of it."""
        if self._raced is not None:
            raise self._raced

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

    def key(self, table: sa.Table) -> int:
        """A new value for the table's ``key``."""
        if table.name not in self._keys:
            self._keys[table.name] = self.engine.keys(table.name, self._ask)
        return next(self._keys[table.name])

    def many(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Run once a row; values in the order of the statement's binds."""
        if not statement.apart:
            self.flush()
        self._open()
        self._many(statement, rows)

    def select(self, core: sa.Executable, values: Mapping[str, Any]) -> Sequence[Row]:
        """The rows of a statement that is built anew each time (a search)."""
        self.flush()
        rows: Sequence[Row] = self._try(lambda: self.connection.execute(core, values).fetchall())
        return rows

    def number(self) -> Number | None:
        """By which to ask what became of the transaction; None where the server can't tell."""
        run = self.connection.info["run"]
        if run is None:
            return None
        wrote = self._wrote or self._written
        return Number(self._ask(NUMBER)[0][0] if wrote else None, run)

    # --- what waits ------------------------------------------------------------------------------

    def later(self, statement: Statement, rows: Sequence[Row]) -> None:
        """Insert or delete rows with the next flush; values in the order of the binds."""
        self._waiting.append((statement, rows))

    def flush(self) -> None:
        """Write what waits, a statement at a time."""
        if self._written == len(self._waiting):
            return
        if self._marks and len(self._waiting) > self._marks[0].rows:
            self._open()
        gathered: dict[Statement, list[Row]] = {}
        for statement, rows in self._waiting[self._written :]:
            gathered.setdefault(statement, []).extend(rows)
        self._written = len(self._waiting)
        for statement in sorted(gathered, key=lambda each: each.rank):
            self._write(statement, gathered[statement])

    def mark(self, name: str) -> None:
        """As ``savepoint``, for what is hardly ever rolled back: the database isn't told of it."""
        self._marks.append(_Mark(name, len(self._waiting), self._written, None, self._wrote))

    def savepoint(self, name: str) -> None:
        """Open one; the innermost of a name is the one that counts."""
        if not self.lazy:
            self._try(self._cursor.execute, f"SAVEPOINT {name}")
        opened = not self.lazy
        self._marks.append(_Mark(name, len(self._waiting), self._written, opened, self._wrote))

    def roll_back_to(self, name: str) -> None:
        """Undo all since the savepoint, and close it. A lost transaction has nothing to undo."""
        if self.broken or self._raced is not None:
            return
        mark = self._closed(name)
        if mark.opened:
            self._failed = False
            self._try(self._cursor.execute, f"ROLLBACK TO SAVEPOINT {name}")
            self._try(self._cursor.execute, f"RELEASE SAVEPOINT {name}")
        elif self._failed or self._wrote != mark.wrote:
            self._raced = Apart("what was done can't be undone alone")
            return
        del self._waiting[mark.rows :]
        self._written = min(self._written, mark.written if mark.opened else mark.rows)
        self.known.clear()
        # What is no longer known must be there to be read.
        self.flush()

    def release(self, name: str) -> None:
        """Close the savepoint and keep what was done."""
        if self.eager:
            self.flush()
        if self._closed(name).opened:
            self._try(self._cursor.execute, f"RELEASE SAVEPOINT {name}")
        else:
            self.check()

    def _open(self) -> None:
        """Something is about to be written: the savepoints that it is in."""
        self._wrote += 1
        for place, mark in enumerate(self._marks):
            if mark.opened is False:
                self._try(self._cursor.execute, f"SAVEPOINT {mark.name}")
                self._marks[place] = mark._replace(opened=True, written=self._written)

    def _closed(self, name: str) -> _Mark:
        mark = self._marks.pop()
        while mark.name != name:
            mark = self._marks.pop()
        return mark

    # --- on the cursor ---------------------------------------------------------------------------

    def _write(self, statement: Statement, rows: list[Row]) -> None:
        """All rows; of an insert as many at a time as the engine takes."""
        done = 0
        for size in self.engine.batches if statement.inserts else ():
            while len(rows) - done >= size:
                values = list(chain.from_iterable(rows[done : done + size]))
                self._try(self._cursor.execute, statement.wide(self.engine, size), values)
                done += size
        if done < len(rows):
            self._many(statement, rows[done:])

    def _many(self, statement: Statement, rows: Sequence[Row]) -> None:
        together = self.engine.columns and len(rows) > 1 and statement.by_column(self.engine)
        if together:
            for part in together.parts(rows):
                self._try(self._cursor.execute, together.text, together.values(part))
        else:
            self._try(self._cursor.executemany, statement.sql(self.engine)[0], rows)

    def _run(self, statement: Statement, values: Mapping[str, Any]) -> None:
        if not statement.apart:
            self.flush()
        if not statement.reads:
            self._open()
        text, names, defaults = statement.sql(self.engine)
        given = [values[name] if name in values else defaults[name] for name in names]
        self._try(self._cursor.execute, text, given)

    def _ask(self, text: str) -> list[Row]:
        self._try(self._cursor.execute, text)
        rows: list[Row] = self._try(self._cursor.fetchall)
        return rows

    def _try(self, call: Callable[..., Any], *arguments: Any) -> Any:
        self.check()
        try:
            return call(*arguments)
        except (self.engine.error, sa.exc.DBAPIError) as error:
            raise self._told(error) from None
        except (UnicodeError, OverflowError):
            raise StoreError("a value that the database can't hold") from None

    def _told(self, error: Exception) -> BaseException:
        self._failed = True
        origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
        verdict = self.engine.verdict(origin or error)
        if isinstance(verdict, Retry):
            self._raced = verdict
        elif isinstance(verdict, Unavailable):
            self.broken = True
        if verdict is origin:
            # A driver's text may quote values: only its kind is told.
            return StoreError(f"the database refuses a statement: {type(origin).__name__}")
        return verdict
