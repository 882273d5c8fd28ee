"""What goes out to a subscriber, made when it is about to go: rights are asked again here.

Of a topic it is a Bundle of one event or more (``fhir.notification``); of plain criteria the
resource or a bare knock; of a closing profile HL7 v2 messages. A topic's event that the subscriber
may no longer see keeps its number and time, so that its numbers have no gaps, and tells no more.
"""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Final

from gateway.closing import Closings
from gateway.deliver import callback
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.errors import DeliverError, GatewayError, Gone, Internal, NotFound, Unavailable
from gateway.fhir import json
from gateway.fhir.notification import Entry, Happening, Kind, State, bundle
from gateway.fhir.search import parse_query
from gateway.fhir.topics import Topic, Topics
from gateway.model import Content, Context, Delivery, Event, Stored, Subscriber
from gateway.outgoing.letters import Letters
from gateway.protect.least import shown
from gateway.store import Reader
from gateway.store.subscribers import Standing

FHIR: Final = "application/fhir+json"

ROUND: Final = 3
"""How many hubs pass an update on; then two that undo each other's writing come to an end."""


@dataclass(frozen=True, slots=True)
class Made:
    """What one attempt is about: the deliveries that it carries, and the notice, or why there is
    none: NotFound and Gone say that the right to it has ended, others that it can't be made.

    Without deliveries it is the subscriber's alone: a handshake, a heartbeat. ``hidden`` are the
    ids of those of which the notice tells no more than that they happened: the right has ended.
    """

    deliveries: tuple[Delivery, ...]
    notice: Notice | GatewayError
    hidden: frozenset[str] = frozenset()


class Notifying:
    """Makes notices out of the hub. ``base`` is the FHIR base URL as others reach it."""

    def __init__(self, closings: Closings, letters: Letters, topics: Topics, base: str) -> None:
        self._closings = closings
        self._letters = letters
        self._topics = topics
        self._base = base

    def made(self, reader: Reader, told: Subscriber, deliveries: Sequence[Delivery]) -> Made:
        """One notice of these deliveries, or why it can't be made."""
        group = tuple(deliveries)
        try:
            if told.topic and told.channel != "email":
                return self._told(reader, told, group)
            return Made(group, self._notice(reader, told, group[0]))
        except Unavailable:
            raise
        except GatewayError as error:
            return Made(group, error)
        except Exception as error:  # noqa: BLE001 - recorded by its kind where it is set aside
            return Made(group, Internal(error))

    def said(self, standing: Standing, kind: Kind) -> Made:
        """A handshake or heartbeat: how the subscription stands, and no event."""
        told = standing.subscriber
        name = f"{kind}-{uuid.uuid4()}"
        return Made((), Notice(name, self.body(standing, kind), told.payload or FHIR))

    def body(self, standing: Standing, kind: Kind) -> bytes:
        """The Bundle of one."""
        return json.dumps(bundle(self._base, state(standing), kind, (), datetime.now(UTC)))

    def _told(self, reader: Reader, told: Subscriber, group: tuple[Delivery, ...]) -> Made:
        topic = self._topics.get(told.topic)
        if topic is None:
            raise DeliverError("its topic is no longer known", place="Subscription.criteria")
        context = Context(told.agency, told.id)
        standing = reader.standing(told.id)
        found = [happening(reader, context, topic, told.content, each) for each in group]
        if standing is None:
            raise NotFound("the subscription is no longer there")
        first, last = group[0], group[-1]
        name = first.id if len(group) == 1 else f"{first.id}-{last.number}"
        happenings = [each.happening for each in found]
        resource = bundle(
            self._base,
            state(standing),
            "event-notification",
            happenings,
            datetime.now(UTC),
            name=name,
        )
        hidden = frozenset(
            each.id for each, seen in zip(group, found, strict=True) if not seen.allowed
        )
        return Made(group, Notice(name, json.dumps(resource), told.payload or FHIR), hidden)

    def _notice(self, reader: Reader, told: Subscriber, delivery: Delivery) -> Notice:
        """What goes out, read as the subscriber's agency may read it now.

        Raises:
            NotFound: the right to it has ended.
        """
        event = delivery.event
        context = Context(told.agency, told.id)
        stored = shown(context, reader.vread(context, event.type, event.id, event.version))
        hops = 1 + reader.passed(event.type, event.id, event.version)
        if told.is_closing:
            return Notice(delivery.id, self._closings.message(told, delivery))
        if told.channel == "email":
            return self._letters.letter(told, delivery, stored)
        if told.channel == "callback":
            return callback.notice(delivery, stored, self._base, whole=bool(told.payload))
        if not told.payload:
            return Notice(delivery.id)
        if hops > ROUND:
            raise Failure("it came through so many hubs that it ends here", refused=True)
        return Notice(delivery.id, stored.body, told.payload, stored.reference, hops=hops)


def groups(told: Subscriber, due: Sequence[Delivery]) -> list[Sequence[Delivery]]:
    """What is due, in order, as many together as the subscriber takes."""
    size = told.most if told.topic and told.channel != "email" else 1
    return [due[start : start + size] for start in range(0, len(due), size)]


def state(standing: Standing) -> State:
    """How a subscription stands, as its notifications say it."""
    told = standing.subscriber
    error = told.error if told.status == "error" else ""
    return State(told.id, told.topic, told.status, standing.next_number - 1, error)


@dataclass(frozen=True, slots=True)
class Told:
    """An event as somebody may see it: ``allowed`` says whether, ``shown`` are the versions."""

    happening: Happening
    allowed: bool = True
    shown: tuple[Stored, ...] = ()


def happening(
    reader: Reader, context: Context, topic: Topic, content: Content, delivery: Delivery
) -> Told:
    """An event as ``context`` may see it now."""
    event, number = delivery.event, delivery.number
    bare = Happening(number, event.at)
    try:
        stored = _version(reader, context, event)
    except NotFound:
        return Told(bare, allowed=False)
    if content not in ("id-only", "full-resource"):
        return Told(bare)
    about = f"{event.type}/{event.id}"
    seen = () if stored is None else (stored,)
    if content == "id-only":
        return Told(replace(bare, focus=about, related=topic.related), shown=seen)
    along = _along(reader, context, topic, event)
    focus = Entry(about, None if stored is None else json.loads(stored.body), event.interaction)
    entries = (focus, *(Entry(each.reference, json.loads(each.body)) for each in along))
    names = tuple(each.reference for each in along)
    told = Happening(number, event.at, about, names, topic.related, entries)
    return Told(told, shown=(*seen, *along))


def _version(reader: Reader, context: Context, event: Event) -> Stored | None:
    """The version that an event is about, as the caller may see it; None: the deletion.

    Raises NotFound.
    """
    try:
        return shown(context, reader.vread(context, event.type, event.id, event.version))
    except Gone:
        return None


def _along(reader: Reader, context: Context, topic: Topic, event: Event) -> list[Stored]:
    """What the topic sends with a whole resource, as far as the caller may see it, as it is now."""
    if not topic.shape or event.interaction == "delete":
        return []
    asked = [("_id", event.id), ("_count", "1"), ("_total", "none"), *topic.shape]
    page = reader.search(context, parse_query(event.type, asked))
    return [shown(context, each) for each in page.included]
