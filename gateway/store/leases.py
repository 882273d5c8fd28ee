"""Leases: of several processes on one hub, one drains a subscriber at a time.

A lease ends by itself, so that a process that died holds up nobody; what a process writes that has
lost its own is refused by the fence (``Conflict``), which each new lease moves on.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.store.link import Statement
from gateway.store.session import Session, microseconds
from gateway.store.tables import subscriber

_TAKE: Final = Statement(
    subscriber.update()
    .where(
        subscriber.c.id == sa.bindparam("of"),
        sa.or_(
            subscriber.c.holder == sa.literal_column("''"),
            subscriber.c.leased_until <= sa.bindparam("now"),
        ),
    )
    .values(
        holder=sa.bindparam("who"),
        leased_until=sa.bindparam("until"),
        fence=subscriber.c.fence + sa.literal_column("1"),
    )
    .returning(subscriber.c.fence),
    apart=True,
)
_MINE: Final = (
    subscriber.c.id == sa.bindparam("of"),
    subscriber.c.fence == sa.bindparam("current"),
)
_RENEW: Final = Statement(
    subscriber.update().where(*_MINE).values(leased_until=sa.bindparam("until")), apart=True
)
_RELEASE: Final = Statement(
    subscriber.update().where(*_MINE).values(holder=sa.literal_column("''")), apart=True
)


class Leasing(Session):
    """Giving and ending them."""

    def lease(self, subscriber_id: str, holder: str, now: datetime, until: datetime) -> int | None:
        """A lease's fence; None while another holds one, or where there is no such subscriber."""
        values: dict[str, Any] = {"of": subscriber_id, "who": holder, "now": microseconds(now)}
        row = self.link.one(_TAKE, {**values, "until": microseconds(until)})
        return None if row is None else int(row[0])

    def renew_lease(self, subscriber_id: str, fence: int, until: datetime) -> bool:
        """Whether it is still held, and until then."""
        values = {"of": subscriber_id, "current": fence, "until": microseconds(until)}
        return self.link.run(_RENEW, values) > 0

    def release(self, subscriber_id: str, fence: int) -> None:
        """End it, if it is still held."""
        self.link.run(_RELEASE, {"of": subscriber_id, "current": fence})
