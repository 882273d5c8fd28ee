"""Resources and their versions: read, vread, history; put and delete (FHIR R4, 3.1.0).

A body is kept once, with its version; the resource's row points to the current one. Bodies are
what was sent, to the digit, with the hub's id and meta in front.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

import sqlalchemy as sa

from gateway.errors import Conflict, Gone, InvalidSearch, NotFound, PreconditionFailed
from gateway.fhir.json import dumps
from gateway.fhir.search_parameters import extract
from gateway.model import Context, Reference, Stored, ValidResource
from gateway.store.grants import Granting, visible
from gateway.store.link import Row, Statement, insert_into
from gateway.store.page import Page
from gateway.store.search import index
from gateway.store.session import Head, Session, moment
from gateway.store.tables import resource, version

Change = Literal["create", "update", "delete"]

_LITERAL: Final = re.compile(r"([A-Z][A-Za-z]{1,63})/([A-Za-z0-9\-.]{1,64})(?:/_history/[0-9]+)?")

STORED: Final = (  # the columns of a Stored, over resource and version joined
    resource.c.type,
    resource.c.id,
    version.c.version,
    version.c.at,
    resource.c.owner,
    version.c.body,
    version.c.interaction,
)
CURRENT: Final = sa.and_(
    version.c.resource == resource.c.key, version.c.version == resource.c.version
)
_NAMED: Final = sa.and_(
    resource.c.type == sa.bindparam("type"), resource.c.id == sa.bindparam("id")
)
_ANY: Final = sa.and_(version.c.resource == resource.c.key, _NAMED)
_READ: Final = Statement(sa.select(*STORED).where(CURRENT, _NAMED, visible()))
_VREAD: Final = Statement(
    sa.select(*STORED).where(
        _ANY, version.c.version == sa.bindparam("version"), visible(version.c.version)
    )
)
_HISTORY: Final = Statement(
    sa.select(*STORED)
    .where(_ANY, version.c.version < sa.bindparam("before"), visible(version.c.version))
    .order_by(version.c.version.desc())
    .limit(sa.bindparam("count"))
)
_VERSIONS: Final = Statement(sa.select(sa.func.count()).where(_ANY, visible(version.c.version)))
_UNSCOPED: Final = Statement(sa.select(*STORED).where(CURRENT, _NAMED))
_SEEN: Final = Statement(
    sa.select(resource.c.key).where(_NAMED, sa.not_(resource.c.deleted), visible())
)
_INSERT: Final = insert_into(resource, resource.c.key)
_VERSION: Final = insert_into(version, version.c.sequence)
_UPDATE: Final = Statement(
    resource.update()
    .where(resource.c.key == sa.bindparam("of"))
    .values(
        {name: sa.bindparam(name) for name in ("version", "updated", "deleted", "kinds", "digest")}
    )
)


@dataclass(frozen=True, slots=True)
class Written(Stored):
    """What a write left: the current version, and what it changed (None: nothing was new)."""

    change: Change | None = None

    @property
    def unchanged(self) -> bool:
        """The body was the current one: no new version, no event."""
        return self.change is None


def stored(row: Row) -> Stored:
    """From a row of STORED."""
    type_, id_, number, at, owner, body, interaction = row
    return Stored(type_, id_, number, moment(at), owner, body, interaction == "delete")


class Resources(Session):
    """Reading. What the caller may not see is ``NotFound``, like what isn't there."""

    def read(self, context: Context, type_: str, id_: str) -> Stored:
        """The current version. Raises ``NotFound``, ``Gone``."""
        self.flush()
        return _alive(self.link.one(_READ, {**self.who(context), "type": type_, "id": id_}))

    def vread(self, context: Context, type_: str, id_: str, number: int) -> Stored:
        """One version. Raises ``NotFound``; ``Gone`` where that version is the deletion."""
        self.flush()
        values = {**self.who(context), "type": type_, "id": id_, "version": number}
        return _alive(self.link.one(_VREAD, values))

    def history(
        self, context: Context, type_: str, id_: str, *, count: int = 100, cursor: str | None = None
    ) -> Page:
        """The versions that the caller may see, newest first, deletions too.

        ``cursor`` is the last page's ``next``. Raises ``NotFound``, ``InvalidSearch``.
        """
        self.flush()
        values = {**self.who(context), "type": type_, "id": id_}
        row = self.link.one(_VERSIONS, values)
        total = int(row[0]) if row else 0
        if not total:
            raise NotFound("no such resource")
        values |= {"before": _before(cursor), "count": count + 1}
        entries = [stored(row) for row in self.link.all(_HISTORY, values)]
        more = str(entries[count - 1].version) if len(entries) > count else None
        return Page(tuple(entries[:count]), total, more)

    def visible(self, context: Context, reference: Reference) -> bool:
        """Whether the caller may read what a relative reference points to, and it is there."""
        return not self.missing(context, [reference])

    def missing(self, context: Context, references: Iterable[Reference]) -> list[Reference]:
        """Those relative references that point to nothing that the caller may read.

        Other references (absolute, contained, urn) are not the hub's to check.
        """
        return [found for found in dict.fromkeys(references) if not self._sees(context, found)]

    def _sees(self, context: Context, reference: Reference) -> bool:
        literal = _LITERAL.fullmatch(reference)
        if literal is None:
            return True
        values = {**self.who(context), "type": literal[1], "id": literal[2]}
        return self.link.one(_SEEN, values) is not None


