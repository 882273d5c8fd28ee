"""Whose records may be a described person's: candidates for a match (R4 patient-operation-match).

By the rows that the person would be filed under, three ways: a number or contact that both have;
the same day of birth and the beginning of a name; a family name and the beginning of a given name.
Each is one statement that starts from an index, and costs the same among ten thousand as among a
million, however common the names: of a family name no more than ``LOOKED`` are looked at.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import product
from typing import Any, Final

import sqlalchemy as sa

from gateway.fhir.rows import DateRow, IndexRow, StringRow, TokenRow
from gateway.fhir.search_parameters import APART, filed, hides
from gateway.model import Context, Stored
from gateway.store.grants import owned, visible
from gateway.store.link import Statement
from gateway.store.resources import CURRENT, STORED, stored
from gateway.store.search.index import cut_text, equal_text, hashed, param_key
from gateway.store.search.shapes import LAST
from gateway.store.session import Session
from gateway.store.tables import date, resource, string, token

LOOKED: Final = 1000
"""Of a common family name so many are looked at; others are found by their birth date or number."""

BEGINNING: Final = 2
"""Characters of a name that must be alike where another fact is."""

_TYPE: Final = "Patient"
_SEEN: Final = sa.and_(CURRENT, sa.not_(resource.c.deleted), visible())


def _filed(param: str) -> sa.ColumnElement[int]:
    return sa.literal(param_key(_TYPE, param), sa.BigInteger())


def _begins(rows: sa.FromClause, param: str, bind: str) -> sa.ColumnElement[bool]:
    """Whether a row is of the parameter and begins as the bind; ``<bind>_end`` is its end."""
    value = rows.c.value
    between = value >= sa.bindparam(bind), value < sa.bindparam(f"{bind}_end")
    return sa.and_(rows.c.param == _filed(param), *between)


def _by_code(param: str, *, of_system: bool) -> Statement:
    meets = [token.c.code == sa.bindparam("code"), token.c.resource == resource.c.key]
    if of_system:
        meets.append(token.c.system == sa.bindparam("system"))
    names = filed(_TYPE, param)
    open_ = token.c.param.in_([_filed(each) for each in names])
    if hides(_TYPE, param):
        both = [_filed(f"{apart}{each}") for apart in ("", APART) for each in names]
        meets += [token.c.param.in_(both), sa.or_(open_, owned())]
    else:
        meets.append(open_)
    return Statement(sa.select(*STORED).where(*meets, _SEEN).limit(sa.bindparam("most")))


def _by_birth() -> Statement:
    named = sa.select(string.c.param).where(
        string.c.resource == date.c.resource,
        sa.or_(_begins(string, "family", "family"), _begins(string, "given", "given")),
    )
    meets = (
        date.c.param == _filed("birthdate"),
        date.c.low >= sa.bindparam("low"),
        date.c.low < sa.bindparam("high"),
        date.c.high <= sa.bindparam("high"),
        date.c.resource == resource.c.key,
        named.exists(),
    )
    return Statement(sa.select(*STORED).where(*meets, _SEEN).limit(sa.bindparam("most")))


def _by_name(looked: int = LOOKED) -> Statement:
    some = sa.select(string.c.resource).where(_begins(string, "family", "family"))
    family, given = some.limit(looked).subquery(), string.alias()
    named = sa.select(given.c.param).where(
        given.c.resource == family.c.resource, _begins(given, "given", "given")
    )
    meets = (family.c.resource == resource.c.key, named.exists())
    return Statement(sa.select(*STORED).where(*meets, _SEEN).limit(sa.bindparam("most")))


_CODES: Final = {
    (param, of_system): _by_code(param, of_system=of_system)
    for param in ("identifier", "telecom")
    for of_system in (True, False)
}
_BIRTH: Final = _by_birth()
_NAME: Final = _by_name()


class Likenesses(Session):
    """Finds Patients that may be a person."""

    def alike(self, context: Context, person: Sequence[IndexRow], most: int) -> list[Stored]:
        """The Patients that the caller may see and one of the ways finds, each once.

        ``person``: the rows of its identifier, telecom, birthdate, family and given. No way finds
        more than ``most``.
        """
        who = {**self.who(context), "most": most}
        found: dict[str, Stored] = {}
        for statement, values in _asked(person):
            for row in self.link.all(statement, {**who, **values}):
                if row[1] not in found:
                    found[row[1]] = stored(row)
        return list(found.values())


_Asked = Iterator[tuple[Statement, Mapping[str, Any]]]


def _asked(person: Sequence[IndexRow]) -> _Asked:
    for row in person:
        if isinstance(row, TokenRow) and row.param in ("identifier", "telecom"):
            values = {"code": equal_text(row.code), "system": hashed(row.system)}
            yield _CODES[row.param, bool(row.system)], values
    families, given = _texts(person, "family"), _texts(person, "given")
    births = [row for row in person if isinstance(row, DateRow) and row.param == "birthdate"]
    for birth, family, first in product(births, families or [""], given or [""]):
        if family or first:
            names = _span("family", family[:BEGINNING]) | _span("given", first[:BEGINNING])
            yield _BIRTH, {"low": birth.low, "high": birth.high, **names}
    for family, first in product(families, given):
        yield _NAME, _span("family", family) | _span("given", first[:BEGINNING])


def _texts(person: Iterable[IndexRow], param: str) -> list[str]:
    rows = (row for row in person if isinstance(row, StringRow) and row.param == param)
    return list(dict.fromkeys(cut_text(row.value) for row in rows if row.value))


def _span(bind: str, begins: str) -> dict[str, str]:
    """The binds of a beginning; one that isn't known begins nothing."""
    return {bind: begins, f"{bind}_end": begins + LAST if begins else ""}
