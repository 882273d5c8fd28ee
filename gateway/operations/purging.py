"""``Patient/$purge``: a person let go for good (HL7 FHIR R6, operation Patient-purge).

An agency lets go of its own, an administrator of anybody's: all versions of the Patient, of the
records that are one with it (``Patient.link``), and of what is about it, with the messages and rows
that said so. What another agency recorded is that one's, and stays. So does what is about other
persons as well: it is told of. A referral that others have in hand is ended first, by its own
rules, so that who serves the person hears of it.

It begins with a row that says so, and the Patient goes last. So whatever cuts it off, it can be
begun again: by asking again, and by itself (``run``). It goes round until a last look, in the unit
that ends it, finds nothing that came meanwhile.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.errors import Conflict, Denied, Issue, NotFound
from gateway.members import Members
from gateway.model import Context, Reference
from gateway.operations.effacing import Effacing
from gateway.operations.jobs import Jobs
from gateway.operations.person import Person, is_open, is_shared, known
from gateway.protect import scopes
from gateway.store import Hub, Reader, Transaction
from gateway.store.erasing import Erasure, began
from gateway.store.session import moment

KEY: Final = "erase"
"""What ``Work`` is woken by for those that were cut off."""

PATIENCE: Final = 20.0
"""Seconds that who asks waits; what isn't done then is done behind the answer."""

LEFT: Final = timedelta(seconds=PATIENCE)
"""After so long one that nobody here has in hand was cut off."""

SHOWN: Final = 20
"""How many of those that stay are told of by name."""

NEVER: Final = (
    "not reached: backups and earlier exports; files that lie in the watched folder; what other"
    " agencies recorded or were sent; what is said of the person in another's records; messages"
    " that nobody could understand and that name no number of theirs"
)

Submit = Callable[[Callable[[Transaction], Any]], Future[Any]]


@dataclass(frozen=True, slots=True)
class Purged:
    """``done``: nothing is left to be done. ``stay``: what tells of others too, by reference."""

    done: bool
    stay: tuple[Reference, ...] = ()

    def issues(self) -> list[Issue]:
        """What is to be said of it."""
        if not self.done:
            text = "it is being done: ask again to hear what came of it"
            return [Issue(text, code="incomplete", severity="information")]
        found = [Issue("the record is gone", code="informational", severity="information")]
        found += [
            Issue(f"{each} tells of others too, or is named otherwise: it stays", code="incomplete",
                  severity="warning")
            for each in self.stay[:SHOWN]
        ]  # fmt: skip
        if len(self.stay) > SHOWN:
            more = f"and {len(self.stay) - SHOWN} more"
            found.append(Issue(more, code="incomplete", severity="warning"))
        return [*found, Issue(NEVER, code="informational", severity="information")]


class Purging:
    """Lets go of persons. ``run`` ends what was cut off, as background work."""

    def __init__(
        self,
        hub: Hub,
        members: Members,
        jobs: Jobs,
        submit: Submit,
        wake: Callable[[str], None],
    ) -> None:
        self._hub = hub
        self._effacing = Effacing(hub, members, jobs, submit)
        self._submit = submit
        self._wake = wake
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._at: set[Reference] = set()

    def __call__(self, context: Context, id: str) -> Purged:
        """Let go of a Patient; blocks for ``PATIENCE`` at most.

        Raises:
            NotFound, Denied: it isn't the caller's.
            Conflict: others have a referral of the person in hand, or haven't heard how it ended.
        """
        scopes.require(context, "Patient", "d")
        patient = f"Patient/{id}"
        erasure = began(
            patient, context.agency, context.client, admin=context.admin, at=datetime.now(UTC)
        )
        with self._hub.read() as reader:
            _check_right(reader, context, patient)
            person = known(reader, erasure)
        for type_ in sorted({each.partition("/")[0] for each in person.records}):
            scopes.require(context, type_, "d")
        self._submit(lambda tx: _begin(tx, context, person, erasure)).result()
        purged = self._until(erasure, time.monotonic() + PATIENCE)
        if not purged.done:
            self._wake(KEY)
        return purged

    def stop(self) -> None:
        """End what is under way after its next step; the next start goes on."""
        self._stopping.set()

    def due(self) -> bool:
        """Whether one was cut off."""
        return bool(self._left())

    def run(self) -> int:
        """Go round once for those; how many ended."""
        return sum(self._until(each, None).done for each in self._left())

    def _left(self) -> list[Erasure]:
        before = datetime.now(UTC) - LEFT
        with self._hub.read() as reader:
            left = [each for each in reader.erasures() if moment(each.at) < before]
        return [each for each in left if each.patient not in self._at]

    def _until(self, erasure: Erasure, end: float | None) -> Purged:
        """Go round until it is done or it is time (None: once); one at a time, of each."""
        with self._lock:
            if erasure.patient in self._at:
                return Purged(done=False)
            self._at.add(erasure.patient)
        try:
            for step in self._effacing(erasure):
                if isinstance(step, tuple):
                    return Purged(True, step)
                late = step == "round" if end is None else time.monotonic() > end
                if late or self._stopping.is_set():
                    break
            return Purged(done=False)
        finally:
            self._at.discard(erasure.patient)


def _check_right(reader: Reader, context: Context, patient: Reference) -> None:
    owner = reader.whose(patient)
    if owner is not None and (owner == context.agency or context.admin):
        return
    if owner is not None and reader.visible(context, patient):
        raise Denied("only its owner may let go of it")
    raise NotFound("no such resource", place="Patient")


def _begin(tx: Transaction, context: Context, person: Person, erasure: Erasure) -> None:
    _check_right(tx, context, erasure.patient)
    _check_referrals(tx, context, person)
    tx.begin_erasure(erasure)
    tx.audit(context, "purge", erasure.patient)


def _check_referrals(tx: Transaction, context: Context, person: Person) -> None:
    """Nobody else may have the person in hand, or be about to hear how a referral ended."""
    tasks = [each for each in person.all if each.startswith("Task/")]
    shared = [each for each in tasks if is_shared(tx, person, each)]
    held = [each for each in shared if is_open(tx.says(each))]
    if held:
        raise Conflict(
            "others have a referral of this person in hand: end it first",
            place="Patient",
            more=_named(tx, context, held, "is open"),
        )
    untold = [each for each in shared if tx.is_untold(each)]
    if untold:
        raise Conflict(
            "others haven't heard yet how a referral ended: ask again",
            place="Patient",
            more=_named(tx, context, untold, "isn't known to all"),
        )


def _named(tx: Transaction, context: Context, tasks: Iterable[Reference], text: str) -> list[Issue]:
    seen = [each for each in tasks if tx.visible(context, each)]
    return [Issue(f"{each} {text}", "Task", Conflict.code, Conflict.condition) for each in seen]
