"""What became of each delivery: attempts that failed, what was withheld, what was set aside.

The hub keeps a row for every attempt but the one that succeeds. A delivery that can't be made, or
that its receiver refuses for good, is set aside: it holds up nobody, and waits for a replay.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Table, Text

from gateway.errors import Conflict, GatewayError, NotFound
from gateway.model import Delivery
from gateway.store.dialects import KEY
from gateway.store.link import Statement
from gateway.store.session import Session, microseconds, moment
from gateway.store.subscribers import Subscribing
from gateway.store.tables import delivery, metadata, subscriber

Outcome = Literal["", "delivered", "withheld", "aside"]
"""Of a delivery: pending; taken; not sent since the right to it had ended; set aside."""

Went = Literal["failed", "withheld", "aside", "replayed"]
"""Of an attempt."""

attempt = Table(
    "attempt",
    metadata,
    Column("sequence", KEY, primary_key=True),
    Column("delivery", Text, ForeignKey("delivery.id"), nullable=False),
    Column("at", BigInteger, nullable=False),
    Column("outcome", Text, nullable=False),
    Column("stage", Text, nullable=False),
    Column("place", Text, nullable=False),
    Column("reason", Text, nullable=False),
    sqlite_autoincrement=True,
)
Index("attempt_delivery", attempt.c.delivery, attempt.c.sequence)


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt, or what somebody did about it. ``reason`` holds no values."""

    at: datetime
    outcome: Went
    stage: str
    place: str
    reason: str


_OF: Final = delivery.c.id == sa.bindparam("of")
_WIDE: Final = 32


def _settle(count: int) -> Statement:
    """Settles so many, which are pending; each costs a turn at the interpreter's lock."""
    ids: list[sa.BindParameter[str]] = [sa.bindparam(f"of{number}") for number in range(count)]
    return Statement(
        delivery.update()
        .where(sa.or_(*(delivery.c.id == each for each in ids)), delivery.c.settled.is_(None))
        .values(
            attempts=delivery.c.attempts + sa.literal_column("1"),
            first_attempt=sa.func.coalesce(delivery.c.first_attempt, sa.bindparam("at")),
            settled=sa.bindparam("done"),
            outcome=sa.bindparam("outcome"),
        ),
        apart=True,
    )


_SETTLE: Final = {count: _settle(count) for count in (1, 4, _WIDE)}
_REOPEN: Final = Statement(
    delivery.update()
    .where(_OF)
    .values(settled=None, outcome=sa.literal_column("''"), attempts=0, first_attempt=None),
    apart=True,
)
_STATE: Final = Statement(
    sa.select(delivery.c.subscriber, delivery.c.outcome).where(_OF), apart=True
)
_LOG: Final = Statement(
    attempt.insert().values(
        {c: sa.bindparam(c.name) for c in attempt.columns if c is not attempt.c.sequence}
    ),
    apart=True,
)
_LOGGED: Final = Statement(
    sa.select(attempt.c.at, attempt.c.outcome, attempt.c.stage, attempt.c.place, attempt.c.reason)
    .where(attempt.c.delivery == sa.bindparam("of"))
    .order_by(attempt.c.sequence.desc())
    .limit(sa.bindparam("count")),
    apart=True,
)
_FORGET: Final = Statement(
    attempt.delete().where(
        attempt.c.delivery.in_(
            sa.select(delivery.c.id).where(delivery.c.subscriber == sa.bindparam("of"))
        )
    )
)
_SUBSCRIBER: Final = subscriber.c.id == sa.bindparam("of")
_WELL: Final = Statement(
    subscriber.update()
    .where(_SUBSCRIBER, subscriber.c.failing_since.is_not(None))
    .values(failing_since=None, retry_at=None, error=sa.literal_column("''")),
    apart=True,
)
_ILL: Final = Statement(
    subscriber.update()
    .where(_SUBSCRIBER)
    .values(
        failing_since=sa.func.coalesce(subscriber.c.failing_since, sa.bindparam("at")),
        retry_at=sa.bindparam("retry"),
        error=sa.bindparam("why"),
    ),
    apart=True,
)
_ON: Final = Statement(subscriber.update().where(_SUBSCRIBER).values(retry_at=None), apart=True)


class Attempts(Session):
    """Reading them."""

    def attempts(self, delivery_id: str, count: int = 100) -> list[Attempt]:
        """A delivery's attempts that weren't its last, the newest first."""
        rows = self.link.all(_LOGGED, {"of": delivery_id, "count": count})
        return [Attempt(moment(row[0]), *row[1:]) for row in rows]


