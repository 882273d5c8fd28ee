"""The bench: what whoever makes a map wants to know of it, over messages in files."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final

from rich.table import Table

from gateway.errors import ParseError, SettingError
from gateway.model import Agency
from gateway.parse import PARSERS
from gateway.translate import Coverage, Held, Library

_START: Final = re.compile(
    rb"(?:(?<=[\r\n\x0b])|\A(?:\xef\xbb\xbf)?)[ \t]*(MSH|[FB](?:HS|TS))(?=\W)"
)


def coverage(library: Library, agency: Agency, messages: Iterable[bytes]) -> Coverage:
    """What HL7 v2 messages held and the agency's maps read; one that can't be parsed is refused."""
    counted = Coverage()
    for raw in messages:
        try:
            record = PARSERS["hl7v2"](raw, charset=agency.charset)
        except ParseError as error:
            counted.messages += 1
            counted.refuse(error.issues[0])
        else:
            counted.add(library, agency, record)
    return counted


def messages_of(file: bytes) -> list[bytes]:
    """The messages of a file, each from its MSH; envelopes and frames are left out."""
    starts = [(match.start(1), match[1]) for match in _START.finditer(file)]
    ends = [*(start for start, _ in starts[1:]), len(file)]
    cut = zip(starts, ends, strict=False)  # a file without a message has an end alone
    found = [file[start:end] for (start, name), end in cut if name == b"MSH"]
    return [each.rstrip(b"\x0b\x1c\r\n") for each in found]


def messages_in(paths: Iterable[Path]) -> Iterator[bytes]:
    """The messages of files, in their order. Raises SettingError for one that can't be read."""
    for path in paths:
        try:
            yield from messages_of(path.read_bytes())
        except OSError as error:
            raise SettingError(f"can't be read: {error.strerror}", place=str(path)) from None


def agency(library: Library, id: str) -> Agency:
    """An agency by its id; without one, an agency that declares nothing. Raises SettingError."""
    if not id:
        return Agency("sample", "Sample")
    if id not in library.agencies:
        raise SettingError("there is no such agency among the mappings", place=id)
    return library.agencies[id]


# --- for programs, and for people -----------------------------------------------------------------


def as_json(counted: Coverage) -> str:
    """The whole tally."""
    whole = {
        "messages": counted.messages,
        "refused": [
            {"place": place, "reason": reason, "messages": number}
            for (place, reason), number in counted.refused.most_common()
        ],
        "segments": {
            name: {"there": held.there, "read": held.read}
            for name, held in sorted(counted.segments.items())
        },
        "leaves": {
            name: {"there": held.there, "read": held.read}
            for name, held in sorted(counted.leaves.items(), key=_by_place)
        },
    }
    return json.dumps(whole, indent=1)


def tables(counted: Coverage) -> list[Table]:
    """Segments, with the fields and components of each that weren't read; and what was refused."""
    found = [_segments(counted)]
    if counted.refused:
        refused = Table("Place", "Reason", "Messages", title="Of these nothing was made")
        for (place, reason), number in counted.refused.most_common():
            refused.add_row(place, reason, str(number))
        found.append(refused)
    return found


def _segments(counted: Coverage) -> Table:
    read = sum(held.read for held in counted.leaves.values())
    there = sum(held.there for held in counted.leaves.values())
    table = Table(
        title=f"{counted.messages} messages: {read} of {there} values read",
        caption="Not read: the field or component, and how often it was there and no rule read it.",
    )
    for name in ("Segment", "There", "Read", "Values", "Read", "Not read"):
        table.add_column(name, justify="left" if name in ("Segment", "Not read") else "right")
    for name, held in sorted(counted.segments.items()):
        mine = [item for item in counted.leaves.items() if item[0].startswith(f"{name}-")]
        table.add_row(
            name,
            str(held.there),
            str(held.read),
            str(sum(leaf.there for _, leaf in mine)),
            str(sum(leaf.read for _, leaf in mine)),
            _unread(mine),
            style="bold" if held.read == 0 else "",
        )
    return table


def _unread(leaves: Sequence[tuple[str, Held]]) -> str:
    """``7.2(3), 9(1)``: fields and components in the order of the segment."""
    missed = [(name, held.there - held.read) for name, held in sorted(leaves, key=_by_place)]
    return ", ".join(f"{name.partition('-')[2]}({number})" for name, number in missed if number)


def _by_place(item: tuple[str, Held]) -> tuple[str, list[int]]:
    segment, _, numbers = item[0].partition("-")
    return segment, [int(number) for number in numbers.split(".")]
