"""How many hubs a version came through before this one, so that what goes round comes to an end."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy import Column, Integer, PrimaryKeyConstraint, Table, Text

from gateway.store.link import Statement, insert_into
from gateway.store.session import Session
from gateway.store.tables import metadata

passage = Table(  # only of versions that another hub sent
    "passage",
    metadata,
    Column("type", Text, nullable=False),
    Column("id", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("hops", Integer, nullable=False),
    PrimaryKeyConstraint("type", "id", "version"),
)
_INSERT: Final = insert_into(passage)
_ONE: Final = Statement(
    sa.select(passage.c.hops).where(
        passage.c.type == sa.bindparam("type"),
        passage.c.id == sa.bindparam("id"),
        passage.c.version == sa.bindparam("number"),
    ),
    apart=True,
)


class Passages(Session):
    """Reading them."""

    def passed(self, type: str, id: str, version: int) -> int:
        """0 for what began here."""
        row = self.link.one(_ONE, {"type": type, "id": id, "number": version})
        return 0 if row is None else int(row[0])


class Passing(Passages):
    """Noting them."""

    def has_passed(self, type: str, id: str, version: int, hops: int) -> None:
        """This version came through so many hubs."""
        self.link.later(_INSERT, [(type, id, version, hops)])
