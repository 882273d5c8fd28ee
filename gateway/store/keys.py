"""Agencies that were added by hand, and the keys that callers bear (only their hashes)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa

from gateway.store.link import Statement, insert_into
from gateway.store.session import Session, moment
from gateway.store.tables import agency, api_key


@dataclass(frozen=True, slots=True)
class Key:
    """Whom a key names. ``agency`` is "hub" for an administrator's."""

    id: str
    agency: str
    admin: bool
    scopes: frozenset[str]


@dataclass(frozen=True, slots=True)
class Listed:
    """A key in a list, and when it was made."""

    key: Key
    created: datetime


@dataclass(frozen=True, slots=True)
class Member:
    """An agency as it was added: ``folder`` is where its maps stand, "" if it has none.

    ``added`` (microseconds) is when it was added or renewed.
    """

    id: str
    name: str
    folder: str
    added: int


_KEY: Final = Statement(
    sa.select(api_key.c.id, api_key.c.agency, api_key.c.admin, api_key.c.scopes).where(
        api_key.c.hash == sa.bindparam("hash")
    )
)
_KEYS: Final = Statement(
    sa.select(
        api_key.c.id, api_key.c.agency, api_key.c.admin, api_key.c.scopes, api_key.c.created
    ).order_by(api_key.c.created, api_key.c.id)
)
_STANDS: Final = Statement(sa.select(api_key.c.id).where(api_key.c.id == sa.bindparam("of")))
_REVOKE: Final = Statement(api_key.delete().where(api_key.c.id == sa.bindparam("of")))
_MEMBERS: Final = Statement(
    sa.select(agency.c.id, agency.c.name, agency.c.folder, agency.c.added).order_by(agency.c.id)
)
_ADD_KEY: Final = insert_into(api_key)
_ADD_MEMBER: Final = insert_into(agency)
_CHANGE_MEMBER: Final = Statement(
    agency.update()
    .where(agency.c.id == sa.bindparam("of"))
    .values(name=sa.bindparam("called"), folder=sa.bindparam("where"), added=sa.bindparam("at"))
)


class Keys(Session):
    """Reading keys and agencies."""

    def key(self, hash_: str) -> Key | None:
        """The key of a secret's hash."""
        row = self.link.one(_KEY, {"hash": hash_})
        return None if row is None else _key(row)

    def listed_keys(self) -> list[Listed]:
        """Every key, by when it was made."""
        return [Listed(_key(row), moment(row[4])) for row in self.link.all(_KEYS, {})]

    def stands(self, key: str) -> bool:
        """Whether a key of this id is there, and wasn't revoked."""
        return self.link.one(_STANDS, {"of": key}) is not None

    def agencies(self) -> list[Member]:
        """Every agency that was added, by id."""
        return [Member(*row) for row in self.link.all(_MEMBERS, {})]


def _key(row: Sequence[Any]) -> Key:
    return Key(row[0], row[1], bool(row[2]), frozenset(row[3].split()))


class Admitting(Keys):
    """Adds keys and agencies; takes keys away."""

    def add_key(
        self,
        id_: str,
        hash_: str,
        agency: str,
        *,
        admin: bool = False,
        scopes: frozenset[str] = frozenset(),
    ) -> None:
        """A new key, from now on."""
        row = (id_, hash_, agency, admin, " ".join(sorted(scopes)), self.clock())
        self.link.many(_ADD_KEY, [row])

    def revoke_key(self, key: str) -> bool:
        """From now on nobody bears the key of this id; whether there was one."""
        return bool(self.link.run(_REVOKE, {"of": key}))

    def add_agency(self, id_: str, name: str, folder: str = "") -> None:
        """Add an agency, or renew it: its name, its folder, and what stands there."""
        now = self.clock()
        values = {"of": id_, "called": name, "where": folder, "at": now}
        if not self.link.run(_CHANGE_MEMBER, values):
            self.link.many(_ADD_MEMBER, [(id_, name, folder, now)])
