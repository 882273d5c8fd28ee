"""From versions to deliveries: what each subscriber hasn't read, and what it waits for.

The log is ordered by (transaction number, sequence), and read only where it is settled, so that
no version that commits late is skipped (DESIGN, section 2). Each subscriber's deliveries are
numbered from 1 without gaps; the oldest that isn't delivered holds up its own subscriber alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa

from gateway.errors import Conflict, GatewayError
from gateway.model import Delivery, Event, Stored
from gateway.store.attempts import Attempting
from gateway.store.dialects import BEFORE_ALL, later_than, settled_below
from gateway.store.grants import visible
from gateway.store.link import Row, Statement, insert_into
from gateway.store.resources import STORED, stored
from gateway.store.session import microseconds, moment
from gateway.store.subscribers import Position, Standing, Subscribers
from gateway.store.tables import delivery, resource, subscriber, version

BATCH: Final = 256
FAR: Final = timedelta(days=30)
"""A retry that is further off was set by a clock that ran ahead: it is due."""

_MICROSECOND: Final = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Unread:
    """Log entries of a subscriber's type after its cursor, in order.

    ``seen`` are those that its agency may see; ``count`` all, ``end`` the place of the last.
    """

    seen: tuple[tuple[Event, Stored], ...]
    count: int
    end: Position


@dataclass(frozen=True, slots=True)
class Judged:
    """What was read for a subscriber: ``count`` entries, up to ``end``.

    ``chosen`` are those that concern it, and of them ``faulty``, by sequence, those of which nobody
    could say whether they do. ``fence`` is a lease's token.
    """

    standing: Standing
    end: Position
    count: int
    chosen: Sequence[Event]
    faulty: Mapping[int, GatewayError]
    fence: int | None


EVENT: Final = (
    version.c.sequence,
    version.c.type,
    resource.c.id,
    version.c.version,
    version.c.interaction,
    resource.c.owner,
    version.c.at,
)
_SETTLED: Final = version.c.xid < settled_below()
_AFTER: Final = sa.and_(
    version.c.type == sa.bindparam("type"),
    later_than(
        version.c.xid,
        version.c.sequence,
        sa.bindparam("xid", type_=sa.BigInteger()),
        sa.bindparam("sequence", type_=sa.BigInteger()),
    ),
    _SETTLED,
)
_JOINED: Final = version.join(resource, resource.c.key == version.c.resource)
_UNREAD: Final = Statement(
    sa.select(version.c.xid, *EVENT, visible(version.c.version), *STORED)
    .select_from(_JOINED)
    .where(_AFTER)
    .order_by(version.c.xid, version.c.sequence)
    .limit(sa.bindparam("count"))
)
_EVENTS: Final = Statement(
    sa.select(version.c.xid, *EVENT)
    .select_from(_JOINED)
    .where(_AFTER)
    .order_by(version.c.xid, version.c.sequence)
    .limit(sa.bindparam("count"))
)
_XID: Final = Statement(
    sa.select(version.c.xid).where(version.c.sequence == sa.bindparam("sequence"))
)
_PENDING: Final = sa.and_(delivery.c.subscriber == subscriber.c.id, delivery.c.settled.is_(None))
_RESTED: Final = sa.or_(
    subscriber.c.retry_at.is_(None),
    subscriber.c.retry_at <= sa.bindparam("now"),
    subscriber.c.retry_at > sa.bindparam("now") + sa.literal_column(str(FAR // _MICROSECOND)),
)
_AWAKE: Final = sa.and_(subscriber.c.status == "active", _RESTED)
_SECOND: Final = 1_000_000
UNREAD: Final = sa.and_(  # the log's entries that a subscriber hasn't been asked about
    version.c.type == subscriber.c.type,
    later_than(
        version.c.xid,
        version.c.sequence,
        subscriber.c.cursor_xid,
        subscriber.c.cursor_sequence,
    ),
    _SETTLED,
)
_REQUESTED: Final = sa.and_(subscriber.c.status == "requested", _RESTED)
_TO_SAY: Final = sa.or_(  # what isn't an event: a handshake, an end, a heartbeat
    _REQUESTED,
    sa.and_(subscriber.c.status == "active", subscriber.c.until <= sa.bindparam("now")),
    sa.and_(
        _AWAKE,
        subscriber.c.heartbeat > 0,
        subscriber.c.told + subscriber.c.heartbeat * _SECOND <= sa.bindparam("now"),
    ),
)
_SENT: Final = (
    delivery.c.id,
    delivery.c.subscriber,
    delivery.c.number,
    delivery.c.attempts,
    delivery.c.first_attempt,
    *EVENT,
)
_DUE: Final = Statement(
    sa.select(*_SENT)
    .select_from(
        subscriber.join(delivery, _PENDING)
        .join(version, version.c.sequence == delivery.c.sequence)
        .join(resource, resource.c.key == version.c.resource)
    )
    .where(subscriber.c.id == sa.bindparam("of"), _AWAKE)
    .order_by(delivery.c.number)
    .limit(sa.bindparam("count"))
)
_NUMBERED: Final = Statement(
    sa.select(*_SENT)
    .select_from(
        delivery.join(version, version.c.sequence == delivery.c.sequence).join(
            resource, resource.c.key == version.c.resource
        )
    )
    .where(
        delivery.c.subscriber == sa.bindparam("of"),
        delivery.c.number.between(sa.bindparam("first"), sa.bindparam("last")),
    )
    .order_by(delivery.c.number)
    .limit(sa.bindparam("count"))
)
_BEHIND: Final = Statement(
    sa.select(subscriber.c.id)
    .where(
        sa.or_(
            _TO_SAY,
            sa.and_(
                _AWAKE,
                sa.or_(
                    sa.exists(sa.select(delivery.c.id).where(_PENDING).correlate(subscriber)),
                    sa.exists(sa.select(version.c.sequence).where(UNREAD).correlate(subscriber)),
                ),
            ),
        )
    )
    .order_by(subscriber.c.id)
)
_MOVE: Final = Statement(
    subscriber.update()
    .where(
        subscriber.c.id == sa.bindparam("of"),
        subscriber.c.cursor_xid == sa.bindparam("old_xid"),
        subscriber.c.cursor_sequence == sa.bindparam("old_sequence"),
        subscriber.c.next_number == sa.bindparam("old_number"),
    )
    .values(
        cursor_xid=sa.bindparam("xid"),
        cursor_sequence=sa.bindparam("sequence"),
        next_number=sa.bindparam("number"),
    ),
    apart=True,
)
_INSERT: Final = insert_into(delivery)


def read_event(row: Row) -> Event:
    """From a row of EVENT."""
    sequence, type_, id_, number, interaction, owner, at = row
    return Event(sequence, type_, id_, number, interaction, owner, moment(at))


class Outbox(Subscribers):
    """Reading the log and what waits."""

    def events_after(self, sequence: int, types: Iterable[str], limit: int = BATCH) -> list[Event]:
        """Settled events of these types after the one of that sequence (0: from the first)."""
        row = self.link.one(_XID, {"sequence": sequence})
        values = {"xid": row[0] if row else BEFORE_ALL, "sequence": sequence, "count": limit}
        found: list[Row] = []
        for type_ in types:
            found += self.link.all(_EVENTS, {**values, "type": type_})
        return [
            read_event(row[1:]) for row in sorted(found, key=lambda row: (row[0], row[1]))[:limit]
        ]

    def unread(self, standing: Standing, limit: int = BATCH) -> Unread | None:
        """What an active subscriber hasn't been asked about; None where that is nothing."""
        told = standing.subscriber
        if told.status != "active":
            return None
        values: dict[str, Any] = {
            "me": told.agency,
            "admin": False,
            "now": self.clock(),
            "type": told.criteria.partition("?")[0],
            "xid": standing.cursor[0],
            "sequence": standing.cursor[1],
            "count": limit,
        }
        rows = self.link.all(_UNREAD, values)
        if not rows:
            return None
        cut = 1 + len(EVENT)
        seen = [(read_event(row[1:cut]), stored(row[cut + 1 :])) for row in rows if row[cut]]
        return Unread(tuple(seen), len(rows), (rows[-1][0], rows[-1][1]))

    def due(self, subscriber_id: str, now: datetime, limit: int = 50) -> list[Delivery]:
        """Deliveries to send now, in order; none while the subscriber waits for a retry."""
        values = {"of": subscriber_id, "now": microseconds(now), "count": limit}
        return [_delivery(row) for row in self.link.all(_DUE, values)]

    def numbered(self, subscriber_id: str, first: int, last: int, limit: int) -> list[Delivery]:
        """Deliveries by their numbers, both ends included, whatever became of them."""
        values = {"of": subscriber_id, "first": first, "last": last, "count": limit}
        return [_delivery(row) for row in self.link.all(_NUMBERED, values)]

    def behind(self, now: datetime) -> list[str]:
        """Subscribers with something to read, send or say that needn't wait for a retry."""
        return [row[0] for row in self.link.all(_BEHIND, {"now": microseconds(now)})]


