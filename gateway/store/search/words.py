"""Full text: which resources say a word. SQLite has FTS5 for it, PostgreSQL tsvector (``engine``).

A resource has one document, under twice its key; a Patient has another, of what a grant shows,
under the number after that.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from gateway.fhir.least import least
from gateway.fhir.query import Words
from gateway.fhir.words import content, narrative
from gateway.model import Resource
from gateway.store.dialects import says, word_list
from gateway.store.grants import owned
from gateway.store.link import Statement
from gateway.store.search.comparisons import among
from gateway.store.search.shapes import bind
from gateway.store.tables import resource

TABLE: Final = sa.table(
    "words",
    sa.column("rowid", sa.BigInteger()),
    sa.column("narrative", sa.Text()),
    sa.column("content", sa.Text()),
    sa.column("words", sa.Text()),  # what FTS5 calls the whole row
)
_NARROWED: Final = "Patient"
_DOCUMENT: Final = sa.bindparam("rowid", type_=sa.BigInteger())

Document = tuple[int, str, str]

INSERT: Final = Statement(
    sa.insert(sa.table("words", *(sa.column(c) for c in ("rowid", "narrative", "content")))).values(
        rowid=_DOCUMENT,
        narrative=word_list(sa.bindparam("narrative", type_=sa.Text())),
        content=word_list(sa.bindparam("content", type_=sa.Text())),
    ),
    apart=True,
)
DELETE: Final = Statement(
    sa.delete(sa.table("words", sa.column("rowid"))).where(
        sa.column("rowid").in_([sa.bindparam("whole"), sa.bindparam("part")])
    ),
    apart=True,
)


def documents(key: int, resource: Resource) -> list[Document]:
    """What is filed of a resource."""
    whole = (2 * key, *_texts(resource))
    if resource["resourceType"] != _NARROWED:
        return [whole]
    return [whole, (2 * key + 1, *_texts(least(resource)))]


def _texts(resource: Resource) -> tuple[str, str]:
    return " ".join(sorted(narrative(resource))), " ".join(sorted(content(resource)))


def splits(types: tuple[str, ...]) -> bool:
    """Whether what a caller finds hangs on whose the resource is."""
    return _NARROWED in types


def keys(types: tuple[str, ...], asked: Words) -> sa.Select[int]:
    """The keys of the resources of these types whose documents, or one, meet the expression."""
    table, row = TABLE.alias(), resource.alias()
    key: sa.ColumnElement[int] = table.c.rowid.op(">>", return_type=sa.BigInteger())(
        sa.literal_column("1")
    )
    # A document doesn't say of what type its resource is, as search rows do by their parameter.
    return sa.select(row.c.key).where(
        _meets(table, asked), row.c.key == key, among(row.c.type, types)
    )


def found(row: sa.FromClause, types: tuple[str, ...], asked: Words) -> sa.ColumnElement[bool]:
    """Whether the document that the caller may read of a resource does."""
    whole = _document(row, asked, 0)
    if not splits(types):
        return whole
    own = sa.or_(row.c.type != _NARROWED, owned(row))
    return sa.or_(sa.and_(own, whole), sa.and_(sa.not_(own), _document(row, asked, 1)))


def _document(row: sa.FromClause, asked: Words, which: int) -> sa.ColumnElement[bool]:
    table = TABLE.alias()
    number = row.c.key * sa.literal_column("2") + sa.literal_column(str(which))
    one: sa.Select[int] = sa.select(sa.literal_column("1")).select_from(table)
    return one.where(table.c.rowid == number, _meets(table, asked)).correlate(row).exists()


def _meets(table: sa.FromClause, asked: Words) -> sa.ColumnElement[bool]:
    column = "narrative" if asked.narrative else "content"
    expressions = (bind(asked.asked, f"fts5_{column}"), bind(asked.asked, "tsquery"))
    return says(table.c.words, table.c[column], *expressions)
