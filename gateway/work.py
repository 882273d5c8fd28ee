"""Background work on DBOS: one durable drain at a time for each subscriber.

The hub's tables are the truth of what is due. This module only sees to it that somebody looks:
after a commit (``wake``), when a retry falls due (``later``), at start, and every few seconds for
whatever a crash left unwoken (the reconciler). It is the only module that knows DBOS.

All of it runs on one event loop in a thread of its own, so that a slow receiver costs a suspended
coroutine and nobody's turn. DBOS remembers each drain, not each message: a drain is idempotent,
and one that a crash cut off is woken again at the next start. Whoever is woken at about the same
time is drained in one workflow, each for itself: a workflow costs as much as several deliveries.
"""

from __future__ import annotations

import asyncio
import logging
import socket
import sqlite3
import threading
import time
import uuid
from collections.abc import Awaitable, Callable, Iterable, Sequence
from concurrent.futures import Future
from contextvars import Context
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import Any, Final

import uvloop

from gateway.errors import GatewayError
from gateway.settings import Settings

Drain = Callable[[str], Awaitable[None]]
"""One pass over a subscriber's events and due deliveries. A coroutine function: it may await
sockets as long as it likes, and must take blocking calls (the hub) to a thread."""

Behind = Callable[[], Iterable[str]]
"""The ids of the subscribers with work undone; blocking, called in a thread."""

VERSION: Final = "1"
"""Of the drain workflow's shape, so that a new release goes on with what an old one left."""

PAUSE: Final = 0.05
"""Seconds from the beginning of a drain to the next of a subscriber that is woken meanwhile."""

EACH: Final = 0.0005
"""Seconds that the pause is long for each who pauses, if that is more: looking at a thousand
subscribers over and over would leave nothing for whoever writes what they are told of."""

GATHER: Final = 0.02
"""Seconds between the beginnings of two workflows: who is woken meanwhile goes with the next."""

MOST: Final = 500
"""How many subscribers one workflow drains."""

_THREADS: Final = 32
_SWEEP: Final = 1000
_log = logging.getLogger(__name__)


