"""Deliveries as their keeper looks at them: by subscriber, by what became of them, by the event."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from gateway.errors import NotFound
from gateway.model import Event
from gateway.store.attempts import Outcome
from gateway.store.link import Row, Statement
from gateway.store.outbox import EVENT, read_event
from gateway.store.session import Session, moment
from gateway.store.subscribers import Position
from gateway.store.tables import delivery, resource, subscriber, version

Place = tuple[int, str]
"""Of a delivery in the list: its event's sequence and its id."""

_subscribers: Final = subscriber


@dataclass(frozen=True, slots=True)
class Sent:
    """A delivery and how it stands."""

    id: str
    subscriber: str
    agency: str
    channel: str
    number: int
    event: Event
    attempts: int
    first_attempt: datetime | None
    settled: datetime | None
    outcome: Outcome

    @property
    def at(self) -> Place:
        """Its place in the list: older ones come after it."""
        return self.event.sequence, self.id

    @property
    def state(self) -> str:
        """Its outcome in a word: ``pending`` while it has none."""
        return self.outcome or "pending"


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many of a subscriber's deliveries are pending and set aside."""

    pending: int
    aside: int


_FROM: Final = (
    delivery.join(subscriber, subscriber.c.id == delivery.c.subscriber)
    .join(version, version.c.sequence == delivery.c.sequence)
    .join(resource, resource.c.key == version.c.resource)
)
_SENT: Final = sa.select(
    delivery.c.id,
    delivery.c.subscriber,
    subscriber.c.agency,
    subscriber.c.channel,
    delivery.c.number,
    delivery.c.attempts,
    delivery.c.first_attempt,
    delivery.c.settled,
    delivery.c.outcome,
    *EVENT,
).select_from(_FROM)
_ONE: Final = Statement(_SENT.where(delivery.c.id == sa.bindparam("of")))
_COUNT: Final = Statement(
    sa.select(
        sa.func.count().filter(delivery.c.settled.is_(None)),
        sa.func.count().filter(delivery.c.outcome == sa.literal_column("'aside'")),
    ).where(
        delivery.c.subscriber == sa.bindparam("of"),
        sa.or_(delivery.c.settled.is_(None), delivery.c.outcome == sa.literal_column("'aside'")),
    )
)


_EVENTS: Final = Statement(
    sa.select(version.c.xid, *EVENT)
    .select_from(version.join(resource, resource.c.key == version.c.resource))
    .where(resource.c.type == sa.bindparam("type"), resource.c.id == sa.bindparam("id"))
    .order_by(version.c.sequence.desc())
    .limit(sa.bindparam("count"))
)


def _sent(row: Row) -> Sent:
    id_, told, agency, channel, number, tried, first, settled, outcome, *about = row
    begun = None if first is None else moment(first)
    done = None if settled is None else moment(settled)
    return Sent(id_, told, agency, channel, number, read_event(about), tried, begun, done, outcome)


class Deliveries(Session):
    """Reading them. They are the keeper's: whose they are is asked before."""

    def deliveries(
        self,
        *,
        subscriber: str = "",
        agency: str = "",
        outcome: Outcome | None = None,
        about: tuple[str, str] | None = None,
        before: Place = (2**62, ""),
        count: int = 100,
    ) -> list[Sent]:
        """Those of a subscriber, an agency, an outcome or a resource (type, id), newest first.

        ``before`` is the place of the last of the page before.
        """
        asked = [sa.tuple_(delivery.c.sequence, delivery.c.id) < sa.tuple_(*before)]
        if subscriber:
            asked.append(delivery.c.subscriber == subscriber)
        if agency:
            asked.append(_subscribers.c.agency == agency)
        if outcome is not None:
            asked.append(delivery.c.outcome == outcome)
        if outcome == "":
            asked.append(delivery.c.settled.is_(None))
        if about is not None:
            asked += [resource.c.type == about[0], resource.c.id == about[1]]
        order = (delivery.c.sequence.desc(), delivery.c.id.desc())
        rows = self.link.select(_SENT.where(*asked).order_by(*order).limit(count), {})
        return [_sent(row) for row in rows]

    def delivery(self, delivery_id: str) -> Sent:
        """One delivery. Raises ``NotFound``."""
        row = self.link.one(_ONE, {"of": delivery_id})
        if row is None:
            raise NotFound("no such delivery")
        return _sent(row)

    def happened(self, type: str, id: str, count: int) -> list[tuple[Position, Event]]:
        """A resource's newest versions and their places in the log, the newest first."""
        rows = self.link.all(_EVENTS, {"type": type, "id": id, "count": count})
        return [((row[0], row[1]), read_event(row[1:])) for row in rows]

    def waiting(self, subscriber_id: str) -> Waiting:
        """What a subscriber has before it, and what was set aside."""
        row = self.link.one(_COUNT, {"of": subscriber_id})
        return Waiting(*row) if row else Waiting(0, 0)
