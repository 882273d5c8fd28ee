"""Resources and their versions: read, vread; put and delete (FHIR R4, 3.1.0).

A body is kept once, with its version; the resource's row points to the current one. Bodies are
what was sent, to the digit, with the hub's id and meta in front.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.errors import Conflict, Gone, NotFound, PreconditionFailed
from gateway.model import Context, Reference, Resource, Stored, ValidResource
from gateway.store.grants import Granting, visible
from gateway.store.heads import Head, Known, parts
from gateway.store.leaving import REFERRING
from gateway.store.link import Row, Statement, insert_into
from gateway.store.prepared import Prepared, prepare
from gateway.store.search import index
from gateway.store.session import Session, microseconds, moment
from gateway.store.tables import resource, version

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
_SEES: Final = sa.select(resource.c.key).where(_NAMED, sa.not_(resource.c.deleted), visible())
_SEEN: Final = Statement(_SEES)
_SEEN_BEFORE: Final = Statement(_SEES, apart=True)
_NEW: Final = insert(resource).values({c: sa.bindparam(c.name) for c in resource.columns})
_CHANGED: Final = ("version", "updated", "deleted", "kinds", "digest", "said")
RESOURCE: Final = Statement(
    _NEW.on_conflict_do_update(
        index_elements=[resource.c.key],
        set_={name: _NEW.excluded[name] for name in _CHANGED},
    )
)
_REFERRING: Final = Statement(REFERRING.where(resource.c.owner == sa.bindparam("owner")))
VERSION: Final = insert_into(version, version.c.sequence)


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
        known = self.link.known.get(f"{literal[1]}/{literal[2]}")
        if known is not None and (context.admin or known.head.owner == context.agency):
            return not known.head.deleted
        values = {**self.who(context), "type": literal[1], "id": literal[2]}
        if known is not None and not known.fresh and self.link.one(_SEEN_BEFORE, values):
            return True  # by a grant that waits for nothing; one that waits is found below
        return self.link.one(_SEEN, values) is not None


class Writing(Granting, Resources):
    """Writing: a version, its search rows and its event in one go."""

    def current(self, type_: str, id_: str) -> Stored | None:
        """The current version, whosoever it is: for the gateway's own merges. None if deleted."""
        known = self._known(f"{type_}/{id_}")
        if known is None or known.head.deleted:
            return None
        return _stored(type_, id_, known)

    def owner(self, reference: Reference) -> str | None:
        """Whose a resource is that is there."""
        head = self._head(reference)
        return None if head is None or head.deleted else head.owner

    def version(self, reference: Reference) -> int | None:
        """The number of the current version of a resource that is there."""
        head = self._head(reference)
        return None if head is None or head.deleted else head.version

    def holds(self, reference: Reference, digest: bytes) -> bool:
        """Whether that is the content (``Prepared.digest``) of the current version."""
        head = self._head(reference)
        return head is not None and not head.deleted and head.digest == digest

    def said(self, reference: Reference) -> datetime | None:
        """The time that the newest message about a resource bears; None where none did."""
        head = self._head(reference)
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
        known = self._known(reference)
        return None if known is None or known.head.deleted else known.read()

    def may_bear_labels(self, reference: Reference) -> bool:
        """Whether a resource that is there may have ``meta.security``; it isn't opened to tell."""
        known = self._known(reference)
        return known is not None and b'"security":' in known.body

    def put(
        self,
        context: Context,
        resource: ValidResource,
        *,
        interaction: Literal["create", "update"],
        if_match: int | None = None,
        owner: str | None = None,
        said: datetime | None = None,
        prepared: Prepared | None = None,
    ) -> Written:
        """Store a resource with its id as a new version, unless it is the current one.

        ``if_match`` is the version that must be current; ``owner`` (default: the caller's agency)
        owns what is made new; ``said`` is the time of the message that says so; ``prepared``
        is the resource made ready where it was. An update of what isn't there makes it. Raises
        ``Conflict`` for a create of what is there, ``NotFound``, ``Denied``,
        ``PreconditionFailed``.
        """
        type_, id_ = resource["resourceType"], resource["id"]
        was = self._known(f"{type_}/{id_}")
        head = was.head if was else None
        self._check(context, head, interaction, if_match)
        prepared = prepare(resource) if prepared is None else prepared
        if head is not None and not head.deleted and head.digest == prepared.digest:
            self._confirm(type_, id_, said)
            return self._unchanged(type_, id_)
        fresh = self._next(head, owner or context.agency, prepared, said)
        known = Known(fresh, prepared.body(fresh), resource, fresh=True)
        change: Change = "create" if head is None else "update"
        return self._write(type_, id_, was, known, prepared.rows, change)

    def delete(
        self, context: Context, type_: str, id_: str, *, if_match: int | None = None
    ) -> Written:
        """A last version without a body; its search rows go. Twice is as once.

        Raises ``NotFound``, ``Denied``, ``PreconditionFailed``.
        """
        was = self._known(f"{type_}/{id_}")
        if was is None:
            raise NotFound("no such resource")
        head = was.head
        self._check(context, head, "update", if_match)
        if head.deleted:
            return self._unchanged(type_, id_)
        later = max(self.clock(), head.updated + 1)
        gone = head._replace(
            version=head.version + 1, updated=later, deleted=True, kinds=0, digest=b""
        )
        return self._write(type_, id_, was, Known(gone, b"", fresh=True), {}, "delete")

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

    def _next(
        self, head: Head | None, owner: str, prepared: Prepared, said: datetime | None
    ) -> Head:
        now, held, digest = self.clock(), index.kinds(prepared.rows), prepared.digest
        newest = _newer(head.said if head else None, said)
        if head is None:
            return Head(self.link.key(resource), 1, now, owner, False, held, digest, newest)
        later = max(now, head.updated + 1)
        return Head(head.key, head.version + 1, later, head.owner, False, held, digest, newest)

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
        self.link.later(RESOURCE, [(key, type_, id_, number, updated, *rest)])
        self.link.later(VERSION, [(key, type_, number, change, updated, known.body)])
        self.link.known[f"{type_}/{id_}"] = known
        self.touched.add(type_)
        if self.named is not None:
            self.named.append((type_, id_, number))
        return _written(type_, id_, known, change)

    def _confirm(self, type_: str, id_: str, said: datetime | None) -> None:
        """A newer message says the same."""
        known = self._known(f"{type_}/{id_}")
        if known is None or said is None or type_ in SHARED:
            return
        head = known.head._replace(said=_newer(known.head.said, said))
        if head.said != known.head.said:
            key, *rest = head
            self.link.later(RESOURCE, [(key, type_, id_, *rest)])
            self.link.known[f"{type_}/{id_}"] = Known(head, known.body, known.content, fresh=True)

    def _unchanged(self, type_: str, id_: str) -> Written:
        known = self._known(f"{type_}/{id_}")
        if known is None:
            raise NotFound("no such resource")
        return _written(type_, id_, known, None)

    def _change_rows(self, was: Known, rows: index.Rows) -> None:
        """Touch only the rows that differ: most of an update's are as they were."""
        if was.fresh:
            self.link.flush()  # two changes of one resource mustn't wait together
        for kind in range(len(index.TABLES)):
            new = set(rows.get(kind, ()))
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
