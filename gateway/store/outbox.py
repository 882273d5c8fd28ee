"""From versions to deliveries: what each subscriber hasn't read, and what it waits for.

The log is ordered by (transaction number, sequence), and read only where it is settled, so that
no version that commits late is skipped (DESIGN, section 2). Each subscriber's deliveries are
numbered from 1 without gaps; the oldest that isn't delivered holds up its own subscriber alone.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.errors import Conflict
from gateway.model import Delivery, Event, Stored
from gateway.store.engine import settled_below
from gateway.store.grants import visible
from gateway.store.link import Row, Statement, insert_into
from gateway.store.resources import STORED, stored
from gateway.store.session import microseconds, moment
from gateway.store.subscribers import Position, Standing, Subscribers, Subscribing
from gateway.store.tables import delivery, resource, subscriber, version

BATCH: Final = 256


@dataclass(frozen=True, slots=True)
class Unread:
    """Log entries of a subscriber's type after its cursor, in order.

    ``seen`` are those that its agency may see; ``count`` all, ``end`` the place of the last.
    """

    standing: Standing
    seen: tuple[tuple[Event, Stored], ...]
    count: int
    end: Position


_EVENT: Final = (
    version.c.sequence,
    version.c.type,
    resource.c.id,
    version.c.version,
    version.c.interaction,
    resource.c.owner,
    version.c.at,
)
_PLACE: Final = sa.tuple_(version.c.xid, version.c.sequence)
_SETTLED: Final = version.c.xid < settled_below()
_AFTER: Final = sa.and_(
    version.c.type == sa.bindparam("type"),
    sa.tuple_(sa.bindparam("xid"), sa.bindparam("sequence")) < _PLACE,
    _SETTLED,
)
_JOINED: Final = version.join(resource, resource.c.key == version.c.resource)
_UNREAD: Final = Statement(
    sa.select(version.c.xid, *_EVENT, visible(version.c.version), *STORED)
    .select_from(_JOINED)
    .where(_AFTER)
    .order_by(version.c.xid, version.c.sequence)
    .limit(sa.bindparam("count"))
)
_EVENTS: Final = Statement(
    sa.select(version.c.xid, *_EVENT)
    .select_from(_JOINED)
    .where(_AFTER)
    .order_by(version.c.xid, version.c.sequence)
    .limit(sa.bindparam("count"))
)
_XID: Final = Statement(
    sa.select(version.c.xid).where(version.c.sequence == sa.bindparam("sequence"))
)
_PENDING: Final = sa.and_(delivery.c.subscriber == subscriber.c.id, delivery.c.delivered.is_(None))
_AWAKE: Final = sa.and_(
    subscriber.c.status == "active",
    sa.or_(subscriber.c.retry_at.is_(None), subscriber.c.retry_at <= sa.bindparam("now")),
)
_DUE: Final = Statement(
    sa.select(
        delivery.c.id,
        delivery.c.subscriber,
        delivery.c.number,
        delivery.c.attempts,
        delivery.c.first_attempt,
        *_EVENT,
    )
    .select_from(
        subscriber.join(delivery, _PENDING)
        .join(version, version.c.sequence == delivery.c.sequence)
        .join(resource, resource.c.key == version.c.resource)
    )
    .where(subscriber.c.id == sa.bindparam("of"), _AWAKE)
    .order_by(delivery.c.number)
    .limit(sa.bindparam("count"))
)
_BEHIND: Final = Statement(
    sa.select(subscriber.c.id)
    .where(
        _AWAKE,
        sa.or_(
            sa.exists(sa.select(delivery.c.id).where(_PENDING).correlate(subscriber)),
            sa.exists(
                sa.select(version.c.sequence)
                .where(
                    version.c.type == subscriber.c.type,
                    sa.tuple_(subscriber.c.cursor_xid, subscriber.c.cursor_sequence) < _PLACE,
                    _SETTLED,
                )
                .correlate(subscriber)
            ),
        ),
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
_INSERT: Final = insert_into(delivery, apart=True)
_ATTEMPT: Final = Statement(
    delivery.update()
    .where(delivery.c.id == sa.bindparam("of"), delivery.c.delivered.is_(None))
    .values(
        attempts=delivery.c.attempts + sa.literal_column("1"),
        first_attempt=sa.func.coalesce(delivery.c.first_attempt, sa.bindparam("at")),
        delivered=sa.bindparam("done"),
    ),
    apart=True,
)
_WELL: Final = Statement(
    subscriber.update()
    .where(subscriber.c.id == sa.bindparam("of"), subscriber.c.failing_since.is_not(None))
    .values(failing_since=None, retry_at=None, error=sa.literal_column("''")),
    apart=True,
)
_ILL: Final = Statement(
    subscriber.update()
    .where(subscriber.c.id == sa.bindparam("of"))
    .values(
        failing_since=sa.func.coalesce(subscriber.c.failing_since, sa.bindparam("at")),
        retry_at=sa.bindparam("retry"),
        error=sa.bindparam("why"),
    ),
    apart=True,
)


def _event(row: Row) -> Event:
    sequence, type_, id_, number, interaction, owner, at = row
    return Event(sequence, type_, id_, number, interaction, owner, moment(at))


class Outbox(Subscribers):
    """Reading the log and what waits."""

    def events_after(self, sequence: int, types: Iterable[str], limit: int = BATCH) -> list[Event]:
        """Settled events of these types after the one of that sequence (0: from the first)."""
        row = self.link.one(_XID, {"sequence": sequence})
        values = {"xid": row[0] if row else -1, "sequence": sequence, "count": limit}
        found: list[Row] = []
        for type_ in types:
            found += self.link.all(_EVENTS, {**values, "type": type_})
        return [_event(row[1:]) for row in sorted(found, key=lambda row: (row[0], row[1]))[:limit]]

    def unread(self, subscriber_id: str, limit: int = BATCH) -> Unread | None:
        """What an active subscriber hasn't been asked about; None where that is nothing."""
        standing = self.standing(subscriber_id)
        if standing is None or standing.subscriber.status != "active":
            return None
        told = standing.subscriber
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
        cut = 1 + len(_EVENT)
        seen = [(_event(row[1:cut]), stored(row[cut + 1 :])) for row in rows if row[cut]]
        return Unread(standing, tuple(seen), len(rows), (rows[-1][0], rows[-1][1]))

    def due(self, subscriber_id: str, now: datetime, limit: int = 50) -> list[Delivery]:
        """Deliveries to send now, in order; none while the subscriber waits for a retry."""
        values = {"of": subscriber_id, "now": microseconds(now), "count": limit}
        return [_delivery(row) for row in self.link.all(_DUE, values)]

    def behind(self, now: datetime) -> list[str]:
        """Active subscribers with something to read or to send that needn't wait for a retry."""
        return [row[0] for row in self.link.all(_BEHIND, {"now": microseconds(now)})]


