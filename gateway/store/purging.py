"""What is old enough to go: found in small steps by the primary key, deleted by it.

Each look is a snapshot of its own and begins where the last one ended, so that nobody waits for it;
a deletion says again what must hold, for the world may have changed since. What a promise needs
stays: what waits, what failed and nobody has dealt with, what a subscriber hasn't got yet.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.store.asides import aside, load
from gateway.store.attempts import attempt
from gateway.store.dialects import later_than
from gateway.store.link import Row, Statement
from gateway.store.passages import passage
from gateway.store.past import follows
from gateway.store.session import Session, microseconds, moment
from gateway.store.tables import (
    audit,
    delivery,
    hub,
    mended,
    message,
    resource,
    subscriber,
    version,
    waiting,
)


@dataclass(frozen=True, slots=True)
class OldMessage:
    """A kept message that may go: its ``at`` is when it came, or was mended last."""

    key: int
    id: str
    agency: str
    at: datetime
    failed: bool


@dataclass(frozen=True, slots=True)
class Step:
    """The keys of what may go, and where to go on; ``next`` None: nothing older is left.

    A walk begins at 0.
    """

    keys: tuple[Any, ...]
    next: int | None


_WENT: Final = ("delivered", "withheld")
_BEFORE: Final = sa.bindparam("before", type_=sa.BigInteger())
_AFTER: Final = sa.bindparam("after", type_=sa.BigInteger())
_COUNT: Final = sa.bindparam("count", type_=sa.Integer())
_KEY: Final = sa.bindparam("key", type_=sa.BigInteger())

_MENDED: Final = (
    sa.select(sa.func.max(mended.c.at))
    .where(mended.c.message == message.c.id)
    .scalar_subquery()
    .correlate(message)
)
_WAITS: Final = sa.exists().where(
    waiting.c.message == message.c.id, waiting.c.outcome == sa.literal_column("''")
)
_MESSAGES: Final = Statement(
    sa.select(
        message.c.key, message.c.received, message.c.id, message.c.agency, message.c.status,
        sa.func.coalesce(_MENDED, message.c.received), _WAITS,
    )
    .where(message.c.key > _AFTER)
    .order_by(message.c.key)
    .limit(_COUNT)
)  # fmt: skip
_AUDIT: Final = Statement(
    sa.select(audit.c.sequence, audit.c.at)
    .where(audit.c.sequence > _AFTER)
    .order_by(audit.c.sequence)
    .limit(_COUNT)
)
_TOLD: Final = Statement(
    sa.select(delivery.c.number, delivery.c.settled, delivery.c.id, delivery.c.outcome)
    .where(delivery.c.subscriber == sa.bindparam("of"), delivery.c.number > _AFTER)
    .order_by(delivery.c.number)
    .limit(_COUNT)
)
_ASIDES: Final = Statement(
    sa.select(aside.c.key, aside.c.at, aside.c.state)
    .where(aside.c.key > _AFTER)
    .order_by(aside.c.key)
    .limit(_COUNT)
)
_HAS_ASIDES: Final = sa.exists().where(aside.c.load == load.c.id)
_LOADS: Final = Statement(
    sa.select(load.c.key, load.c.started, sa.func.length(load.c.summary) > 0, _HAS_ASIDES)
    .where(load.c.key > _AFTER)
    .order_by(load.c.key)
    .limit(_COUNT)
)
_heir: Final = version.alias("heir")
_UNHEARD: Final = sa.exists().where(
    subscriber.c.status != "off",
    subscriber.c.type == _heir.c.type,
    later_than(
        _heir.c.xid, _heir.c.sequence, subscriber.c.cursor_xid, subscriber.c.cursor_sequence
    ),
)
_TOLD_OF: Final = sa.exists().where(
    sa.or_(delivery.c.sequence == version.c.sequence, delivery.c.sequence == _heir.c.sequence)
)
_FREE: Final = sa.and_(_heir.c.at < _BEFORE, ~_UNHEARD, ~_TOLD_OF)
_HEIRS: Final = version.outerjoin(_heir, follows(_heir))
_VERSIONS: Final = Statement(
    sa.select(version.c.sequence, version.c.at, _heir.c.sequence.is_not(None) & _FREE)
    .select_from(_HEIRS)
    .where(version.c.sequence > _AFTER)
    .order_by(version.c.sequence)
    .limit(_COUNT)
)

_NAME: Final = "purged"
_WHEN: Final = Statement(sa.select(hub.c.value).where(hub.c.name == sa.literal_column("'purged'")))
_NOTE: Final = Statement(
    insert(hub)
    .values(name=sa.bindparam("name"), value=sa.bindparam("at"))
    .on_conflict_do_update(index_elements=[hub.c.name], set_={"value": sa.bindparam("at")})
)
_SETTLED_WAITS: Final = Statement(
    waiting.delete().where(
        waiting.c.message == sa.bindparam("id"), waiting.c.outcome != sa.literal_column("''")
    )
)
_MENDS: Final = Statement(mended.delete().where(mended.c.message == sa.bindparam("id")))
_MESSAGE: Final = Statement(
    message.delete().where(
        message.c.key == _KEY,
        message.c.status == sa.bindparam("status"),
        ~sa.exists().where(waiting.c.message == message.c.id),
    )
)
_ENTRY: Final = Statement(audit.delete().where(audit.c.sequence == _KEY))
_OF_DELIVERY: Final = Statement(attempt.delete().where(attempt.c.delivery == sa.bindparam("id")))
_DELIVERY: Final = Statement(
    delivery.delete().where(
        delivery.c.id == sa.bindparam("id"),
        sa.or_(*(delivery.c.outcome == sa.literal_column(f"'{name}'") for name in _WENT)),
    )
)
_ASIDE: Final = Statement(
    aside.delete().where(aside.c.key == _KEY, aside.c.state == sa.bindparam("state"))
)
_LOAD: Final = Statement(load.delete().where(load.c.key == _KEY, ~_HAS_ASIDES))
_PASSED: Final = Statement(
    passage.delete().where(
        sa.exists().where(
            version.c.sequence == _KEY,
            resource.c.key == version.c.resource,
            passage.c.type == resource.c.type,
            passage.c.id == resource.c.id,
            passage.c.version == version.c.version,
        )
    )
)
_VERSION: Final = Statement(
    version.delete().where(
        version.c.sequence == _KEY,
        ~sa.exists().where(delivery.c.sequence == version.c.sequence),
        sa.exists().where(
            _heir.c.resource == version.c.resource, _heir.c.version > version.c.version
        ),
    )
)


class Old(Session):
    """Finding it. ``before`` is when what may go ended; a step looks at ``count`` rows."""

    def purged(self) -> datetime | None:
        """When somebody last looked for what is old."""
        row = self.link.one(_WHEN, {})
        return None if row is None else moment(int(row[0]))

    def old_messages(
        self, accepted: datetime, failed: datetime, after: int, count: int
    ) -> tuple[list[OldMessage], int | None]:
        """Messages that came before, by how they fared; those that wait for a code stay."""
        values = {"after": after, "count": count}
        rows = self.link.all(_MESSAGES, values)
        latest = {"accepted": microseconds(accepted), "failed": microseconds(failed)}
        found = [
            OldMessage(key, id_, agency, moment(at), status == "failed")
            for key, _, id_, agency, status, at, waits in rows
            if not waits and at < latest.get(status, 0)
        ]
        return found, _next(rows, max(latest.values()), count)

    def old_audit(self, before: datetime, after: int, count: int) -> Step:
        """Lines of the trail."""
        return self._step(_AUDIT, before, after, count, lambda row: True)

    def old_deliveries(self, of: str, before: datetime, after: int, count: int) -> Step:
        """A subscriber's deliveries that went, or were withheld; what waits or was set aside
        stays."""
        rows = self.link.all(_TOLD, {"of": of, "after": after, "count": count})
        limit = microseconds(before)
        old = [row for row in rows if row[1] is not None and row[1] < limit]
        keys = tuple(row[2] for row in old if row[3] in _WENT)
        over = len(rows) < count or (rows[-1][1] or limit) >= limit
        return Step(keys, None if over else rows[-1][0])

    def old_asides(self, before: datetime, state: str, after: int, count: int) -> Step:
        """Rows that were set aside and are in that state."""
        return self._step(_ASIDES, before, after, count, lambda row: row[2] == state)

    def old_loads(self, before: datetime, after: int, count: int) -> Step:
        """Loads that ended and of which nothing is set aside any more."""
        return self._step(_LOADS, before, after, count, lambda row: row[2] and not row[3])

    def old_versions(self, before: datetime, after: int, count: int) -> Step:
        """Versions that others followed, those below every cursor and of which no delivery tells.

        Nor does one tell of the version that followed: it would be compared with this one.
        """
        return self._step(_VERSIONS, before, after, count, lambda row: row[2])

    def _step(
        self,
        statement: Statement,
        before: datetime,
        after: int,
        count: int,
        may: Callable[[Row], bool],
    ) -> Step:
        limit = microseconds(before)
        values = {"after": after, "count": count, "before": limit}
        rows = self.link.all(statement, values)
        keys = tuple(row[0] for row in rows if row[1] < limit and may(row))
        return Step(keys, _next(rows, limit, count))


class Purging(Old):
    """Deleting it; each tells how many went."""

    def purge_messages(self, found: Sequence[OldMessage]) -> int:
        """Messages, what was put in their place, and what they once waited for."""
        gone = 0
        for each in found:
            self.link.run(_SETTLED_WAITS, {"id": each.id})
            status = "failed" if each.failed else "accepted"
            if self.link.run(_MESSAGE, {"key": each.key, "status": status}):
                self.link.run(_MENDS, {"id": each.id})
                gone += 1
        return gone

    def purge_audit(self, keys: Sequence[int]) -> int:
        """Lines of the trail."""
        return sum(self.link.run(_ENTRY, {"key": key}) for key in keys)

    def purge_deliveries(self, ids: Sequence[str]) -> int:
        """Deliveries and their attempts."""
        gone = 0
        for id_ in ids:
            self.link.run(_OF_DELIVERY, {"id": id_})
            gone += self.link.run(_DELIVERY, {"id": id_})
        return gone

    def purge_asides(self, keys: Sequence[int], state: str) -> int:
        """Rows that were set aside."""
        return sum(self.link.run(_ASIDE, {"key": key, "state": state}) for key in keys)

    def purge_loads(self, keys: Sequence[int]) -> int:
        """Summaries of loads."""
        return sum(self.link.run(_LOAD, {"key": key}) for key in keys)

    def purge_versions(self, keys: Sequence[int]) -> int:
        """Versions, and how many hubs they came through."""
        gone = 0
        for key in keys:
            self.link.run(_PASSED, {"key": key})
            gone += self.link.run(_VERSION, {"key": key})
        return gone

    def purged_now(self, at: datetime) -> None:
        """It was looked for what is old."""
        self.link.run(_NOTE, {"name": _NAME, "at": str(microseconds(at))})


def _next(rows: Sequence[Row], limit: int, count: int) -> int | None:
    """Where to go on. Keys go with time, but for a few that were begun together."""
    if len(rows) < count or all(row[1] >= limit for row in rows):
        return None
    return int(rows[-1][0])