class Writing(Granting, Resources):
    """Writing: a version, its search rows and its event in one go."""

    def current(self, type_: str, id_: str) -> Stored | None:
        """The current version, whosoever it is: for the gateway's own merges. None if deleted."""
        head = self._head(type_, id_)
        if head is None or head.deleted:
            return None
        self.flush()
        row = self.link.one(_UNSCOPED, {"type": type_, "id": id_})
        return None if row is None else stored(row)

    def put(
        self,
        context: Context,
        resource: ValidResource,
        *,
        interaction: Literal["create", "update"],
        if_match: int | None = None,
        owner: str | None = None,
    ) -> Written:
        """Store a resource with its id as a new version, unless it is the current one.

        ``if_match`` is the version that must be current; ``owner`` (default: the caller's agency)
        owns what is made new. An update of what isn't there makes it. Raises ``Conflict`` for a
        create of what is there, ``NotFound``, ``Denied``, ``PreconditionFailed``.
        """
        type_, id_ = resource["resourceType"], resource["id"]
        head = self._head(type_, id_)
        self._check(context, head, interaction, if_match)
        meta, core = _taken_apart(resource)
        digest = hashlib.blake2b(meta + core, digest_size=16).digest()
        if head is not None and not head.deleted and head.digest == digest:
            return self._unchanged(type_, id_)
        rows = index.filed(type_, extract(resource))
        fresh = self._next(head, owner or context.agency, rows, digest)
        body = _body(type_, id_, fresh, meta, core)
        change: Change = "create" if head is None else "update"
        return self._write(type_, id_, head, fresh, rows, body, change)

    def delete(
        self, context: Context, type_: str, id_: str, *, if_match: int | None = None
    ) -> Written:
        """A last version without a body; its search rows go. Twice is as once.

        Raises ``NotFound``, ``Denied``, ``PreconditionFailed``.
        """
        head = self._head(type_, id_)
        if head is None:
            raise NotFound("no such resource")
        self._check(context, head, "update", if_match)
        if head.deleted:
            return self._unchanged(type_, id_)
        fresh = self._next(head, head.owner, {}, b"")._replace(deleted=True)
        return self._write(type_, id_, head, fresh, {}, b"", "delete")

    def _check(
        self, context: Context, head: Head | None, interaction: Change, if_match: int | None
    ) -> None:
        if head is None:
            if if_match is not None:
                raise NotFound("no such resource")
            return
        if interaction == "create":
            raise Conflict("the id is taken")
        self._may_write(context, head)
        if if_match is not None and if_match != head.version:
            raise PreconditionFailed("another version is current", place="If-Match")

    def _next(self, head: Head | None, owner: str, rows: index.Rows, digest: bytes) -> Head:
        now, held = self.clock(), index.kinds(rows)
        if head is None:
            return Head(0, 1, now, owner, False, held, digest)
        later = max(now, head.updated + 1)
        return Head(head.key, head.version + 1, later, head.owner, False, held, digest)

    def _write(
        self,
        type_: str,
        id_: str,
        head: Head | None,
        fresh: Head,
        rows: index.Rows,
        body: bytes,
        change: Change,
    ) -> Written:
        values = fresh._asdict()
        if head is None:
            key = self.link.key(_INSERT, {"type": type_, "id": id_, **values})
            fresh = fresh._replace(key=key)
            self._add_rows(key, rows)
        else:
            self.link.run(_UPDATE, {"of": head.key, **values})
            self._change_rows(head, rows)
        row = (fresh.key, type_, fresh.version, change, fresh.updated, body)
        self.later(_VERSION, row)
        self.touched.add(type_)
        self._heads[type_, id_] = fresh
        at = moment(fresh.updated)
        return Written(type_, id_, fresh.version, at, fresh.owner, body, fresh.deleted, change)

    def _unchanged(self, type_: str, id_: str) -> Written:
        self.flush()
        row = self.link.one(_UNSCOPED, {"type": type_, "id": id_})
        if row is None:
            raise NotFound("no such resource")
        now = stored(row)
        return Written(type_, id_, now.version, now.updated, now.owner, now.body, now.deleted, None)

    def _add_rows(self, key: int, rows: index.Rows) -> None:
        for kind, found in rows.items():
            self.later_all(index.INSERTS[kind], [(*row, key) for row in found])

    def _change_rows(self, head: Head, rows: index.Rows) -> None:
        """Touch only the rows that differ: most of an update's are as they were."""
        self.flush()
        for kind in range(len(index.TABLES)):
            new = rows.get(kind, set())
            old = self._own_rows(head, kind)
            if gone := [(*row, head.key) for row in old - new]:
                self.link.many(index.DELETES[kind], gone)
            if come := [(*row, head.key) for row in new - old]:
                self.link.many(index.INSERTS[kind], come)

    def _own_rows(self, head: Head, kind: int) -> set[tuple[Any, ...]]:
        if not head.kinds >> kind & 1:
            return set()
        return {tuple(row) for row in self.link.all(index.OWN[kind], {"key": head.key})}


