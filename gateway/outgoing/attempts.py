"""One attempt to deliver, and what is noted of it: taken, withheld, failed or set aside.

A subscriber is in order: what fails waits, and all that follows waits with it, until the policy
gives up and the subscriber is in error. Two kinds of failure are about one event alone, which is
set aside then, in view, to be replayed, so that it doesn't hold up the others for good: what
can't be made (``BUILDS`` tries), and what the receiver refuses for ``retry_refused`` seconds while
it answers.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import groupby
from typing import Final

import structlog

from gateway import meters, traces
from gateway.closing import Closings
from gateway.deliver import Doors
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.deliver.retry import Policy, next_attempt
from gateway.errors import GatewayError, Gone, Internal, NotFound, Unavailable
from gateway.model import Context, Delivery, Subscriber
from gateway.outgoing.notifying import Made
from gateway.outgoing.noting import Note, Notes, Noting, noted
from gateway.outgoing.origins import origin
from gateway.outgoing.standing import give_up
from gateway.protect.keys import webhook_secret
from gateway.settings import Settings
from gateway.store import Hub, Transaction
from gateway.store.audit import Outcome

log = structlog.get_logger()

BUILDS: Final = 3
"""How often what can't be made is tried: what it lacks may be on its way."""

GREETING: Final = 60.0
"""Seconds for which a handshake is tried: whoever asked for it is waiting to hear."""

AWAY: Final = 50
"""How many notes of a subscriber may be on their way to the disk."""


@dataclass(frozen=True, slots=True)
class Fault:
    """Why an attempt failed. ``sent``: there was a notice, which didn't arrive."""

    error: GatewayError
    sent: bool


