"""Word between the processes of a hub: PostgreSQL's LISTEN and NOTIFY.

Who missed a word missed nothing but time: the tables are the truth, and are looked through every
few seconds. A NOTIFY stands in a transaction of its own, for those with one commit one by one.
"""

from __future__ import annotations

from collections.abc import Callable
from threading import Event
from typing import Any, Final

import sqlalchemy as sa

from gateway.store.engine import Engine

LONGEST: Final = 7000
"""Bytes of a word; PostgreSQL takes fewer than 8,000."""

_CHANNEL: Final = "care_gateway"
_TURN: Final = 1.0
"""Seconds after which a listener looks whether it is to stop, or tries to connect again."""

Heard = Callable[[str], None]
"""Told of a word; of "" where some may have been missed."""


class Bell:
    """The words of one hub. On SQLite, which has one process, nothing is said and nobody hears."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def ring(self, *words: str) -> None:
        """Say them to every process that listens. Blocks; what can't be said is lost."""
        if self._engine.grouped:
            return
        try:
            with self._engine.reads.connect() as connection:
                alone = connection.execution_options(isolation_level="AUTOCOMMIT")
                for word in words:
                    alone.execute(sa.select(sa.func.pg_notify(_CHANNEL, word)))
        except (sa.exc.SQLAlchemyError, self._engine.error):
            return

    def listen(self, heard: Heard, stopping: Event) -> None:
        """Hear until ``stopping``, on this thread; connections that break are made again."""
        while not (self._engine.grouped or stopping.is_set()):
            try:
                self._listened(heard, stopping)
            except (sa.exc.SQLAlchemyError, self._engine.error):
                stopping.wait(_TURN)

    def _listened(self, heard: Heard, stopping: Event) -> None:
        pooled = self._engine.reads.raw_connection()
        driver: Any = pooled.driver_connection
        pooled.detach()
        try:
            driver.rollback()
            driver.autocommit = True
            driver.execute(f"LISTEN {_CHANNEL}")
            heard("")
            while not stopping.is_set():
                for word in driver.notifies(timeout=_TURN):
                    heard(word.payload)
        finally:
            driver.close()
