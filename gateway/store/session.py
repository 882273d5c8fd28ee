"""What the parts of a Reader and a Transaction share: the connection, the clock, what waits."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple

from gateway.model import Context
from gateway.store.link import Link, Statement

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)


def microseconds(at: datetime) -> int:
    """UTC microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """The aware UTC time of microseconds since 1970."""
    return _EPOCH + timedelta(microseconds=at)


class Clock:
    """UTC microseconds, each later than the one before, whatever the system's clock does."""

    def __init__(self) -> None:
        self._last = 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        """The next microsecond."""
        with self._lock:
            self._last = max(time.time_ns() // 1000, self._last + 1)
            return self._last


class Head(NamedTuple):
    """A resource's row without its body."""

    key: int
    version: int
    updated: int
    owner: str
    deleted: bool
    kinds: int
    digest: bytes


class Session:
    """One transaction's view.

    ``secret`` signs the marks of pages. ``touched`` are the types of which it wrote versions
    (perhaps undone since).

    Rows that need no answer wait here and are written together: ``flush`` before anything that
    could miss them.
    """

    def __init__(self, link: Link, clock: Clock, secret: bytes) -> None:
        self.link = link
        self.clock = clock
        self.secret = secret
        self.touched: set[str] = set()
        self._heads: dict[tuple[str, str], Head | None] = {}
        self._waiting: dict[Statement, list[tuple[Any, ...]]] = {}

    def who(self, context: Context) -> dict[str, Any]:
        """The values that ``grants.visible`` asks for."""
        return {"me": context.agency, "admin": context.admin, "now": time.time_ns() // 1000}

    def later(self, statement: Statement, row: tuple[Any, ...]) -> None:
        """Write the row with the next flush."""
        self._waiting.setdefault(statement, []).append(row)

    def later_all(self, statement: Statement, rows: Iterable[tuple[Any, ...]]) -> None:
        """``later`` for many rows."""
        self._waiting.setdefault(statement, []).extend(rows)

    def flush(self) -> None:
        """Write what waits, a statement at a time, in the order of their first rows."""
        waiting, self._waiting = self._waiting, {}
        for statement, rows in waiting.items():
            self.link.many(statement, rows)

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing: an exception undoes what was done inside, and goes on its way."""
        self.flush()
        self.link.savepoint("inside")
        try:
            yield
            self.flush()
        except BaseException:
            self._waiting.clear()
            self._heads.clear()
            self.link.roll_back_to("inside")
            raise
        self.link.release("inside")
