"""Where a message begins, and what its first line says of how to read it (v2.8.2 §2.14.9)."""

from __future__ import annotations

from typing import Final

from gateway.errors import ParseError
from gateway.parse.delimiters import Delimiters
from gateway.parse.shifting import narrowed

VERSIONS: Final = frozenset(
    {"2.1", "2.2", "2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.7.1", "2.8"}
    | {"2.8.1", "2.8.2"}
)

_BEFORE: Final = b" \t\r\n\x0b\x00"
_BOM: Final = b"\xef\xbb\xbf"


def opening(raw: bytes) -> bytes:
    """The message from its MSH on, past white space and a byte order mark.

    Raises ParseError at MSH where something else comes first.
    """
    body = narrowed(raw).lstrip(_BEFORE).removeprefix(_BOM).lstrip(_BEFORE)
    if not body.startswith(b"MSH"):
        raise ParseError("a message must begin with MSH", place="MSH")
    return body


def header_line(body: bytes) -> bytes:
    """The first line: up to the first CR or LF, whichever is nearer."""
    return body.partition(b"\r")[0].partition(b"\n")[0]


def charset_name(line: str, marks: Delimiters) -> str:
    """MSH-18, its first repetition that names a set; "" for none."""
    fields = line.split(marks.field, 18)
    names = fields[17].split(marks.repetition) if len(fields) > 17 else []
    return next((name for name in map(str.strip, names) if name), "")
