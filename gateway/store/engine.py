"""SQLite and PostgreSQL: the one place where they differ (DESIGN, sections 2 and 8).

SQLite runs WAL, and whoever commits syncs the log before anybody is told (``store.disk``). Its log
of events is settled as soon as it can be read. On PostgreSQL transactions commit in another order
than they began, so each version keeps its transaction's number, and the log is read only below the
oldest one in flight.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import count
from pathlib import Path
from typing import Any, Final, Protocol

import psycopg
import sqlalchemy as sa
from sqlalchemy.pool import NullPool, QueuePool

from gateway.errors import SettingError, Unavailable
from gateway.settings import KEEPING
from gateway.store import connecting

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
PATIENCE: Final = 2000
"""Milliseconds for which a step of a migration waits for a table, and all others behind it."""

_LOCK: Final = 0x63617265  # any number, but always the same
_TURN: Final = 0.05  # seconds between two attempts at it
_RETRIED: Final = frozenset({"40001", "40P01", "23505", "25P03"})  # 25P03: it was idle too long
_HELD: Final = frozenset({"55P03", "40P01"})
_BUSY: Final = frozenset({sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED})
_AWAY: Final = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.ReadOnlySqlTransaction,  # another is the primary by now
)
_KEYS: Final = 32
_IDLE: Final = 1.0  # seconds

_CARELESS: Final = (
    "SELECT name FROM pg_settings"
    " WHERE name IN ('fsync', 'full_page_writes') AND setting = 'off' ORDER BY name"
)


class Retry(Unavailable):
    """PostgreSQL asks for the unit to be run again: a serialization failure, deadlock or race.

    A unit that can't go on: what keeps a fault of its message passes it on, like all that is
    Unavailable. Whoever doesn't changes nothing: the link knows of it (``Link.check``).
    """


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


_MERGED: Final = 500
"""How many pages of the full text's index a step writes."""


class Engine(Protocol):
    """What the hub needs of a database.

    ``grouped``: one writer thread with group commit, which syncs the write-ahead ``log``; else a
    commit that returned is on disk, and there is no such file (None). ``error``: the root of the
    driver's errors. ``batches``: how many rows one insert may carry, the largest first;
    ``columns``: it takes any number, a column at a time. ``words``: what makes the table for full
    text.
    """

    grouped: bool
    log: Path | None
    batches: tuple[int, ...]
    columns: bool
    words: tuple[str, ...]
    error: type[Exception]
    reads: sa.Engine
    writes: sa.Engine

    def alone(self) -> AbstractContextManager[sa.Connection]:
        """A transaction that no other process shares the database with: to make tables in."""

    def migrating(self) -> AbstractContextManager[sa.Connection]:
        """A connection that migrates, one process at a time; on SQLite in a transaction."""

    def locked(self, error: BaseException | None) -> bool:
        """Whether a step of a migration failed since others use the table: it may be repeated."""

    def rescue(self, connection: sa.Connection) -> None:
        """Have on disk, without the log, what it holds. Raises ``Unavailable``."""

    def keys(self, table: str, ask: Callable[[str], list[Sequence[int]]]) -> Iterator[int]:
        """New values for a table's ``key`` in the transaction that ``ask`` (SQL to rows) is of."""

    def lost(self, connection: sa.Connection) -> bool:
        """Whether its server is no longer at the other end: nothing that was begun there is done.

        Others that were made before are taken for lost from then on.
        """

    def close(self) -> None:
        """Close every connection."""

    def settle_words(self, connection: sa.Connection, *, first: bool) -> bool:
        """Have the full text's index let go of words that were deleted, a step at a time.

        Whether there is more to do.
        """

    def careless(self, connection: sa.Connection) -> Sequence[str]:
        """The server's settings by which what it calls committed may not be on disk."""

    def verdict(self, error: BaseException) -> BaseException:
        """What a driver's error means: ``Retry``, ``Unavailable``, or the error itself (a bug)."""


