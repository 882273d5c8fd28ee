"""Rows and JSON records as they came: kept by who they are, with what they made.

They serve three times: the same row again changes nothing, a row of another file finds them, and
what came in can go out again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import astuple, dataclass, field, replace
from functools import lru_cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert  # SQLite words ON CONFLICT the same way

from gateway.model import Context, Reference
from gateway.store.dialects import BINARY, KEY
from gateway.store.link import Row, Statement, insert_into
from gateway.store.search.index import clean
from gateway.store.session import Session
from gateway.store.tables import metadata

sheet = sa.Table(  # a kind of file of one feed of an agency
    "sheet",
    metadata,
    sa.Column("key", KEY, primary_key=True),
    sa.Column("agency", sa.Text, nullable=False),
    sa.Column("feed", sa.Text, nullable=False),
    sa.Column("file", sa.Text, nullable=False),
    sa.UniqueConstraint("agency", "feed", "file"),
)
head = sa.Table(  # how such a file was written: its header line, once for all that wrote it so
    "head",
    metadata,
    sa.Column("key", KEY, primary_key=True),
    sa.Column("sheet", sa.BigInteger, sa.ForeignKey("sheet.key"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("raw", sa.Text, nullable=False),
    sa.Column("charset", sa.Text, nullable=False),
    sa.Column("mark", sa.LargeBinary, nullable=False),
    sa.Column("delimiter", sa.Text, nullable=False),
    sa.Column("newline", sa.Text, nullable=False),
)
sa.Index("head_sheet", head.c.sheet)
row = sa.Table(
    "row",
    metadata,
    sa.Column("key", KEY, primary_key=True),
    sa.Column("sheet", sa.BigInteger, sa.ForeignKey("sheet.key"), nullable=False),
    sa.Column("id", BINARY, nullable=False),
    sa.Column("head", sa.BigInteger, sa.ForeignKey("head.key"), nullable=False),
    sa.Column("line", sa.Integer, nullable=False),
    sa.Column("digest", sa.LargeBinary, nullable=False),
    sa.Column("updated", sa.BigInteger),
    sa.Column("deleted", sa.Boolean, nullable=False),
    sa.Column("made", sa.Text, nullable=False),  # references, a blank between
    sa.Column("raw", sa.LargeBinary, nullable=False),  # UTF-8
    sa.UniqueConstraint("sheet", "id"),
)
row_by = sa.Table(  # rows by a column that other files name them by; one may have changed since
    "row_by",
    metadata,
    sa.Column("sheet", sa.BigInteger, nullable=False),
    sa.Column("name", BINARY, nullable=False),
    sa.Column("value", BINARY, nullable=False),
    sa.Column("id", BINARY, nullable=False),
    sa.PrimaryKeyConstraint("sheet", "name", "value", "id"),
    sqlite_with_rowid=False,
)
AT_ONCE: Final = 64
SORTED: Final = 65_536
"""How many keys of a file's rows are put in order at once. No index has them so: each time all that
are left are looked at, in the index of their ids: of a file of a million rows 16 times."""
READ: Final = 256
"""How many whole rows are read at once."""


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class RowHead:
    """What of a kept row says whether it changed; ``made`` are the resources that it made."""

    id: str
    digest: bytes
    updated: int | None
    deleted: bool
    made: tuple[Reference, ...]


@dataclass(frozen=True, slots=True)
class Header:
    """How a kept row's file was written; ``raw`` is its header line, ``mark`` its BOM."""

    key: int
    name: str
    raw: str
    charset: str
    mark: bytes
    delimiter: str
    newline: str


@dataclass(frozen=True, slots=True)
class KeptRow:
    """A row as it came, without its line end; ``updated`` is in UTC microseconds."""

    id: str
    header: int
    line: int
    updated: int | None
    deleted: bool
    made: tuple[Reference, ...]
    raw: bytes = field(repr=False)


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class NewRow:
    """A row to be kept. ``by`` are its texts in columns that other files name it by."""

    id: str
    head: int
    line: int
    digest: bytes
    updated: int | None
    deleted: bool
    made: tuple[Reference, ...]
    raw: bytes = field(repr=False)
    by: tuple[tuple[str, str], ...] = field(default=(), repr=False)


