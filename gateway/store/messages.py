"""What arrived, kept as it came, with what became of it and the answer that was given."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, Literal

import sqlalchemy as sa

from gateway.errors import NotFound
from gateway.model import Context, Message, Receipt, Stage
from gateway.store.link import Row, Statement
from gateway.store.search.index import clean
from gateway.store.session import Session, microseconds, moment
from gateway.store.tables import message


@dataclass(frozen=True, slots=True)
class Kept:
    """A message and its fate: ``stage``, ``place`` and ``reason`` are "" where it was accepted.

    One that is only "received" is on disk and still to be understood; it has no answer yet.
    ``reused``: its control id had come before, with another body.
    """

    message: Message
    event: str
    status: Literal["received", "accepted", "failed"]
    stage: str
    place: str
    reason: str
    reused: bool
    acknowledgement: Literal["", "AA", "AE", "AR"]
    answer: bytes


KEPT: Final = (  # the columns of a Kept
    message.c.id,
    message.c.agency,
    message.c.channel,
    message.c.kind,
    message.c.control_id,
    message.c.raw,
    message.c.received,
    message.c.event,
    message.c.status,
    message.c.stage,
    message.c.place,
    message.c.reason,
    message.c.reused,
    message.c.acknowledgement,
    message.c.answer,
)
_SAME_ID: Final = (  # worded so that the partial index serves
    message.c.agency == sa.bindparam("agency"),
    message.c.control_id == sa.bindparam("control_id"),
    message.c.control_id != sa.literal_column("''"),
)
_REPEAT: Final = Statement(
    sa.select(message.c.id, message.c.acknowledgement, message.c.answer, message.c.stage).where(
        *_SAME_ID, message.c.digest == sa.bindparam("digest")
    ),
    apart=True,
)
_INSERT: Final = Statement(
    message.insert().values(
        {
            **{c: sa.bindparam(c.name) for c in message.columns if c.name not in ("key", "reused")},
            message.c.reused: sa.exists(sa.select(message.c.key).where(*_SAME_ID)),
        }
    ),
    apart=True,
)
_FATE: Final = ("event", "status", "stage", "place", "reason", "acknowledgement", "answer")
_RENEW: Final = Statement(
    message.update()
    .where(message.c.id == sa.bindparam("of"))
    .values({name: sa.bindparam(name) for name in _FATE})
)
_UNFINISHED: Final = Statement(  # worded so that the partial index serves
    sa.select(*KEPT)
    .where(
        message.c.status == sa.literal_column("'received'"), message.c.key > sa.bindparam("after")
    )
    .order_by(message.c.key)
    .limit(1)
    .add_columns(message.c.key)
)
_ONE: Final = Statement(sa.select(*KEPT).where(message.c.id == sa.bindparam("id")))


def _list(status: str) -> Statement:
    """The newest first; worded so that the partial index of those that failed serves."""
    return Statement(
        sa.select(*KEPT)
        .where(
            message.c.status == sa.literal_column(f"'{status}'"),
            sa.or_(
                message.c.agency == sa.bindparam("me"), sa.bindparam("admin", type_=sa.Boolean())
            ),
            message.c.key < sa.bindparam("before"),
        )
        .order_by(message.c.key.desc())
        .limit(sa.bindparam("count"))
    )


_FAILED: Final = _list("failed")
_ACCEPTED: Final = _list("accepted")


def _digest(raw: bytes) -> bytes:
    return hashlib.sha256(raw).digest()


def kept(row: Row) -> Kept:
    """From a row of KEPT."""
    id_, agency, channel, kind, control_id, raw, received, *fate = row
    event, status, stage, place, reason, reused, acknowledgement, answer = fate
    came = Message(id_, agency, channel, kind, control_id, raw, moment(received))
    return Kept(came, event, status, stage, place, reason, bool(reused), acknowledgement, answer)


class Messages(Session):
    """Reading what was kept. An agency sees its own, an administrator all."""

    def repeat(self, agency: str, control_id: str, raw: bytes) -> Receipt | None:
        """What the same bytes under the same control id were answered; None if they are new."""
        values = {"agency": agency, "control_id": clean(control_id), "digest": _digest(raw)}
        row = self.link.one(_REPEAT, values)
        if row is None:
            return None
        return Receipt(row[0], row[1], (), row[2], repeated=True, stage=row[3])

    def kept(self, context: Context, id_: str) -> Kept:
        """One message. Raises ``NotFound``."""
        row = self.link.one(_ONE, {"id": id_})
        if row is None or not (context.admin or row[1] == context.agency):
            raise NotFound("no such message")
        return kept(row)

    def failed_messages(self, context: Context, *, count: int = 100) -> Sequence[Kept]:
        """Those that failed, newest first."""
        values: dict[str, Any] = {**self.who(context), "count": count, "before": 2**62}
        return [kept(row) for row in self.link.all(_FAILED, values)]

    def accepted_messages(
        self, context: Context, agency: str = "", *, count: int = 100
    ) -> Sequence[Kept]:
        """The last that were accepted, newest first: an agency's, or for "" all that one sees."""
        who = replace(context, agency=agency, admin=False) if agency else context
        if agency and not (context.admin or agency == context.agency):
            return []
        values: dict[str, Any] = {**self.who(who), "count": count, "before": 2**62}
        return [kept(row) for row in self.link.all(_ACCEPTED, values)]

    def unfinished_message(self, after: int) -> tuple[Message, int] | None:
        """The next message that is only received, past a key (0 at first), and its own key."""
        row = self.link.one(_UNFINISHED, {"after": after})
        return None if row is None else (kept(row[:-1]).message, row[-1])


