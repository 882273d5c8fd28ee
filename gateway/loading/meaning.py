"""What a row means, worked out beside the writer: in this process, or in others where it pays."""

from __future__ import annotations

import gc
import marshal
import multiprocessing
import signal
from collections.abc import Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Final

import structlog

from gateway.chain import at_hand
from gateway.errors import GatewayError, Internal, Issue, TranslateError
from gateway.fhir import gates
from gateway.model import Entry, Given, Reference, ValidResource
from gateway.store import Prepared, packed, prepare, unpacked
from gateway.translate import Library, Rows, load

log = structlog.get_logger()

Source = tuple[str, str, int, str]
"""An agency as another process needs it: id, folder ("" for the searched ones), when added, and
the version of its maps."""

Question = tuple[str, Given]
"""A record's map, by name, and the record."""

LITTER: Final = 50_000


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
        self._pool = (
            ProcessPoolExecutor(
                processes, multiprocessing.get_context("spawn"), _begin, (tuple(folders),)
            )
            if processes
            else None
        )

    def close(self) -> None:
        """End the processes."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)

    def __call__(self, questions: Sequence[Question]) -> Future[list[Meaning]]:
        """What some records mean, in their order."""
        if self._pool is None or not questions:
            return at_hand(self._here(questions))
        last: Future[list[Meaning]] = Future()
        asked = self._pool.submit(_answer, self._source, self._rows.feed.name, tuple(questions))
        asked.add_done_callback(lambda done: self._told(done, questions, last))
        return last

    def _told(
        self, done: Future[bytes | None], questions: Sequence[Question], last: Future[list[Meaning]]
    ) -> None:
        """What the other process says; where it has other maps, or died, it is done here."""
        raw = None if done.cancelled() or done.exception() is not None else done.result()
        try:
            last.set_result(self._here(questions) if raw is None else _unpacked(raw))
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

_shipped: Library
_known: dict[tuple[Source, str], Rows] = {}


def _begin(folders: tuple[Path, ...]) -> None:
    global _shipped
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the parent's to answer
    gc.disable()
    _shipped = load(folders)
    gc.freeze()
    gc.set_threshold(LITTER, 20, 100)
    gc.enable()


def _answer(source: Source, feed: str, questions: Sequence[Question]) -> bytes | None:
    """None where this process has other maps than the one that asks."""
    rows = _rows(source, feed)
    return None if rows is None else _packed([meant(rows, each) for each in questions])


def _rows(source: Source, feed: str) -> Rows | None:
    known = _known.get((source, feed))
    if known is not None:
        return known
    id_, folder, _, version = source
    plain = not folder and id_ in _shipped.agencies
    library = _shipped if plain else _shipped.with_agency(id_, Path(folder) if folder else None)
    if library.map_version(id_) != version:
        return None
    try:
        rows = Rows(library, library.agencies[id_], feed)
    except TranslateError:
        return None
    _known[source, feed] = rows
    return rows
