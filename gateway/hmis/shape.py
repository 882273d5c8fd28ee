"""A kept row as a row of the export: as it came, or in another year's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from gateway.hmis import cells
from gateway.hmis.layout import places
from gateway.store import Header

COMMA: Final = ","


@dataclass(frozen=True, slots=True)
class Shape:
    """How one file goes out: its columns, its header line and line end.

    ``came`` are the columns of each way in which its rows came, by the header's key. ``whole``: the
    file goes out as it was last written, with columns that are nobody's but its sender's, too, and
    in its charset; else in UTF-8, as the specification has it.
    """

    columns: tuple[str, ...]
    line: str
    newline: str
    mark: bytes
    whole: bool
    charset: str = "utf-8"
    came: Mapping[int, tuple[str, ...]] = field(default_factory=dict)
    delimiters: Mapping[int, str] = field(default_factory=dict)

    def place(self, column: str) -> int | None:
        """Where a column stands in the export."""
        return places((column,), self.columns)[0]

    def is_alike(self, header: int) -> bool:
        """Whether a row that came under this header stands as it came."""
        return self.delimiters[header] == COMMA and self.came[header] == self.columns

    def row(self, raw: str, header: int) -> list[str]:
        """The cells of a row in the export's columns, as they stood; "" where none came."""
        delimiter = self.delimiters[header]
        found = cells.cut(raw, delimiter)
        if self.is_alike(header):
            return found
        if delimiter != COMMA:
            found = [cells.write(cells.read(each)) for each in found]
        return [
            found[at] if at is not None and at < len(found) else ""
            for at in places(self.columns, self.came[header])
        ]


def shape(columns: Sequence[str], headers: Sequence[Header]) -> Shape:
    """How a file with these columns goes out, that came in these ways, the latest last."""
    if not headers:
        return Shape(tuple(columns), ",".join(columns), "\r\n", b"", whole=False)
    came = {each.key: tuple(cells.texts(each.raw, each.delimiter)) for each in headers}
    delimiters = {each.key: each.delimiter for each in headers}
    last = headers[-1]
    newline = last.newline or "\n"
    if last.delimiter == COMMA and is_of(columns, came[last.key]):
        charset = last.charset if len({each.charset for each in headers}) == 1 else "utf-8"
        mark = last.mark if charset == last.charset else b""
        return Shape(came[last.key], last.raw, newline, mark, True, charset, came, delimiters)
    quoted = last.raw.startswith('"')
    line = ",".join(cells.write(each, quoted=quoted) for each in columns)
    return Shape(tuple(columns), line, newline, b"", whole=False, came=came, delimiters=delimiters)


def is_of(columns: Sequence[str], came: Sequence[str]) -> bool:
    """Whether what came has all of a year's columns."""
    return not lacking(columns, came)


def lacking(columns: Sequence[str], came: Sequence[str]) -> tuple[str, ...]:
    """Of these columns those that the others lack, under any name."""
    found = places(columns, came)
    return tuple(name for name, at in zip(columns, found, strict=True) if at is None)
