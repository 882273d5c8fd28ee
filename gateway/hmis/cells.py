"""Rows taken apart and put together without losing a byte of what isn't changed (RFC 4180)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import Final

_SPECIAL: Final = frozenset('"\r\n')


def cut(row: str, delimiter: str = ",") -> list[str]:
    """The cells of a row as they stand, quotes and all."""
    if '"' not in row:
        return row.split(delimiter)
    return _cell(delimiter).findall(row + delimiter)


@lru_cache(8)
def _cell(delimiter: str) -> re.Pattern[str]:
    mark = re.escape(delimiter)
    return re.compile(rf'((?:"(?:[^"]|"")*"[^"{mark}]*|[^{mark}]*)){mark}', re.DOTALL)


def read(cell: str) -> str:
    """What a cell says."""
    stripped = cell.strip()
    if len(stripped) >= 2 and stripped[0] == stripped[-1] == '"':
        return stripped[1:-1].replace('""', '"')
    return stripped


def code(text: str) -> str:
    """A number as software writes it that takes a column with gaps for one of decimals."""
    return text.removesuffix(".0")


def texts(row: str, delimiter: str = ",") -> list[str]:
    """What the cells of a row say."""
    return [read(cell) for cell in cut(row, delimiter)]


def write(text: str, *, quoted: bool = False) -> str:
    """A cell that says so; in quotes where it must be, or where its column is."""
    if not text or not (quoted or "," in text or _SPECIAL.intersection(text)):
        return text
    return '"' + text.replace('"', '""') + '"'


def line(cells: Sequence[str]) -> str:
    """A row of cells as they stand."""
    return ",".join(cells)


def encoded(text: str, charset: str) -> bytes:
    """Text in the charset that it came in.

    Bytes that windows-1252 leaves undefined were read as the controls of those numbers
    (``parse.csv``), and go out as those bytes.
    """
    try:
        return text.encode(charset)
    except UnicodeEncodeError:
        return b"".join(_byte(each, charset) for each in text)


def _byte(character: str, charset: str) -> bytes:
    is_control = 0x80 <= ord(character) <= 0x9F
    return bytes([ord(character)]) if is_control else character.encode(charset)
