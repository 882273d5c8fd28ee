"""Which processes of a hub live, and what each of them does alone.

A process says again and again that it lives, by the database's clock, so that nobody's own clock
matters. One that has been silent for ``LIFE`` is dead to the others: what it held is anybody's.
"""

from __future__ import annotations

from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.store.dialects import moment_here
from gateway.store.link import Statement
from gateway.store.session import Session
from gateway.store.tables import metadata

LIFE: Final = 5.0
"""Seconds of silence after which a process counts as dead."""

_OLD: Final = 3600
"""Seconds after which a dead one is forgotten."""

_SECOND: Final = 1_000_000

worker = sa.Table(
    "worker",
    metadata,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("seen", sa.BigInteger, nullable=False),
)
duty = sa.Table(
    "duty",
    metadata,
    sa.Column("name", sa.Text, primary_key=True),
    sa.Column("holder", sa.Text, nullable=False),  # "" where nobody does it now
)


_DEAD: Final = moment_here() - sa.literal_column(str(int(LIFE * _SECOND)))


def lives(holder: sa.ColumnElement[str]) -> sa.ColumnElement[bool]:
    """Whether that process does, in SQL."""
    alive = sa.select(worker.c.id).where(worker.c.id == holder, worker.c.seen > _DEAD)
    return sa.exists(alive.correlate_except(worker))


_ME: Final = worker.c.id == sa.bindparam("me")
_BEAT: Final = Statement(
    insert(worker)
    .values(id=sa.bindparam("me"), seen=moment_here())
    .on_conflict_do_update(index_elements=[worker.c.id], set_={"seen": moment_here()}),
    apart=True,
)
_LIVING: Final = Statement(sa.select(worker.c.id).where(worker.c.seen > _DEAD), apart=True)
_FORGET: Final = Statement(worker.delete().where(_ME), apart=True)
_SWEEP: Final = Statement(
    worker.delete().where(worker.c.seen < moment_here() - sa.literal_column(str(_OLD * _SECOND))),
    apart=True,
)
_HELD: Final = insert(duty).values(name=sa.bindparam("name"), holder=sa.bindparam("me"))
_TAKE: Final = Statement(
    _HELD.on_conflict_do_update(
        index_elements=[duty.c.name],
        set_={"holder": _HELD.excluded.holder},
        where=sa.or_(duty.c.holder == sa.bindparam("me"), ~lives(duty.c.holder)),
    ).returning(duty.c.name),
    apart=True,
)
_LEAVE: Final = Statement(
    duty.update()
    .where(duty.c.name == sa.bindparam("name"), duty.c.holder == sa.bindparam("me"))
    .values(holder=sa.literal_column("''")),
    apart=True,
)


class Working(Session):
    """Living, and having a duty."""

    def beat(self, me: str) -> frozenset[str]:
        """This process lives; all that do."""
        self.link.run(_BEAT, {"me": me})
        return frozenset(row[0] for row in self.link.all(_LIVING, {}))

    def die(self, me: str) -> None:
        """This process ends: what it holds is free at once. Who died long ago is forgotten."""
        self.link.run(_FORGET, {"me": me})
        self.link.run(_SWEEP, {})

    def take_duty(self, name: str, me: str) -> bool:
        """Whether it is this process's alone from now on; never while another has it and lives."""
        values: dict[str, Any] = {"name": name, "me": me}
        return self.link.one(_TAKE, values) is not None

    def leave_duty(self, name: str, me: str) -> None:
        """It is anybody's again, if it was this process's."""
        self.link.run(_LEAVE, {"name": name, "me": me})
