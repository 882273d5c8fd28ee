"""What was, the newest first: of a resource, of a type, of all (R4 http, 3.1.0.9).

A version is in it for whoever may see it; a grant shows a resource from the version on that was
current when it was given.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any, Final

import sqlalchemy as sa

from gateway.errors import InvalidSearch, NotFound
from gateway.model import Context
from gateway.store.grants import visible
from gateway.store.link import Statement
from gateway.store.page import Page
from gateway.store.resources import STORED, stored
from gateway.store.session import Session
from gateway.store.tables import resource, version

Condition = sa.ColumnElement[bool]

_SEEN: Final = sa.and_(version.c.resource == resource.c.key, visible(version.c.version))
_NAMED: Final = sa.and_(
    resource.c.type == sa.bindparam("type"), resource.c.id == sa.bindparam("id")
)
_ANY: Final = Statement(sa.select(resource.c.key).where(_SEEN, _NAMED).limit(1))
_LATER: Final = version.alias("later")
_TAG: Final = 16


class Histories(Session):
    """Reads versions in the order in which they were written."""

    def history(
        self,
        context: Context,
        type_: str = "",
        id_: str = "",
        *,
        count: int = 100,
        cursor: str | None = None,
        since: int | None = None,
        at: tuple[int, int] | None = None,
    ) -> Page:
        """The versions that the caller may see, newest first, deletions too.

        Of one resource, of a type (``id_`` ""), or of all. ``since`` and ``at`` are UTC
        microseconds: written from then on; current at some time in [low, high). ``cursor`` is the
        last page's ``next``. The total is told of one resource, and of what one page holds whole:
        to count the others' would be to read them all. Raises ``NotFound``, ``InvalidSearch``.
        """
        asked = (type_, id_, count, since, at)
        keys = _order(type_, id_)
        found = [_SEEN, *_bounds(since, at)]
        if id_:
            if self.link.one(_ANY, {**self.who(context), "type": type_, "id": id_}) is None:
                raise NotFound("no such resource")
            found += [resource.c.type == type_, resource.c.id == id_]
        elif type_:
            found += [version.c.type == type_]
        total = self._count(context, found) if id_ else None
        if cursor is not None:
            found.append(sa.tuple_(*keys) < sa.tuple_(*_read(self.secret, context, asked, cursor)))
        page = (
            sa.select(*STORED, *keys)
            .where(*found)
            .order_by(*(key.desc() for key in keys))
            .limit(count + 1)
        )
        rows = list(self.link.select(page, self.who(context)))
        more = None
        if total is None and cursor is None and len(rows) <= count:
            total = len(rows)
        if len(rows) > count > 0:
            last = [*rows[count - 1][-len(keys) :]]
            more = _write(self.secret, context, asked, last)
        return Page(tuple(stored(row[: -len(keys)]) for row in rows[:count]), total, more)

    def _count(self, context: Context, found: list[Condition]) -> int:
        counted = sa.select(sa.func.count()).where(*found)
        return int(self.link.select(counted, self.who(context))[0][0])


def _order(type_: str, id_: str) -> list[sa.ColumnElement[int]]:
    """What orders it, each by an index of its own."""
    if id_:
        return [version.c.version]
    return [version.c.xid, version.c.sequence] if type_ else [version.c.sequence]


def follows(later: sa.FromClause) -> Condition:
    """Whether ``later`` is the next version of the same resource that is there: of those between,
    some may be gone (``purging``).
    """
    among = version.alias("among")
    after = sa.select(sa.func.min(among.c.version)).where(
        among.c.resource == version.c.resource, among.c.version > version.c.version
    )
    return sa.and_(
        later.c.resource == version.c.resource,
        later.c.version == after.correlate(version).scalar_subquery(),
    )


def _bounds(since: int | None, at: tuple[int, int] | None) -> list[Condition]:
    bounds: list[Condition] = []
    if since is not None:
        bounds.append(version.c.at >= since)
    if at is not None:
        low, high = at
        over = sa.select(_LATER.c.sequence).where(follows(_LATER), _LATER.c.at <= low)
        bounds += [version.c.at < high, sa.not_(over.correlate_except(_LATER).exists())]
    return bounds


# --- where a page starts: opaque, and good only for who got it and what they asked ----------------


def _tag(secret: bytes, context: Context, asked: tuple[Any, ...], content: bytes) -> bytes:
    who = repr(("history", context.agency, context.admin, asked)).encode()
    signed = hashlib.blake2b(who).digest() + content
    return hmac.new(secret, signed, hashlib.sha256).digest()[:_TAG]


def _write(secret: bytes, context: Context, asked: tuple[Any, ...], place: list[int]) -> str:
    content = json.dumps(place).encode()
    return base64.urlsafe_b64encode(_tag(secret, context, asked, content) + content).decode()


def _read(secret: bytes, context: Context, asked: tuple[Any, ...], cursor: str) -> list[int]:
    try:
        mark = base64.b64decode(cursor, altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        mark = b""
    tag, content = mark[:_TAG], mark[_TAG:]
    if not hmac.compare_digest(tag, _tag(secret, context, asked, content)):
        raise InvalidSearch("not a page of this history for this caller", place="_cursor")
    place: list[int] = json.loads(content)
    return place
