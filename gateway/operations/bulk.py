"""Bulk jobs run: a step at a time beside the event loop, until they end or are deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from gateway.errors import GatewayError, Unavailable, on_disk
from gateway.operations.jobs import PREFIX, Job, Jobs, Kind

Run = Callable[[Job], Iterator[float | None]]
"""Does a job in steps, none of which takes long; the last ends the job. A step may say for how many
seconds there is nothing to do."""


class Bulk:
    """Runs jobs for background work (``work.Work``), which wakes them again after a crash."""

    def __init__(self, jobs: Jobs, runs: Mapping[Kind, Run]) -> None:
        self._jobs = jobs
        self._runs = dict(runs)

    def serve(self, kind: Kind, run: Run) -> None:
        """Run jobs of a kind more."""
        self._runs[kind] = run

    async def drain(self, key: str) -> None:
        """Run the job of that key to its end. One that isn't there or is over is nothing to do, nor
        is one that another process has in hand."""
        mine = self._jobs.lock(key.removeprefix(PREFIX))
        if mine is not None:
            with mine:
                await self._run(key)

    async def _run(self, key: str) -> None:
        job = self._jobs.find(key.removeprefix(PREFIX))
        if job is None or job.status != "accepted":
            return
        steps = self._runs[job.kind](job)
        try:
            while (rest := await asyncio.to_thread(_step, steps)) is not None:
                await asyncio.sleep(rest)
        except Unavailable:
            raise
        except GatewayError as error:
            self._fail(job.id, str(error))
        except Exception as error:
            if self._jobs.find(job.id) is None:
                return  # deleted under our hands
            self._fail(job.id, f"an internal error: {type(error).__name__}")
            raise

    def _fail(self, id: str, reason: str) -> None:
        job = self._jobs.find(id)
        if job is not None:
            self._jobs.end(job, "failed", reason)


def _step(steps: Iterator[float | None]) -> float | None:
    """One step, and for how long there is nothing to do; None after the last."""
    try:
        with on_disk():
            return next(steps) or 0
    except StopIteration:
        return None
