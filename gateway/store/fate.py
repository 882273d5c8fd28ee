"""What became of a PostgreSQL transaction whose COMMIT was cut off: the server knows by its number.

A server that crashed gives numbers that weren't on its disk to others, and says "committed" of
those. So its answer counts only as long as it runs: since when it does it says, and since when it
counts what happens, which it begins anew after a crash.
"""

from __future__ import annotations

import time
from typing import Any, Final, NamedTuple

import psycopg
import sqlalchemy as sa

from gateway.errors import Unavailable

_RUN: Final = (
    "extract(epoch FROM pg_postmaster_start_time()) || ' ' || extract(epoch FROM stats_reset)"
)
_LEARN: Final = (
    f"SELECT {_RUN}, pg_xact_status(pg_current_xact_id_if_assigned()) FROM pg_stat_bgwriter"
)
NUMBER: Final = "SELECT pg_current_xact_id_if_assigned()"
_ASK: Final = sa.text(f"SELECT {_RUN}, pg_xact_status(CAST(:number AS xid8)) FROM pg_stat_bgwriter")
_SETTLE: Final = sa.text("SELECT pg_logical_emit_message(true, 'care-gateway', '')")

_PATIENCE: Final = 8.0
"""Seconds; the server ends before that what waits for its client (``connecting``)."""

_FIRST: Final = 0.005
_LONGEST: Final = 0.25
"""Seconds between two questions, the first and the last."""


class Number(NamedTuple):
    """A transaction's number, None where it has none; which run of the server gave it."""

    xid: str | None
    run: str


class Unheard(Exception):
    """The connection was lost during COMMIT: only the server knows what became of it."""

    def __init__(self, number: Number) -> None:
        super().__init__("a COMMIT was cut off")
        self.number = number


def run(driver: psycopg.Connection[Any]) -> str | None:
    """Which run of a server a connection is to; None where that can't tell fates. In autocommit."""
    try:
        told = driver.execute(_LEARN).fetchone()
    except (psycopg.ProgrammingError, psycopg.NotSupportedError):
        return None
    return told and told[0]


def committed(by: sa.Engine, number: Number) -> bool:
    """Whether the transaction is, for good; else nothing of it is left. Raises ``Unavailable``."""
    if number.xid is None:
        return False
    until, pause = time.monotonic() + _PATIENCE, _FIRST
    try:
        with by.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
            while (
                fate := _asked(connection, number)
            ) == "in progress" and time.monotonic() < until:
                time.sleep(pause)
                pause = min(2 * pause, _LONGEST)
            if fate == "committed":
                # A standby that COMMIT would have waited for has it when it has what comes after.
                connection.execute(_SETTLE)
    except sa.exc.SQLAlchemyError:
        fate = None
    if fate not in ("committed", "aborted"):
        raise Unavailable("the database can't tell whether it took it")
    return fate == "committed"


def _asked(connection: sa.Connection, number: Number) -> str | None:
    """None: it is too long ago, or of another run."""
    now, fate = connection.execute(_ASK, {"number": number.xid}).one()
    return fate if now == number.run else None
