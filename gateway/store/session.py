"""What the parts of a Reader and a Transaction share: the connection, the clock, who asks."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.model import Context
from gateway.store.link import Link

Named = tuple[str, str, int]
"""A version: its resource's type and id, and its number."""

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_FIRST: Final = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND
_LAST: Final = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // _MICROSECOND


def microseconds(at: datetime) -> int:
    """UTC microseconds since 1970 of an aware time."""
    return (at - _EPOCH) // _MICROSECOND


def moment(at: int) -> datetime:
    """The aware UTC time of microseconds since 1970; of what no calendar has, the nearest.

    FHIR's last instant west of Greenwich is one of those.
    """
    return _EPOCH + timedelta(microseconds=min(max(at, _FIRST), _LAST))


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


class Session:
    """One transaction's view.

    ``secret`` signs the marks of pages. ``touched`` are the types of which it wrote versions
    (perhaps undone since); ``named`` are the versions, but what was undone, where somebody traces.
    """

    def __init__(self, link: Link, clock: Clock, secret: bytes) -> None:
        self.link = link
        self.clock = clock
        self.secret = secret
        self.touched: set[str] = set()
        self.named: list[Named] | None = None

    def who(self, context: Context) -> dict[str, Any]:
        """The values that ``grants.visible`` asks for."""
        return {"me": context.agency, "admin": context.admin, "now": time.time_ns() // 1000}

    def promise(self) -> None:
        """Somebody will be told when this unit is on disk: it is counted as stored then."""
        self.link.promised = True

    def flush(self) -> None:
        """Write what waits."""
        self.link.flush()

    @contextmanager
    def savepoint(self) -> Iterator[None]:
        """All or nothing: an exception undoes what was done inside, and goes on its way."""
        self.link.savepoint("inside")
        before = len(self.named or ())
        try:
            yield
            self.link.release("inside")
        except BaseException:
            self.link.roll_back_to("inside")
            if self.named is not None:
                del self.named[before:]
            raise
