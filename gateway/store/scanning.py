"""What is kept, gone through in steps for what names a person: by bytes, since nothing indexes it.

Each step is a snapshot of its own and looks at a span of keys, so that nobody waits for it; it
begins after 0 and is over where it says ``None``. It costs what the hub holds.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa

from gateway.model import Reference
from gateway.store.asides import aside
from gateway.store.dialects import holds
from gateway.store.link import Statement
from gateway.store.messages import KEPT, Kept, kept
from gateway.store.rows import row, row_by, sheet
from gateway.store.session import Session
from gateway.store.tables import mended, message, resource, version

SPAN: Final = 5000
"""How many keys a step looks at."""


@dataclass(frozen=True, slots=True)
class Mention:
    """A version that holds one of the needles; ``current``: it is what its resource is now."""

    resource: Reference
    owner: str
    version: int
    current: bool
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Brought:
    """A kept row: its file, its id, and what it made."""

    sheet: int
    id: str = field(repr=False)
    made: tuple[Reference, ...] = ()


@dataclass(frozen=True, slots=True)
class SetAside:
    """A row that was set aside; ``head`` is its header's key."""

    key: int
    id: str
    sheet: int
    head: int
    raw: bytes = field(repr=False)


_AFTER: Final = sa.bindparam("after", type_=sa.BigInteger())
_UNTIL: Final = sa.bindparam("until", type_=sa.BigInteger())
_OF: Final = sa.bindparam("of", type_=sa.Text())
_SHEET: Final = sa.bindparam("sheet", type_=sa.BigInteger())
_LAST_VERSION: Final = Statement(sa.select(sa.func.max(version.c.sequence)))
_LAST_MESSAGE: Final = Statement(sa.select(sa.func.max(message.c.key)))
_SHEETS: Final = Statement(sa.select(sheet.c.feed, sheet.c.key).where(sheet.c.agency == _OF))
_MADE: Final = Statement(
    sa.select(row.c.key, row.c.id, row.c.made)
    .where(row.c.sheet == _SHEET, row.c.key > _AFTER)
    .order_by(row.c.key)
    .limit(SPAN)
)
_BY: Final = Statement(
    sa.select(row_by.c.name, row_by.c.value, row_by.c.id)
    .where(
        row_by.c.sheet == _SHEET,
        sa.tuple_(row_by.c.name, row_by.c.value, row_by.c.id)
        > sa.tuple_(sa.bindparam("name"), sa.bindparam("value"), sa.bindparam("id")),
    )
    .order_by(row_by.c.name, row_by.c.value, row_by.c.id)
    .limit(SPAN)
)


def _any(column: sa.ColumnElement[Any], count: int) -> sa.ColumnElement[bool]:
    needles = (sa.bindparam(f"needle{n}", type_=sa.LargeBinary()) for n in range(count))
    return sa.or_(*(holds(column, each) for each in needles))


@lru_cache
def _mentions(count: int) -> Statement:
    core = (
        sa.select(
            resource.c.type,
            resource.c.id,
            resource.c.owner,
            version.c.version,
            sa.and_(version.c.version == resource.c.version, sa.not_(resource.c.deleted)),
            version.c.body,
        )
        .join(resource, resource.c.key == version.c.resource)
        .where(version.c.sequence > _AFTER, version.c.sequence <= _UNTIL)
        .where(_any(version.c.body, count))
    )
    return Statement(core)


@lru_cache
def _naming(count: int) -> Statement:
    instead = sa.exists().where(mended.c.message == message.c.id, _any(mended.c.raw, count))
    core = sa.select(*KEPT).where(message.c.key > _AFTER, message.c.key <= _UNTIL)
    return Statement(
        core.where(message.c.agency == _OF, sa.or_(_any(message.c.raw, count), instead))
    )


@lru_cache
def _holding(count: int) -> Statement:
    core = sa.select(row.c.key, row.c.id, row.c.head, row.c.raw)
    return Statement(
        core.where(row.c.sheet == _SHEET, row.c.key > _AFTER, _any(row.c.raw, count))
        .order_by(row.c.key)
        .limit(SPAN)
    )


