"""Bytes become Records, which know the place of everything that they hand out.

A file a wire format: ``er7`` reads HL7 v2's delimited text, with ``delimiters`` (MSH-1, MSH-2),
``charset`` (MSH-18), ``escapes`` and ``structures`` (MSH-9.3), an idea each.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Protocol

from gateway.parse import er7
from gateway.record import Record


class Parse(Protocol):
    """Bytes and the feed's character set ("auto" or Python's name) to a Record, or ParseError."""

    def __call__(self, raw: bytes, *, charset: str = "auto") -> Record: ...  # noqa: D102


PARSERS: Final[Mapping[str, Parse]] = {"hl7v2": er7.parse}
"""By ``Message.kind``."""