class Work:
    """Starts and stops background work; every public method may be called from any thread.

    ``later`` and ``wake`` before ``start`` or after ``stop`` do nothing: the reconciler of the
    next start finds what they were about.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._woken: dict[str, None] = {}
        self._running: dict[str, str] = {}
        self._again: set[str] = set()
        self._pausing = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._started: set[str] = set()
        self._drains: set[asyncio.Task[Any]] = set()
        self._workflows: set[asyncio.Task[None]] = set()
        self._gathering: asyncio.Task[None] | None = None
        self._reconciler: asyncio.Task[None] | None = None

    def start(
        self, drain: Drain, behind: Behind, closing: Callable[[], Awaitable[None]] | None = None
    ) -> None:
        """Launch, wake what is behind, and go on doing so. Blocks until it runs (about 0.1 s).

        ``closing`` is awaited on the work's loop at the end of ``stop``: to close what drains
        opened there. Raises what DBOS raises where its database can't be opened.
        """
        ready: Future[None] = Future()
        self._drain, self._behind, self._closing = drain, behind, closing
        self._thread = threading.Thread(target=self._serve, args=(ready,), name="work", daemon=True)
        self._thread.start()
        ready.result()

    def stop(self, timeout: float) -> None:
        """Let drains in hand finish for ``timeout`` seconds, cut off the others, and end."""
        if self._loop is None or self._thread is None:
            return
        asyncio.run_coroutine_threadsafe(self._end(timeout), self._loop)
        self._thread.join()
        self._loop = None

    def wake(self, subscriber: str) -> None:
        """See to a subscriber soon; once more if its drain is under way."""
        self._soon(self._wake, subscriber)

    def later(self, subscriber: str, at: datetime) -> None:
        """Wake a subscriber at that time (aware), or before; the earliest asked for counts."""
        self._soon(self._later, subscriber, at)

    def soon(self, call: Callable[[], Awaitable[None]]) -> bool:
        """Run this on the loop; False where it doesn't turn, and it won't be run."""
        return self._soon(self._begin, call)

    # --- on the loop -----------------------------------------------------------------------------

    def _soon(self, call: Callable[..., None], *arguments: Any) -> bool:
        loop = self._loop
        if loop is None or self._stopping:
            return False
        try:
            loop.call_soon_threadsafe(call, *arguments)
        except RuntimeError:
            _log.debug("a wake came after the end")
            return False
        return True

    def _begin(self, call: Callable[[], Awaitable[None]]) -> None:
        task = asyncio.get_running_loop().create_task(
            self._recorded(call, "a call of work failed"), context=Context()
        )
        self._drains.add(task)
        task.add_done_callback(self._drains.discard)

    async def _recorded(self, call: Callable[[], Awaitable[None]], text: str) -> None:
        try:
            await call()
        except Exception as error:  # noqa: BLE001 - recorded; the reconciler finds what it left
            _record(text, error)

    def _serve(self, ready: Future[None]) -> None:
        """The thread: launch DBOS from inside the loop, which it then adopts, and run."""
        from dbos import DBOS

        loop = uvloop.new_event_loop()
        try:
            loop.run_until_complete(self._launch())
            self._loop = loop
            self._reconciler = loop.create_task(self._reconcile())
            ready.set_result(None)
            loop.run_forever()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)
        finally:
            DBOS.destroy(destroy_registry=True)
            loop.close()

    async def _launch(self) -> None:
        from dbos import DBOS

        DBOS(config=_config(self._settings))
        _quiet()

        @DBOS.workflow(name="drain")
        async def drain(*subscribers: str) -> None:
            await self._work(subscribers)

        self._workflow = drain
        DBOS.launch()

    async def _end(self, timeout: float) -> None:
        self._stopping = True
        try:
            await self._settle(timeout)
            if self._closing:
                await self._closing()
        except Exception as error:  # noqa: BLE001 - recorded; the end comes all the same
            _record("work didn't end cleanly", error)
        finally:
            asyncio.get_running_loop().stop()

    async def _settle(self, timeout: float) -> None:
        """Wait for the drains in hand; those cut off stay pending with DBOS and are recovered."""
        for timer in self._timers.values():
            timer.cancel()
        if self._workflows:
            await asyncio.wait(self._workflows, timeout=timeout)
        mine = filter(None, [self._gathering, self._reconciler])
        late = [*self._drains, *self._workflows, *mine]
        for task in late:
            task.cancel()
        await asyncio.gather(*late, return_exceptions=True)

    def _wake(self, subscriber: str) -> None:
        timer = self._timers.pop(subscriber, None)
        if timer:
            timer.cancel()
        if self._stopping:
            return
        if subscriber in self._running:
            self._again.add(subscriber)
            return
        self._woken[subscriber] = None
        if self._gathering is None or self._gathering.done():
            # A fresh context: a wake that comes out of a drain mustn't become that drain's child.
            self._gathering = asyncio.get_running_loop().create_task(
                self._gather(), context=Context()
            )

    async def _gather(self) -> None:
        """Begin workflows as long as somebody is woken: the first at once, others in time."""
        while self._woken and not self._stopping:
            some = list(islice(self._woken, MOST))
            workflow = str(uuid.uuid4())
            for subscriber in some:
                del self._woken[subscriber]
                self._running[subscriber] = workflow
            task = asyncio.get_running_loop().create_task(self._once(workflow, some))
            self._workflows.add(task)
            task.add_done_callback(self._workflows.discard)
            await asyncio.sleep(GATHER)

    def _later(self, subscriber: str, at: datetime) -> None:
        loop = asyncio.get_running_loop()
        due = loop.time() + max(0.0, (at - datetime.now(UTC)).total_seconds())
        known = self._timers.get(subscriber)
        if self._stopping or (known and known.when() <= due):
            return
        if known:
            known.cancel()
        self._timers[subscriber] = loop.call_at(due, self._wake, subscriber)

    async def _once(self, workflow: str, subscribers: Sequence[str]) -> None:
        """One durable workflow. A failure is on record; the reconciler comes back to it."""
        from dbos import DBOS, SetWorkflowID

        self._started.add(workflow)
        try:
            with SetWorkflowID(workflow):
                handle = await DBOS.start_workflow_async(self._workflow, *subscribers)
            await handle.get_result()
        except Exception as error:  # noqa: BLE001 - recorded; work goes on for everybody else
            _record("drains couldn't be run", error)
        finally:
            self._started.discard(workflow)
            for subscriber in subscribers:
                self._ended(subscriber, workflow)

    async def _work(self, subscribers: Sequence[str]) -> None:
        """The workflow. One that DBOS recovered from a crash queues like any other wake."""
        from dbos import DBOS

        workflow = DBOS.workflow_id
        if workflow not in self._started:
            for subscriber in subscribers:
                self._wake(subscriber)
            return
        task = asyncio.current_task()
        assert task is not None
        self._drains.add(task)
        try:
            await asyncio.gather(*(self._keep_draining(each, workflow) for each in subscribers))
        finally:
            self._drains.discard(task)

    async def _keep_draining(self, subscriber: str, workflow: str) -> None:
        """Drain, and again while wakes came meanwhile. It waits for nobody else's."""
        try:
            while True:
                began = asyncio.get_running_loop().time()
                self._again.discard(subscriber)
                await self._recorded(partial(self._drain, subscriber), "a drain failed")
                if self._stopping or subscriber not in self._again:
                    break
                await self._pause(began)
        finally:
            self._ended(subscriber, workflow)

    async def _pause(self, began: float) -> None:
        """Under load wakes come with every commit: one drain takes up many of them."""
        self._pausing += 1
        try:
            pause = max(PAUSE, EACH * self._pausing)
            await asyncio.sleep(began + pause - asyncio.get_running_loop().time())
        finally:
            self._pausing -= 1

    def _ended(self, subscriber: str, workflow: str) -> None:
        """It may be woken anew, unless it is already."""
        if self._running.get(subscriber) == workflow:
            del self._running[subscriber]
            self._again.discard(subscriber)

    async def _reconcile(self) -> None:
        """At start and every ``reconcile_every`` seconds: wake whoever is behind."""
        while True:
            try:
                for subscriber in await asyncio.to_thread(lambda: list(self._behind())):
                    self._wake(subscriber)
                await self._sweep()
            except Exception as error:  # noqa: BLE001 - recorded; the next round tries again
                _record("the reconciler failed", error)
            await asyncio.sleep(self._settings.reconcile_every)

    async def _sweep(self) -> None:
        """Forget drains that ended: their effects are in the hub."""
        from dbos import DBOS

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


def _config(settings: Settings) -> Any:
    """DBOS's configuration: its own file on SQLite, and nothing that calls out."""
    url = settings.work_database
    embedded = url.startswith("sqlite")
    return {
        "name": "care-gateway",
        "system_database_url": url,
        "application_version": VERSION,
        "executor_id": "gateway" if embedded else f"{socket.gethostname()}-{settings.port}",
        "db_engine_kwargs": {"connect_args": {"factory": _Connection}} if embedded else {},
        "enable_otlp": False,
        "max_executor_threads": _THREADS,
        "log_level": "WARNING",
    }


def _quiet() -> None:
    """DBOS's log goes where ours goes."""
    logger = logging.getLogger("dbos")
    logger.handlers.clear()
    logger.propagate = True


def _record(text: str, error: BaseException) -> None:
    """A log line without values: our own errors by stage and place, others by their kind."""
    about = error.log() if isinstance(error, GatewayError) else {"error": type(error).__name__}
    _log.error("%s", text, extra={"about": about})
