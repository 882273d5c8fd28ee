"""Resources and their versions: read, vread, history; put and delete (FHIR R4, 3.1.0).

A body is kept once, with its version; the resource's row points to the current one. Bodies are
what was sent, to the digit, with the hub's id and meta in front.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.errors import Conflict, Gone, InvalidSearch, NotFound, PreconditionFailed
from gateway.fhir.json import dumps
from gateway.fhir.search_parameters import extract
from gateway.model import Context, Reference, Resource, Stored, ValidResource
from gateway.store.grants import Granting, visible
from gateway.store.heads import Head, Known, parts
from gateway.store.link import Row, Statement, insert_into
from gateway.store.page import Page
from gateway.store.search import index
from gateway.store.session import Session, microseconds, moment
from gateway.store.tables import reference, resource, version

Change = Literal["create", "update", "delete"]

SHARED: Final = frozenset({"Location", "Organization", "Practitioner", "PractitionerRole"})
"""What messages about many patients repeat. That one does isn't noted: they would all wait here."""

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
_SEEN: Final = Statement(
    sa.select(resource.c.key).where(_NAMED, sa.not_(resource.c.deleted), visible())
)
_NEW: Final = insert(resource).values({c: sa.bindparam(c.name) for c in resource.columns})
_CHANGED: Final = ("version", "updated", "deleted", "kinds", "digest", "said")
_RESOURCE: Final = Statement(
    _NEW.on_conflict_do_update(
        index_elements=[resource.c.key],
        set_={name: _NEW.excluded[name] for name in _CHANGED},
    )
)
_REFERRING: Final = Statement(
    sa.select(resource.c.type, resource.c.id)
    .distinct()
    .where(
        reference.c.resource == resource.c.key,
        reference.c.target == sa.bindparam("target"),
        reference.c.type == sa.bindparam("of"),
        resource.c.owner == sa.bindparam("owner"),
        sa.not_(resource.c.deleted),
    )
    .order_by(resource.c.type, resource.c.id)
)
_VERSION: Final = insert_into(version, version.c.sequence)


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
        return _alive(self.link.one(_READ, {**self.who(context), "type": type_, "id": id_}))

    def vread(self, context: Context, type_: str, id_: str, number: int) -> Stored:
        """One version. Raises ``NotFound``; ``Gone`` where that version is the deletion."""
        values = {**self.who(context), "type": type_, "id": id_, "version": number}
        return _alive(self.link.one(_VREAD, values))

    def history(
        self, context: Context, type_: str, id_: str, *, count: int = 100, cursor: str | None = None
    ) -> Page:
        """The versions that the caller may see, newest first, deletions too.

        ``cursor`` is the last page's ``next``. Raises ``NotFound``, ``InvalidSearch``.
        """
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
        known: Known | None = self.link.known.get((literal[1], literal[2]))
        if known is not None and (context.admin or known.head.owner == context.agency):
            return not known.head.deleted
        values = {**self.who(context), "type": literal[1], "id": literal[2]}
        return self.link.one(_SEEN, values) is not None


def search_rows(resource: ValidResource) -> index.Rows:
    """The rows by which a resource is found. Pure: they may be made in another process."""
    return index.filed(resource["resourceType"], extract(resource))


