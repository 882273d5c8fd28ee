"""Who did what, to what, for what purpose, and whether they were let. No personal data."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final, Literal

import sqlalchemy as sa

from gateway.model import Context
from gateway.store.link import Statement, insert_into
from gateway.store.session import Session, microseconds, moment
from gateway.store.tables import audit

Outcome = Literal["success", "denied", "failed"]


@dataclass(frozen=True, slots=True)
class Audited:
    """One line. ``target`` is a reference or a message's id; ``action`` an interaction's name."""

    sequence: int
    at: datetime
    agency: str
    client: str
    action: str
    target: str
    purpose: str
    outcome: Outcome


_INSERT: Final = insert_into(audit, audit.c.sequence)
_LIST: Final = Statement(
    sa.select(*audit.c)
    .where(audit.c.sequence > sa.bindparam("after"))
    .order_by(audit.c.sequence)
    .limit(sa.bindparam("count"))
)


class Audits(Session):
    """Reads the trail."""

    def audited(self, *, after: int = 0, count: int = 1000) -> Sequence[Audited]:
        """Lines with a higher sequence than ``after``, oldest first."""
        rows = self.link.all(_LIST, {"after": after, "count": count})
        return [Audited(row[0], moment(row[1]), *row[2:]) for row in rows]


class Auditing(Audits):
    """Adds to the trail, in the transaction of what it tells of."""

    def audit(
        self,
        context: Context,
        action: str,
        target: str,
        outcome: Outcome = "success",
        *,
        at: datetime | None = None,
    ) -> None:
        """Note what the caller did, now or (``at``) before."""
        who = (context.agency, context.client, action, target, context.purpose, outcome)
        self.link.later(_INSERT, [(self.clock() if at is None else microseconds(at), *who)])
