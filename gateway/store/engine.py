"""SQLite and PostgreSQL: the one place where they differ (DESIGN, sections 2 and 8).

SQLite runs WAL, and whoever commits syncs the log before anybody is told (``store.disk``). Its log
of events is settled as soon as it can be read. On PostgreSQL transactions commit in another order
than they began, so each version keeps its transaction's number, and the log is read only below the
oldest one in flight.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.pool import NullPool, QueuePool
from sqlalchemy.sql.functions import FunctionElement

from gateway.errors import SettingError, Unavailable

BUSY: Final = 5.0
"""Seconds to wait for another process's lock on the SQLite file."""

_READ_PRAGMAS: Final = ("query_only=ON", "cache_size=-4096", "temp_store=MEMORY")
# No mmap: an I/O error under it is a signal that kills the process, not an error to answer with.
_WRITE_PRAGMAS: Final = (
    "page_size=2048",  # a row more often than not goes to a page of its own, which is written whole
    "journal_mode=WAL",
    "synchronous=NORMAL",  # the log is synced by ``store.disk``; checkpoints sync both
    "foreign_keys=ON",
    "cache_size=-32768",
    "temp_store=MEMORY",
    "wal_autocheckpoint=8000",
    f"journal_size_limit={64 * 2**20}",
)
_LOCK: Final = 0x63617265  # any number, but always the same
_RETRIED: Final = frozenset({"40001", "40P01", "23505"})
_KEYS: Final = 16

KEY: Final = sa.BigInteger().with_variant(sa.Integer, "sqlite")
"""An integer key that numbers itself: SQLite does so only for INTEGER."""

BINARY: Final = sa.Text().with_variant(sa.Text(collation="C"), "postgresql")
"""A text that is compared byte by byte, as SQLite compares every text."""


class Retry(BaseException):
    """PostgreSQL asks for the unit to be run again: a serialization failure, deadlock or race.

    No Exception: what a unit sets down as a fault of its message would otherwise swallow it.
    """


class transaction_number(FunctionElement[int]):
    """The number of the running transaction; 0 on SQLite, where the sequence alone orders."""

    type = sa.BigInteger()
    inherit_cache = True


class settled_below(FunctionElement[int]):
    """Every transaction with a smaller number is over; none will add to the log any more."""

    type = sa.BigInteger()
    inherit_cache = True


@compiles(transaction_number, "postgresql")
def _number_postgresql(element: object, compiler: object, **_: object) -> str:
    return "(pg_current_xact_id()::text::bigint)"


@compiles(transaction_number, "sqlite")
def _number_sqlite(element: object, compiler: object, **_: object) -> str:
    return "0"


@compiles(settled_below, "postgresql")
def _settled_postgresql(element: object, compiler: object, **_: object) -> str:
    return "(pg_snapshot_xmin(pg_current_snapshot())::text::bigint)"


@compiles(settled_below, "sqlite")
def _settled_sqlite(element: object, compiler: object, **_: object) -> str:
    return "1"


class says(FunctionElement[Any]):
    """Whether a row of ``words`` meets an expression.

    Its clauses: the row as FTS5 knows it, its column, the expression for FTS5 and as a tsquery.
    It has no type, or it would be written "MATCH ? = 1", for which FTS5 can't use its index.
    """

    type = sa.types.NULLTYPE
    inherit_cache = True


class word_list(FunctionElement[str]):
    """Words with blanks between, as ``words`` holds them."""

    type = sa.Text()
    inherit_cache = True


@compiles(says, "sqlite")
def _says_sqlite(element: says, compiler: Any, **more: Any) -> str:
    row, _, expression, _ = element.clauses
    return f"{compiler.process(row, **more)} MATCH {compiler.process(expression, **more)}"


@compiles(says, "postgresql")
def _says_postgresql(element: says, compiler: Any, **more: Any) -> str:
    _, column, _, expression = element.clauses
    asked = compiler.process(expression, **more)
    return f"{compiler.process(column, **more)} @@ CAST({asked} AS tsquery)"


