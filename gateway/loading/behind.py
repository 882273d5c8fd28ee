"""Loads that run behind their answer (``Prefer: respond-async``): bulk jobs, files and all.

A load that a stop or a crash cuts off is begun again by the next start, from the files that came:
what went in before is known by then, so that its rows are told of as unchanged. Whoever deletes the
job ends the load at its next batch; what went in stays.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import astuple, replace
from typing import Final

from gateway.errors import Cut, GatewayError, Unavailable
from gateway.loading import Loading, Watch
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.operations.jobs import Job, Jobs
from gateway.rows import Came

LOOK: Final = 0.2
"""Seconds between two looks at how far a load is."""


class Behind:
    """Starts and runs them."""

    def __init__(self, loading: Loading, jobs: Jobs) -> None:
        self._loading = loading
        self._jobs = jobs
        self._stopping = threading.Event()

    def stop(self) -> None:
        """Cut off what is under way; the next start begins it again."""
        self._stopping.set()

    def start(self, context: Context, feed: str, files: Sequence[Came], request: str) -> Job:
        """A job over files, which become its own. Raises TooMany."""
        asked = {"feed": feed, "files": [each.name for each in files]}
        inputs = {_input(number): each.path for number, each in enumerate(files)}
        return self._jobs.start(context, "load", request, asked, inputs)

    def run(self, job: Job) -> Iterator[float]:
        """Do a job; each step says for how long nothing need be done. It ends with the job."""
        folder, rows, ended = self._jobs.folder(job.id), Counter[str](), threading.Event()

        def progress(file: str, count: int) -> None:
            rows[file] += count

        if self._stopping.is_set():
            return
        watch = Watch(progress, lambda: not (ended.is_set() or self._stopping.is_set()))
        try:
            load = self._begun(job, watch)
            while not load.done():
                if not folder.is_dir():
                    return
                job = self._told(job, rows)
                yield LOOK
            self._over(job, load)
        finally:
            ended.set()

    def _begun(self, job: Job, watch: Watch) -> Future[Tally]:
        folder, spool = self._jobs.folder(job.id), self._loading.spool()
        names = enumerate(job.asked["files"])
        files = [Came(name, folder / _input(number)) for number, name in names]
        feed = job.asked["feed"]
        return self._loading.start(
            job.context, feed, files, channel="http", spool=spool, watch=watch
        )

    def _told(self, job: Job, rows: Counter[str]) -> Job:
        total = sum(rows.values())
        file = next(reversed(rows), "")
        progress = f"{total} rows, {file}" if total else ""
        if progress != job.progress:
            job = replace(job, progress=progress)
            self._jobs.save(job)
        return job

    def _over(self, job: Job, load: Future[Tally]) -> None:
        """Keep what the load came to, and let go of its files."""
        try:
            tally = load.result()
        except Cut:  # by a stop
            return
        except Unavailable:  # it is begun again
            raise
        except GatewayError as error:
            told = {"status": error.status, "issues": [astuple(one) for one in error.issues]}
            self._jobs.end(replace(job, asked={**job.asked, **told}), "failed", str(error))
        else:
            asked = {**job.asked, "took": tally.took, "summary": tally.summary()}
            self._jobs.end(replace(job, asked=asked), "completed")
        for number, _ in enumerate(job.asked["files"]):
            (self._jobs.folder(job.id) / _input(number)).unlink(missing_ok=True)


def _input(number: int) -> str:
    return f"input-{number}"