_SHEET: Final = Statement(
    sa.select(sheet.c.key).where(
        sheet.c.agency == sa.bindparam("of"),
        sheet.c.feed == sa.bindparam("feed"),
        sheet.c.file == sa.bindparam("file"),
    )
)
_SHEETS: Final = Statement(
    sa.select(sheet.c.file, sheet.c.key)
    .where(sheet.c.agency == sa.bindparam("of"), sheet.c.feed == sa.bindparam("feed"))
    .order_by(sheet.c.file)
)
_HEADS: Final = Statement(
    sa.select(*(c for c in head.columns if c is not head.c.sheet))
    .where(head.c.sheet == sa.bindparam("of"))
    .order_by(head.c.key)
)
_KEPT: Final = (
    row.c.id,
    row.c.head,
    row.c.line,
    row.c.updated,
    row.c.deleted,
    row.c.made,
    row.c.raw,
)
_KEYS: Final = Statement(
    sa.select(row.c.key)
    .where(row.c.sheet == sa.bindparam("of"), row.c.key > sa.bindparam("after"))
    .order_by(row.c.key)
    .limit(sa.bindparam("count"))
)
_FIRST: Final = Statement(
    sa.select(*_KEPT)
    .where(row.c.sheet == sa.bindparam("of"), sa.not_(row.c.deleted))
    .order_by(row.c.key.desc())
    .limit(1)
)
_BY: Final = Statement(
    sa.select(row_by.c.id).where(
        row_by.c.sheet == sa.bindparam("of"),
        row_by.c.name == sa.bindparam("column"),
        row_by.c.value == sa.bindparam("text"),
    )
)
_ADD_SHEET: Final = insert_into(sheet, sheet.c.key)
_ADD_HEAD: Final = insert_into(head, head.c.key)
_NEW: Final = insert(row).values(
    {c: sa.bindparam(c.name) for c in row.columns if c is not row.c.key}
)
_CHANGED: Final = ("head", "line", "digest", "updated", "deleted", "made", "raw")
_KEEP: Final = Statement(
    _NEW.on_conflict_do_update(
        index_elements=[row.c.sheet, row.c.id],
        set_={name: _NEW.excluded[name] for name in _CHANGED},
    )
)
_KEEP_BY: Final = Statement(
    insert(row_by)
    .values({c: sa.bindparam(c.name) for c in row_by.columns})
    .on_conflict_do_nothing()
)


@lru_cache
def _some(count: int, *, whole: bool) -> Statement:
    """The rows of ``count`` ids."""
    names: list[Any] = [sa.bindparam(f"id{n}") for n in range(count)]
    columns = _KEPT if whole else (row.c.id, row.c.digest, row.c.updated, row.c.deleted, row.c.made)
    core = sa.select(*columns).where(row.c.sheet == sa.bindparam("of"), row.c.id.in_(names))
    return Statement(core)


@lru_cache
def _of_keys(count: int) -> Statement:
    """The rows of ``count`` keys, in their order."""
    names: list[Any] = [sa.bindparam(f"key{n}") for n in range(count)]
    return Statement(sa.select(*_KEPT).where(row.c.key.in_(names)).order_by(row.c.key))


