"""Messages as their keeper looks for them: by fate, sender, number, event, stage and time."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.model import Context
from gateway.store.messages import KEPT, Kept, kept
from gateway.store.session import Session, microseconds
from gateway.store.tables import message

FIELDS: Final = ("status", "agency", "control_id", "event", "stage", "channel")
"""What a message can be looked for by, being equal."""


class Sought(Session):
    """Looking for messages. An agency finds its own, an administrator all."""

    def messages(
        self,
        context: Context,
        fields: Mapping[str, str],
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        before: int = 2**62,
        count: int = 100,
    ) -> list[tuple[Kept, int]]:
        """Those with these ``FIELDS`` that came from ``since`` to ``until``, newest first; each
        with its place, ``before`` which the next page goes on."""
        asked: list[sa.ColumnElement[bool]] = [message.c.key < before]
        asked += [message.c[name] == fields[name] for name in FIELDS if name in fields]
        if not context.admin:
            asked.append(message.c.agency == context.agency)
        if since is not None:
            asked.append(message.c.received >= microseconds(since))
        if until is not None:
            asked.append(message.c.received < microseconds(until))
        core = sa.select(*KEPT, message.c.key).where(*asked)
        rows: Any = self.link.select(core.order_by(message.c.key.desc()).limit(count), {})
        return [(kept(row[:-1]), row[-1]) for row in rows]
