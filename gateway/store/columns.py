"""Many rows in one statement of PostgreSQL: each column goes as an array (``unnest``).

A row as a statement of its own costs the driver five times as much, and the server twice.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql.dml import OnConflictDoUpdate

Row = Sequence[Any]
Column = tuple[Any, ...]

_GIVEN: Final = re.compile(r'%s(::[A-Z ]+( COLLATE "C")?)?')
"""A value that is a bind and nothing else."""


@dataclass(frozen=True, slots=True)
class ByColumn:
    """An insert of any number of rows: its text, and what makes an array of each column.

    ``once`` are the places of the columns by which PostgreSQL updates a row that is there; it
    refuses to do so twice in one statement.
    """

    text: str
    arrays: tuple[Callable[[Column], Any], ...]
    once: tuple[int, ...]

    def values(self, rows: Sequence[Row]) -> list[Any]:
        """What its binds are for these rows."""
        columns = zip(*rows, strict=True)
        return [made(column) for made, column in zip(self.arrays, columns, strict=True)]

    def parts(self, rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
        """The rows in order, divided so that none of a part meets another of it."""
        if not self.once:
            yield rows
            return
        part: dict[Row, Row] = {}
        for row in rows:
            key = tuple(row[place] for place in self.once)
            if key in part:
                yield list(part.values())
                part = {}
            part[key] = row
        yield list(part.values())


def by_column(
    core: sa.Insert, compiled: str, names: Sequence[str], dialect: Any
) -> ByColumn | None:
    """The insert of many for one of a row; None where one of its values isn't a mere bind."""
    head, _, rest = compiled.partition(" VALUES (")
    given, _, tail = rest.partition(")")
    values = given.split(", ")
    if len(values) != len(names) or not all(map(_GIVEN.fullmatch, values)):
        return None
    assert isinstance(core.table, sa.Table)
    kinds = [core.table.c[name].type for name in names]
    unnested = ", ".join(_array(kind, dialect) for kind in kinds)
    # What a row was given by the database nobody hears of many.
    text = f"{head} SELECT * FROM unnest({unnested}){tail.partition(' RETURNING ')[0]}"
    return ByColumn(text, tuple(map(_maker, kinds)), _once(core, names))


def _once(core: sa.Insert, names: Sequence[str]) -> tuple[int, ...]:
    clause = core._post_values_clause
    if not isinstance(clause, OnConflictDoUpdate):
        return ()
    targets = [getattr(each, "name", each) for each in clause.inferred_target_elements or ()]
    return tuple(names.index(name) for name in targets)


def _array(kind: sa.types.TypeEngine[Any], dialect: sa.Dialect) -> str:
    name = kind.compile(dialect).partition(" COLLATE ")[0]
    return f"{'%b' if isinstance(kind, sa.LargeBinary) else '%s'}::{name}[]"


def _maker(kind: sa.types.TypeEngine[Any]) -> Callable[[Column], Any]:
    if isinstance(kind, sa.LargeBinary):
        return list  # the driver's own way: as text they would be twice as long
    return _texts if isinstance(kind, sa.String) else _numbers


def _numbers(column: Column) -> str:
    """PostgreSQL's text of an array of numbers or truths."""
    if None in column:
        column = tuple("NULL" if each is None else each for each in column)
    return f"{{{','.join(map(str, column))}}}"


def _texts(column: Column) -> str:
    """PostgreSQL's text of an array of texts."""
    return f"{{{','.join(map(_quoted, column))}}}"


def _quoted(text: str | None) -> str:
    if text is None:
        return "NULL"
    if "\\" in text or '"' in text:
        text = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{text}"'
