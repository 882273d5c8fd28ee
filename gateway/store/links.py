"""Signed links that have acted: each acts once, in the transaction of what it does."""

from __future__ import annotations

from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, Index, Table, Text
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.errors import Conflict
from gateway.store.link import Statement
from gateway.store.session import Session, microseconds
from gateway.store.tables import metadata

used_link = Table(
    "used_link",
    metadata,
    Column("id", Text, primary_key=True),
    Column("until", BigInteger, nullable=False),  # when it ends: it needn't be known longer
)
Index("used_link_until", used_link.c.until)

_USE: Final = Statement(
    insert(used_link)
    .values({c: sa.bindparam(c.name) for c in used_link.columns})
    .on_conflict_do_nothing(index_elements=[used_link.c.id]),
    apart=True,
)
_USED: Final = Statement(
    sa.select(used_link.c.id).where(used_link.c.id == sa.bindparam("id")), apart=True
)
_FORGET: Final = Statement(
    used_link.delete().where(used_link.c.until < sa.bindparam("now")), apart=True
)


class UsedLinks(Session):
    """Reading them."""

    def is_used(self, id: str) -> bool:
        """Whether a link has acted."""
        return self.link.one(_USED, {"id": id}) is not None


class UsingLinks(UsedLinks):
    """Noting them."""

    def use(self, id: str, until: datetime) -> None:
        """The link acts now. Raises ``Conflict`` where it has acted before."""
        self.link.run(_FORGET, {"now": self.clock()})
        if not self.link.run(_USE, {"id": id, "until": microseconds(until)}):
            raise Conflict("this link was used before", place="token")
