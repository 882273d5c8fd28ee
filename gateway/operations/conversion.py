"""``$convert``: what a message means in FHIR, by its sender's maps; nothing is stored."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from gateway.errors import Issue, ParseError
from gateway.members import Members
from gateway.model import Agency, Entry, Resource
from gateway.parse import PARSERS
from gateway.translate import translate

FORMATS: Final[Mapping[str, str]] = {
    "application/hl7-v2": "hl7v2",
    "application/hl7-v2+er7": "hl7v2",
    "x-application/hl7-v2+er7": "hl7v2",
    "text/csv": "csv",
    "application/json": "json",
}
"""The wire format that a media type names; there may be no parser of it."""


@dataclass(frozen=True, slots=True)
class Converted:
    """A transaction Bundle, and what is to be said of the message that it was."""

    bundle: Resource
    issues: tuple[Issue, ...]


class Conversion:
    """Converts by the maps of members."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def agency(self, id: str) -> Agency | None:
        """The member whose maps are to be used."""
        return self._members.get(id)

    def __call__(self, agency: Agency, media: str, raw: bytes) -> Converted:
        """What a message becomes. Entries update: their ids come of the message's own keys.

        Raises:
            ParseError: it can't be taken apart, or there is no parser of such a format.
            TranslateError: its map refuses it, or there is none.
        """
        kind = FORMATS.get(media, "")
        if kind not in PARSERS:
            raise ParseError("no parser of this format", place="inputFormat", code="not-supported")
        record = PARSERS[kind](raw, charset=agency.charset)
        translation = translate(self._members.library, agency, record)
        return Converted(_bundle(translation.entries), (*translation.warnings, *record.warnings))


def _bundle(entries: Sequence[Entry]) -> Resource:
    """One entry a resource, the last state of each that the message speaks of more than once."""
    last = {entry.reference: entry.resource for entry in entries}
    out: Resource = {"resourceType": "Bundle", "type": "transaction"}
    made = [
        {"resource": resource, "request": {"method": "PUT", "url": reference}}
        for reference, resource in last.items()
    ]
    return out | ({"entry": made} if made else {})
