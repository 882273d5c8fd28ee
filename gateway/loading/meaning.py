"""What a row means, worked out beside the writer: in this process, or in others where it pays."""

from __future__ import annotations

import marshal
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path
from typing import Any

import structlog

from gateway.beside import LITTERS, Child, Source, library_of
from gateway.chain import at_hand
from gateway.errors import GatewayError, Internal, Issue, Lack, TranslateError
from gateway.logs import about
from gateway.model import Reference
from gateway.record import Found, Given
from gateway.store import Ready, readied, ready
from gateway.translate import Library, RecordPlan, Rows
from gateway.translate.run import Scope

log = structlog.get_logger()

Question = tuple[str, Given]
"""A record's map, by name, and the record."""


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class Meaning:
    """What a row means: its entries, each ready to be written, and what must be there for them.

    ``issues`` are warnings, or, with a ``stage``, why nothing can be made of it; ``lacks`` the
    codes that somebody is to be asked about, either way.
    """

    entries: tuple[Ready, ...] = ()
    refers: tuple[tuple[Reference, str], ...] = ()
    issues: tuple[Issue, ...] = ()
    stage: str = ""
    lacks: tuple[Lack, ...] = ()


def meant(rows: Rows, questions: Sequence[Question]) -> list[Meaning]:
    """Translate records and make all of each ready. Pure, and never raises."""
    plans = {file.plan.name: file.plan for file in rows.feed.files if file.plan is not None}
    return [meaning(rows, plans[name], plans[name].scope(given)) for name, given in questions]


def meaning(rows: Rows, plan: RecordPlan, scope: Scope) -> Meaning:
    """The same of one record, as paths see it, which it can be but once."""
    try:
        made = rows.make(plan, scope)
        entries = tuple([readied(entry, ready(entry.resource)) for entry in made.entries])
    except GatewayError as error:
        lacks = error.lacks if isinstance(error, TranslateError) else ()
        return Meaning(issues=error.issues, stage=error.stage, lacks=lacks)
    except Exception as fault:  # noqa: BLE001 - on record: the row is set aside, its sender told
        return _fault(fault)
    return Meaning(entries, made.refers, made.warnings, lacks=made.lacks)


def _fault(fault: Exception) -> Meaning:
    """A fault of ours, logged by kind and place alone: what it says may hold values."""
    log.error("loading.fault", **about(fault))
    return Meaning(issues=Internal(fault).issues, stage="translate")


class Meanings:
    """Answers what rows mean. ``processes`` of 0 does it all in this one."""

    def __init__(self, rows: Rows, source: Source, folders: Sequence[Path], processes: int) -> None:
        self._rows = rows
        self._source = source
        fingerprint = ""  # each question names the version of the maps that it is for
        self._children = [
            Child(_answer, _unpacked, tuple(folders), fingerprint, LITTERS)
            for _ in range(processes)
        ]
        self._turns = cycle(self._children)

    def close(self) -> None:
        """End the processes."""
        for child in self._children:
            child.stop()

    def __call__(self, questions: Sequence[Question]) -> Future[list[Meaning]]:
        """What some records mean, in their order."""
        if not self._children or not questions:
            return at_hand(meant(self._rows, questions))
        last: Future[list[Meaning]] = Future()
        asked = next(self._turns).ask((self._source, self._rows.feed.name, _asked(questions)))
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
            gone = asked.exception() is not None
            last.set_result(meant(self._rows, questions) if gone else asked.result())
        except BaseException as fault:  # noqa: BLE001 - handed on to who waits
            last.set_exception(fault)


# --- on the way -----------------------------------------------------------------------------------


Sent = bytes | Sequence[Question]
"""Questions on their way; JSON records hold decimals, which ``marshal`` can't carry."""


def _asked(questions: Sequence[Question]) -> Sent:
    if any(given.value is not None for _, given in questions):
        return tuple(questions)
    plain = [
        (name, given.file, given.line, given.texts, [(k, _flat(v)) for k, v in given.found.items()])
        for name, given in questions
    ]
    return marshal.dumps(plain, 2)


def _flat(found: Sequence[Found]) -> list[tuple[Any, ...]]:
    return [(one.file, one.line, one.texts) for one in found]


def _heard(sent: Sent) -> Sequence[Question]:
    if not isinstance(sent, bytes):
        return sent
    return [
        (name, Given(file, line, texts, {k: tuple([Found(*one) for one in v]) for k, v in found}))
        for name, file, line, texts, found in marshal.loads(sent)
    ]


def _packed(found: Sequence[Meaning]) -> bytes:
    """As ``marshal`` carries it, which takes a fraction of the time of ``pickle``."""
    return marshal.dumps([plain(each) for each in found], 2)


def plain(one: Meaning) -> tuple[Any, ...]:
    """Of plain values."""
    entries = [tuple(each) for each in one.entries]
    issues = [(i.text, i.place, i.code, i.condition, i.severity) for i in one.issues]
    lacks = [(each.table, each.code, each.system, each.place) for each in one.lacks]
    return entries, one.refers, issues, one.stage, lacks


def _unpacked(raw: bytes) -> list[Meaning]:
    return [whole(*each) for each in marshal.loads(raw)]


def whole(
    entries: Sequence[Any],
    refers: Sequence[tuple[Reference, str]],
    issues: Sequence[Any],
    stage: str,
    lacks: Sequence[Any],
) -> Meaning:
    """A meaning of its plain values."""
    made = tuple([Ready._make(each) for each in entries])
    told = tuple(Issue(*each) for each in issues)
    lacking = tuple(Lack(*each) for each in lacks)
    return Meaning(made, tuple(refers), told, stage, lacking)


# --- in the other process -------------------------------------------------------------------------

_known: dict[tuple[Source, str], Rows] = {}


def _answer(shipped: Library, question: tuple[Source, str, Sent]) -> bytes:
    source, feed, questions = question
    return _packed(meant(rows_of(shipped, source, feed), _heard(questions)))


def rows_of(shipped: Library, source: Source, feed: str) -> Rows:
    """A feed as an agency sends it, by this process's maps. Raises MapError."""
    known = _known.get((source, feed))
    if known is None:
        library = library_of(shipped, source)
        known = _known[source, feed] = Rows(library, library.agencies[source[0]], feed)
    return known
