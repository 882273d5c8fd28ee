"""The Provenance of one message: what it led to, who sent it, and by which map (R4 Provenance)."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from gateway.fhir.codes import MESSAGE_IDENTIFIER, PARTICIPANT_TYPE
from gateway.model import Reference, Resource, ValidResource


def provenance(
    id: str,
    targets: Iterable[Reference],
    *,
    sender: Reference,
    message: str,
    event: str,
    map: str,
    at: datetime,
) -> ValidResource:
    """A Provenance over ``targets``: ``message`` is the stored raw message's id, ``map`` the map
    and version that translated it, ``event`` "REF^I12", ``at`` when the message came in."""
    made: Resource = {
        "resourceType": "Provenance",
        "id": id,
        "target": [{"reference": target} for target in targets],
        "recorded": at.isoformat(timespec="milliseconds"),
        "activity": {"text": event},
        "agent": [
            {"type": _participant("author"), "who": {"reference": sender}},
            {"type": _participant("assembler"), "who": {"display": map}},
        ],
        "entity": [
            {
                "role": "source",
                "what": {"identifier": {"system": MESSAGE_IDENTIFIER, "value": message}},
            }
        ],
    }
    return ValidResource(made)


def _participant(code: str) -> Resource:
    return {"coding": [{"system": PARTICIPANT_TYPE, "code": code}]}
