"""What a new connection to PostgreSQL is set to, and what is learned of its server."""

from __future__ import annotations

import time
from typing import Any, Final

import psycopg
import sqlalchemy as sa
from psycopg.types.numeric import Int8Dumper

from gateway.store import fate

_PREPARED: Final = 512
"""Statements that a connection may have prepared: all that don't change, and some searches."""

_HOLD: Final = 5000
"""Milliseconds for which a unit may rest (``fate`` waits longer than that)."""

_SYNCHRONOUS: Final = (
    "SELECT set_config('synchronous_commit', 'on', false)"
    " WHERE current_setting('synchronous_commit') = 'off'"
)


def prepare(engine: sa.Engine, *, writes: bool) -> None:
    """Have each of the engine's connections so, as it is made."""
    for each in (_born, _prepared_once, _wait_for_the_disk, _learned):
        sa.event.listen(engine, "connect", each)
    if writes:
        sa.event.listen(engine, "connect", _let_go)


def _born(_: object, record: Any) -> None:
    record.info["born"] = time.monotonic()


def _prepared_once(driver: psycopg.Connection[Any], _: object) -> None:
    """Whole numbers go as bigint: of as many bytes as they need, each mix is another statement."""
    driver.adapters.register_dumper(int, Int8Dumper)
    driver.prepared_max = _PREPARED


def _wait_for_the_disk(driver: psycopg.Connection[Any], _: object) -> None:
    """A role, database or server may have commits answered before they are on disk; ours aren't."""
    driver.autocommit = True
    driver.execute(_SYNCHRONOUS)
    driver.autocommit = False


def _learned(driver: psycopg.Connection[Any], record: Any) -> None:
    """By what a COMMIT that is cut off is asked after."""
    driver.autocommit = True
    record.info["run"] = fate.run(driver)
    driver.autocommit = False


def _let_go(driver: psycopg.Connection[Any], _: object) -> None:
    """A process that is paused in the middle of a unit holds its rows from others so long only.

    And what a unit asks for it finds by an index: of a table that is new the server believes, until
    it has looked for itself, that reading all of it is quicker, and did so at every message.
    """
    driver.autocommit = True
    driver.execute(f"SET idle_in_transaction_session_timeout = {_HOLD}")
    driver.execute("SET enable_seqscan = off")
    driver.execute("SET jit = off")  # or it compiles where there is no index after all
    driver.autocommit = False
