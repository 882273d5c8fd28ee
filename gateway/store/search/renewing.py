"""Search rows made again of what is stored (``$reindex``): a batch of resources at a time.

What a release finds a resource by may differ from what the one before filed. Rows that are made
late stay: they have their own way (``late``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import sqlalchemy as sa

from gateway.fhir.custom_parameters import row_names
from gateway.fhir.json import loads
from gateway.fhir.query import Late
from gateway.fhir.search_parameters import extract_apart, labels, parameters
from gateway.store.link import Statement
from gateway.store.search import index
from gateway.store.search.late import Made, Making
from gateway.store.session import Session
from gateway.store.tables import late as places
from gateway.store.tables import resource, version

BATCH: Final = 256

_CURRENT: Final = Statement(
    sa.select(resource.c.key, resource.c.version, resource.c.type, version.c.body)
    .where(
        resource.c.key > sa.bindparam("after"),
        sa.not_(resource.c.deleted),
        version.c.resource == resource.c.key,
        version.c.version == resource.c.version,
    )
    .order_by(resource.c.key)
    .limit(BATCH)
)
_BEGUN: Final = Statement(sa.select(places.c.name).order_by(places.c.name))
_HEAD: Final = Statement(
    sa.select(resource.c.version, resource.c.kinds).where(resource.c.key == sa.bindparam("key"))
)
_KINDS: Final = Statement(
    resource.update().where(resource.c.key == sa.bindparam("of")).values(kinds=sa.bindparam("held"))
)


@dataclass(frozen=True, slots=True)
class Renewed:
    """Some resources with the rows that they should have, and the last one's key."""

    made: tuple[Made, ...]
    last: int


class Renewals(Session):
    """What is stored, and its rows as they should be."""

    def renewed(self, after: int) -> Renewed | None:
        """The next resources by key; None where there are no more."""
        rows = self.link.all(_CURRENT, {"after": after})
        if not rows:
            return None
        made = tuple(
            Made(key, number, index.filed(type, extract_apart(loads(body))), ())
            for key, number, type, body in rows
        )
        return Renewed(made, rows[-1][0])

    def begun(self) -> list[str]:
        """The names of what is made late and was asked for before."""
        return [str(row[0]) for row in self.link.all(_BEGUN, {})]


class Renewing(Making, Renewals):
    """Puts the rows in place."""

    def refile(self, batch: Renewed) -> None:
        """Take away what shouldn't be there and add what lacks."""
        kept = {key for name in self.begun() for key in _param_keys(name)}
        for one in batch.made:
            row = self.link.one(_HEAD, {"key": one.key})
            if row is None or row[0] != one.version:
                continue
            self._replace(one, range(len(index.TABLES)), lambda param: param not in kept)
            held = index.kinds(one.rows)
            if row[1] != held:
                self.link.run(_KINDS, {"of": one.key, "held": held})
        self.link.flush()


def begun(name: str) -> Late | None:
    """What is made late by its name; None for a parameter that somebody defined."""
    type, colon, what = name.partition(":")
    if colon and what == "words":
        return Late(name, type)
    if colon and what == "text":
        return labels(type)
    return parameters(type)[what].late if colon and what in parameters(type) else None


def _param_keys(name: str) -> list[int]:
    late = begun(name)
    if late is not None:
        return [index.param_key(late.type, each) for each in late.params]
    type, _, rows = name.partition("?")
    return [index.param_key(type, each) for each in row_names(rows)]
