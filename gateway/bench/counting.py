"""``map coverage``: what messages held and no rule read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from rich.table import Table

from gateway.errors import ParseError
from gateway.model import Agency
from gateway.parse import PARSERS
from gateway.translate import Coverage, Held, Library


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


# --- for programs, and for people -----------------------------------------------------------------


def as_json(counted: Coverage) -> dict[str, Any]:
    """The whole tally."""
    return {
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
