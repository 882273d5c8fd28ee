"""Workflows that outlive their process: DBOS, on a SQLite file of its own or beside the hub.

A workflow is a list of keys to drain. What a crash leaves of it says only whose drains were under
way: whoever resumes it wakes them, and the hub's tables say what is due.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sqlite3
import time
import uuid
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import Any, Final

from dbos import DBOS, SetWorkflowID

from gateway.settings import KEEPING, Settings

VERSION: Final = "1"
"""Of the workflow's shape, so that a new release goes on with what an old one left."""

LOST: Final = 10.0
"""Seconds after which a workflow of this process that isn't in hand is one that it lost hold of."""

Run = Callable[[str, Sequence[str]], Awaitable[None]]
Living = Callable[[], Collection[str]]

_THREADS: Final = 32
_CONNECTIONS: Final = 8
_SWEEP: Final = 1000


class Durable:
    """DBOS for one process. Its coroutines are for the loop that ``launch`` was called on.

    ``executor`` is this process's name among the ``living``, who share its database (None: it has
    it for itself). ``run`` does a workflow, ``wake`` sees to one key of a resumed one.
    """

    def __init__(
        self,
        settings: Settings,
        executor: str,
        living: Living | None,
        run: Run,
        wake: Callable[[str], None],
    ) -> None:
        self._settings = settings
        self._executor = executor or _executor(settings)
        self._living = living
        self._run = run
        self._wake = wake
        self._begun: set[str] = set()
        self._in_hand: set[str] = set()

    async def launch(self) -> None:
        """Begin, from inside the loop, which DBOS then adopts. Raises what DBOS raises."""
        dbos = DBOS(config=_config(self._settings, self._executor))
        _quiet()

        @DBOS.workflow(name="drain")
        async def drain(*keys: str) -> None:
            await self._resumed(keys)

        self._workflow = drain
        DBOS.launch()
        # Else a drain would wait for a database that is away, for twice as long as that is.
        dbos._sys_db._retry_connection_errors = False

    def land(self) -> None:
        """End; what is pending stays so."""
        DBOS.destroy(destroy_registry=True)

    async def __call__(self, workflow: str, keys: Sequence[str]) -> None:
        """Run one that outlives this process. Raises what it raises, and what DBOS does."""
        self._begun.add(workflow)
        self._in_hand.add(workflow)
        try:
            with SetWorkflowID(workflow):
                handle = await DBOS.start_workflow_async(self._workflow, *keys)
            await handle.get_result()
        finally:
            self._begun.discard(workflow)
            self._in_hand.discard(workflow)

    async def _resumed(self, keys: Sequence[str]) -> None:
        """What DBOS runs. One that it recovered queues like any other wake: perhaps from a crash,
        perhaps from a process that was only taken for dead, this one even."""
        workflow = str(DBOS.workflow_id)
        if workflow in self._begun:
            self._begun.discard(workflow)
            await self._run(workflow, keys)
            return
        for key in keys:
            self._wake(key)

    async def adopt(self) -> None:
        """Resume the workflows of processes that died; those that this one lost are begun anew."""
        pending = await DBOS.list_workflows_async(
            status="PENDING", app_version=VERSION, limit=_SWEEP, load_output=False
        )
        if self._living is not None:
            living = {*self._living(), self._executor}
            dead = {str(each.executor_id) for each in pending} - living
            if dead:
                recover = DBOS._recover_pending_workflows
                await asyncio.to_thread(recover, sorted(dead))
        mine = [each for each in pending if each.executor_id == self._executor]
        await self._begin_anew([each for each in mine if self._is_lost(each)])

    def _is_lost(self, workflow: Any) -> bool:
        """Whether it isn't in hand: its end couldn't be noted, or its beginning wasn't heard of."""
        since = time.time() - (workflow.updated_at or workflow.created_at or 0) / 1000
        return workflow.workflow_id not in self._in_hand and since > LOST

    async def _begin_anew(self, lost: Sequence[Any]) -> None:
        for each in lost:
            for key in (each.input or {}).get("args", ()):
                self._wake(key)
        if lost:
            await DBOS.delete_workflows_async([each.workflow_id for each in lost])

    async def sweep(self) -> None:
        """Forget what ended: its effects are in the hub."""
        ended = await DBOS.list_workflows_async(
            status=["SUCCESS", "ERROR"], limit=_SWEEP, load_input=False, load_output=False
        )
        if ended:
            await DBOS.delete_workflows_async([each.workflow_id for each in ended])


class _Connection(sqlite3.Connection):
    """A connection that writes ahead, and on which ``unixepoch('subsec')`` works.

    What a power cut takes of DBOS's last notes is only that a drain had ended: it is woken again,
    and finds nothing to do. So they aren't synced one by one, as they would be by SQLite's default.
    SQLite has ``subsec`` since 3.42; from Python 3.12 on DBOS takes that for granted, but Debian
    12's Python 3.12 and 3.13 link 3.40, where it gives NULL.
    """

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self.execute("PRAGMA busy_timeout = 30000")
        self.execute("PRAGMA journal_mode = WAL")
        self.execute("PRAGMA synchronous = NORMAL")
        if sqlite3.sqlite_version_info < (3, 42):
            self.create_function("unixepoch", 1, lambda _: time.time())


def _executor(settings: Settings) -> str:
    """On SQLite the same at each start, which takes up what the last one left; else nobody's."""
    if settings.work_database.startswith("sqlite"):
        return "gateway"
    return f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:12]}"


def _embedded() -> dict[str, Any]:
    return {"connect_args": {"factory": _Connection}}


def _served() -> dict[str, Any]:
    return {"connect_args": dict(KEEPING), "pool_size": _CONNECTIONS}


def _config(settings: Settings, executor: str) -> Any:
    """DBOS's configuration: its own file on SQLite, and nothing that calls out."""
    url = settings.work_database
    embedded = url.startswith("sqlite")
    return {
        "name": "care-gateway",
        "system_database_url": url,
        "application_version": VERSION,
        "executor_id": executor,
        "db_engine_kwargs": _embedded() if embedded else _served(),
        "enable_otlp": False,
        "max_executor_threads": _THREADS,
        "log_level": "WARNING",
    }


def _quiet() -> None:
    """DBOS's log goes where ours goes."""
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.propagate = True
