"""Which message an event goes back to, for the link between their traces; asked only then."""

from __future__ import annotations

from gateway.fhir import json
from gateway.fhir.codes import MESSAGE_IDENTIFIER
from gateway.fhir.search import parse_query
from gateway.members import KEEPER
from gateway.model import Event
from gateway.store import Hub


def origin(hub: Hub, event: Event) -> str:
    """The id of the message that first wrote a resource, by its Provenance; "" where none did."""
    pairs = [("target", f"{event.type}/{event.id}"), ("_sort", "_lastUpdated"), ("_count", "1")]
    with hub.read() as reader:
        for stored in reader.search(KEEPER, parse_query("Provenance", pairs)).entries:
            for entity in json.loads(stored.body).get("entity") or []:
                named = (entity.get("what") or {}).get("identifier") or {}
                if named.get("system") == MESSAGE_IDENTIFIER:
                    return str(named.get("value") or "")
    return ""