def _delivery(row: Row) -> Delivery:
    id_, told, number, attempts, first, *event = row
    return Delivery(
        id_, told, number, _event(event), attempts, None if first is None else moment(first)
    )


class Sending(Subscribing, Outbox):
    """Moving the cursors and noting what became of each delivery.

    ``fence`` is a token of ``claim``; where it is given and no longer current, ``Conflict``.
    """

    def queue(self, unread: Unread, chosen: Sequence[Event], *, fence: int | None = None) -> None:
        """Number the chosen events as deliveries and move the cursor past all that was read.

        Raises ``Conflict`` where another drain moved it first.
        """
        was = unread.standing
        self._fenced(was.subscriber.id, fence)
        values = {
            "of": was.subscriber.id,
            "old_xid": was.cursor[0],
            "old_sequence": was.cursor[1],
            "old_number": was.next_number,
            "xid": unread.end[0],
            "sequence": unread.end[1],
            "number": was.next_number + len(chosen),
        }
        if not self.link.run(_MOVE, values):
            raise Conflict("another drain moved the cursor")
        rows = [
            (str(uuid.uuid4()), was.subscriber.id, number, event.sequence, 0, None, None)
            for number, event in enumerate(chosen, was.next_number)
        ]
        if rows:
            self.link.many(_INSERT, rows)

    def delivered(self, delivery: Delivery, at: datetime, *, fence: int | None = None) -> None:
        """The receiver took it. A subscriber that was failing is well again."""
        self._fenced(delivery.subscriber, fence)
        done = microseconds(at)
        self.link.run(_ATTEMPT, {"of": delivery.id, "at": done, "done": done})
        self.link.run(_WELL, {"of": delivery.subscriber})

    def failed(
        self,
        delivery: Delivery,
        reason: str,
        retry_at: datetime,
        *,
        at: datetime,
        fence: int | None = None,
    ) -> None:
        """An attempt failed: the subscriber waits until ``retry_at``. ``reason`` has no values."""
        self._fenced(delivery.subscriber, fence)
        tried = microseconds(at)
        self.link.run(_ATTEMPT, {"of": delivery.id, "at": tried, "done": None})
        values = {"of": delivery.subscriber, "at": tried, "why": reason}
        self.link.run(_ILL, {**values, "retry": microseconds(retry_at)})
