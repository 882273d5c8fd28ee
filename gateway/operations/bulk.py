"""Bulk jobs run: a step at a time beside the event loop, until they end or are deleted."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator, Mapping

from gateway.errors import GatewayError, Unavailable
from gateway.operations.jobs import PREFIX, Job, Jobs, Kind

Run = Callable[[Job], Iterator[None]]
"""Does a job in steps, none of which takes long; the last ends the job."""


class Bulk:
    """Runs jobs for background work (``work.Work``), which wakes them again after a crash."""

    def __init__(self, jobs: Jobs, runs: Mapping[Kind, Run]) -> None:
        self._jobs = jobs
        self._runs = runs

    async def drain(self, key: str) -> None:
        """Run the job of that key to its end. One that isn't there or is over is nothing to do."""
        job = self._jobs.find(key.removeprefix(PREFIX))
        if job is None or job.status != "accepted":
            return
        steps = self._runs[job.kind](job)
        try:
            while await asyncio.to_thread(_step, steps):
                pass
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


def _step(steps: Iterator[None]) -> bool:
    """One step; False after the last."""
    try:
        next(steps)
    except StopIteration:
        return False
    return True
