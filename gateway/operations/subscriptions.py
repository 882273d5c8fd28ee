"""``$status``, ``$events``, ``$resend``: how a subscription stands, and what it was told.

R4 Backport 1.1. What an event tells is asked again for whoever asks, as when it is sent.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from gateway.errors import Conflict, Denied, InvalidResource
from gateway.fhir.notification import Happening, bundle, status
from gateway.fhir.search import parse_query
from gateway.fhir.topics import Topics
from gateway.model import Content, Context, Delivery, Resource
from gateway.operations.everything import Note
from gateway.outgoing.notifying import happening, state
from gateway.protect import scopes
from gateway.store import Hub, Reader, Transaction
from gateway.store.subscribers import Standing

Submit = Callable[[Callable[[Transaction], Any]], Future[Any]]

MOST: Final = 1000
"""How many subscriptions a status tells of, and events a call."""


@dataclass(frozen=True, slots=True)
class Again:
    """Which events are to be sent again: their numbers and times, both ends included."""

    first: int
    last: int
    since: datetime
    until: datetime


class Subscriptions:
    """Reads how subscriptions stand, and sends again; ``wake`` has a subscriber seen to."""

    def __init__(
        self, hub: Hub, topics: Topics, submit: Submit, note: Note, wake: Callable[[str], None]
    ) -> None:
        self._hub = hub
        self._topics = topics
        self._submit = submit
        self._note = note
        self._wake = wake

    def status(self, context: Context, base: str, id: str) -> list[Resource]:
        """How one stands. Raises Denied, NotFound, Gone."""
        scopes.require(context, "Subscription", "r")
        with self._hub.read() as reader:
            return [status(base, state(_standing(reader, context, id)), "query-status")]

    def statuses(
        self, context: Context, base: str, ids: Sequence[str], among: Collection[str]
    ) -> list[Resource]:
        """How those stand that the caller sees: of ``ids`` (none: all), in one of ``among``."""
        scopes.require(context, "Subscription", "r")
        asked = [("_count", str(MOST)), ("_total", "none")]
        asked += [("_id", ",".join(ids))] if ids else []
        with self._hub.read() as reader:
            page = reader.search(context, parse_query("Subscription", asked))
            found = [reader.standing(each.id) for each in page.entries]
        kept = [
            each
            for each in found
            if each is not None and (not among or each.subscriber.status in among)
        ]
        return [status(base, state(each), "query-status") for each in kept]

    def events(
        self, context: Context, base: str, id: str, first: int, last: int, content: Content
    ) -> Resource:
        """A Bundle of the events of these numbers, both included, as the caller sees them now.

        At most ``MOST``: more are asked for from the last one's number on. ``content`` "" is the
        subscription's own. Raises Denied, NotFound, Gone, InvalidResource.
        """
        scopes.require(context, "Subscription", "r")
        with self._hub.read() as reader:
            standing = _standing(reader, context, id)
            told = standing.subscriber
            topic = self._topics.get(told.topic)
            if topic is None:
                text = "only a topic's subscription has numbered events"
                raise InvalidResource(text, place="Subscription.criteria", code="not-supported")
            content = content or told.content
            if content == "full-resource":
                scopes.require(context, topic.type, "r")
            due = reader.numbered(id, first, last, MOST)
            found = [happening(reader, context, topic, content, each) for each in due]
        self._note(context, "events", [one for each in found for one in each.shown])
        happenings: list[Happening] = [each.happening for each in found]
        return bundle(base, state(standing), "query-event", happenings, datetime.now(UTC))

    def resend(self, context: Context, id: str, asked: Again) -> Future[int]:
        """Send settled events again, in their order, under their numbers and ids; how many.

        Raises Denied, NotFound, Gone.
        """
        scopes.require(context, "Subscription", "u")

        def unit(tx: Transaction) -> int:
            _standing(tx, context, id)
            if tx.owner(f"Subscription/{id}") != context.agency:
                raise Denied("only its owner may have it sent again", place="Subscription")
            due = tx.numbered(id, asked.first, asked.last, MOST)
            again = [each for each in due if asked.since <= each.event.at <= asked.until]
            tx.audit(context, "resend", f"Subscription/{id}")
            return sum(_reopened(tx, each, context.client) for each in again)

        future = self._submit(unit)
        future.add_done_callback(lambda _: self._wake(id))
        return future


def _reopened(tx: Transaction, delivery: Delivery, client: str) -> bool:
    """Make it due again; what is under way needn't be."""
    try:
        tx.replay(delivery.id, client, datetime.now(UTC))
    except Conflict:
        return False
    return True


def _standing(reader: Reader, context: Context, id: str) -> Standing:
    """How a subscription stands that the caller sees. Raises NotFound, Gone."""
    reader.read(context, "Subscription", id)
    standing = reader.standing(id)
    assert standing is not None, "a Subscription and its row are written together"
    return standing