@compiles(word_list, "sqlite")
def _words_sqlite(element: word_list, compiler: Any, **more: Any) -> str:
    return str(compiler.process(element.clauses, **more))


@compiles(word_list, "postgresql")
def _words_postgresql(element: word_list, compiler: Any, **more: Any) -> str:
    listed = compiler.process(element.clauses, **more)
    return f"array_to_tsvector(string_to_array({listed}, ' '))"


_WORDS_SQLITE: Final = (
    "CREATE VIRTUAL TABLE IF NOT EXISTS words"
    " USING fts5(narrative, content, detail=column, columnsize=0, tokenize='ascii')",
)
_WORDS_POSTGRESQL: Final = (
    "CREATE TABLE IF NOT EXISTS words (rowid bigint PRIMARY KEY,"
    " narrative tsvector NOT NULL, content tsvector NOT NULL)",
    "CREATE INDEX IF NOT EXISTS words_narrative ON words USING gin (narrative)",
    "CREATE INDEX IF NOT EXISTS words_content ON words USING gin (content)",
)


class Engine(Protocol):
    """What the hub needs of a database.

    ``grouped``: one writer thread with group commit, which syncs the write-ahead ``log``; else a
    commit that returned is on disk, and there is no such file (None). ``error``: the root of the
    driver's errors. ``batches``: how many rows one insert may carry, the largest first. ``words``:
    what makes the table for full text.
    """

    grouped: bool
    log: Path | None
    batches: tuple[int, ...]
    words: tuple[str, ...]
    error: type[Exception]
    reads: sa.Engine
    writes: sa.Engine

    def alone(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that no other process shares the database with: to make tables in."""

    def rescue(self, connection: sa.Connection) -> None:
        """Have on disk, without the log, what it holds. Raises ``Unavailable``."""

    def keys(self, table: str, ask: Callable[[str], list[Sequence[int]]]) -> Iterator[int]:
        """New values for a table's ``key`` in the transaction that ``ask`` (SQL to rows) is of."""

    def verdict(self, error: BaseException) -> BaseException:
        """What a driver's error means: ``Retry``, ``Unavailable``, or the error itself (a bug)."""


class Sqlite:
    """One file, one writer: the embedded engine."""

    grouped = True
    # Each row of an executemany lets go of the interpreter's lock and waits for it again.
    batches: tuple[int, ...] = (64, 8)
    words: tuple[str, ...] = _WORDS_SQLITE
    error: type[Exception] = sqlite3.Error

    def __init__(self, url: sa.URL) -> None:
        if not url.database or url.database == ":memory:":
            raise SettingError("SQLite needs a file", place="GATEWAY_DATABASE_URL")
        Path(url.database).parent.mkdir(parents=True, exist_ok=True)
        self.log: Path | None = Path(f"{url.database}-wal")
        connect = {
            "timeout": BUSY,
            "check_same_thread": False,
            "isolation_level": None,
            "cached_statements": 512,
        }
        self.writes = sa.create_engine(url, poolclass=NullPool, connect_args=connect)
        self.reads = sa.create_engine(
            url, poolclass=QueuePool, pool_size=8, max_overflow=32, connect_args=connect
        )
        _on_sqlite(self.writes, _WRITE_PRAGMAS, "BEGIN IMMEDIATE")
        _on_sqlite(self.reads, _READ_PRAGMAS, "BEGIN")

    @contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """As any write: there is one writer at a time."""
        with self.writes.begin() as connection:
            yield connection

    def rescue(self, connection: sa.Connection) -> None:
        """All of it goes into the file, which is synced; then the log begins anew."""
        driver: Any = connection.connection.dbapi_connection
        ((busy, *_),) = driver.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        if busy:
            raise Unavailable("the database can't take it now")

    def keys(self, table: str, ask: Callable[[str], list[Sequence[int]]]) -> Iterator[int]:
        """Counted up: nobody else writes as long as the transaction lasts."""
        ((last,),) = ask(f"SELECT coalesce(max(key), 0) FROM {table}")
        return count(last + 1)

    def verdict(self, error: BaseException) -> BaseException:
        """A lock, a full disk, a failing disk: ``Unavailable``."""
        if isinstance(error, sqlite3.DatabaseError) and not isinstance(
            error, (sqlite3.IntegrityError, sqlite3.ProgrammingError)
        ):
            return Unavailable("the database can't take it now")
        return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)


