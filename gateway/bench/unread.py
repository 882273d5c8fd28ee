"""``map coverage`` of rows and JSON: the columns and values that were there and no rule reads."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from rich.table import Table

from gateway.model import Agency
from gateway.parse.csv import Sheet
from gateway.rows import lying, read
from gateway.translate import Feed, Held, Library, Rows
from gateway.translate.columns import ROW, places
from gateway.translate.explain import ExplainingRows

_NUMBER: Final = re.compile(r"/\d+(?=/|$)")


@dataclass(slots=True)
class Columns:
    """By file, and by column (of JSON: by pointer, its numbers left out), what was there and read.

    ``records`` counts the rows or records.
    """

    records: int = 0
    files: dict[str, dict[str, Held]] = field(default_factory=dict)

    def add(self, file: str, column: str, *, read: bool) -> None:
        """Count one value that is there."""
        held = self.files.setdefault(file, {}).setdefault(column, Held())
        held.there += 1
        held.read += read


def columns(library: Library, agency: Agency, feed: str, path: Path) -> Columns:
    """What a file, or the files of a folder, held and the agency's maps read.

    Raises ParseError, and TranslateError where the agency has no such feed.
    """
    rows = Rows(library, agency, feed)
    if rows.feed.layout.kind == "csv":
        return _of_rows(rows.feed, path)
    return _of_json(library, agency, feed, path)


def _of_rows(feed: Feed, path: Path) -> Columns:
    found = Columns()
    for came in lying(path):
        with came.path.open("rb") as stream:
            layout = feed.layout
            sheet = Sheet(came.name, stream, charset=layout.charset, delimiter=layout.delimiter)
            names = sheet.head.columns
            wanted = set(places(sorted(_asked(feed, came.name)), names))
            for line in sheet:
                found.records += 1
                for at, cell in enumerate(line.cells[: len(names)]):
                    if cell.strip() and cell not in layout.empty:
                        found.add(came.name, names[at], read=at in wanted)
    return found


def _asked(feed: Feed, file: str) -> set[str]:
    """The columns of a file that any map of a feed looks at: its own, and those that look it up."""
    plans = [one.plan for one in feed.of(file) if one.plan is not None]
    asked = {name for plan in plans for name in plan.columns}
    own = {one.name for one in feed.of(file)}
    for plan in (one.plan for one in feed.files if one.plan is not None):
        for lookup in plan.lookups:
            if lookup.into in own:
                asked |= {lookup.column, *lookup.columns} - {"", ROW}
    return asked


def _of_json(library: Library, agency: Agency, feed: str, path: Path) -> Columns:
    found, rows = Columns(), ExplainingRows(library, agency, feed)
    for made in read(library, agency, feed, lying(path)):
        found.records += 1
        if made.given is None or made.plan is None:
            continue
        seen = rows.reads(made.plan.name, made.given)
        where = f"{made.file}:{made.given.pointer}"
        for pointer in _leaves(made.given.value, where):
            shown = _NUMBER.sub("/*", pointer.removeprefix(where))
            found.add(made.file, shown, read=pointer in seen)
    return found


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
