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
from collections import deque
from collections.abc import AsyncIterator, Collection, Sequence
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Final, Literal

from gateway.closing import Closings
from gateway.deliver import Doors, Outfit
from gateway.deliver.endpoint import Guard
from gateway.deliver.rest_hook import trusted
from gateway.errors import Conflict, Unavailable
from gateway.fhir.topics import Topics
from gateway.members import Members
from gateway.model import Delivery, Subscriber
from gateway.outgoing import reading
from gateway.outgoing.attempts import Attempts
from gateway.outgoing.following import Following
from gateway.outgoing.leases import Lease, Leases
from gateway.outgoing.letters import Letters
from gateway.outgoing.notifying import Made, Notifying
from gateway.outgoing.noting import Notes, noted
from gateway.outgoing.reading import Reading
from gateway.outgoing.standing import begin, end
from gateway.peers import Peers
from gateway.settings import Settings
from gateway.store import Hub
from gateway.store.outbox import FAR
from gateway.store.subscribers import Standing
from gateway.together import Together
from gateway.work import Work

ELSEWHERE: Final = timedelta(seconds=0.25)
"""After so long a subscriber is looked at again that another process drained."""

AHEAD: Final = 8
"""How many notices of a subscriber are made at a time."""

MOST: Final = 16
"""For how many subscribers they are made at a time."""

KNOWN: Final = 5.0
"""Seconds for which it counts who is to be woken."""

RING: Final = 0.02
"""Seconds from one word to the other processes to the next, each of which is a commit."""

FRESH: Final = 0.5
"""Seconds for which a right counts that was asked: what waited longer is made anew."""

Scope = Literal["bound", "all", "ours"]
"""Of types that were written: to wake the sockets that are bound here, everybody that they concern,
and to tell the other processes, too."""

_WIDER: Final = ("bound", "all", "ours").index

Due = Sequence[Sequence[Delivery]]
"""Deliveries in order, those that go together together."""

