"""Rows as segments, cells as nodes: what the maps of CSV files read.

A row is a segment whose fields are the columns that its map names, numbered as they are met there
(``columns``). A blank cell is an empty field.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from typing import Final

from gateway.record import Node

_NONE: Final[Sequence[Node]] = ()
_ONE: Final = b"\x01"


class Row:
    """One row. ``where`` is its place: ``Client.csv:12``."""

    __slots__ = ("_cells", "_columns", "_texts", "index", "name", "ordinal", "shape", "where")

    def __init__(
        self,
        name: str,
        index: int,
        ordinal: int,
        where: str,
        columns: Sequence[str],
        texts: Sequence[str],
    ) -> None:
        self.name = name
        self.index = index
        self.ordinal = ordinal
        self.where = where
        self._columns = columns
        self._texts = texts
        self._cells: dict[int, Sequence[Node]] = {}
        self.shape = _ONE + bytes(map(bool, texts))

    def repetitions(self, number: int) -> Sequence[Node]:
        """The cell of a column, if there is anything in it: always the same one."""
        found = self._cells.get(number)
        if found is None:
            text = self._texts[number - 1]
            found = self._cells[number] = self._cell(number, text) if text else _NONE
        return found

    def _cell(self, number: int, text: str) -> Sequence[Node]:
        return (Cell(self.where, self._columns, number, text),)

    def column(self, number: int) -> str:
        """The name of a column, as its map has it."""
        return self._columns[number - 1]


class Cell:
    """What stands in one column of a row: a text, undivided.

    It doesn't know its row, which knows it: a ring of both would wait to be looked for as litter.
    """

    __slots__ = ("_columns", "_number", "_text", "_where")

    def __init__(self, where: str, columns: Sequence[str], number: int, text: str) -> None:
        self._where = where
        self._columns = columns
        self._number = number
        self._text = text

    @property
    def place(self) -> str:
        """``Client.csv:12:DOB``."""
        return f"{self._where}:{self._columns[self._number - 1]}"

    @property
    def form(self) -> Hashable:
        """The same text reads alike."""
        return self._text

    @property
    def shape(self) -> bytes:
        """It has no parts."""
        return _ONE

    def text(self) -> str:
        """As it stands."""
        return self._text

    def leaf(self, number: int) -> str | None:
        """Its text, as its own first part."""
        return self._text if number == 1 else None

    def child(self, number: int) -> Node | None:
        """Itself, as its own first part."""
        return self if number == 1 else None
