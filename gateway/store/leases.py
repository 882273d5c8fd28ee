"""Leases: of several processes on one hub, one drains a subscriber at a time.

A lease ends with its holder's life (``workers``), and by itself, by the database's clock, so that a
process that died holds up nobody; what a process writes that has lost its own is refused by the
fence (``Conflict``), which each new lease moves on.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

import sqlalchemy as sa

from gateway.store.dialects import moment_here
from gateway.store.link import Statement
from gateway.store.tables import subscriber
from gateway.store.workers import Working, lives

_MICROSECOND: Final = timedelta(microseconds=1)

_TAKE: Final = Statement(
    subscriber.update()
    .where(
        subscriber.c.id == sa.bindparam("of"),
        sa.or_(
            subscriber.c.holder == sa.literal_column("''"),
            subscriber.c.holder == sa.bindparam("who"),  # of a drain of its own that is over
            subscriber.c.leased_until <= moment_here(),
            ~lives(subscriber.c.holder),
        ),
    )
    .values(
        holder=sa.bindparam("who"),
        leased_until=moment_here() + sa.bindparam("keep"),
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
    subscriber.update().where(*_MINE).values(leased_until=moment_here() + sa.bindparam("keep")),
    apart=True,
)
_RELEASE: Final = Statement(
    subscriber.update().where(*_MINE).values(holder=sa.literal_column("''")), apart=True
)


class Leasing(Working):
    """Giving and ending them."""

    def lease(self, subscriber_id: str, holder: str, keep: timedelta) -> int | None:
        """A lease's fence; None while another holds one, or where there is no such subscriber.

        A holder drains a subscriber once at a time: it may take what it has, with a new fence.
        """
        values: dict[str, Any] = {"of": subscriber_id, "who": holder, "keep": keep // _MICROSECOND}
        row = self.link.one(_TAKE, values)
        return None if row is None else int(row[0])

    def renew_lease(self, subscriber_id: str, fence: int, keep: timedelta) -> bool:
        """Whether it is still held, and for so long from now."""
        values = {"of": subscriber_id, "current": fence, "keep": keep // _MICROSECOND}
        return self.link.run(_RENEW, values) > 0

    def release(self, subscriber_id: str, fence: int) -> None:
        """End it, if it is still held."""
        self.link.run(_RELEASE, {"of": subscriber_id, "current": fence})