def _delivery(row: Row) -> Delivery:
    id_, told, number, attempts, first, *about = row
    return Delivery(
        id_, told, number, read_event(about), attempts, None if first is None else moment(first)
    )


class Sending(Attempting, Outbox):
    """Moving the cursors. Where a lease's fence has passed on, ``Conflict``."""

    def queue_all(self, read: Iterable[Judged]) -> set[str]:
        """Queue for each subscriber; the ids of those for whom another drain was first.

        Of those nothing was written, so that there is nothing to undo.
        """
        late = set()
        for each in read:
            try:
                self.queue(each)
            except Conflict:
                late.add(each.standing.subscriber.id)
        return late

    def queue(self, read: Judged) -> None:
        """Number the chosen events as deliveries and move the cursor past all that was read.

        Those that nobody could judge are set aside with the reason. Raises ``Conflict``, before
        anything is written, where another drain moved it first.
        """
        was, chosen = read.standing, read.chosen
        self._fenced(was.subscriber.id, read.fence)
        values = {
            "of": was.subscriber.id,
            "old_xid": was.cursor[0],
            "old_sequence": was.cursor[1],
            "old_number": was.next_number,
            "xid": read.end[0],
            "sequence": read.end[1],
            "number": was.next_number + len(chosen),
        }
        if not self.link.run(_MOVE, values):
            raise Conflict("another drain moved the cursor")
        queued = [
            Delivery(str(uuid.uuid4()), was.subscriber.id, number, event)
            for number, event in enumerate(chosen, was.next_number)
        ]
        rows = [
            (each.id, each.subscriber, each.number, each.event.sequence, 0, None, None, "")
            for each in queued
        ]
        if rows:
            self.link.later(_INSERT, rows)
        if read.faulty:
            self._set_aside(queued, read.faulty)

    def _set_aside(self, queued: Sequence[Delivery], faulty: Mapping[int, GatewayError]) -> None:
        self.flush()  # they are changed where they stand
        now = moment(self.clock())
        for each in queued:
            if each.event.sequence in faulty:
                self.set_aside(each, faulty[each.event.sequence], at=now, tried=False)
