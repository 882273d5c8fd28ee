"""What is due of referrals, done once, whatever crashed in between.

The table of timers is the truth. A pass takes what is due, each in a unit of its own that looks
again whether it still is; what a crash leaves undone is due at the next start, and late is done
as it would have been in time. Nothing but UTC is compared, and a clock that is set back only waits.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Future
from datetime import UTC, datetime
from typing import Final, Protocol, TypeVar

import structlog

from gateway.close.standing import EXPIRED
from gateway.coordination import flow, following, navigator
from gateway.coordination.nouns import (
    HUB_ORGANIZATION,
    REASON,
    coded,
    instant,
    is_referral,
    target,
)
from gateway.errors import GatewayError, Unavailable
from gateway.fhir import gates
from gateway.members import Members
from gateway.model import HUB, Context, Resource
from gateway.route.timing import Timing
from gateway.store import Hub, Timer, Transaction

T = TypeVar("T")

KEY: Final = "referrals"
"""What ``Work`` is woken by for what is due of referrals."""

AGAIN: Final = 60.0
"""Seconds after which what couldn't be done is tried again."""

REMINDER: Final = "Reminder: this referral waits for an answer"
LATE: Final = "Nobody answered in time"

log = structlog.get_logger()


class Submit(Protocol):
    """Runs a unit in the next group, and wakes whom it concerns."""

    def __call__(self, unit: Callable[[Transaction], T]) -> Future[T]: ...  # noqa: D102


class Timers:
    """Does what is due. ``clock`` tells the time (aware)."""

    def __init__(
        self,
        hub: Hub,
        members: Members,
        timing: Timing,
        submit: Submit,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._hub = hub
        self._members = members
        self._timing = timing
        self._submit = submit
        self._clock = clock

    def due(self) -> bool:
        """Whether anything is."""
        with self._hub.read() as reader:
            return bool(reader.due_timers(self._clock(), count=1))

    def run(self) -> int:
        """Do what is due now, and what that makes due; how many units that took. Blocks."""
        done = 0
        while True:
            with self._hub.read() as reader:
                found = reader.due_timers(self._clock())
            if not found:
                return done
            for each in found:
                self._do(each)
                done += 1

    def _do(self, timer: Timer) -> None:
        try:
            self._submit(lambda tx: self._unit(tx, timer)).result()
        except Unavailable:
            raise
        except Exception as error:  # noqa: BLE001 - on record; nobody else's waits for it
            place = error.place if isinstance(error, GatewayError) else None
            log.warning("timers.failed", step=timer.step, error=type(error).__name__, place=place)
            self._submit(lambda tx: self._later(tx, timer)).result()

    def _unit(self, tx: Transaction, timer: Timer) -> None:
        now = self._clock()
        if timer not in tx.timers(timer.task):
            return
        if timer.step == "route":
            flow.seek(tx, self._members, self._timing, timer, now)
        elif timer.step == "remind":
            self._remind(tx, timer, now)
        else:
            self._recall(tx, timer, now)

    def _later(self, tx: Transaction, timer: Timer) -> None:
        if timer not in tx.timers(timer.task):
            return
        again = self._clock().timestamp() + AGAIN / self._timing.pace
        tx.set_timer(Timer(timer.task, timer.part, timer.step, datetime.fromtimestamp(again, UTC)))

    def _remind(self, tx: Transaction, timer: Timer, now: datetime) -> None:
        """A note makes a new version, of which whoever is asked is told like of any other."""
        task, owner = tx.content(f"Task/{timer.task}"), tx.owner(f"Task/{timer.task}")
        tx.unset_timer(timer.task, timer.part)
        if task is None or owner is None or task["status"] != "requested":
            return
        note = {"time": instant(now), "text": REMINDER}
        noted = {**task, "note": [*(task.get("note") or []), note], "lastModified": instant(now)}
        made = gates.check(noted, models=False)
        tx.put(Context(owner, "gateway"), made, interaction="update")
        due = self._timing.recall(str(task.get("priority") or ""), now)
        tx.set_timer(Timer(timer.task, timer.part, "recall", due))

    def _recall(self, tx: Transaction, timer: Timer, now: datetime) -> None:
        """Who didn't answer is passed by; where nobody else may be asked, a navigator is told."""
        tx.unset_timer(timer.task, timer.part)
        task = tx.content(f"Task/{timer.task}")
        if task is None or task["status"] != "requested":
            return
        hop = tx.hop(timer.task)
        if hop is None:
            self._escalate(tx, task, now)
            return
        following.cancel(tx, hop, "expired", coded(REASON, EXPIRED, LATE), now)
        if flow.pursuit_of(tx, hop.parent, hop.part) is not None:
            tx.set_timer(Timer(hop.parent, hop.part, "route", now))

    def _escalate(self, tx: Transaction, task: Resource, now: datetime) -> None:
        owner = tx.owner(f"Task/{task['id']}")
        if owner in (None, HUB) or not is_referral(task):
            return
        flow.introduce(tx)
        id = navigator.ask(tx, self._members, self._timing, task, "", LATE, now)
        made = tx.content(f"Task/{id}") or {}
        keeper = self._members.directory.by_reference(target(made, "owner"))
        if keeper is not None and target(made, "owner") != HUB_ORGANIZATION:
            flow.grant(tx, made, str(owner), keeper)
