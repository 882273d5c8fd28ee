"""``$export``: what the caller may see, as NDJSON files (Bulk Data Access IG 2.0).

A job goes through its types one by one, page by page, and appends each page to the type's file:
memory stays flat, and a type that a crash cut off is written anew. Rights are those of each page's
moment: what a revoked consent or grant took away meanwhile isn't in the files.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO, Final
from urllib.parse import parse_qsl

from gateway.errors import InvalidSearch
from gateway.fhir import json
from gateway.fhir.compartments import compartment
from gateway.fhir.elements import resource_types
from gateway.fhir.query import Compartment, Query
from gateway.fhir.rows import ReferenceRow
from gateway.fhir.search import awaited, parse_query
from gateway.fhir.search_parameters import extract
from gateway.model import Context, Stored
from gateway.operations.everything import TASKS, Note
from gateway.operations.jobs import File, Job, Jobs
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub

PAGE: Final = 500
LINES: Final = 100_000
"""The most resources of one file."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What to export. ``group`` and ``patients`` narrow it to these compartments."""

    types: tuple[str, ...] = ()
    since: str = ""
    filters: tuple[str, ...] = ()
    patients: bool = False
    group: str = ""


class Exporting:
    """Starts and runs exports."""

    def __init__(self, hub: Hub, jobs: Jobs, note: Note) -> None:
        self._hub = hub
        self._jobs = jobs
        self._note = note

    def start(self, context: Context, asked: Asked, request: str) -> Job:
        """A job for what is asked. Raises Denied, NotFound, InvalidSearch, TooMany."""
        types = _types(context, asked)
        filters = _filters(asked, types)
        for type in types:
            _query(type, asked, filters.get(type, ""))
        patients = self._members(context, asked.group) if asked.group else []
        told = {
            "types": types,
            "since": asked.since,
            "filters": filters,
            "patients": patients,
            "grouped": bool(asked.group),
        }
        return self._jobs.start(context, "export", request, told, {})

    def run(self, job: Job) -> Iterator[None]:
        """Do a job, a page at a time: each step may be done anywhere. It ends with the job."""
        folder = self._jobs.folder(job.id)
        left = [type for type in job.asked["types"] if type not in job.done]
        for type in left:
            writer = Writer(folder, type)
            try:
                for page in self._pages(job, type):
                    if not folder.is_dir():
                        return
                    writer.write(page)
                    yield
                files = writer.close()
            finally:
                writer.abandon()
            share = f"{len(job.done) + 1} of {len(job.asked['types'])} types"
            job = replace(job, done=(*job.done, type), files=(*job.files, *files), progress=share)
            self._jobs.save(job)
        self._jobs.end(job, "completed")

    def _pages(self, job: Job, type: str) -> Iterator[list[Stored]]:
        asked = Asked(since=job.asked["since"])
        query = _query(type, asked, job.asked["filters"].get(type, ""))
        for late in awaited(query):  # what the filter looks into; a job has the time
            self._hub.catch_up(late, most=2**62)
        if not job.asked["grouped"]:
            yield from self._searched(job.context, query)
            return
        patients: list[str] = job.asked["patients"]
        params = _params(type)
        for index, id in enumerate(patients):
            inside = Compartment("Patient", id, params, itself=type == "Patient")
            narrowed = replace(query, criteria=(*query.criteria, inside))
            before = set(patients[:index])
            for page in self._searched(job.context, narrowed):
                yield [one for one in page if not before or not _of(one, before, params)]

    def _searched(self, context: Context, query: Query) -> Iterator[list[Stored]]:
        while True:
            with self._hub.read() as reader:
                page = reader.search(context, query)
            found = [shown(context, one) for one in page.entries]
            self._note(context, "export", found)
            yield found
            if page.next is None:
                return
            query = replace(query, cursor=page.next)

    def _members(self, context: Context, id: str) -> list[str]:
        """The patients of a Group that the caller sees."""
        scopes.require(context, "Group", "r")
        with self._hub.read() as reader:
            group = json.loads(reader.read(context, "Group", id).body)
            named = [
                str(member.get("entity", {}).get("reference", ""))
                for member in group.get("member", ())
                if not member.get("inactive")
            ]
            refs = [ref for ref in dict.fromkeys(named) if ref.startswith("Patient/")]
            hidden = set(reader.missing(context, refs))
        return [ref.partition("/")[2] for ref in refs if ref not in hidden]


def _types(context: Context, asked: Asked) -> list[str]:
    """The types to go through. Raises InvalidSearch, Denied."""
    about = {*compartment("Patient"), "Patient", "Task"}
    there = about if asked.patients or asked.group else set(resource_types())
    for type in asked.types:
        if type not in there:
            raise InvalidSearch("not a type of this export", place="_type", code="value")
        scopes.require(context, type, "r")
    found = asked.types or [one for one in there if scopes.allows(context.scopes, one, "r")]
    if not found:
        scopes.require(context, scopes.ANY, "r")
    return sorted(set(found))


def _filters(asked: Asked, types: list[str]) -> dict[str, str]:
    found: dict[str, str] = {}
    for text in asked.filters:
        type, _, query = text.partition("?")
        if type not in types:
            raise InvalidSearch("a filter is Type?query of an exported type", place="_typeFilter")
        if type in found:
            raise InvalidSearch("one filter a type is taken", place="_typeFilter")
        found[type] = query
    return found


def _query(type: str, asked: Asked, filter: str) -> Query:
    pairs = parse_qsl(filter, keep_blank_values=True)
    if any(name.startswith(("_count", "_cursor", "_include", "_rev")) for name, _ in pairs):
        raise InvalidSearch("a filter only chooses", place="_typeFilter")
    pairs += [("_lastUpdated", f"ge{asked.since}")] if asked.since else []
    return parse_query(type, [*pairs, ("_count", str(PAGE)), ("_total", "none")])


def _params(type: str) -> tuple[tuple[str, str], ...]:
    if type == "Task":
        return TASKS
    return tuple((type, code) for code in compartment("Patient").get(type, ()))


def _of(one: Stored, patients: set[str], params: tuple[tuple[str, str], ...]) -> bool:
    """Whether a resource is about one of these patients."""
    codes = frozenset(code for _, code in params)
    rows = extract(json.loads(one.body), codes) if codes else []
    return any(isinstance(row, ReferenceRow) and row.id in patients for row in rows)


class Writer:
    """The files of one type, which count once they are closed."""

    def __init__(self, folder: Path, type: str) -> None:
        self._folder = folder
        self._type = type
        self._files: list[File] = []
        self._open: BinaryIO | None = None
        self._count = 0

    def write(self, resources: list[Stored]) -> None:
        """Append resources, a line each."""
        for one in resources:
            if self._open is None:
                self._open = (self._folder / self._name()).open("wb")
            # JSON has line ends only between its parts, and none inside a string.
            self._open.write(one.body.replace(b"\n", b" ") + b"\n")
            self._count += 1
            if self._count == LINES:
                self._next()

    def close(self) -> list[File]:
        """Everything is on disk: the files."""
        if self._open is not None:
            self._next()
        return self._files

    def abandon(self) -> None:
        """Let go of what is open."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def _next(self) -> None:
        if self._open is not None:
            self._open.flush()
            os.fsync(self._open.fileno())
            self._files.append(File(self._type, self._name(), self._count))
            self.abandon()
            self._count = 0

    def _name(self) -> str:
        return f"{self._type}-{len(self._files) + 1}.ndjson"