class Writing(Granting, Resources):
    """Writing: a version, its search rows and its event in one go."""

    def current(self, type_: str, id_: str) -> Stored | None:
        """The current version, whosoever it is: for the gateway's own merges. None if deleted."""
        known = self._known(type_, id_)
        if known is None or known.head.deleted:
            return None
        return _stored(type_, id_, known)

    def owner(self, reference: Reference) -> str | None:
        """Whose a resource is that is there."""
        head = self._head(*parts(reference))
        return None if head is None or head.deleted else head.owner

    def said(self, reference: Reference) -> datetime | None:
        """The time that the newest message about a resource bears; None where none did."""
        head = self._head(*parts(reference))
        return None if head is None or head.said is None else moment(head.said)

    def referring(self, owner: str, target: Reference) -> list[Reference]:
        """What an agency has that refers to ``target``, as far as search parameters tell."""
        type_, id_ = parts(target)
        values = {"target": index.equal_text(id_), "of": type_, "owner": owner}
        return [f"{row[0]}/{row[1]}" for row in self.link.all(_REFERRING, values)]

    def content(self, reference: Reference) -> Resource | None:
        """``current`` as an object, parsed once. It isn't to be changed.

        Of what this transaction wrote it is what was written: without the hub's own meta.
        """
        known = self._known(*parts(reference))
        return None if known is None or known.head.deleted else known.read()

    def put(
        self,
        context: Context,
        resource: ValidResource,
        *,
        interaction: Literal["create", "update"],
        if_match: int | None = None,
        owner: str | None = None,
        said: datetime | None = None,
        rows: index.Rows | None = None,
    ) -> Written:
        """Store a resource with its id as a new version, unless it is the current one.

        ``if_match`` is the version that must be current; ``owner`` (default: the caller's agency)
        owns what is made new; ``said`` is the time of the message that says so; ``rows`` are
        its ``search_rows`` where they are known. An update of what isn't there makes it. Raises
        ``Conflict`` for a create of what is there, ``NotFound``, ``Denied``,
        ``PreconditionFailed``.
        """
        type_, id_ = resource["resourceType"], resource["id"]
        was = self._known(type_, id_)
        head = was.head if was else None
        self._check(context, head, interaction, if_match)
        meta, core = _taken_apart(resource)
        digest = hashlib.blake2b(meta + core, digest_size=16).digest()
        if head is not None and not head.deleted and head.digest == digest:
            self._confirm(type_, id_, said)
            return self._unchanged(type_, id_)
        rows = search_rows(resource) if rows is None else rows
        fresh = self._next(head, owner or context.agency, rows, digest)
        fresh = fresh._replace(said=_newer(fresh.said, said))
        known = Known(fresh, _body(type_, id_, fresh, meta, core), resource, fresh=True)
        change: Change = "create" if head is None else "update"
        return self._write(type_, id_, was, known, rows, change)

    def delete(
        self, context: Context, type_: str, id_: str, *, if_match: int | None = None
    ) -> Written:
        """A last version without a body; its search rows go. Twice is as once.

        Raises ``NotFound``, ``Denied``, ``PreconditionFailed``.
        """
        was = self._known(type_, id_)
        if was is None:
            raise NotFound("no such resource")
        head = was.head
        self._check(context, head, "update", if_match)
        if head.deleted:
            return self._unchanged(type_, id_)
        fresh = self._next(head, head.owner, {}, b"")._replace(deleted=True)
        return self._write(type_, id_, was, Known(fresh, b"", fresh=True), {}, "delete")

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
            return Head(self.link.key(resource), 1, now, owner, False, held, digest, None)
        later = max(now, head.updated + 1)
        number = head.version + 1
        return Head(head.key, number, later, head.owner, False, held, digest, head.said)

    def _write(
        self,
        type_: str,
        id_: str,
        was: Known | None,
        known: Known,
        rows: index.Rows,
        change: Change,
    ) -> Written:
        fresh = known.head
        if was is None:
            for kind, found in rows.items():
                self.link.later(index.INSERTS[kind], [(*row, fresh.key) for row in found])
        else:
            self._change_rows(was, rows)
        key, number, updated, *rest = fresh
        self.link.later(_RESOURCE, [(key, type_, id_, number, updated, *rest)])
        self.link.later(_VERSION, [(key, type_, number, change, updated, known.body)])
        self.link.known[type_, id_] = known
        self.touched.add(type_)
        return _written(type_, id_, known, change)

    def _confirm(self, type_: str, id_: str, said: datetime | None) -> None:
        """A newer message says the same."""
        known = self._known(type_, id_)
        if known is None or said is None or type_ in SHARED:
            return
        head = known.head._replace(said=_newer(known.head.said, said))
        if head.said != known.head.said:
            key, *rest = head
            self.link.later(_RESOURCE, [(key, type_, id_, *rest)])
            self.link.known[type_, id_] = Known(head, known.body, known.content, fresh=True)

    def _unchanged(self, type_: str, id_: str) -> Written:
        known = self._known(type_, id_)
        if known is None:
            raise NotFound("no such resource")
        return _written(type_, id_, known, None)

    def _change_rows(self, was: Known, rows: index.Rows) -> None:
        """Touch only the rows that differ: most of an update's are as they were."""
        if was.fresh:
            self.link.flush()  # two changes of one resource mustn't wait together
        for kind in range(len(index.TABLES)):
            new = rows.get(kind, set())
            old = self._own_rows(was.head, kind)
            if gone := [(*row, was.head.key) for row in old - new]:
                self.link.later(index.DELETES[kind], gone)
            if come := [(*row, was.head.key) for row in new - old]:
                self.link.later(index.INSERTS[kind], come)

    def _own_rows(self, head: Head, kind: int) -> set[tuple[Any, ...]]:
        if not head.kinds >> kind & 1:
            return set()
        return {tuple(row) for row in self.link.all(index.OWN[kind], {"key": head.key})}


def _newer(known: int | None, said: datetime | None) -> int | None:
    new = None if said is None else microseconds(said)
    return known if new is None or (known is not None and known > new) else new


def _stored(type_: str, id_: str, known: Known) -> Stored:
    head = known.head
    return Stored(
        type_, id_, head.version, moment(head.updated), head.owner, known.body, bool(head.deleted)
    )


def _written(type_: str, id_: str, known: Known, change: Change | None) -> Written:
    head = known.head
    at = moment(head.updated)
    gone = bool(head.deleted)
    return Written(type_, id_, head.version, at, head.owner, known.body, gone, change)


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
    return dumps(meta) if meta else b"{}", dumps(rest)


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