def _alive(row: Row | None) -> Stored:
    if row is None:
        raise NotFound("no such resource")
    found = stored(row)
    if found.deleted:
        raise Gone("it was deleted")
    return found


def _before(cursor: str | None) -> int:
    if cursor is None:
        return 2**31 - 1
    if not re.fullmatch(r"[0-9]{1,9}", cursor):
        raise InvalidSearch("not a page of this history", place="cursor")
    return int(cursor)


def _taken_apart(resource: Mapping[str, Any]) -> tuple[bytes, bytes]:
    """Meta without what the hub sets, and the rest without type and id, both as JSON objects."""
    given = resource.get("meta", {})
    meta = {name: given[name] for name in given if name not in ("versionId", "lastUpdated")}
    rest = {name: resource[name] for name in resource if name not in ("resourceType", "id", "meta")}
    return dumps(meta), dumps(rest)


def _body(type_: str, id_: str, head: Head, meta: bytes, core: bytes) -> bytes:
    """The whole JSON. FHIR's instants are shown to the millisecond, as search compares them."""
    at = moment(head.updated).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    front = (
        f'{{"resourceType":"{type_}","id":"{id_}",'
        f'"meta":{{"versionId":"{head.version}","lastUpdated":"{at}"'
    ).encode()
    return front + _joined(meta) + _joined(core)


def _joined(members: bytes) -> bytes:
    """What follows the members before: ``,…}`` or, of an empty object, ``}``."""
    return b"," + members[1:] if len(members) > 2 else b"}"
