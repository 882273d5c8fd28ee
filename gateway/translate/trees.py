"""JSON values as nodes, with the pointer of each (RFC 6901): what the maps of JSON records read."""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from decimal import Decimal
from typing import Any, Final

from gateway.record import Node
from gateway.translate.paths import WHOLE

RECORD: Final = "record"
"""The record that a map is about, as a segment."""

_ONE: Final = b"\x01"
_EMPTY: Final = b"\x00"
_NONE: Final[Sequence[Node]] = ()


class Value:
    """A JSON value. ``around`` is the value that it was found in.

    ``pointer`` is None where a query made the value: then the place is that of what it was asked.
    """

    __slots__ = ("around", "pointer", "record", "value")

    def __init__(
        self, record: Record, value: Any, pointer: str | None, around: Value | None
    ) -> None:
        self.record = record
        self.value = value
        self.pointer = pointer
        self.around = around

    @property
    def place(self) -> str:
        """``referrals.json:/data/0/client/name``."""
        at: Value | None = self
        while at is not None and at.pointer is None:
            at = at.around
        return f"{self.record.file}:{at.pointer if at is not None else ''}"

    @property
    def form(self) -> Hashable:
        """A single value's text; None for others, which are read anew each time."""
        return self.text()

    @property
    def shape(self) -> bytes:
        """Whether it holds anything; objects and lists are ``WHOLE``."""
        if isinstance(self.value, dict | list):
            return WHOLE if self.value else _EMPTY
        return _ONE

    def text(self) -> str | None:
        """The text of a single value, digits as sent; None for an object or list."""
        value = self.value
        if isinstance(value, str):
            return value or None
        if isinstance(value, bool):
            return "true" if value else "false"
        if isinstance(value, int | Decimal | float):
            return str(value)
        return None

    def leaf(self, number: int) -> str | None:
        """Its text, as its own first part."""
        return self.text() if number == 1 else None

    def child(self, number: int) -> Node | None:
        """Itself, as its own first part."""
        return self if number == 1 else None


class Record:
    """One JSON record as a segment. ``where`` is its place: ``referrals.json:/data/0``."""

    __slots__ = ("file", "index", "name", "ordinal", "root", "shape", "where")

    def __init__(self, file: str, pointer: str, value: Any) -> None:
        self.name = RECORD
        self.index = 0
        self.ordinal = 1
        self.file = file
        self.where = f"{file}:{pointer}"
        self.shape = _ONE
        self.root = Value(self, value, pointer, None)

    def repetitions(self, number: int) -> Sequence[Node]:
        """A record has no fields: queries find what is in it."""
        return _NONE


def step(pointer: str | None, key: str | int) -> str | None:
    """The pointer of what stands at a key or number."""
    if pointer is None:
        return None
    return f"{pointer}/{str(key).replace('~', '~0').replace('/', '~1')}"