class Sqlite:
    """One file, one writer: the embedded engine."""

    grouped = True
    # Each row of an executemany lets go of the interpreter's lock and waits for it again.
    batches: tuple[int, ...] = (64, 8)
    columns = False
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

    def migrating(self) -> AbstractContextManager[sa.Connection]:
        """As any write: all steps in one transaction, and whoever else writes waits."""
        return self.alone()

    def locked(self, error: BaseException | None) -> bool:
        """Another writes for longer than ``BUSY``."""
        return isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode in _BUSY

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

    def lost(self, connection: sa.Connection) -> bool:
        """There is no server."""
        return False

    def close(self) -> None:
        """Those in the pools; whoever has another closes it."""
        self.reads.dispose()
        self.writes.dispose()

    def settle_words(self, connection: sa.Connection, *, first: bool) -> bool:
        """FTS5 notes beside a word that it is gone: merging its parts into one drops both.

        A negative number begins with all parts, a positive one goes on; a step that changes less
        than two rows had nothing to do (FTS5, "merge").
        """
        driver: Any = connection.connection.dbapi_connection
        before = driver.total_changes
        merge = "INSERT INTO words(words, rank) VALUES('merge', ?)"
        driver.execute(merge, (-_MERGED if first else _MERGED,))
        return bool(first or driver.total_changes - before >= 2)

    def careless(self, connection: sa.Connection) -> Sequence[str]:
        """None: the settings are ours."""
        return ()

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
    """A server, any number of processes: the units of work that wait go together."""

    grouped = False
    log: Path | None = None
    batches: tuple[int, ...] = ()
    columns = True
    words: tuple[str, ...] = _WORDS_POSTGRESQL
    error: type[Exception] = psycopg.Error

    def __init__(self, url: sa.URL) -> None:
        url = url.set(drivername="postgresql+psycopg")
        # Repeatable read: whoever saw a version has the higher transaction number, so that the
        # log's order (number, sequence) never turns one resource's versions round.
        common: dict[str, Any] = {"paramstyle": "format", "isolation_level": "REPEATABLE READ"}
        common["connect_args"] = {name: KEEPING[name] for name in KEEPING.keys() - url.query.keys()}
        self.writes = sa.create_engine(url, pool_size=8, max_overflow=0, **common)
        self.reads = sa.create_engine(url, pool_size=8, max_overflow=8, **common)
        self._lost = 0.0
        self._closed = False
        for engine in (self.writes, self.reads):
            connecting.prepare(engine, writes=engine is self.writes)
            sa.event.listen(engine, "checkout", self._checked_out)
            sa.event.listen(engine, "checkin", self._returned)

    def _checked_out(self, driver: Any, record: Any, _: object) -> None:
        """A server that went took all connections with it: one that found out is enough.

        One that nobody used for a while is asked first: who reads can't begin again. One that was
        just made stays, or who connects while another finds out would have none.
        """
        if (used := record.info.get("used")) is None:
            return
        now = time.monotonic()
        if now - used > _IDLE and not self._answers(driver):
            self._lost = now
        if record.info["born"] <= self._lost:
            raise sa.exc.DisconnectionError

    def _returned(self, _: object, record: Any) -> None:
        record.info["used"] = time.monotonic()
        if self._closed:
            record.invalidate()

    def _answers(self, driver: Any) -> bool:
        try:
            return self.reads.dialect.do_ping(driver)
        except psycopg.Error:
            return False

    @contextmanager
    def alone(self) -> Iterator[sa.Connection]:
        """Under a lock of our own, and seeing what others committed while we waited for it."""
        connection = self.writes.connect().execution_options(isolation_level="READ COMMITTED")
        with connection:
            while not connection.scalar(sa.select(sa.func.pg_try_advisory_xact_lock(_LOCK))):
                connection.rollback()
                time.sleep(_TURN)
            yield connection
            connection.commit()

    @contextmanager
    def migrating(self) -> Iterator[sa.Connection]:
        """Under the same lock, held by a connection of its own, since steps are transactions.

        Whoever waits for the lock asks again and again: one that waited inside a statement would
        hold a snapshot, and an index that is built beside the traffic waits for all snapshots.
        """
        keeper = self.writes.connect().execution_options(isolation_level="AUTOCOMMIT")
        connection = self.writes.connect().execution_options(isolation_level="READ COMMITTED")
        with keeper, connection:
            while not keeper.scalar(sa.select(sa.func.pg_try_advisory_lock(_LOCK))):
                time.sleep(_TURN)
            try:
                connection.exec_driver_sql(f"SET lock_timeout = {PATIENCE}")
                connection.commit()
                yield connection
            finally:
                # Neither goes back to the pool: the one holds the lock, the other has settings.
                keeper.invalidate()
                connection.invalidate()

    def locked(self, error: BaseException | None) -> bool:
        """A step had to wait for longer than ``PATIENCE``, or crossed with another."""
        return isinstance(error, psycopg.Error) and error.sqlstate in _HELD

    def rescue(self, connection: sa.Connection) -> None:
        """Nothing to do: the server keeps its own log."""

    def keys(self, table: str, ask: Callable[[str], list[Sequence[int]]]) -> Iterator[int]:
        """From the table's own sequence, some at a time; those that aren't used are let go."""
        next_ = f"nextval(pg_get_serial_sequence('{table}', 'key'))"
        while True:
            for (key,) in ask(f"SELECT {next_} FROM generate_series(1, {_KEYS})"):
                yield key

    def lost(self, connection: sa.Connection) -> bool:
        """The driver closed it; those of before are tried no more."""
        driver: Any = connection.connection.dbapi_connection
        if driver is None or not driver.closed:
            return False
        self._lost = time.monotonic()
        return True

    def close(self) -> None:
        """Those in the pools now; others when they come back."""
        self._closed = True
        self.reads.dispose()
        self.writes.dispose()

    def settle_words(self, connection: sa.Connection, *, first: bool) -> bool:
        """Its index is of rows: what is left of them a vacuum clears away."""
        return False

    def careless(self, connection: sa.Connection) -> Sequence[str]:
        """What only the server's keeper can set."""
        return connection.scalars(sa.text(_CARELESS)).all()

    def verdict(self, error: BaseException) -> BaseException:
        """A race is run again; a server that is gone, full or starting is ``Unavailable``."""
        if isinstance(error, psycopg.Error) and error.sqlstate in _RETRIED:
            return Retry("another writer was first")
        if isinstance(error, _AWAY):
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
