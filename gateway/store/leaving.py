"""What stands in the way of a deletion, and the turns that conditional writes take."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.model import Context, Reference
from gateway.store.grants import Granting
from gateway.store.heads import parts
from gateway.store.link import Statement
from gateway.store.search import index
from gateway.store.tables import reference, resource, turn

RECORDS: Final = ("Provenance", "AuditEvent")
"""What tells of what was done to others: it outlives them."""

SLOTS: Final = 2**16
"""How many turns there are: criteria that share one only wait for each other."""

REFERRING: Final = (
    sa.select(resource.c.type, resource.c.id)
    .distinct()
    .where(
        reference.c.resource == resource.c.key,
        reference.c.target == sa.bindparam("target"),
        reference.c.type == sa.bindparam("of"),
        sa.not_(resource.c.deleted),
    )
    .order_by(resource.c.type, resource.c.id)
)
"""What refers to ``:target`` of type ``:of``, as far as search parameters tell."""

_REFERRERS: Final = Statement(
    REFERRING.where(*(resource.c.type != sa.literal_column(f"'{each}'") for each in RECORDS)).limit(
        sa.bindparam("count")
    )
)
_TAKE: Final = insert(turn).values(slot=sa.bindparam("slot"), taken=1)
_TURN: Final = Statement(
    _TAKE.on_conflict_do_update(index_elements=[turn.c.slot], set_={"taken": turn.c.taken + 1})
)


class Leaving(Granting):
    """Asks before a resource is deleted, or made because there is none."""

    def referrers(self, target: Reference, *, count: int = 10) -> Sequence[Reference]:
        """What refers to ``target``, whosesoever it is, as far as search parameters tell."""
        type_, id_ = parts(target)
        values = {"target": index.equal_text(id_), "of": type_, "count": count}
        return [f"{row[0]}/{row[1]}" for row in self.link.all(_REFERRERS, values)]

    def check_right(self, context: Context, target: Reference) -> None:
        """Raise ``NotFound`` or ``Denied`` where the caller may not change what is there."""
        head = self._head(target)
        if head is not None:
            self._may_write(context, head)

    def take_turn(self, criteria: str) -> None:
        """Before something is made because a search found nothing: nobody else may have.

        On SQLite nobody can: there is one writer. On PostgreSQL two such transactions meet in one
        row, and the one that comes second is run again with what the first left in sight.
        """
        if self.link.engine.grouped:
            return
        digest = hashlib.blake2b(criteria.encode("utf-8", "surrogatepass"), digest_size=4).digest()
        self.link.run(_TURN, {"slot": int.from_bytes(digest) % SLOTS})