def _on_sqlite(engine: sa.Engine, pragmas: tuple[str, ...], begin: str) -> None:
    def connected(connection: sqlite3.Connection, _: object) -> None:
        for pragma in pragmas:
            connection.execute(f"PRAGMA {pragma}").fetchall()

    def began(connection: sa.Connection) -> None:
        driver: Any = connection.connection.dbapi_connection
        driver.execute(begin)

    sa.event.listen(engine, "connect", connected)
    sa.event.listen(engine, "begin", began)


class Postgresql:
    """A server, any number of processes: each unit of work has its own transaction."""

    grouped = False
    log: Path | None = None
    batches: tuple[int, ...] = ()  # psycopg sends an executemany in one go
    words: tuple[str, ...] = _WORDS_POSTGRESQL
    error: type[Exception] = psycopg.Error

    def __init__(self, url: sa.URL) -> None:
        url = url.set(drivername="postgresql+psycopg")
        # Repeatable read: whoever saw a version has the higher transaction number, so that the
        # log's order (number, sequence) never turns one resource's versions round.
        common: dict[str, Any] = {"paramstyle": "format", "isolation_level": "REPEATABLE READ"}
        self.writes = sa.create_engine(url, pool_size=8, max_overflow=0, **common)
        self.reads = sa.create_engine(url, pool_size=8, max_overflow=8, **common)

    @contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """Under a lock of our own, and seeing what others committed while we waited for it."""
        connection = self.writes.connect().execution_options(isolation_level="READ COMMITTED")
        with connection, connection.begin():
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_LOCK)))
            yield connection

    def rescue(self, connection: sa.Connection) -> None:
        """Nothing to do: the server keeps its own log."""

    def keys(self, table: str, ask: Callable[[str], list[Sequence[int]]]) -> Iterator[int]:
        """From the table's own sequence, some at a time; those that aren't used are let go."""
        next_ = f"nextval(pg_get_serial_sequence('{table}', 'key'))"
        while True:
            for (key,) in ask(f"SELECT {next_} FROM generate_series(1, {_KEYS})"):
                yield key

    def verdict(self, error: BaseException) -> BaseException:
        """A race is run again; a server that is gone, full or starting is ``Unavailable``."""
        if isinstance(error, psycopg.Error) and error.sqlstate in _RETRIED:
            return Retry(error.sqlstate)
        if isinstance(error, (psycopg.OperationalError, psycopg.InterfaceError)):
            return Unavailable("the database can't take it now")
        return error if isinstance(error, Exception) else RuntimeError(type(error).__name__)


_ENGINES: Final[dict[str, Callable[[sa.URL], Engine]]] = {
    "sqlite": Sqlite,
    "postgresql": Postgresql,
}


def open_engine(url: str) -> Engine:
    """The engine of a SQLAlchemy URL, not yet connected. Raises ``SettingError``."""
    try:
        parsed = sa.make_url(url)
        make = _ENGINES[parsed.get_backend_name()]
    except (sa.exc.ArgumentError, sa.exc.NoSuchModuleError, KeyError):
        raise SettingError(
            "the URL must begin with sqlite:/// or postgresql+psycopg://",
            place="GATEWAY_DATABASE_URL",
        ) from None
    return make(parsed)
