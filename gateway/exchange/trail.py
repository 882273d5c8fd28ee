"""Who read what of another agency's: noted beside the reading, written a little later.

A read never waits for it. What is noted is written by the next unit of the writer, all that came
together at once, most often within milliseconds; a process that is killed loses what it hadn't
written, and a database that can't take it now gets it with the next read. Beyond ``MOST`` waiting
lines the reads themselves are refused: nobody reads what can't be accounted for.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Final

import structlog

from gateway.errors import Unavailable
from gateway.model import HUB, Context, Reference, Stored
from gateway.store import Hub, Transaction

MOST: Final = 100_000
"""How many lines may wait."""

AT_ONCE: Final = 5_000
"""How many one unit writes."""

log = structlog.get_logger()

Line = tuple[datetime, Context, str, Reference]


def foreign(context: Context, seen: Iterable[Stored]) -> list[Reference]:
    """Those of what a caller is shown that aren't its own; the directory is everybody's."""
    return [each.reference for each in seen if each.owner not in (context.agency, HUB)]


class Trail:
    """Notes of reads on their way to the audit."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._lock = threading.Lock()
        self._waiting: list[Line] = []
        self._writing = False

    def note(self, context: Context, action: str, seen: Iterable[Stored]) -> None:
        """Note what of another agency's a caller is shown.

        Raises:
            Unavailable: too much waits already.
        """
        now = datetime.now(UTC)
        lines = [(now, context, action, each) for each in foreign(context, seen)]
        if lines:
            with self._lock:
                if len(self._waiting) > MOST:
                    raise Unavailable("reads can't be noted now")
                self._waiting += lines
            self._write()

    def _write(self) -> None:
        with self._lock:
            if self._writing or not self._waiting:
                return
            self._writing = True
            lines = self._waiting[:AT_ONCE]

        def unit(tx: Transaction) -> None:
            for at, context, action, target in lines:
                tx.audit(context, action, target, at=at)

        try:
            self._hub.submit(unit).add_done_callback(lambda done: self._written(done, len(lines)))
        except Unavailable:
            self._writing = False

    def _written(self, done: Future[None], count: int) -> None:
        failed = done.cancelled() or done.exception() is not None
        with self._lock:
            self._writing = False
            if not failed:
                del self._waiting[:count]
        if failed:
            log.error("reads not noted yet", waiting=len(self._waiting))
        else:
            self._write()
