"""After the commit: each subscriber is told of each version that concerns it, in order.

``drain`` is one pass for one subscriber: read on in the log, then send what is due until nothing
is left or an attempt fails. What a subscriber may see is asked when a version is queued and again
when it is sent. An agency that only speaks HL7 v2 is a subscriber too: of its own referrals' moves.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Collection
from datetime import UTC, datetime
from functools import lru_cache, partial
from urllib.parse import parse_qsl

from gateway.close import loop
from gateway.closing import Closings
from gateway.deliver import Doors
from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from gateway.deliver.retry import Policy, next_attempt
from gateway.deliver.tls import client_tls
from gateway.errors import GatewayError, Gone, NotFound
from gateway.fhir import gates, json
from gateway.fhir.query import Query
from gateway.fhir.search import matches, parse_query
from gateway.members import Members
from gateway.model import Context, Delivery, Event, Stored, Subscriber
from gateway.protect.keys import webhook_secret
from gateway.protect.least import shown
from gateway.settings import Settings
from gateway.store import Hub, Transaction
from gateway.work import Work


class Outgoing:
    """Drains subscribers. Without ``work`` (a command's process) nobody is woken."""

    def __init__(
        self, hub: Hub, members: Members, settings: Settings, guard: Guard, work: Work | None
    ) -> None:
        self._hub = hub
        self._work = work
        self._policy = Policy.of(settings)
        self._doors = Doors(guard, client_tls(settings))
        self._closings = Closings(hub, members)
        self._concerned: dict[str, list[str]] | None = None

    def wake(self, types: Collection[str]) -> None:
        """Versions of these types are on disk: wake whoever subscribes to one of them."""
        if self._work is None or not types:
            return
        if self._concerned is None or "Subscription" in types:
            self._concerned = self._subscribers()
        for type_ in types:
            for subscriber in self._concerned.get(type_, ()):
                self._work.wake(subscriber)

    def forget(self) -> None:
        """Subscribers changed otherwise than by a Subscription: read them again."""
        self._concerned = None

    async def drain(self, subscriber: str) -> None:
        """One pass for one subscriber, on the work's event loop."""
        busy = True
        while busy:
            busy = await asyncio.to_thread(self._read_on, subscriber)
            for told, delivery in await asyncio.to_thread(self._due, subscriber):
                if not await self._attempt(told, delivery):
                    return
                busy = True

    async def close(self) -> None:
        """Let go of connections."""
        await self._doors.close()

    def _subscribers(self) -> dict[str, list[str]]:
        concerned: dict[str, list[str]] = {}
        with self._hub.read() as reader:
            for told in reader.subscribers():
                if told.status == "active":
                    concerned.setdefault(told.criteria.partition("?")[0], []).append(told.id)
        return concerned

    def _read_on(self, id: str) -> bool:
        with self._hub.read() as reader:
            standing = reader.standing(id)
        if standing is None:
            return False
        return self._hub.advance(id, partial(self._concerns, standing.subscriber)) > 0

    def _concerns(self, told: Subscriber, event: Event, stored: Stored) -> bool:
        """Whether a version that the subscriber may see is one that it asked for."""
        if event.interaction == "delete":
            return False
        seen = json.loads(shown(Context(told.agency, told.id), stored).body)
        task = seen.get("resourceType") == "Task"
        if told.is_closing and task and not loop.is_news(str(seen.get("status"))):
            return False
        if not matches(_query(told.criteria), seen):
            return False
        return not told.is_closing or self._closings.concerns(told, event)

    def _due(self, id: str) -> list[tuple[Subscriber, Delivery]]:
        with self._hub.read() as reader:
            standing = reader.standing(id)
            if standing is None:
                return []
            return [(standing.subscriber, each) for each in reader.due(id, datetime.now(UTC))]

    async def _attempt(self, told: Subscriber, delivery: Delivery) -> bool:
        """Send once and note what became of it; False where the rest must wait."""
        try:
            payload = await asyncio.to_thread(self._payload, told, delivery)
            secret = webhook_secret(self._hub.secret, told.id)
            await self._doors.send(told, delivery, payload, secret=secret)
        except (NotFound, Gone):
            await asyncio.to_thread(self._done, told, delivery, withheld=True)
        except GatewayError as error:
            await asyncio.to_thread(self._failed, told, delivery, error)
            return False
        else:
            await asyncio.to_thread(self._done, told, delivery, withheld=False)
        return True

    def _payload(self, told: Subscriber, delivery: Delivery) -> bytes | None:
        """What goes out, read as the subscriber's agency may read it now.

        Raises:
            NotFound: the right to it has ended.
        """
        event = delivery.event
        with self._hub.read() as reader:
            context = Context(told.agency, told.id)
            stored = shown(context, reader.vread(context, event.type, event.id, event.version))
        if told.is_closing:
            return self._closings.message(told, delivery)
        return stored.body if told.payload else None

    def _done(self, told: Subscriber, delivery: Delivery, *, withheld: bool) -> None:
        now = datetime.now(UTC)
        context = Context(told.agency, told.id)
        noted = told.is_closing and not withheld

        def unit(tx: Transaction) -> None:
            tx.delivered(delivery, now)
            tx.audit(
                context,
                "deliver",
                f"{delivery.event.type}/{delivery.event.id}",
                "denied" if withheld else "success",
            )
            if noted:
                self._closings.note(tx, told, delivery, now)

        self._hub.write(unit)
        if noted:
            self.wake({delivery.event.type})

    def _failed(self, told: Subscriber, delivery: Delivery, error: GatewayError) -> None:
        now = datetime.now(UTC)
        first = delivery.first_attempt or now
        asked = error.retry_after if isinstance(error, Failure) else None
        chance = random.random()
        again = next_attempt(self._policy, delivery.attempts + 1, first, now, chance, asked)
        if isinstance(error, Failure) and error.permanent:
            again = None
        reason = f"{error.place}: {error}" if error.place else str(error)

        def unit(tx: Transaction) -> None:
            tx.failed(delivery, reason, again or now, at=now)
            if again is None:
                _give_up(tx, told, reason)

        self._hub.write(unit)
        if again is not None and self._work is not None:
            self._work.later(told.id, again)


def _give_up(tx: Transaction, told: Subscriber, reason: str) -> None:
    """The subscriber goes to error, and its Subscription says so; its events are kept."""
    tx.mark(told.id, "error", reason)
    stored = tx.current("Subscription", told.id)
    if stored is not None:
        resource = {**json.loads(stored.body), "status": "error", "error": reason}
        owner = Context(stored.owner, "gateway")
        tx.put(owner, gates.check(resource, models=False), interaction="update")


@lru_cache(maxsize=4096)
def _query(criteria: str) -> Query:
    type_, _, rest = criteria.partition("?")
    return parse_query(type_, parse_qsl(rest, keep_blank_values=True))
