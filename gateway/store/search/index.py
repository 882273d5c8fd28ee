"""From what search finds a resource by (``gateway.fhir.rows``) to rows of the search tables.

Parameter and system stand as 64-bit hashes: eight bytes instead of a text in two trees, and no
dictionary that concurrent writers would have to agree on. Texts are cut so that an index can
hold them: those compared for being equal keep a hash of the rest, so that equal stays exact.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from functools import cache, lru_cache
from typing import Any, Final

import sqlalchemy as sa

from gateway.fhir.query import Kind
from gateway.fhir.rows import (
    DateRow,
    IndexRow,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from gateway.fhir.search_parameters import filed as filed_names
from gateway.fhir.search_parameters import twice
from gateway.store import tables
from gateway.store.link import Statement, insert_into

_LONGEST: Final = 400
"""Characters of a text that stand in an index; PostgreSQL takes some 2,700 bytes a row."""

TABLE: Final[dict[Kind, sa.Table]] = {
    "token": tables.token,
    "string": tables.string,
    "reference": tables.reference,
    "date": tables.date,
    "number": tables.number,
    "quantity": tables.quantity,
    "uri": tables.uri,
}

TABLES: Final = tuple(TABLE.values())
"""In the order of the bits of ``resource.kinds``: it may only be added to."""

NAMED: Final = frozenset(TABLES.index(TABLE[kind]) for kind in ("token", "reference"))
"""The places of the rows whose second column is a code, or what is referred to: an id, a URL."""

Rows = dict[int, list[tuple[Any, ...]]]
"""By place in TABLES, each row once and without its resource's key."""


@lru_cache(16384)
def hashed(text: str) -> int:
    """A 64-bit hash; 0 for the empty text."""
    if not text:
        return 0
    digest = hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big", signed=True)


@lru_cache(16384)
def param_key(type_: str, param: str) -> int:
    """What a parameter of a type is filed under."""
    return hashed(f"{type_}.{param}")


def param_keys(type_: str, param: str) -> list[int]:
    """What a parameter finds by: its own rows, or those of others that say the same."""
    return [param_key(type_, each) for each in filed_names(type_, param)]


def equal_text(text: str) -> str:
    """A text to be compared for being equal, short enough for an index."""
    if len(text) <= _LONGEST and "\0" not in text:
        return text
    text = clean(text)
    return f"{text[:_LONGEST]}\N{HORIZONTAL ELLIPSIS}{hashed(text):x}"


def cut_text(text: str) -> str:
    """A text to be searched by its beginning or parts: its first characters."""
    return text if len(text) <= _LONGEST and "\0" not in text else clean(text)[:_LONGEST]


def clean(text: str) -> str:
    """Without NUL, which PostgreSQL doesn't hold."""
    return text.replace("\0", "") if "\0" in text else text


def _token(key: int, row: Any) -> tuple[Any, ...]:
    return key, equal_text(row.code), hashed(row.system)


def _string(key: int, row: Any) -> tuple[Any, ...]:
    return key, cut_text(row.value), hashed(row.exact)


def _reference(key: int, row: Any) -> tuple[Any, ...]:
    return key, equal_text(row.url or row.id), row.type


def _range(key: int, row: Any) -> tuple[Any, ...]:
    return key, row.low, row.high


def _quantity(key: int, row: Any) -> tuple[Any, ...]:
    return key, row.low, row.high, hashed(row.system), equal_text(row.code), equal_text(row.unit)


def _uri(key: int, row: Any) -> tuple[Any, ...]:
    return key, equal_text(row.value)


_FILED: Final[dict[type, tuple[int, Callable[[int, Any], tuple[Any, ...]]]]] = {
    TokenRow: (0, _token),
    StringRow: (1, _string),
    ReferenceRow: (2, _reference),
    DateRow: (3, _range),
    NumberRow: (4, _range),
    QuantityRow: (5, _quantity),
    UriRow: (6, _uri),
}


def filed(type_: str, found: Iterable[IndexRow]) -> Rows:
    """The rows of one resource of ``type_``."""
    rows: Rows = {}
    for row in found:
        kind, shape = _FILED[type(row)]
        filed_row = shape(param_key(type_, row[0]), row)
        if kind in rows:
            rows[kind].append(filed_row)
        else:
            rows[kind] = [filed_row]
    elsewhere = _elsewhere(type_)
    return {kind: _once(each, elsewhere) for kind, each in rows.items()}


@cache
def _elsewhere(type_: str) -> dict[int, list[int]]:
    """By what rows are filed under: under what else the same may stand already."""
    return {
        param_key(type_, name): [param_key(type_, other) for other in others]
        for name, others in twice(type_).items()
    }


def _once(rows: list[tuple[Any, ...]], elsewhere: dict[int, list[int]]) -> list[tuple[Any, ...]]:
    made = dict.fromkeys(rows)
    return [
        row
        for row in made
        if not any((other, *row[1:]) in made for other in elsewhere.get(row[0], ()))
    ]


def kinds(rows: Rows) -> int:
    """A bit for each table that has rows."""
    return sum(1 << kind for kind in rows)


def _delete(table: sa.Table) -> Statement:
    where = [column == sa.bindparam(column.name) for column in table.columns]
    return Statement(table.delete().where(*where))


def _of_resource(table: sa.Table) -> Statement:
    columns = [column for column in table.columns if column.name != "resource"]
    return Statement(sa.select(*columns).where(table.c.resource == sa.bindparam("key")), apart=True)


INSERTS: Final = tuple(insert_into(table) for table in TABLES)
DELETES: Final = tuple(_delete(table) for table in TABLES)
OWN: Final = tuple(_of_resource(table) for table in TABLES)
