"""Kept messages tried again: which failed, and what was put in their place.

What came stays as it came. A mended body lies beside it, with who put it there and when, and it is
the newest of these that is tried.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from gateway.model import Context
from gateway.store.link import Statement, insert_into
from gateway.store.messages import KEPT, Kept, kept
from gateway.store.session import Session, moment
from gateway.store.tables import mended, message


@dataclass(frozen=True, slots=True)
class Mended:
    """A body that somebody (``client``: a key's id) put in a message's place."""

    at: datetime
    client: str
    raw: bytes


_FAILED: Final = Statement(
    sa.select(*KEPT, message.c.key)
    .where(message.c.status == sa.literal_column("'failed'"), message.c.key > sa.bindparam("after"))
    .order_by(message.c.key)
    .limit(sa.bindparam("count"))
)
_MENDED: Final = Statement(
    sa.select(mended.c.at, mended.c.client, mended.c.raw)
    .where(mended.c.message == sa.bindparam("id"))
    .order_by(mended.c.sequence)
)
_MEND: Final = insert_into(mended, mended.c.sequence)
_OWN: Final = Statement(
    message.update().where(message.c.id == sa.bindparam("of")).values(agency=sa.bindparam("by"))
)


class Mends(Session):
    """Reading it."""

    def failed_after(self, key: int, *, count: int = 100) -> list[tuple[Kept, int]]:
        """The next messages that failed, oldest first, past a key (0 at first), each with its own.

        Of all agencies: for the gateway's keeper.
        """
        rows = self.link.all(_FAILED, {"after": key, "count": count})
        return [(kept(row[:-1]), row[-1]) for row in rows]

    def mended(self, message_id: str) -> Sequence[Mended]:
        """What was put in a message's place, the newest last."""
        rows = self.link.all(_MENDED, {"id": message_id})
        return [Mended(moment(row[0]), row[1], row[2]) for row in rows]


class Mending(Mends):
    """Writing it."""

    def mend(self, context: Context, message_id: str, raw: bytes) -> None:
        """Put a body in a kept message's place."""
        self.link.many(_MEND, [(message_id, self.clock(), context.client, raw)])

    def give(self, message_id: str, agency: str) -> None:
        """A message whose sender nobody declared is an agency's."""
        self.link.run(_OWN, {"of": message_id, "by": agency})