class Attempts:
    """Makes attempts. ``later`` wakes a subscriber at a time, ``wake`` tells of written types."""

    def __init__(
        self,
        hub: Hub,
        doors: Doors,
        closings: Closings,
        settings: Settings,
        later: Callable[[str, datetime], None],
        wake: Callable[[set[str]], None],
    ) -> None:
        self._hub = hub
        self._doors = doors
        self._closings = closings
        self._policy = Policy.of(settings)
        self._greeting = replace(self._policy, give_up=min(GREETING, self._policy.give_up))
        self._refused = timedelta(seconds=settings.retry_refused)
        self._later = later
        self._wake = wake
        self._noting = Noting(hub, self._settle)

    async def __call__(
        self, told: Subscriber, made: Made, fence: int | None = None, notes: Notes | None = None
    ) -> bool:
        """Send once and note what became of it; False where the rest must wait.

        With ``notes`` the note of a success is only begun: ``noted`` waits for all of them. Raises
        Conflict where the ``fence`` has passed on, Unavailable.
        """
        begun: Notes = deque() if notes is None else notes
        fault = await self._tried(told, made)
        if fault is not None:
            await noted(begun)
            return await self._failed(told, made, fault, fence)
        _count(told, made)
        begun.append(self._noting(Note(told, made, fence)))
        await noted(begun, AWAY if notes is not None and not told.is_closing else 0)
        if told.is_closing:
            self._wake({each.event.type for each in made.deliveries})
        return True

    async def close(self) -> None:
        """Wait for the notes that are being written."""
        await self._noting.close()

    async def _tried(self, told: Subscriber, made: Made) -> Fault | None:
        """What went wrong. Where the right has ended, there is nothing to try."""
        if isinstance(made.notice, NotFound | Gone):
            return None
        if isinstance(made.notice, GatewayError):
            return Fault(made.notice, sent=False)
        try:
            with await self._traced(told, made):
                await self._send(told, made.notice)
        except GatewayError as error:
            return Fault(error, sent=True)
        return None

    async def _traced(self, told: Subscriber, made: Made) -> traces.Span:
        """Where anybody keeps spans, one that links to the versions that it tells of, and to the
        message that it all began with.
        """
        if not traces.is_on():
            return traces.NOTHING
        event = made.deliveries[0].event if made.deliveries else None
        began = await asyncio.to_thread(origin, self._hub, event) if event else ""
        links = [traces.message_ids(began)] if began else []
        for one in [each.event for each in made.deliveries[: traces.MOST]]:
            links.append(traces.version_ids(self._hub.secret, one.type, one.id, one.version))
        span = traces.span("deliver", "client", links=links)
        span.note(channel=told.channel, agency=told.agency, type=event.type if event else "")
        return span

    async def _send(self, told: Subscriber, notice: Notice) -> None:
        try:
            await self._doors.send(told, notice, secret=webhook_secret(self._hub.secret, told.id))
        except GatewayError:
            raise
        except Exception as error:  # noqa: BLE001 - recorded by its kind, as a refusal
            fault = Failure(str(Internal(error)), refused=True)
            raise fault from None

    def _settle(self, tx: Transaction, notes: Sequence[Note]) -> None:
        """Note what one subscriber took, or may no longer see."""
        now = datetime.now(UTC)
        for ended, some in groupby(notes, key=lambda each: isinstance(each.made.notice, Exception)):
            (self._withhold if ended else self._done)(tx, list(some), now)

    def _done(self, tx: Transaction, notes: Sequence[Note], now: datetime) -> None:
        told, fence = notes[-1].told, notes[-1].fence
        taken = [each for note in notes for each in note.made.deliveries]
        hidden = frozenset[str]().union(*(note.made.hidden for note in notes))
        if taken:
            tx.delivered(taken, now, fence=fence)
        else:
            tx.well(told.id)
        for each in taken:
            _audit(tx, told, each, "denied" if each.id in hidden else "success")
            if told.is_closing:
                self._note(tx, told, each, now)
        if told.heartbeat:
            tx.told(told.id, now)

    def _note(self, tx: Transaction, told: Subscriber, delivery: Delivery, at: datetime) -> None:
        """The Task says so; where that can't be written, what was delivered stays delivered."""
        try:
            with tx.savepoint():
                self._closings.note(tx, told, delivery, at)
        except Unavailable:
            raise
        except GatewayError as error:
            log.warning("attempts.unnoted", **error.log())

    def _withhold(self, tx: Transaction, notes: Sequence[Note], now: datetime) -> None:
        for note in notes:
            for each in note.made.deliveries:
                tx.withheld(each, now, fence=note.fence)
                _audit(tx, note.told, each, "denied")

    async def _failed(self, told: Subscriber, made: Made, fault: Fault, fence: int | None) -> bool:
        """Put it off, set it aside or give the subscriber up; whether the rest may go on."""
        chance = random.random()
        note = self._hub.submit(lambda tx: self._fail(tx, told, made, fault, chance, fence))
        again = await asyncio.wrap_future(note)
        if isinstance(again, datetime):
            meters.attempted(told.channel, "failed").inc()
            self._later(told.id, again)
            return False
        meters.attempted(told.channel, "aside" if again else "ended").inc()
        if not again:
            log.warning("attempts.gave_up", agency=told.agency, **_who(told), **fault.error.log())
        return again

    def _fail(
        self,
        tx: Transaction,
        told: Subscriber,
        made: Made,
        fault: Fault,
        chance: float,
        fence: int | None,
    ) -> bool | datetime:
        """Note a failure: when the next attempt is due, or whether what follows may go on."""
        now = datetime.now(UTC)
        error = fault.error
        if made.deliveries and self._is_hopeless(made.deliveries[0], fault, now):
            for each in made.deliveries:
                tx.set_aside(each, error, at=now, tried=fault.sent, fence=fence)
                _audit(tx, told, each, "failed")
            return True
        again = self._next(tx, told, made, error, now, chance)
        for each in made.deliveries:
            tx.failed(each, error, again or now, at=now, fence=fence)
        if not made.deliveries:
            tx.ill(told.id, error, again or now, at=now)
        if again is None:
            give_up(tx, told, error)
            return False
        return again

    def _is_hopeless(self, first: Delivery, fault: Fault, now: datetime) -> bool:
        """Whether the fault is this event's own, and time won't mend it."""
        if isinstance(fault.error, Unavailable):
            return False
        refused = isinstance(fault.error, Failure) and fault.error.refused
        if not fault.sent:
            return refused or first.attempts + 1 >= BUILDS
        return refused and now - (first.first_attempt or now) >= self._refused

    def _next(
        self,
        tx: Transaction,
        told: Subscriber,
        made: Made,
        error: GatewayError,
        now: datetime,
        chance: float,
    ) -> datetime | None:
        """When to try again; None to give the subscriber up: it failed since the policy's end.

        A delivery that was never tried before is tried once more in any case: it may be the first
        in a week, and what failed before it set aside.
        """
        if isinstance(error, Failure) and error.permanent:
            return None
        standing = tx.standing(told.id)
        since = (standing.failing_since if standing else None) or now
        tried = made.deliveries[0].attempts if made.deliveries else 0
        if made.deliveries and not tried:
            since = now
        asked = error.retry_after if isinstance(error, Failure) else None
        policy = self._greeting if told.status == "requested" else self._policy
        return next_attempt(policy, tried + 1, since, now, chance, asked)


def _count(told: Subscriber, made: Made) -> None:
    """It was taken, or may no longer be seen."""
    if isinstance(made.notice, Exception):
        meters.attempted(told.channel, "withheld").inc()
        return
    meters.attempted(told.channel, "delivered").inc()
    if made.deliveries:
        age = datetime.now(UTC) - made.deliveries[0].event.at
        meters.delivered_after(told.channel).observe(age.total_seconds())


def _who(told: Subscriber) -> dict[str, str]:
    return {"channel": told.channel, "subscriber": told.id}


def _audit(tx: Transaction, told: Subscriber, delivery: Delivery, outcome: Outcome) -> None:
    about = f"{delivery.event.type}/{delivery.event.id}"
    tx.audit(Context(told.agency, told.id), "deliver", about, outcome)
