"""Routing's decisions, each kept whole: which candidates there were, what was found, who was asked.

Only the referral's requester reads them (and an admin): whoever was asked has the referral, and
needn't know who else might have been.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import sqlalchemy as sa

from gateway.model import Context
from gateway.store.dialects import KEY
from gateway.store.link import Statement, insert_into
from gateway.store.session import Session, microseconds, moment
from gateway.store.tables import metadata

decision = sa.Table(
    "decision",
    metadata,
    sa.Column("sequence", KEY, primary_key=True),
    sa.Column("request", sa.Text, nullable=False),  # the ServiceRequest's id
    sa.Column("agency", sa.Text, nullable=False),  # who asked
    sa.Column("at", sa.BigInteger, nullable=False),
    sa.Column("body", sa.LargeBinary, nullable=False),
    sqlite_autoincrement=True,
)
sa.Index("decision_request", decision.c.request, decision.c.sequence)

_KEEP: Final = insert_into(decision, decision.c.sequence)
_KEPT: Final = Statement(
    sa.select(decision.c.sequence, decision.c.at, decision.c.body)
    .where(
        decision.c.request == sa.bindparam("request"),
        sa.or_(decision.c.agency == sa.bindparam("me"), sa.bindparam("admin", type_=sa.Boolean())),
    )
    .order_by(decision.c.sequence)
)


@dataclass(frozen=True, slots=True)
class Decided:
    """A decision as it was kept; ``body`` is its JSON."""

    sequence: int
    at: datetime
    body: bytes


class Decisions(Session):
    """Reading them."""

    def decisions(self, context: Context, request_id: str) -> Sequence[Decided]:
        """Those about a ServiceRequest of the caller's, or anybody's for an admin; oldest first."""
        values = {**self.who(context), "request": request_id}
        rows = self.link.all(_KEPT, values)
        return [Decided(number, moment(at), bytes(body)) for number, at, body in rows]


class Deciding(Decisions):
    """Keeping them."""

    def keep_decision(self, request_id: str, agency: str, at: datetime, body: bytes) -> None:
        """One more about a ServiceRequest of that agency."""
        self.link.many(_KEEP, [(request_id, agency, microseconds(at), body)])
