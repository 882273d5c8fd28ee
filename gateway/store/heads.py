"""What a transaction knows of resources: each is read once, and those of a message by one query."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple

import sqlalchemy as sa

from gateway.fhir.json import loads
from gateway.model import Reference, Resource
from gateway.store.link import Row, Statement
from gateway.store.session import Session
from gateway.store.tables import resource, version

_AT_ONCE: Final = 32


class Head(NamedTuple):
    """A resource's row without its body."""

    key: int
    version: int
    updated: int
    owner: str
    deleted: bool
    kinds: int
    digest: bytes
    said: int | None


@dataclass(slots=True)
class Known:
    """A resource's head and its current body, which is parsed when it is first asked for.

    ``fresh``: written in this transaction, and perhaps not on disk yet.
    """

    head: Head
    body: bytes
    content: Resource | None = None
    fresh: bool = False

    def read(self) -> Resource:
        """The body, parsed."""
        if self.content is None:
            self.content = loads(self.body)
        return self.content


_ROW: Final = sa.select(
    resource.c.type, resource.c.id, *(resource.c[name] for name in Head._fields), version.c.body
).where(version.c.resource == resource.c.key, version.c.version == resource.c.version)


@lru_cache
def _current(count: int) -> Statement:
    """The rows of ``count`` resources. Those that wait are known already."""
    named = (
        sa.and_(
            resource.c.type == sa.bindparam(f"type{n}"), resource.c.id == sa.bindparam(f"id{n}")
        )
        for n in range(count)
    )
    return Statement(_ROW.where(sa.or_(*named)), apart=True)


class Heads(Session):
    """Remembers what it read and wrote: nobody else writes in between.

    On SQLite there is one writer; on PostgreSQL the transaction sees one snapshot.
    """

    def fetch(self, references: Iterable[Reference]) -> None:
        """Read what isn't known yet of these, so that asking for each costs no query of its own."""
        known = self.link.known
        unknown = list(dict.fromkeys(each for each in references if each not in known))
        for start in range(0, len(unknown), _AT_ONCE):
            self._fetch(unknown[start : start + _AT_ONCE])

    def _fetch(self, named: list[Reference]) -> None:
        # Few sizes, so that the statements' number is small: the last one is asked for again.
        size = 1 if len(named) == 1 else -(-len(named) // 8) * 8
        padded = named + named[-1:] * (size - len(named))
        values = {}
        for n, reference in enumerate(padded):
            values[f"type{n}"], values[f"id{n}"] = parts(reference)
        self.link.known.update(dict.fromkeys(named))
        for row in self.link.all(_current(size), values):
            self.link.known[f"{row[0]}/{row[1]}"] = _known(row)

    def _known(self, reference: Reference) -> Known | None:
        if reference not in self.link.known:
            self._fetch([reference])
        known: Known | None = self.link.known[reference]
        return known

    def _head(self, reference: Reference) -> Head | None:
        known = self._known(reference)
        return None if known is None else known.head


def _known(row: Row) -> Known:
    return Known(Head(*row[2:-1]), row[-1])


def parts(reference: Reference) -> tuple[str, str]:
    """Type and id."""
    type_, _, id_ = reference.partition("/")
    return type_, id_
