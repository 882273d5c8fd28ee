"""Who may see what: the one predicate, and the grants that it reads (DESIGN, section 7).

A resource is seen by its owner, by an agency with a live grant and, for reading only, by an
administrator. Of the history a grant shows what was current when it was given, and what came after.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.errors import Denied, NotFound
from gateway.model import Context, Grant, Reference
from gateway.store.heads import Head, Heads
from gateway.store.link import Statement
from gateway.store.session import microseconds, moment
from gateway.store.tables import grants, resource


def live() -> tuple[sa.ColumnElement[bool], ...]:
    """A grant to ``:me`` or to everybody that is neither revoked nor over at ``:now``."""
    return (
        sa.or_(grants.c.agency == ME, grants.c.agency == sa.literal_column("'*'")),
        grants.c.revoked.is_(None),
        sa.or_(grants.c.until.is_(None), grants.c.until > _NOW),
    )


def visible(
    version: sa.ColumnElement[int] | None = None, *, of: sa.FromClause = resource
) -> sa.ColumnElement[bool]:
    """The predicate of every read: owner is ``:me``, or a live grant, or ``:admin``.

    Stands in a statement over ``resource`` (``of``: an alias of it); ``version`` narrows it to the
    versions that a grant shows. Its values are ``Session.who``.
    """
    conditions = [grants.c.resource == of.c.key, *live()]
    if version is not None:
        conditions.append(grants.c.since <= version)
    grant = sa.select(grants.c.resource).where(*conditions).correlate_except(grants).exists()
    return sa.or_(owned(of), grant)


def owned(of: sa.FromClause = resource) -> sa.ColumnElement[bool]:
    """Whether the caller reads it whole: its owner, or an administrator."""
    return sa.or_(of.c.owner == ME, _ADMIN)


ME: Final = sa.bindparam("me", type_=sa.Text())
"""Who asks; ``Session.who`` says."""

_NOW: Final = sa.bindparam("now", type_=sa.BigInteger())
_ADMIN: Final = sa.bindparam("admin", type_=sa.Boolean())

_RIGHTS: Final = Statement(
    sa.select(grants.c.rights).where(grants.c.resource == sa.bindparam("key"), *live())
)
_GIVEN: Final = Statement(
    sa.select(grants.c.agency, grants.c.because, grants.c.until, grants.c.rights).where(
        grants.c.resource == sa.bindparam("key"), grants.c.revoked.is_(None)
    )
)
_NEW: Final = insert(grants).values({c: sa.bindparam(c.name) for c in grants.columns})
_GRANT: Final = Statement(
    _NEW.on_conflict_do_update(
        index_elements=list(grants.primary_key),
        set_={
            "until": _NEW.excluded.until,
            "rights": _NEW.excluded.rights,
            "revoked": _NEW.excluded.revoked,
            "since": sa.case(
                (grants.c.revoked.is_(None), grants.c.since), else_=_NEW.excluded.since
            ),
        },
        where=sa.or_(
            grants.c.revoked.is_not(None),
            grants.c.until.is_distinct_from(_NEW.excluded.until),
            grants.c.rights != _NEW.excluded.rights,
        ),
    )
)


def _ending(*which: sa.ColumnElement[bool]) -> Statement:
    """End those of a reason's grants that hold still."""
    ended = grants.update().values(revoked=sa.bindparam("at"))
    reason = grants.c.because == sa.bindparam("reason")
    return Statement(ended.where(reason, *which, grants.c.revoked.is_(None)))


_REVOKE: Final = _ending()
_END: Final = _ending(grants.c.resource == sa.bindparam("key"))
_WITHDRAW: Final = _ending(
    grants.c.agency == sa.bindparam("of"), grants.c.resource != sa.bindparam("key")
)


class Granting(Heads):
    """Gives and ends grants, and holds writers to theirs."""

    def grant(self, grant: Grant) -> None:
        """Give or renew a right to a resource that is there; one for each reason.

        A revoked grant given again is live again, from the current version on. Raises
        ``NotFound``.
        """
        head = self._head(grant.resource)
        if head is None:
            raise NotFound("what is granted is not there", place="Grant.resource")
        until = None if grant.until is None else microseconds(grant.until)
        why = (grant.agency, grant.because, head.version)
        self.link.later(_GRANT, [(head.key, *why, until, grant.rights, None)])

    def granted(self, reference: Reference) -> list[Grant]:
        """Every right to a resource that was given and not ended."""
        head = self._head(reference)
        rows = self.link.all(_GIVEN, {"key": head.key}) if head else []
        return [
            Grant(reference, agency, because, None if until is None else moment(until), rights)
            for agency, because, until, rights in rows
        ]

    def revoke(self, because: Reference) -> int:
        """End every grant that was given for this reason, now. How many ended."""
        return self.link.run(_REVOKE, {"reason": because, "at": self.clock()})

    def end(self, resource: Reference, because: Reference) -> int:
        """End every right to a resource that was given for this reason, now. How many ended."""
        head = self._head(resource)
        if head is None:
            return 0
        return self.link.run(_END, {"reason": because, "key": head.key, "at": self.clock()})

    def withdraw(self, because: Reference, agency: str) -> int:
        """End an agency's grants for this reason, now, but not the one to the reason itself.

        How many ended.
        """
        head = self._head(because)
        values = {"reason": because, "of": agency, "key": head.key if head else -1}
        return self.link.run(_WITHDRAW, {**values, "at": self.clock()})

    def _may_write(self, context: Context, head: Head) -> None:
        """Raise ``NotFound`` where the caller may not see it, ``Denied`` where only that."""
        if head.owner == context.agency:
            return
        rows = self.link.all(_RIGHTS, {**self.who(context), "key": head.key})
        if any("u" in rights for (rights,) in rows):
            return
        if rows or context.admin:
            raise Denied("no right to change this")
        raise NotFound("no such resource")
