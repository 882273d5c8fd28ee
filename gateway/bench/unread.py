"""``map coverage`` of rows and JSON: the columns and values that were there and no rule reads."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from gateway.model import Agency
from gateway.record import Given
from gateway.rows import Record, Records, gathered, lying, read
from gateway.rows.dry import LIMIT
from gateway.translate import Feed, Held, Library
from gateway.translate.columns import ROW, places
from gateway.translate.explain import ExplainingRows

_NUMBER: Final = re.compile(r"/\d+(?=/|$)")


@dataclass(slots=True)
class Columns:
    """By file, and by column (of JSON: by pointer, its numbers left out), what was there and read.

    ``records`` counts the rows or records; ``asked`` remembers which of a header's columns are.
    """

    records: int = 0
    files: dict[str, dict[str, Held]] = field(default_factory=dict)
    asked: dict[tuple[str, tuple[str, ...]], set[int]] = field(default_factory=dict, repr=False)

    def add(self, file: str, column: str, *, read: bool) -> None:
        """Count one value that is there."""
        held = self.files.setdefault(file, {}).setdefault(column, Held())
        held.there += 1
        held.read += read


def columns(library: Library, agency: Agency, feed: str, path: Path) -> Columns:
    """What a file, or the files of a folder or archive, held and the agency's maps read.

    Raises ParseError, and TranslateError where the agency has no such feed.
    """
    rows, found = ExplainingRows(library, agency, feed), Columns()
    if rows.feed.layout.kind == "json":
        for made in read(library, agency, feed, lying(path)):
            found.records += 1
            if made.given is not None and made.plan is not None:
                _count_value(found, rows, made.plan.name, made.given)
        return found
    with tempfile.TemporaryDirectory() as folder:
        for came in gathered(rows.feed, lying(path), Path(folder), LIMIT):
            records = Records(rows, came)
            names = records.head.columns if records.head is not None else ()
            for record in records:
                if not record.fault:
                    count_record(found, rows, record, names)
    return found


def count_record(
    found: Columns, rows: ExplainingRows, record: Record, names: Sequence[str]
) -> None:
    """Count a record's values: of a row its cells, which stand under these names."""
    found.records += 1
    given = record.given
    if not names:
        if record.plan is not None:
            _count_value(found, rows, record.plan.name, given)
        return
    key = record.file.name, tuple(names)
    if key not in found.asked:
        found.asked[key] = set(places(sorted(_asked(rows.feed, record.file.name)), names))
    wanted = found.asked[key]
    for at, (name, cell) in enumerate(zip(names, record.cells, strict=False)):
        if cell.strip() and cell not in rows.feed.layout.empty:
            found.add(given.file, name, read=at in wanted)


def _asked(feed: Feed, name: str) -> set[str]:
    """The columns of a file that any map of a feed looks at: its own, and those that look it up."""
    plans = [one.plan for one in feed.into(name) if one.plan is not None]
    asked = {column for plan in plans for column in plan.columns}
    for plan in (one.plan for one in feed.files if one.plan is not None):
        for lookup in plan.lookups:
            if lookup.into == name:
                asked |= {lookup.column, *lookup.columns} - {"", ROW}
    return asked


def _count_value(found: Columns, rows: ExplainingRows, plan: str, given: Given) -> None:
    seen, where = rows.reads(plan, given), f"{given.file}:{given.pointer}"
    for pointer in _leaves(given.value, where):
        shown = _NUMBER.sub("/*", pointer.removeprefix(where))
        found.add(given.file, shown, read=pointer in seen)


def _leaves(value: Any, pointer: str) -> Iterator[str]:
    """The places of the single values in a JSON value."""
    if isinstance(value, dict):
        for key, held in value.items():
            yield from _leaves(held, f"{pointer}/{key.replace('~', '~0').replace('/', '~1')}")
    elif isinstance(value, list):
        for at, held in enumerate(value):
            yield from _leaves(held, f"{pointer}/{at}")
    elif value not in (None, ""):
        yield pointer


# --- for programs, and for people -----------------------------------------------------------------


def as_json(counted: Columns) -> dict[str, Any]:
    """The whole tally."""
    return {
        "records": counted.records,
        "files": {
            file: {name: {"there": held.there, "read": held.read} for name, held in held_.items()}
            for file, held_ in counted.files.items()
        },
    }


def tables(counted: Columns) -> list[Table]:
    """A line a file: how many values were there and read, and the columns that weren't."""
    table = Table(title=f"{counted.records} records", caption="Not read: how often it was there.")
    for name in ("File", "Values", "Read", "Not read"):
        table.add_column(name, overflow="fold")
    for file, held in counted.files.items():
        missed = [f"{name} ({one.there})" for name, one in held.items() if not one.read]
        there, seen = (
            sum(getattr(one, what) for one in held.values()) for what in ("there", "read")
        )
        table.add_row(file, str(there), str(seen), ", ".join(missed))
    return [table]
