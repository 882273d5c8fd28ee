"""A resource's row without its body, looked up once a transaction."""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from gateway.store.link import Statement
from gateway.store.session import Head, Session
from gateway.store.tables import resource

_HEAD: Final = Statement(
    sa.select(
        resource.c.key,
        resource.c.version,
        resource.c.updated,
        resource.c.owner,
        resource.c.deleted,
        resource.c.kinds,
        resource.c.digest,
    ).where(resource.c.type == sa.bindparam("type"), resource.c.id == sa.bindparam("id"))
)


class Heads(Session):
    """Remembers the heads of what it read and wrote: nobody else writes in between.

    On SQLite there is one writer; on PostgreSQL the transaction sees one snapshot.
    """

    def _head(self, type_: str, id_: str) -> Head | None:
        known = (type_, id_)
        if known not in self._heads:
            row = self.link.one(_HEAD, {"type": type_, "id": id_})
            self._heads[known] = None if row is None else Head(*row)
        return self._heads[known]
