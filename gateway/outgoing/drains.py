"""After the commit: each subscriber is told of each version that concerns it, in order.

``drain`` is one pass for one subscriber: read on in the log, then send what is due until nothing
is left or an attempt fails. What a subscriber may see is asked when a version is queued and again
when it is sent. An agency that only speaks HL7 v2 is a subscriber too: of its own referrals' moves.
A topic's subscriber is greeted before its first event (handshake), and after a silence (heartbeat).
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final

from gateway.closing import Closings
from gateway.deliver import Doors, Outfit
from gateway.deliver.endpoint import Guard
from gateway.errors import Conflict, GatewayError, Internal, Unavailable
from gateway.fhir.topics import Topics
from gateway.members import Members
from gateway.model import Delivery, Event, Stored, Subscriber
from gateway.outgoing.attempts import Attempts, Made, Notes, noted
from gateway.outgoing.following import Following
from gateway.outgoing.leases import Lease, Leases
from gateway.outgoing.letters import Letters
from gateway.outgoing.notifying import Notifying, groups
from gateway.outgoing.standing import begin, end
from gateway.settings import Settings
from gateway.store import Hub
from gateway.store.outbox import BATCH
from gateway.store.subscribers import Standing
from gateway.work import Work

DUE: Final = 50
"""How many deliveries are taken up at a time."""

ELSEWHERE: Final = timedelta(seconds=0.25)
"""After so long a subscriber is looked at again that another process drained."""

AHEAD: Final = 8
"""How many notices are made at a time."""

FRESH: Final = 0.5
"""Seconds for which a right counts that was asked: what waited longer is made anew."""

Due = list[tuple[Subscriber, Sequence[Delivery]]]


class Outgoing:
    """Drains subscribers. Without ``work`` (a command's process) nobody is woken."""

    def __init__(
        self,
        hub: Hub,
        members: Members,
        topics: Topics,
        settings: Settings,
        guard: Guard,
        work: Work | None,
    ) -> None:
        self._hub = hub
        self._work = work
        outfit = Outfit.of(settings)
        self._doors = Doors(guard, outfit)
        self.sockets = outfit.sockets
        closings = Closings(hub, members)
        self.following = Following(hub, closings, topics)
        letters = Letters(hub.secret, settings.root, settings.link_for)
        self.notifying = Notifying(hub, closings, letters, topics, f"{settings.root}/fhir")
        self._attempts = Attempts(hub, self._doors, closings, settings, self._later, self.wake)
        self._leases = Leases(hub)
        self._concerned: dict[str, list[str]] | None = None
        self._touched: set[str] = set()
        self._lock = threading.Lock()
        self._spreading = asyncio.Lock()

    def wake(self, types: Collection[str]) -> None:
        """Versions of these types are on disk: wake whoever subscribes to one of them."""
        if self._work is None or not types:
            return
        with self._lock:
            is_first = not self._touched
            self._touched |= set(types)
        if is_first and not self._work.soon(self._spread):
            self._touched = set()  # not started, or at its end: the next start finds them

    async def _spread(self) -> None:
        """Wake them, on the work's loop: many commits' types at a time."""
        assert self._work is not None
        async with self._spreading:
            with self._lock:
                types, self._touched = self._touched, set()
            concerned = self._concerned
            if concerned is None or "Subscription" in types:
                concerned = self._concerned = await asyncio.to_thread(self._subscribers)
            for type_ in types:
                for subscriber in concerned.get(type_, ()):
                    self._work.wake(subscriber)

    def see_to(self, subscriber: str) -> None:
        """Wake one subscriber."""
        if self._work is not None:
            self._work.wake(subscriber)

    def forget(self) -> None:
        """Subscribers changed otherwise than by a Subscription: read them again."""
        self._concerned = None

    async def drain(self, subscriber: str) -> None:
        """One pass for one subscriber, on the work's event loop."""
        async with self._leases.of(subscriber) as lease:
            if lease is None:
                self._later(subscriber, datetime.now(UTC) + ELSEWHERE)
                return
            try:
                await self._drain(subscriber, lease)
            except Conflict:
                self._later(subscriber, datetime.now(UTC) + ELSEWHERE)

    async def _drain(self, subscriber: str, lease: Lease) -> None:
        told = await self._greeted(subscriber)
        if told is None:
            return
        more = True
        while more:
            more, due = await asyncio.to_thread(self._next, subscriber, lease)
            if not await self._sent(due, lease):
                return
        if told.heartbeat:
            await self._beat(subscriber)

    async def _sent(self, due: Due, lease: Lease) -> bool:
        """Send these one after another; False where one failed and the rest must wait.

        What was taken is noted while the next is on its way: a crash may send up to so many again.
        """
        notes: Notes = []
        try:
            async for told, made in self._made(due):
                await lease.renew()
                if not await self._attempts(told, made, lease.fence, notes):
                    return False
        finally:
            await noted(notes)
        return True

    async def _made(self, due: Due) -> AsyncIterator[tuple[Subscriber, Made]]:
        """Each as it may be seen right before it goes, some of them made at a time."""
        for start in range(0, len(due), AHEAD):
            some = due[start : start + AHEAD]
            made = await asyncio.to_thread(self._make, some)
            at = time.monotonic()
            for number, (told, _) in enumerate(some):
                if time.monotonic() - at > FRESH:
                    made[number] = (await asyncio.to_thread(self._make, some[number:][:1]))[0]
                yield told, made[number]

    def _make(self, some: Due) -> list[Made]:
        return [self.notifying.made(told, group) for told, group in some]

    async def close(self) -> None:
        """Let go of connections."""
        await self._doors.close()

    # --- what isn't an event ---------------------------------------------------------------------

    async def _greeted(self, id: str) -> Subscriber | None:
        """The subscriber, if it is to be sent to, now that its end or beginning is seen to."""
        standing = await asyncio.to_thread(self._standing, id)
        if standing is None:
            return None
        told = standing.subscriber
        if told.until is not None and told.until <= datetime.now(UTC):
            await self._marked(partial(end, told=told))
            return None
        if told.channel == "websocket" and not self.sockets.bound(id):
            return None
        if told.status != "requested":
            return told
        if standing.retry_at is not None and standing.retry_at > datetime.now(UTC):
            return None
        if not await self._attempts(told, self.notifying.said(standing, "handshake")):
            return None
        await self._marked(partial(begin, told=told))
        return told

    async def _marked(self, unit: partial[None]) -> None:
        await asyncio.wrap_future(self._hub.submit(unit))
        self.wake({"Subscription"})

    async def _beat(self, id: str) -> None:
        """A heartbeat, if nothing was sent for its period; and see to the next."""
        standing = await asyncio.to_thread(self._standing, id)
        told = standing.subscriber if standing else None
        if standing is None or told is None or told.status != "active" or not told.heartbeat:
            return
        period = timedelta(seconds=told.heartbeat)
        now = datetime.now(UTC)
        if standing.told + period > now:
            self._later(id, standing.told + period)
        elif await self._attempts(told, self.notifying.said(standing, "heartbeat")):
            self._later(id, now + period)

    # --- what is ---------------------------------------------------------------------------------

    def _later(self, subscriber: str, at: datetime) -> None:
        if self._work is not None:
            self._work.later(subscriber, at)

    def _subscribers(self) -> dict[str, list[str]]:
        """By type, who is to be woken by its versions; a Subscription wakes whoever asks anew."""
        concerned: dict[str, list[str]] = {}
        with self._hub.read() as reader:
            for told in reader.subscribers():
                if told.status == "active":
                    concerned.setdefault(told.criteria.partition("?")[0], []).append(told.id)
                elif told.status == "requested":
                    concerned.setdefault("Subscription", []).append(told.id)
        return concerned

    def _standing(self, id: str) -> Standing | None:
        with self._hub.read() as reader:
            return reader.standing(id)

    def _next(self, id: str, lease: Lease) -> tuple[bool, Due]:
        """Read on, and what is due now; whether more may be there, unread or undue."""
        standing = self._standing(id)
        if standing is None:
            return False, []
        judge = partial(self._judge, standing.subscriber)
        read = self._hub.advance(id, judge, limit=BATCH, fence=lease.fence)
        due = self._due(id)
        return read == BATCH or sum(len(group) for _, group in due) == DUE, due

    def _judge(self, told: Subscriber, event: Event, stored: Stored) -> bool | GatewayError:
        """Whether it concerns the subscriber, or why nobody can say."""
        try:
            return self.following.concerns(told, event, stored)
        except Unavailable:
            raise
        except GatewayError as error:
            return error
        except Exception as error:  # noqa: BLE001 - recorded by its kind: it is set aside
            return Internal(error)

    def _due(self, id: str) -> Due:
        with self._hub.read() as reader:
            standing = reader.standing(id)
            if standing is None:
                return []
            told = standing.subscriber
            return [(told, each) for each in groups(told, reader.due(id, datetime.now(UTC), DUE))]
