"""What stands in the way of a deletion, and the turns that conditional writes take."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.model import Context, Reference
from gateway.store.grants import Granting
from gateway.store.heads import parts
from gateway.store.link import Link, Row, Statement
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
_HOLD: Final = Statement(
    sa.select(resource.c.key)
    .where(resource.c.type == sa.bindparam("type"), resource.c.id == sa.bindparam("id"))
    .with_for_update(read=True)
)
_TAKE: Final = insert(turn).values(slot=sa.bindparam("slot"), taken=1)
_TURN: Final = Statement(
    _TAKE.on_conflict_do_update(index_elements=[turn.c.slot], set_={"taken": turn.c.taken + 1})
)


def _named(rows: Iterable[Row]) -> list[Reference]:
    return [f"{row[0]}/{row[1]}" for row in rows]


class Leaving(Granting):
    """Asks before a resource is deleted, or made because there is none."""

    def referrers(self, target: Reference, *, count: int = 10) -> Sequence[Reference]:
        """What refers to ``target``, whosesoever it is, as far as search parameters tell.

        On PostgreSQL this snapshot doesn't show what others committed since it was taken. Once
        ``target``'s deletion is written, nobody can refer to it any more (``hold``), and another
        snapshot shows who does: but for what this transaction itself has changed.
        """
        type_, id_ = parts(target)
        values = {"target": index.equal_text(id_), "of": type_, "count": count}
        found = _named(self.link.all(_REFERRERS, values))
        if self.link.engine.grouped:
            return found
        self.link.flush()
        others = [each for each in self._now_referring(values) if not self._wrote(each)]
        return list(dict.fromkeys([*found, *others]))[:count]

    def _now_referring(self, values: dict[str, Any]) -> list[Reference]:
        with self.link.engine.reads.connect() as connection, connection.begin():
            return _named(Link(self.link.engine, connection).all(_REFERRERS, values))

    def _wrote(self, reference: Reference) -> bool:
        known = self._known(reference)
        return known is not None and known.fresh

    def hold(self, references: Iterable[Reference]) -> None:
        """Keep what this transaction refers to from being deleted before it is committed.

        What was deleted since this transaction's snapshot has it run again. On SQLite there is one
        writer.
        """
        if self.link.engine.grouped:
            return
        for each in sorted(set(references)):  # in one order, so that two don't cross
            type_, id_ = parts(each)
            self.link.all(_HOLD, {"type": type_, "id": id_})

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
