"""What a row means, worked out beside the writer: in this process, or in others where it pays."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import structlog

from gateway.beside import Child, Source, library_of
from gateway.chain import at_hand
from gateway.errors import GatewayError, Internal, Issue
from gateway.fhir import gates
from gateway.model import Entry, Given, Reference, ValidResource
from gateway.store import Prepared, packed, prepare, unpacked
from gateway.translate import Library, Rows

log = structlog.get_logger()

Question = tuple[str, Given]
"""A record's map, by name, and the record."""


@dataclass(frozen=True, slots=True)
class Meaning:
    """What a row means: its entries, each ready to be written, and what must be there for them.

    ``issues`` are warnings, or, with a ``stage``, why nothing can be made of it.
    """

    entries: tuple[tuple[Entry, Prepared], ...] = ()
    refers: tuple[tuple[Reference, str], ...] = ()
    issues: tuple[Issue, ...] = ()
    said: datetime | None = None
    stage: str = ""


def meant(rows: Rows, question: Question) -> Meaning:
    """Translate a record and make all of it ready. Pure, and never raises."""
    name, given = question
    plan = next(file.plan for file in rows.feed.files if file.plan and file.plan.name == name)
    try:
        made = rows.translate(plan, given, judged=True)
        ready = [(entry, _ready(entry)) for entry in made.entries]
    except GatewayError as error:
        return Meaning(issues=error.issues, stage=error.stage)
    except Exception as fault:  # noqa: BLE001 - on record: the row is set aside, its sender told
        return _fault(fault)
    return Meaning(tuple(ready), made.refers, made.warnings, made.said)


def _fault(fault: Exception) -> Meaning:
    """A fault of ours, logged by its kind alone: what it says may hold values."""
    log.error("loading.fault", error=type(fault).__name__)
    return Meaning(issues=Internal(fault).issues, stage="translate")


def _ready(entry: Entry) -> Prepared:
    gates.check(entry.resource, models=False)
    ready = prepare(ValidResource(entry.resource))
    ready.rows  # noqa: B018 - so that they are made here
    return ready


class Meanings:
    """Answers what rows mean. ``processes`` of 0 does it all in this one."""

    def __init__(self, rows: Rows, source: Source, folders: Sequence[Path], processes: int) -> None:
        self._rows = rows
        self._source = source
        fingerprint = ""  # each question names the version of the maps that it is for
        self._children = [
            Child(_answer, _unpacked, tuple(folders), fingerprint) for _ in range(processes)
        ]
        self._turns = cycle(self._children)

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.stop()

    def __call__(self, questions: Sequence[Question]) -> Future[list[Meaning]]:
        """What some records mean, in their order."""
        if not self._children or not questions:
            return at_hand(self._here(questions))
        last: Future[list[Meaning]] = Future()
        asked = next(self._turns).ask((self._source, self._rows.feed.name, tuple(questions)))
        asked.add_done_callback(lambda done: self._told(done, questions, last))
        return last

    def _told(
        self,
        asked: Future[list[Meaning]],
        questions: Sequence[Question],
        last: Future[list[Meaning]],
    ) -> None:
        """What the other process says; where it has other maps, or died, it is done here."""
        try:
            last.set_result(self._here(questions) if asked.exception() else asked.result())
        except BaseException as fault:  # noqa: BLE001 - handed on to who waits
            last.set_exception(fault)

    def _here(self, questions: Sequence[Question]) -> list[Meaning]:
        return [meant(self._rows, each) for each in questions]


# --- on the way -----------------------------------------------------------------------------------


def _packed(found: Sequence[Meaning]) -> bytes:
    """As ``marshal`` carries it, which takes a fraction of the time of ``pickle``."""
    return marshal.dumps([_plain(each) for each in found], 2)


def _plain(one: Meaning) -> tuple[Any, ...]:
    entries = [
        (packed(ready), list(entry.removes), list(entry.keep), entry.known)
        for entry, ready in one.entries
    ]
    issues = [(i.text, i.place, i.code, i.condition, i.severity) for i in one.issues]
    said = one.said.isoformat() if one.said is not None else ""
    return entries, one.refers, issues, said, one.stage


def _unpacked(raw: bytes) -> list[Meaning]:
    return [_whole(*each) for each in marshal.loads(raw)]


def _whole(
    entries: Sequence[Any],
    refers: Sequence[tuple[Reference, str]],
    issues: Sequence[Any],
    said: str,
    stage: str,
) -> Meaning:
    made = []
    for parts, removes, keep, known in entries:
        ready = unpacked(parts)
        made.append((Entry(ready.resource, frozenset(removes), frozenset(keep), known), ready))
    when = datetime.fromisoformat(said) if said else None
    return Meaning(tuple(made), tuple(refers), tuple(Issue(*each) for each in issues), when, stage)


# --- in the other process -------------------------------------------------------------------------

_known: dict[tuple[Source, str], Rows] = {}


def _answer(shipped: Library, question: tuple[Source, str, Sequence[Question]]) -> bytes:
    source, feed, questions = question
    rows = _rows(shipped, source, feed)
    return _packed([meant(rows, each) for each in questions])


def _rows(shipped: Library, source: Source, feed: str) -> Rows:
    known = _known.get((source, feed))
    if known is None:
        library = library_of(shipped, source)
        known = _known[source, feed] = Rows(library, library.agencies[source[0]], feed)
    return known
