"""Who is told: each subscriber's row, its cursor over the log and how its deliveries stand."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import sqlalchemy as sa

from gateway.errors import Conflict
from gateway.model import Subscriber
from gateway.store.dialects import transaction_number
from gateway.store.link import Row, Statement, insert_into
from gateway.store.session import Session, microseconds, moment
from gateway.store.tables import delivery, subscriber, version

Position = tuple[int, int]
"""A place in the log: transaction number and sequence."""


@dataclass(frozen=True, slots=True)
class Standing:
    """How a subscriber's deliveries stand.

    ``next_number`` is the next delivery's, ``fence`` the token of whoever drains it now. ``told``
    is when it was last sent anything, or began.
    """

    subscriber: Subscriber
    cursor: Position
    next_number: int
    fence: int
    failing_since: datetime | None
    retry_at: datetime | None
    told: datetime


_NAMES: Final = (
    "id",
    "agency",
    "channel",
    "endpoint",
    "criteria",
    "payload",
    "headers",
    "status",
    "error",
    "topic",
    "content",
    "heartbeat",
    "timeout",
    "most",
    "until",
)
_STATE: Final = (
    subscriber.c.cursor_xid,
    subscriber.c.cursor_sequence,
    subscriber.c.next_number,
    subscriber.c.fence,
    subscriber.c.failing_since,
    subscriber.c.retry_at,
    subscriber.c.told,
)
_ROW: Final = sa.select(*(subscriber.c[name] for name in _NAMES), *_STATE)
_ID: Final = subscriber.c.id == sa.bindparam("of")
_ALL: Final = Statement(_ROW.order_by(subscriber.c.id))
_ONE: Final = Statement(_ROW.where(_ID))
_END: Final = Statement(
    sa.select(transaction_number(), sa.func.coalesce(sa.func.max(version.c.sequence), 0))
)
_INSERT: Final = insert_into(subscriber)
_CHANGE: Final = Statement(
    subscriber.update()
    .where(_ID)
    .values({name: sa.bindparam(name) for name in (*_NAMES[1:], "type")})
)
_HEAL: Final = Statement(subscriber.update().where(_ID).values(failing_since=None, retry_at=None))
_MARK: Final = Statement(
    subscriber.update().where(_ID).values(status=sa.bindparam("to"), error=sa.bindparam("why"))
)
_TELL: Final = Statement(subscriber.update().where(_ID).values(told=sa.bindparam("at")), apart=True)
# Locked, so that no lease is given before what was written by this fence is there.
_FENCE: Final = Statement(
    sa.select(subscriber.c.fence).where(_ID).with_for_update(key_share=True), apart=True
)
_EMPTY: Final = Statement(delivery.delete().where(delivery.c.subscriber == sa.bindparam("of")))
_REMOVE: Final = Statement(subscriber.delete().where(_ID))


def _standing(row: Row) -> Standing:
    named = dict(zip(_NAMES, row, strict=False))
    named["headers"] = tuple(json.loads(named["headers"]))
    named["until"] = _moment(named["until"])
    xid, sequence, number, fence, failing, retry, told = row[len(_NAMES) :]
    return Standing(
        Subscriber(**named),
        (xid, sequence),
        number,
        fence,
        _moment(failing),
        _moment(retry),
        moment(told),
    )


def _moment(at: int | None) -> datetime | None:
    return None if at is None else moment(at)


class Subscribers(Session):
    """Reading them."""

    def subscribers(self) -> list[Subscriber]:
        """Every subscriber, by id, whatever its status."""
        return [_standing(row).subscriber for row in self.link.all(_ALL, {})]

    def standing(self, subscriber_id: str) -> Standing | None:
        """One subscriber and how it stands."""
        row = self.link.one(_ONE, {"of": subscriber_id})
        return None if row is None else _standing(row)


class Subscribing(Subscribers):
    """Changing them."""

    def put_subscriber(self, told: Subscriber) -> None:
        """Add a subscriber at the end of the log, or change one, which keeps its place in it.

        Put "active" or "requested", it is tried again at once.
        """
        values = {name: getattr(told, name) for name in _NAMES}
        values |= {"headers": json.dumps(told.headers), "type": told.criteria.partition("?")[0]}
        values["until"] = None if told.until is None else microseconds(told.until)
        if not self.link.run(_CHANGE, {**values, "of": told.id}):
            end = self.link.one(_END, {}) or (0, 0)
            start = {"cursor_xid": end[0], "cursor_sequence": end[1], "next_number": 1, "fence": 0}
            start |= {"failing_since": None, "retry_at": None, "told": self.clock()}
            start |= {"holder": "", "leased_until": 0}
            self.link.run(_INSERT, {**values, **start})
        elif told.status in ("active", "requested"):
            self.link.run(_HEAL, {"of": told.id})

    def mark(
        self,
        subscriber_id: str,
        status: Literal["requested", "active", "error", "off"],
        error: str = "",
    ) -> None:
        """Set its status; only an active one is read for and sent to. "active" tries again."""
        self.link.run(_MARK, {"of": subscriber_id, "to": status, "why": error})
        if status in ("active", "requested"):
            self.link.run(_HEAL, {"of": subscriber_id})

    def told(self, subscriber_id: str, at: datetime) -> None:
        """It was sent something: a heartbeat is due a period after this."""
        self.link.run(_TELL, {"of": subscriber_id, "at": microseconds(at)})

    def remove_subscriber(self, subscriber_id: str) -> None:
        """Forget it and all its deliveries. Removing what isn't there does nothing."""
        self.link.run(_EMPTY, {"of": subscriber_id})
        self.link.run(_REMOVE, {"of": subscriber_id})

    def _fenced(self, subscriber_id: str, fence: int | None) -> None:
        if fence is None:
            return
        row = self.link.one(_FENCE, {"of": subscriber_id})
        if row is None or row[0] != fence:
            raise Conflict("another drain took over")
