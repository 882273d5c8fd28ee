"""What a history is asked for: ``_count``, ``_since``, ``_at`` (R4 http, 3.1.0.9)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import InvalidSearch
from gateway.fhir.search_values import span

DEFAULT_COUNT: Final = 50
MAX_COUNT: Final = 1000
KNOWN: Final = ("_at", "_count", "_since")


@dataclass(frozen=True, slots=True)
class HistoryQuery:
    """How many, from which time on, and what was current when (UTC microseconds, [low, high))."""

    count: int = DEFAULT_COUNT
    since: int | None = None
    at: tuple[int, int] | None = None
    cursor: str | None = None


def parse_history(pairs: Sequence[tuple[str, str]]) -> HistoryQuery:
    """The history that ``pairs`` ask for. Raises InvalidSearch, whose place is the parameter."""
    said: dict[str, str] = {}
    for name, value in pairs:
        if name not in (*KNOWN, "_cursor"):
            text = f"a history is asked for by {', '.join(KNOWN)}"
            raise InvalidSearch(text, place=name if re.fullmatch(r"\w{1,40}", name) else None)
        if name in said:
            raise InvalidSearch("stands twice", place=name, code="value")
        said[name] = value
    return HistoryQuery(
        _count(said.get("_count")),
        _time(said, "_since")[0] if "_since" in said else None,
        _time(said, "_at") if "_at" in said else None,
        said.get("_cursor"),
    )


def _count(text: str | None) -> int:
    if text is None:
        return DEFAULT_COUNT
    if not re.fullmatch(r"[0-9]{1,9}", text):
        raise InvalidSearch("must be a whole number from 0", place="_count", code="value")
    return min(int(text), MAX_COUNT)


def _time(said: dict[str, str], name: str) -> tuple[int, int]:
    found = span(said[name].replace(" ", "+"))  # a "+" that somebody forgot to encode
    if found is None:
        text = "must be a date or time, as 2024-03-01 or 2024-03-01T10:00:00Z"
        raise InvalidSearch(text, place=name, code="value")
    return found
