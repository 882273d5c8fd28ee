"""Whether the disk takes anything: a row is written that says nothing."""

from __future__ import annotations

import secrets
from typing import Final

import sqlalchemy as sa

from gateway.store.link import Statement
from gateway.store.session import Session
from gateway.store.tables import hub

_SIZE: Final = 2**14
"""Bytes: about what a small message leads to. A full disk may have room for less."""

_NAME: Final = "trial"
_CHANGE: Final = Statement(
    sa.update(hub).where(hub.c.name == _NAME).values(value=sa.bindparam("new"))
)
_FIRST: Final = Statement(hub.insert().values(name=_NAME, value=sa.bindparam("new")))


class TryingDisk(Session):
    """The hub's row for it."""

    def try_disk(self) -> None:
        """Write something that wasn't there before. Raises ``Unavailable``."""
        new = {"new": secrets.token_hex(_SIZE // 2)}
        if not self.link.run(_CHANGE, new):
            self.link.run(_FIRST, new)
