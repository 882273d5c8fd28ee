"""Background work on DBOS: one durable drain at a time for each subscriber.

The hub's tables are the truth of what is due. This module only sees to it that somebody looks:
after a commit (``wake``), when a retry falls due (``later``), at start, and every few seconds for
whatever a crash left unwoken (the reconciler). ``durable`` alone knows DBOS.

Where processes share a hub, the workflows of one that died are resumed by those that live; whose
turn it is to drain a subscriber the hub says (``outgoing.leases``). A process whose background work
is others' runs what only it can do without DBOS: a socket that it holds dies with it.

All of it runs on one event loop in a thread of its own, so that a slow receiver costs a suspended
coroutine and nobody's turn. DBOS remembers each drain, not each message: a drain is idempotent,
and one that a crash cut off is woken again at the next start. Whoever is woken at about the same
time is drained in one workflow, each for itself: a workflow costs as much as several deliveries.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import uuid
from collections.abc import Awaitable, Callable, Collection, Iterable, Sequence
from concurrent.futures import Future
from contextvars import Context
from datetime import UTC, datetime
from functools import partial
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

import uvloop

from gateway import logs, meters
from gateway.settings import Settings

if TYPE_CHECKING:
    from gateway.work.durable import Durable

Drain = Callable[[str], Awaitable[None]]
"""One pass over a subscriber's events and due deliveries. A coroutine function: it may await
sockets as long as it likes, and must take blocking calls (the hub) to a thread."""

Behind = Callable[[], Iterable[str]]
"""The ids of the subscribers with work undone; blocking, called in a thread."""

PAUSE: Final = 0.05
"""Seconds from the beginning of a drain to the next of a subscriber that is woken meanwhile."""

EACH: Final = 0.0005
"""Seconds that the pause is long for each who pauses, if that is more: looking at a thousand
subscribers over and over would leave nothing for whoever writes what they are told of."""

GATHER: Final = 0.02
"""Seconds between the beginnings of two workflows: who is woken meanwhile goes with the next."""

MOST: Final = 500
"""How many subscribers one workflow drains."""

_log = logging.getLogger(__name__)


class Work:
    """Starts and stops background work; every public method may be called from any thread.

    ``later`` and ``wake`` before ``start`` or after ``stop`` do nothing: the reconciler of the
    next start finds what they were about.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        executor: str = "",
        living: Callable[[], Collection[str]] | None = None,
        durable: bool = True,
    ) -> None:
        """``executor`` is this process's name among the ``living``, who share its database.

        Not ``durable``: without DBOS; what a crash cuts off nobody takes up.
        """
        self._settings = settings
        self._executor = executor
        self._living = living
        self._is_durable = durable
        self._durable: Durable | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._stopping = False
        self._woken: dict[str, None] = {}
        self._running: dict[str, str] = {}
        self._again: set[str] = set()
        self._pausing = 0
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._look = asyncio.Event()
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

    def look(self) -> None:
        """Look now who is behind: somebody died, or a word was missed."""
        self._soon(self._look.set)

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
        loop = uvloop.new_event_loop()
        try:
            if self._is_durable:
                self._durable = self._made()
                loop.run_until_complete(self._durable.launch())
            self._loop = loop
            self._reconciler = loop.create_task(self._reconcile())
            ready.set_result(None)
            loop.run_forever()
        except BaseException as error:
            if ready.done():
                raise
            ready.set_exception(error)
        finally:
            if self._durable is not None:
                self._durable.land()
            loop.close()

    def _made(self) -> Durable:
        from gateway.work.durable import Durable  # DBOS takes a while to import

        return Durable(self._settings, self._executor, self._living, self._work, self._wake)

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
        """One workflow. A failure is on record; the reconciler comes back to it."""
        try:
            await (self._durable or self._work)(workflow, subscribers)
        except Exception as error:  # noqa: BLE001 - recorded; work goes on for everybody else
            _record("drains couldn't be run", error)
        finally:
            for subscriber in subscribers:
                self._ended(subscriber, workflow)

    async def _work(self, workflow: str, subscribers: Sequence[str]) -> None:
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
        """At start, every ``reconcile_every`` seconds and when told: wake whoever is behind."""
        while True:
            self._look.clear()
            try:
                for subscriber in await asyncio.to_thread(lambda: list(self._behind())):
                    self._wake(subscriber)
                if self._durable is not None:
                    await self._durable.adopt()
                    await self._durable.sweep()
            except Exception as error:  # noqa: BLE001 - recorded; the next round tries again
                _record("the reconciler failed", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._look.wait(), self._settings.reconcile_every)


def _record(text: str, error: BaseException) -> None:
    """A log line without values: our own errors by stage and place, others by kind and place."""
    meters.WORK_FAILURES.inc()
    _log.error(text, extra={"about": logs.about(error)})
