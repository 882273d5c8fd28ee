"""What a load's lookups need of its files, in an index on disk: memory stays flat.

Only files that lookups lead into are read here, and of them only the columns that are asked for. It
is a scratch file of SQLite's beside the load, gone with it.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import Unavailable
from gateway.record import Found, Given
from gateway.rows.records import Record, Records
from gateway.translate import Feed, Lookup, RecordPlan, Rows
from gateway.translate.columns import picker

_CACHE: Final = 64 * 2**10
"""KiB of pages that are held in memory."""


@dataclass(slots=True)  # not frozen: a million are made, and freezing costs a microsecond each
class Staged:
    """A row of the index: who it is, and the columns that were asked for."""

    id: str
    found: Found


@dataclass(frozen=True, slots=True)
class Wanted:
    """Of one file: its columns in their order, and those that rows are found by."""

    columns: tuple[str, ...]
    by: tuple[str, ...]


def wanted(feed: Feed, into: str) -> Wanted | None:
    """What all lookups of a feed ask of a file; None where none leads there."""
    plans = [file.plan for file in feed.files if file.plan is not None]
    lookups = [lookup for plan in plans for lookup in plan.lookups if lookup.into == into]
    if not lookups:
        return None
    names = dict.fromkeys(name for one in lookups for name in (*one.columns, one.column) if name)
    for file in feed.into(into):
        if file.plan is not None:
            names.update(dict.fromkeys((*file.plan.id_columns, *file.plan.columns)))
    return Wanted(tuple(names), tuple(dict.fromkeys(one.column for one in lookups if one.column)))


class Staging:
    """The index. ``close`` it; its file is the caller's to remove."""

    def __init__(self, path: Path | None, rows: Rows) -> None:
        self._rows = rows
        self._database = sqlite3.connect(
            path or ":memory:", isolation_level=None, check_same_thread=False
        )
        for pragma in ("journal_mode=OFF", "synchronous=OFF", f"cache_size=-{_CACHE}"):
            self._database.execute(f"PRAGMA {pragma}").fetchall()
        self._tables: dict[str, tuple[int, Wanted]] = {}
        self._questions: dict[tuple[str, str, tuple[str, ...], bool | None, int], str] = {}
        self._judged: set[str] = set()
        self._refused: set[str] = set()
        self._last: dict[str, int] = {}
        for file in rows.feed.files:
            if file.name not in self._tables and (found := wanted(rows.feed, file.name)):
                self._make(file.name, found)

    def close(self) -> None:
        """Let go of the file."""
        self._database.close()

    def _make(self, name: str, found: Wanted) -> None:
        number = len(self._tables)
        columns = "".join(f", c{n} TEXT" for n in range(len(found.columns)))
        own = "file TEXT, line INTEGER, id TEXT, gone INTEGER, refused INTEGER"
        self._database.execute(f"CREATE TABLE t{number} ({own}{columns})")
        self._tables[name] = number, found

    def add(self, records: Records) -> None:
        """Take a file in, if any lookup leads into it."""
        name = records.files[0].name if records.files else ""
        if name not in self._tables or records.head is None:
            return
        number, found = self._tables[name]
        pick = picker(found.columns, records.head.columns, self._rows.feed.layout.empty)
        marks = ",".join("?" * (len(found.columns) + 5))
        with _room():
            self._database.execute("BEGIN")
            self._database.executemany(
                f"INSERT INTO t{number} VALUES ({marks})",
                (self._row(each, pick(each.cells)) for each in records if not each.fault),
            )
            self._database.execute("COMMIT")

    def _row(self, record: Record, texts: Sequence[str]) -> list[object]:
        plan, given = record.plan, record.given
        if plan is None:
            return [given.file, given.line, "", 0, 0, *texts]
        run, scope = self._rows.asking, plan.scope(given)
        id_ = name_of(plan.id(run, scope))
        return [given.file, given.line, id_, plan.is_deleted(run, scope), 0, *texts]

    def index(self) -> None:
        """All is in: make it fast to find."""
        for number, found in self._tables.values():
            columns = [f"c{found.columns.index(name)}" for name in found.by]
            for column in (*columns, "id"):
                with _room():
                    self._database.execute(
                        f"CREATE INDEX t{number}_{column} ON t{number} ({column})"
                    )

    def find(self, lookup: Lookup, texts: Sequence[str]) -> list[Staged]:
        """The rows that a lookup means, in their order; those that are deleted aren't any."""
        if lookup.into not in self._tables:
            return []
        found = self._database.execute(self._question(lookup, len(texts)), texts)
        return [Staged(id_, Found(file, line, tuple(rest))) for id_, file, line, *rest in found]

    def holds(self, into: str, id_: str) -> bool:
        """Whether a row of that id came, deleted or not."""
        if into not in self._tables or not id_:
            return False
        number, _ = self._tables[into]
        asked = self._database.execute(f"SELECT 1 FROM t{number} WHERE id = ? LIMIT 1", [id_])
        return asked.fetchone() is not None

    def last(self, records: Records, id_: str) -> int:
        """The line of the row that stands of those of one id in a file: the newest, else the last.

        The file is gone through when it is first asked about.
        """
        name = records.came.name
        if name not in self._last:
            number = self._last[name] = len(self._last)
            with _room():
                self._database.execute(
                    f"CREATE TABLE l{number} (id TEXT PRIMARY KEY, said REAL, line INTEGER)"
                )
                self._database.execute("BEGIN")
                self._database.executemany(
                    f"INSERT INTO l{number} VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE"
                    " SET said = excluded.said, line = excluded.line WHERE excluded.said >= said",
                    self._lines(records),
                )
                self._database.execute("COMMIT")
        asked = f"SELECT line FROM l{self._last[name]} WHERE id = ?"
        found = self._database.execute(asked, [id_]).fetchone()
        return int(found[0]) if found is not None else 0

    def _lines(self, records: Records) -> Iterator[tuple[str, float, int]]:
        """The rows that live: who each is, when it was changed, where it stands."""
        run = self._rows.asking
        for record in records:
            plan = record.plan
            scope = plan.scope(record.given) if plan is not None and not record.fault else None
            if plan is None or scope is None or plan.is_deleted(run, scope):
                continue
            said = plan.said(run, scope)
            id_ = name_of(plan.id(run, scope))
            yield id_, said.timestamp() if said is not None else 0.0, record.given.line

    def _question(self, lookup: Lookup, texts: int) -> str:
        key = lookup.into, lookup.column, lookup.columns, lookup.refused, texts
        known = self._questions.get(key)
        if known is None:
            known = self._questions[key] = self._worded(lookup, texts)
        return known

    def _worded(self, lookup: Lookup, texts: int) -> str:
        number, found = self._tables[lookup.into]
        columns = "".join(f", c{found.columns.index(name)}" for name in lookup.columns)
        text = f"SELECT id, file, line{columns} FROM t{number} WHERE NOT gone"
        if lookup.column:
            text += f" AND c{found.columns.index(lookup.column)} IN ({','.join('?' * texts)})"
        if lookup.refused is not None:
            text += f" AND refused = {int(lookup.refused)}"
        return text + (" ORDER BY rowid" if lookup.column else " ORDER BY rowid LIMIT 1")

    # --- which rows their own map refuses ---------------------------------------------------------

    def unjudged(self, into: str) -> Iterator[tuple[int, RecordPlan, Given]]:
        """The rows of a file, once, each with its number; of a file without refusals none."""
        if into in self._judged or into not in self._tables:
            return
        self._judged.add(into)
        number, found = self._tables[into]
        for file in self._rows.feed.into(into):
            if file.plan is None or not file.plan.refusals:
                continue
            columns = "".join(f", c{found.columns.index(name)}" for name in file.plan.columns)
            text = f"SELECT rowid, file, line{columns} FROM t{number} WHERE NOT gone"
            for row, name, line, *texts in self._database.execute(text):
                yield row, file.plan, Given(name, line, tuple(texts))

    def refuses(self, into: str) -> bool:
        """Whether any row of a file is refused, as far as they are judged."""
        return into in self._refused

    def refuse(self, into: str, rows: Sequence[int]) -> None:
        """These rows are refused."""
        self._refused.add(into)
        number, _ = self._tables[into]
        self._database.execute("BEGIN")
        self._database.executemany(
            f"UPDATE t{number} SET refused = 1 WHERE rowid = ?", [(each,) for each in rows]
        )
        self._database.execute("COMMIT")


@contextmanager
def _room() -> Iterator[None]:
    """A full or failing disk, in our words."""
    try:
        yield
    except sqlite3.OperationalError:
        raise Unavailable("the disk can't take it now") from None


def name_of(id_: Sequence[str]) -> str:
    """What a row goes by: its id's texts as one."""
    return "\x1f".join(id_)