class Keeping(Messages):
    """Keeps messages."""

    def message_received(self, message: Message) -> None:
        """Keep a message before anybody has understood it; ``renew`` tells its fate."""
        fate: dict[str, Any] = dict.fromkeys(_FATE, "")
        self._keep(message, {**fate, "status": "received", "answer": b""})

    def received_again(self, id_: str) -> None:
        """A message that had been refused is taken after all; ``renew`` tells its fate."""
        fate: dict[str, Any] = dict.fromkeys(_FATE, "")
        self.link.run(_RENEW, {**fate, "of": id_, "status": "received", "answer": b""})

    def message(
        self, message: Message, receipt: Receipt, *, event: str = "", stage: Stage | None = None
    ) -> None:
        """Keep a message with its answer, once, at the end of its unit.

        AA is accepted; else ``stage`` is where it failed, and place and reason are those of the
        receipt's first issue. Written at once, so that a repetition that ran at the same time
        is told here (PostgreSQL runs the unit again, and ``repeat`` finds the answer).
        """
        self._keep(message, _fate(receipt, event, stage))

    def _keep(self, message: Message, fate: dict[str, Any]) -> None:
        self.link.run(
            _INSERT,
            {
                "id": message.id,
                "agency": message.agency,
                "channel": message.channel,
                "kind": message.kind,
                "control_id": clean(message.control_id),
                "digest": _digest(message.raw),
                "received": microseconds(message.received),
                "raw": message.raw,
                **fate,
            },
        )

    def renew(self, receipt: Receipt, *, event: str = "", stage: Stage | None = None) -> None:
        """A kept message (``receipt.message``) was tried again: what became of it now."""
        self.link.run(_RENEW, {"of": receipt.message, **_fate(receipt, event, stage)})


def _fate(receipt: Receipt, event: str, stage: Stage | None) -> dict[str, Any]:
    issue = receipt.issues[0] if receipt.issues else None
    failed = receipt.acknowledgement != "AA"
    return {
        "event": clean(event),
        "status": "failed" if failed else "accepted",
        "stage": stage or "",
        "place": (issue.place or "") if failed and issue else "",
        "reason": issue.text if failed and issue else "",
        "acknowledgement": receipt.acknowledgement,
        "answer": receipt.answer,
    }
