"""``$convert``: what a message, rows or records mean in FHIR, by their sender's maps; unstored."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.errors import Issue, ParseError
from gateway.members import Members
from gateway.model import Agency, Entry, Resource
from gateway.parse import PARSERS
from gateway.rows import Came, read
from gateway.translate import translate

FORMATS: Final[Mapping[str, str]] = {
    "application/hl7-v2": "hl7v2",
    "application/hl7-v2+er7": "hl7v2",
    "x-application/hl7-v2+er7": "hl7v2",
    "text/csv": "csv",
    "application/json": "json",
    "application/x-ndjson": "json",
    "application/zip": "csv",
}
"""The wire format that a media type names."""


_NAMELESS: Final = "rows and records are of a feed: name it"


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

    def __call__(
        self, agency: Agency, media: str, raw: bytes, feed: str = "", file: str = ""
    ) -> Converted:
        """What a message becomes. Entries update: their ids come of the message's own keys.

        Of rows and records ``feed`` is the agency's feed and ``file`` what their file is called;
        those that would be set aside are issues.

        Raises:
            ParseError: it can't be taken apart, or there is no parser of such a format.
            TranslateError: its map refuses it, or there is none.
        """
        kind = FORMATS.get(media, "")
        if kind in ("csv", "json"):
            return self._rows(agency, kind, raw, feed, file)
        if kind not in PARSERS:
            raise ParseError("no parser of this format", place="inputFormat", code="not-supported")
        record = PARSERS[kind](raw, charset=agency.charset)
        translation = translate(self._members.library, agency, record)
        return Converted(_bundle(translation.entries), (*translation.warnings, *record.warnings))

    def _rows(self, agency: Agency, kind: str, raw: bytes, feed: str, file: str) -> Converted:
        """What rows or records become; nothing is kept, so lookups see only them."""
        if not feed:
            raise ParseError(_NAMELESS, place="feed", code="required")
        entries: list[Entry] = []
        issues: list[Issue] = []
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "body"
            path.write_bytes(raw)
            came = [Came(file or f"{feed}.{kind}", path)]
            for made in read(self._members.library, agency, feed, came):
                entries += made.entries
                issues += [made.issue] if made.issue is not None else made.warnings
        return Converted(_bundle(entries), tuple(issues))


def _bundle(entries: Sequence[Entry]) -> Resource:
    """One entry a resource, the last state of each that the message speaks of more than once."""
    last = {entry.reference: entry.resource for entry in entries}
    out: Resource = {"resourceType": "Bundle", "type": "transaction"}
    made = [
        {"resource": resource, "request": {"method": "PUT", "url": reference}}
        for reference, resource in last.items()
    ]
    return out | ({"entry": made} if made else {})
