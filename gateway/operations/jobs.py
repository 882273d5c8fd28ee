"""Bulk jobs: their state and files in a folder each, which outlives the process.

A job is a folder ``bulk/<id>`` under the data folder, with ``job.json`` (replaced at once, synced)
and the files that it makes. Whoever finds a job undone and gets its lock may run it: what it wrote
is either named in ``job.json`` or written anew. Where several processes serve one database, they
share the folder; the lock of one that died is free at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, fields, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final, Literal
from uuid import uuid4

import structlog

from gateway.errors import GatewayError, NotFound
from gateway.model import Context
from gateway.sole import Sole, sole
from gateway.store.disk import sync_path

Kind = Literal["export", "import", "load"]
Status = Literal["accepted", "completed", "failed"]

PREFIX: Final = "bulk:"
"""What a job's key begins with, where background work tells it from a subscriber's."""

MOST: Final = 10
"""How many jobs an agency may have, done ones that are kept among them."""

log = structlog.get_logger()

_ID: Final = re.compile(r"[0-9a-f]{32}")
_FILE: Final = re.compile(r"[A-Za-z]+-[0-9]+\.ndjson")


class TooMany(GatewayError):
    """An agency has more jobs than it may: 429, with what to do."""

    stage = "store"
    code = "throttled"
    status = 429


@dataclass(frozen=True, slots=True)
class File:
    """A file that a job made: of which type, its name, how many lines."""

    type: str
    name: str
    count: int


@dataclass(frozen=True, slots=True)
class Job:
    """A job and how far it is. ``asked`` are its parameters, ``request`` the URL of its kick-off.

    ``at`` is when it was asked for, ``done`` what parts of it are finished, ``reason`` why it
    failed; ``files`` what came out of it, ``errors`` what it has to say of what went wrong.
    """

    id: str
    kind: Kind
    agency: str
    client: str
    scopes: tuple[str, ...]
    admin: bool
    request: str
    at: str
    asked: dict[str, Any]
    status: Status = "accepted"
    done: tuple[str, ...] = ()
    files: tuple[File, ...] = ()
    errors: tuple[File, ...] = ()
    progress: str = ""
    reason: str = ""
    ended: str = ""

    @property
    def started(self) -> datetime:
        """When it was asked for."""
        return datetime.fromisoformat(self.at)

    @property
    def counts(self) -> bool:
        """Whether it is one of the few that an agency may have: what a load leaves is no burden."""
        return self.kind != "load" or not self.ended

    @property
    def context(self) -> Context:
        """Who asked, with the rights that they asked by."""
        return Context(self.agency, self.client, frozenset(self.scopes), admin=self.admin)


_FIELDS: Final = tuple(each.name for each in fields(Job))


class Jobs:
    """The jobs of a data folder."""

    def __init__(self, folder: Path, keep: float, wake: Callable[[str], None]) -> None:
        self._folder = folder
        self._wake = wake
        self._keep = timedelta(seconds=keep)

    def start(
        self,
        context: Context,
        kind: Kind,
        request: str,
        asked: dict[str, Any],
        inputs: Mapping[str, Path],
    ) -> Job:
        """A new job, on disk; ``inputs`` are files that become its own, by name. Raises TooMany."""
        caller = context.agency, context.admin
        mine = [one for one in self if (one.agency, one.admin) == caller and one.counts]
        if len(mine) >= MOST:
            raise TooMany(f"{MOST} jobs are kept already: delete one", place="job")
        scopes = tuple(sorted(context.scopes))
        now = datetime.now(UTC).isoformat()
        id = uuid4().hex
        job = Job(
            id, kind, context.agency, context.client, scopes, context.admin, request, now, asked
        )
        folder = self.folder(id)
        folder.mkdir(parents=True)
        for name, path in inputs.items():
            path.replace(folder / name)
            sync_path(folder / name)
        self.save(job)
        for above in (folder.parent, self._folder):
            sync_path(above)
        self._wake(PREFIX + id)
        return job

    def incoming(self) -> Path:
        """A new place for the body of a job to be; what is left there by a crash is swept."""
        (self._folder / "bulk").mkdir(parents=True, exist_ok=True)
        return self._folder / "bulk" / f"incoming-{uuid4().hex}"

    def get(self, context: Context, id: str, kind: Kind) -> Job:
        """A job of the caller's. Raises NotFound."""
        job = self.find(id)
        if job is None or job.kind != kind:
            raise NotFound("no such job", place="job")
        if (job.agency, job.admin) != (context.agency, context.admin):
            raise NotFound("no such job", place="job")
        return job

    def file(self, job: Job, name: str) -> Path:
        """A file that a job made. Raises NotFound."""
        names = {one.name for one in (*job.files, *job.errors)}
        if not _FILE.fullmatch(name) or name not in names:
            raise NotFound("no such file", place="job")
        return self.folder(job.id) / name

    def find(self, id: str) -> Job | None:
        """A job by its id; None where there is none (any more), or nobody can tell what it is."""
        if not _ID.fullmatch(id):
            return None
        try:
            return _read((self.folder(id) / "job.json").read_bytes())
        except FileNotFoundError:
            return None
        except (OSError, ValueError, TypeError, KeyError) as fault:  # others' jobs go on
            log.warning("job.unreadable", job=id, error=type(fault).__name__)
            return None

    def lock(self, id: str) -> Sole | None:
        """The right to run a job; None where somebody has it, or there is no such job."""
        if not _ID.fullmatch(id):
            return None
        try:
            return sole(self.folder(id) / "lock")
        except FileNotFoundError:
            return None

    def save(self, job: Job) -> None:
        """Keep a job's state. What was deleted meanwhile stays deleted."""
        folder = self.folder(job.id)
        part = folder / "job.part"
        with contextlib.suppress(FileNotFoundError):
            with part.open("wb") as file:
                file.write(json.dumps(asdict(job)).encode())
                file.flush()
                os.fsync(file.fileno())
            part.replace(folder / "job.json")
            sync_path(folder)

    def end(self, job: Job, status: Status, reason: str = "") -> Job:
        """A job is over."""
        over = replace(job, status=status, reason=reason, ended=datetime.now(UTC).isoformat())
        self.save(over)
        return over

    def delete(self, job: Job) -> None:
        """Cancel a job, or forget a done one: its folder goes, and who runs it stops."""
        shutil.rmtree(self.folder(job.id), ignore_errors=True)

    def undone(self) -> list[str]:
        """The keys of the jobs to run. Those that were kept long enough are deleted."""
        now = datetime.now(UTC)
        for path in (self._folder / "bulk").glob("incoming-*"):
            with contextlib.suppress(FileNotFoundError):  # another process was first
                if datetime.fromtimestamp(path.stat().st_mtime, UTC) + self._keep < now:
                    path.unlink()
        keys = []
        for job in self:
            if job.status == "accepted":
                keys.append(PREFIX + job.id)
            elif job.ended and datetime.fromisoformat(job.ended) + self._keep < now:
                self.delete(job)
        return keys

    def expires(self, job: Job) -> datetime | None:
        """When a job's files go."""
        return datetime.fromisoformat(job.ended) + self._keep if job.ended else None

    def folder(self, id: str) -> Path:
        """Where a job's files stand."""
        return self._folder / "bulk" / id

    def __iter__(self) -> Iterator[Job]:
        for path in (self._folder / "bulk").glob("*/job.json"):
            job = self.find(path.parent.name)
            if job is not None:
                yield job


def _read(raw: bytes) -> Job:
    """A job as it was saved, by this release or a newer one, of which only what is known counts.

    Raises ValueError, TypeError, KeyError: it is no job.
    """
    said = json.loads(raw)
    known = {name: said[name] for name in _FIELDS if name in said}
    for name in ("files", "errors"):
        known[name] = tuple(File(one["type"], one["name"], one["count"]) for one in said[name])
    return Job(**{**known, "scopes": tuple(said["scopes"]), "done": tuple(said["done"])})
