"""Copies of a person in the files of bulk jobs: their lines are taken out, their counts follow."""

from __future__ import annotations

import os
import re
from dataclasses import replace
from pathlib import Path

from gateway.operations.jobs import File, Job, Jobs
from gateway.operations.person import Person
from gateway.store.disk import sync_path


def forget(jobs: Jobs, person: Person) -> bool:
    """Take the person's lines out; False where a job is still running that has some, or brings
    what its agency sent, the person perhaps among it."""
    pattern = _pattern(person)
    over = True
    for job in jobs:
        folder = jobs.folder(job.id)
        held = [path for path in _files(folder) if _holds(path, pattern)]
        brings = job.kind != "export" and job.agency in person.agencies
        if job.status == "accepted" and (held or brings):
            over = False
        elif held:
            _rewrite(jobs, job, held, pattern)
    return over


def _pattern(person: Person) -> re.Pattern[bytes]:
    """A line that is one of the Patients, or refers to one."""
    ids = [re.escape(each.partition("/")[2]) for each in person.patients]
    named = "|".join(ids).encode()
    itself = rb'^(?=.*"resourceType"\s*:\s*"Patient").*"id"\s*:\s*"(?:%s)"' % named
    return re.compile(rb"Patient/(?:%s)(?![A-Za-z0-9\-.])|%s" % (named, itself))


def _files(folder: Path) -> list[Path]:
    try:
        return [each for each in folder.iterdir() if each.name not in ("job.json", "lock")]
    except FileNotFoundError:  # deleted meanwhile
        return []


def _holds(path: Path, pattern: re.Pattern[bytes]) -> bool:
    try:
        with path.open("rb") as lines:
            return any(pattern.search(line) for line in lines)
    except FileNotFoundError:
        return False


def _rewrite(jobs: Jobs, job: Job, held: list[Path], pattern: re.Pattern[bytes]) -> None:
    counts = {}
    for path in held:
        part = path.with_name(f"{path.name}.part")
        with path.open("rb") as lines, part.open("wb") as left:
            kept = [left.write(line) for line in lines if not pattern.search(line)]
            left.flush()
            os.fsync(left.fileno())
        part.replace(path)
        sync_path(path.parent)
        counts[path.name] = len(kept)

    def counted(one: File) -> File:
        return replace(one, count=counts.get(one.name, one.count))

    files, errors = tuple(map(counted, job.files)), tuple(map(counted, job.errors))
    jobs.save(replace(job, files=files, errors=errors))
