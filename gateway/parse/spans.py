"""Where in the bytes that came a place of an HL7 v2 message stands: ``PID-5[2].1``."""

from __future__ import annotations

import re
from typing import Final

from gateway.parse.er7 import Message, Segment

_PLACE: Final = re.compile(
    r"(?P<name>[A-Z][A-Z0-9]{2})(?:\[(?P<nth>\d+)\])?-(?P<field>\d+)"
    r"(?:\[(?P<repetition>\d+)\])?(?:\.(?P<component>\d+))?(?:\.(?P<subcomponent>\d+))?"
)


def spans(message: Message, raw: bytes, places: list[str]) -> dict[str, tuple[int, int]]:
    """(first byte, byte after the last) of each place, as ``raw`` has them.

    A place is left out where what was read doesn't stand in ``raw`` byte for byte: a charset that
    was mended, or one whose bytes depend on those before.
    """
    starts = _starts(message, raw)
    found = {}
    for place in places:
        span = _span(message, starts, place)
        if span is not None:
            found[place] = span
    return found


def _starts(message: Message, raw: bytes) -> dict[int, int]:
    """Where each segment begins, by its index."""
    starts, at = {}, 0
    for segment in message.segments:
        sent = _encoded(message, segment.raw)
        at = raw.find(sent, at) if sent else -1
        if at < 0:
            break
        starts[segment.index] = at
        at += len(sent)
    return starts


def _span(message: Message, starts: dict[int, int], place: str) -> tuple[int, int] | None:
    match = _PLACE.fullmatch(place)
    if match is None:
        return None
    same = message.all(match["name"])
    nth = int(match["nth"] or 1)
    if len(same) < nth or same[nth - 1].index not in starts:
        return None
    segment = same[nth - 1]
    inside = _inside(segment, match)
    if inside is None:
        return None
    before, value = _encoded(message, inside[0]), _encoded(message, inside[1])
    start = starts[segment.index] + len(before)
    return start, start + len(value)


def _inside(segment: Segment, match: re.Match[str]) -> tuple[str, str] | None:
    """(what stands before it in its segment, the value itself), as sent."""
    marks, number = segment.marks, int(match["field"])
    if _header(segment) and number == 1:
        return segment.name, marks.field
    before, value = _cut(segment.raw, marks.field, number - _header(segment))
    if _header(segment) and number == 2:
        return before, value
    for said, mark in (
        (match["repetition"] or "1", marks.repetition),
        (match["component"], marks.component),
        (match["subcomponent"], marks.subcomponent),
    ):
        if said:
            more, value = _cut(value, mark, int(said) - 1)
            before += more
    return (before, value) if value else None


def _header(segment: Segment) -> int:
    """In MSH the separator itself counts as the first field."""
    return 1 if segment.name in ("MSH", "BHS", "FHS") else 0


def _cut(text: str, mark: str, number: int) -> tuple[str, str]:
    """(what stands before the part of that number, from 0; the part), "" where there is none."""
    parts = text.split(mark)
    if not 0 <= number < len(parts):
        return text, ""
    return "".join(part + mark for part in parts[:number]), parts[number]


def _encoded(message: Message, text: str) -> bytes:
    return text.encode(message.charset, "replace")