class KeptRows(Session):
    """Reading rows."""

    def sheet(self, agency: str, feed: str, file: str) -> int | None:
        """The key of an agency's file."""
        found = self.link.one(_SHEET, {"of": agency, "feed": feed, "file": file})
        return None if found is None else int(found[0])

    def sheets(self, agency: str, feed: str) -> dict[str, int]:
        """The files of a feed of which anything was kept, and their keys."""
        found = self.link.all(_SHEETS, {"of": agency, "feed": feed})
        return {each[0]: int(each[1]) for each in found}

    def headers(self, sheet: int) -> list[Header]:
        """How a file was written, the latest last."""
        found = self.link.all(_HEADS, {"of": sheet})
        return [_header(each) for each in found]

    def row_heads(self, sheet: int, ids: Iterable[str]) -> dict[str, RowHead]:
        """Of these rows those that were kept, by id."""
        return {each[0]: _row_head(each) for each in self._some(sheet, ids, whole=False)}

    def kept_rows(self, sheet: int, ids: Iterable[str]) -> list[KeptRow]:
        """These rows whole, those that are no more too."""
        return [_kept(each) for each in self._some(sheet, ids, whole=True)]

    def _some(self, sheet: int, ids: Iterable[str], *, whole: bool) -> Iterator[Row]:
        wanted = [clean(each) for each in dict.fromkeys(ids)]
        for start in range(0, len(wanted), AT_ONCE):
            named = wanted[start : start + AT_ONCE]
            size = 1 if len(named) == 1 else -(-len(named) // 8) * 8
            padded = named + named[-1:] * (size - len(named))
            values: dict[str, Any] = {f"id{n}": each for n, each in enumerate(padded)}
            yield from self.link.all(_some(size, whole=whole), {**values, "of": sheet})

    def rows_by(self, sheet: int, column: str, texts: Iterable[str]) -> list[KeptRow]:
        """The rows that have, or had, one of these texts in a column that is kept account of."""
        ids = [
            each[0]
            for text in texts
            for each in self.link.all(_BY, {"of": sheet, "column": column, "text": clean(text)})
        ]
        return self.kept_rows(sheet, ids) if ids else []

    def last_row(self, sheet: int) -> KeptRow | None:
        """The row that came in last, of a file of one row."""
        found = self.link.one(_FIRST, {"of": sheet})
        return None if found is None else _kept(found)

    def rows(self, context: Context, feed: str, file: str) -> Iterator[KeptRow]:
        """The caller's own rows of a file, in the order in which they first came; of one that may
        be kept no longer (``raw`` is b"") nothing is left to give."""
        sheet, after = self.sheet(context.agency, feed, file), 0
        while sheet is not None:
            asked = {"of": sheet, "after": after, "count": SORTED}
            keys = [int(each[0]) for each in self.link.all(_KEYS, asked)]
            for start in range(0, len(keys), READ):
                yield from (one for one in self._of(keys[start : start + READ]) if one.raw)
            if len(keys) < SORTED:
                return
            after = keys[-1]

    def _of(self, keys: Sequence[int]) -> list[KeptRow]:
        named = {f"key{n}": key for n, key in enumerate(keys)}
        return [_kept(each) for each in self.link.all(_of_keys(len(keys)), named)]


class RowKeeping(KeptRows):
    """Keeps rows."""

    def sheet_of(self, agency: str, feed: str, file: str) -> int:
        """The key of an agency's file, made where there is none."""
        known = self.sheet(agency, feed, file)
        if known is not None:
            return known
        self.link.many(_ADD_SHEET, [(agency, feed, file)])
        return self.sheet_of(agency, feed, file)

    def header_of(self, sheet: int, said: Header) -> int:
        """The key of a way in which a file was written, made where there is none."""
        for known in self.headers(sheet):
            if replace(known, key=said.key) == said:
                return known.key
        self.link.many(_ADD_HEAD, [(sheet, *astuple(said)[1:])])
        return self.headers(sheet)[-1].key

    def keep_rows(self, sheet: int, rows: Sequence[NewRow]) -> None:
        """Keep rows with the next flush, each in the place of the one of its id."""
        self.link.later(
            _KEEP,
            [
                (
                    sheet, clean(one.id), one.head, one.line, one.digest, one.updated, one.deleted,
                    " ".join(one.made), one.raw,
                )
                for one in rows
            ],
        )  # fmt: skip
        by = [(sheet, name, clean(value), clean(one.id)) for one in rows for name, value in one.by]
        if by:
            self.link.later(_KEEP_BY, by)


def _references(made: str) -> tuple[Reference, ...]:
    return tuple(made.split())


def _header(found: Row) -> Header:
    key, name, raw, charset, mark, delimiter, newline = found
    return Header(key, name, raw, charset, bytes(mark), delimiter, newline)


def _row_head(found: Row) -> RowHead:
    id_, digest, updated, deleted, made = found
    return RowHead(id_, bytes(digest), updated, bool(deleted), _references(made))


def _kept(found: Row) -> KeptRow:
    id_, header, line, updated, deleted, made, raw = found
    return KeptRow(id_, header, line, updated, bool(deleted), _references(made), bytes(raw))