@lru_cache
def _asides(count: int) -> Statement:
    core = sa.select(aside.c.key, aside.c.id, aside.c.head, aside.c.raw)
    return Statement(
        core.where(aside.c.sheet == _SHEET, aside.c.key > _AFTER, _any(aside.c.raw, count))
        .order_by(aside.c.key)
        .limit(SPAN)
    )


class Scanning(Session):
    """Going through it. ``needles`` are bytes of which one must be there; there is at least one."""

    def last_version(self) -> int:
        """The newest version's sequence."""
        return self._last(_LAST_VERSION)

    def last_message(self) -> int:
        """The newest message's key."""
        return self._last(_LAST_MESSAGE)

    def mentions(self, needles: Sequence[bytes], after: int, until: int) -> list[Mention]:
        """The versions of a span of the log that hold one."""
        values = {**_values(needles), "after": after, "until": until}
        rows = self.link.all(_mentions(len(needles)), values)
        return [Mention(f"{one[0]}/{one[1]}", one[2], one[3], bool(one[4]), one[5]) for one in rows]

    def messages_naming(
        self, agency: str, needles: Sequence[bytes], after: int, until: int
    ) -> list[Kept]:
        """An agency's messages of a span of keys that hold one, or what was put in their place."""
        values = {**_values(needles), "of": agency, "after": after, "until": until}
        return [kept(one) for one in self.link.all(_naming(len(needles)), values)]

    def all_sheets(self, agency: str) -> list[tuple[str, int]]:
        """Of each of an agency's files its feed and its key."""
        return [(one[0], one[1]) for one in self.link.all(_SHEETS, {"of": agency})]

    def rows_made(self, sheet: int, after: int) -> tuple[list[Brought], int | None]:
        """A file's next rows with what they made, and where to go on."""
        found = self.link.all(_MADE, {"sheet": sheet, "after": after})
        brought = [Brought(sheet, one[1], tuple(one[2].split())) for one in found]
        return brought, found[-1][0] if len(found) == SPAN else None

    def rows_holding(
        self, sheet: int, needles: Sequence[bytes], after: int
    ) -> tuple[list[tuple[str, int, bytes]], int | None]:
        """A file's next rows that hold one: id, header and bytes; and where to go on."""
        values = {**_values(needles), "sheet": sheet, "after": after}
        found = self.link.all(_holding(len(needles)), values)
        rows = [(one[1], one[2], bytes(one[3])) for one in found]
        return rows, found[-1][0] if len(found) == SPAN else None

    def asides_holding(
        self, sheet: int, needles: Sequence[bytes], after: int
    ) -> tuple[list[SetAside], int | None]:
        """The next rows of a file that were set aside and hold one, and where to go on."""
        values = {**_values(needles), "sheet": sheet, "after": after}
        found = self.link.all(_asides(len(needles)), values)
        rows = [SetAside(one[0], one[1], sheet, one[2], bytes(one[3])) for one in found]
        return rows, found[-1][0] if len(found) == SPAN else None

    def columns_of(
        self, sheet: int, after: tuple[str, str, str]
    ) -> tuple[list[tuple[str, str, str]], tuple[str, str, str] | None]:
        """The next (column, text, id) that a file's rows are found by, and where to go on.

        It begins after ("", "", "").
        """
        name, value, id_ = after
        values = {"sheet": sheet, "name": name, "value": value, "id": id_}
        found = [(one[0], one[1], one[2]) for one in self.link.all(_BY, values)]
        return found, found[-1] if len(found) == SPAN else None

    def _last(self, statement: Statement) -> int:
        found = self.link.one(statement, {})
        return int(found[0] or 0) if found else 0


def _values(needles: Sequence[bytes]) -> dict[str, Any]:
    return {f"needle{n}": each for n, each in enumerate(needles)}