Fresh = tuple[list[Made], float]
"""Notices, and when on the loop's clock the rights to them were asked."""


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
        peers: Peers,
    ) -> None:
        self._hub = hub
        self._work = work
        self._peers = peers
        self._works = "work" in settings.roles
        if work is not None:
            trusted()  # now, and not with the first delivery
        outfit = Outfit.of(settings)
        self._doors = Doors(guard, outfit)
        self.sockets = outfit.sockets
        closings = Closings(hub, members)
        self.following = Following(hub, closings, topics)
        letters = Letters(hub.secret, settings.root, settings.link_for)
        self.notifying = Notifying(closings, letters, topics, f"{settings.root}/fhir")
        self._attempts = Attempts(hub, self._doors, closings, settings, self._later, self.wake)
        self._look = Together(Reading(hub, self.following, self._is_open), reading.MOST)
        self._make = Together(self._made_of, MOST)
        self._word = Together(self._made_of, 1)  # hl7apy takes long: in nobody's company
        self._leases = Leases(hub, peers)
        self._concerned: tuple[dict[str, list[str]], float] | None = None
        self._touched: dict[str, Scope] = {}
        self._lock = threading.Lock()
        self._spreading = asyncio.Lock()

    def wake(self, types: Collection[str]) -> None:
        """Versions of these types are on disk: wake whoever subscribes to one of them."""
        self._touch(types, "ours")

    def heard(self, types: Collection[str], *, seen_to: bool) -> None:
        """Another process wrote them; ``seen_to``: it wakes whoever can be reached from there."""
        self._touch(types, "bound" if seen_to or not self._works else "all")

    def _touch(self, types: Collection[str], scope: Scope) -> None:
        if self._work is None or not types:
            return
        with self._lock:
            is_first = not self._touched
            for type_ in types:
                self._touched[type_] = max(scope, self._touched.get(type_, scope), key=_WIDER)
        if is_first and not self._work.soon(self._spread):
            self._touched = {}  # not started, or at its end: the next start finds them

    async def _spread(self) -> None:
        """Wake them, on the work's loop, and tell the others: many commits' types at a time."""
        assert self._work is not None
        async with self._spreading:
            with self._lock:
                touched, self._touched = self._touched, {}
            concerned = await self._known(anew="Subscription" in touched)
            for type_, scope in touched.items():
                here = self._works and scope != "bound"
                for subscriber in concerned.get(type_, ()):
                    if here or self.sockets.bound(subscriber):
                        self._work.wake(subscriber)
            ours = [type_ for type_, scope in touched.items() if scope == "ours"]
            if ours and len(self._peers.living) > 1:
                await asyncio.to_thread(self._peers.ring, ours)
                await asyncio.sleep(RING)

    async def _known(self, *, anew: bool) -> dict[str, list[str]]:
        """Who is to be woken by which types; agencies are added by other processes, too."""
        known, now = self._concerned, time.monotonic()
        if known is None or anew or now - known[1] > KNOWN:
            known = self._concerned = await asyncio.to_thread(self._subscribers), now
        return known[0]

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
        more = True
        while more:
            look = await self._look((subscriber, lease.fence))
            more = look.more
            if look.standing is None or not await self._is_ready(look.standing):
                return
            told = look.standing.subscriber
            if told.status == "requested":  # it was greeted
                more = True
            elif not await self._sent(told, look.due, lease):
                return
        if told.heartbeat:
            await self._beat(subscriber)

    async def _sent(self, told: Subscriber, due: Due, lease: Lease) -> bool:
        """Send these one after another; False where one failed and the rest must wait.

        What was taken is noted while the next is on its way: a crash may send up to so many again.
        """
        notes: Notes = deque()
        try:
            async for made in self._made(told, due):
                await lease.renew()
                if not await self._attempts(told, made, lease.fence, notes):
                    return False
        finally:
            await noted(notes)
        return True

    async def _made(self, told: Subscriber, due: Due) -> AsyncIterator[Made]:
        """Each as it may be seen right before it goes, some of them made at a time."""
        make = self._word if told.is_closing else self._make
        for start in range(0, len(due), AHEAD):
            some = due[start : start + AHEAD]
            made, at = await make((told, some))
            for number in range(len(some)):
                if time.monotonic() - at > FRESH:
                    (made[number],), _ = await make((told, some[number : number + 1]))
                yield made[number]

    def _made_of(self, asked: Sequence[tuple[Subscriber, Due]]) -> list[Fresh | Exception]:
        """Notices for each, out of one snapshot; where it fails, each out of its own."""
        at = time.monotonic()
        try:
            with self._hub.read() as reader:
                return [
                    ([self.notifying.made(reader, told, group) for group in due], at)
                    for told, due in asked
                ]
        except Unavailable as error:
            return [error] if len(asked) == 1 else [self._made_of([one])[0] for one in asked]

    async def close(self) -> None:
        """Let go of connections, once what is under way in threads has ended."""
        await asyncio.gather(self._look.close(), self._make.close(), self._word.close())
        await self._attempts.close()
        await self._leases.close()
        await self._doors.close()

    # --- what isn't an event ---------------------------------------------------------------------

    def _is_open(self, told: Subscriber) -> bool:
        """Whether it may be sent to: its end hasn't come, and there is somebody to hear it."""
        ended = told.until is not None and told.until <= datetime.now(UTC)
        return not ended and (told.channel != "websocket" or bool(self.sockets.bound(told.id)))

    async def _is_ready(self, standing: Standing) -> bool:
        """Whether to go on with it, now that its end or beginning is seen to."""
        told, now = standing.subscriber, datetime.now(UTC)
        if told.until is not None and told.until <= now:
            await self._marked(partial(end, told=told))
            return False
        if not self._is_open(told):
            return False
        if told.status != "requested":
            return True
        if standing.retry_at is not None and now < standing.retry_at <= now + FAR:
            return False
        if not await self._attempts(told, self.notifying.said(standing, "handshake")):
            return False
        await self._marked(partial(begin, told=told))
        return True

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