class Attempting(Subscribing, Attempts):
    """Noting them. ``fence`` is a token of a lease; where it is no longer current, ``Conflict``."""

    def delivered(
        self, told: Sequence[Delivery], at: datetime, *, fence: int | None = None
    ) -> None:
        """The receiver took these, all of one subscriber. If that was failing it is well again."""
        of = told[0].subscriber
        self._fenced(of, fence)
        when = microseconds(at)
        for start in range(0, len(told), _WIDE):
            ids = [each.id for each in told[start : start + _WIDE]]
            values = {"at": when, "outcome": "delivered", "done": when}
            self.link.run(*_settling(ids, values))
        self.well(of)

    def withheld(self, told: Delivery, at: datetime, *, fence: int | None = None) -> None:
        """It wasn't sent: the subscriber's agency has no right to it any more."""
        self._settle(told, "withheld", at, fence)
        self._log(told.id, at, "withheld", "protect", "", "the right to it has ended")

    def failed(
        self,
        told: Delivery,
        error: GatewayError,
        retry_at: datetime,
        *,
        at: datetime,
        fence: int | None = None,
    ) -> None:
        """An attempt failed: the subscriber waits until ``retry_at``."""
        self._settle(told, "", at, fence)
        self._log(told.id, at, "failed", error.stage, error.place or "", str(error))
        self.ill(told.subscriber, error, retry_at, at=at)

    def set_aside(
        self,
        told: Delivery,
        error: GatewayError,
        *,
        at: datetime,
        tried: bool,
        fence: int | None = None,
    ) -> None:
        """It is of no use to try again: what comes after it goes on.

        ``tried``: its receiver refused it. Else it couldn't be made, which is no fault of theirs.
        """
        self._settle(told, "aside", at, fence)
        self._log(told.id, at, "aside", error.stage, error.place or "", str(error))
        if tried:
            self.link.run(_ON, {"of": told.subscriber})
        else:
            self.well(told.subscriber)

    def replay(self, delivery_id: str, by: str, at: datetime) -> str:
        """A delivery that was settled is due again, under its id and number; its subscriber.

        Raises ``NotFound``, and ``Conflict`` where it is pending.
        """
        row = self.link.one(_STATE, {"of": delivery_id})
        if row is None:
            raise NotFound("no such delivery")
        if not row[1]:
            raise Conflict("this delivery is under way")
        self.link.run(_REOPEN, {"of": delivery_id})
        self._log(delivery_id, at, "replayed", "deliver", "", f"replayed by {by}")
        return str(row[0])

    def remove_subscriber(self, subscriber_id: str) -> None:
        """Forget it and all its deliveries. Removing what isn't there does nothing."""
        self.link.run(_FORGET, {"of": subscriber_id})
        super().remove_subscriber(subscriber_id)

    def well(self, subscriber_id: str) -> None:
        """It took something."""
        self.link.run(_WELL, {"of": subscriber_id})

    def ill(
        self, subscriber_id: str, error: GatewayError, retry_at: datetime, *, at: datetime
    ) -> None:
        """It took nothing: nothing is sent to it until ``retry_at``."""
        values = {"of": subscriber_id, "at": microseconds(at), "why": reason(error)}
        self.link.run(_ILL, {**values, "retry": microseconds(retry_at)})

    def _settle(self, told: Delivery, outcome: Outcome, at: datetime, fence: int | None) -> None:
        self._fenced(told.subscriber, fence)
        when = microseconds(at)
        done = when if outcome else None
        self.link.run(*_settling([told.id], {"at": when, "outcome": outcome, "done": done}))

    def _log(
        self, delivery_id: str, at: datetime, went: Went, stage: str, place: str, why: str
    ) -> None:
        about = {"delivery": delivery_id, "at": microseconds(at), "outcome": went}
        self.link.run(_LOG, {**about, "stage": stage, "place": place, "reason": why})


def _settling(ids: Sequence[str], values: Mapping[str, Any]) -> tuple[Statement, dict[str, Any]]:
    """The narrowest statement that takes them; the last stands for those that lack."""
    count = next(each for each in _SETTLE if each >= len(ids))
    named = {f"of{number}": ids[min(number, len(ids) - 1)] for number in range(count)}
    return _SETTLE[count], {**values, **named}


def reason(error: GatewayError) -> str:
    """Place and kind of a failure, as a subscriber's ``error`` says it."""
    return f"{error.place}: {error}" if error.place else str(error)
