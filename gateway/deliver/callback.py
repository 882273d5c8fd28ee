"""JSON callback: a plain JSON object by POST, for a system that knows no FHIR.

Sent and signed like a rest-hook (Standard Webhooks). Its names are our own; a resource that goes
along, where the payload asks for it, is FHIR R4 JSON as it is stored.
"""

from __future__ import annotations

from typing import Final

from gateway.deliver.notice import Notice
from gateway.fhir import json
from gateway.fhir.meta import instant
from gateway.model import Delivery, Stored

JSON: Final = "application/json"


def notice(delivery: Delivery, stored: Stored, base: str, *, whole: bool) -> Notice:
    """What is posted: the event and where to read it at ``base``; ``whole``: the resource too."""
    event = delivery.event
    about = f"{event.type}/{event.id}"
    told = {
        "id": delivery.id,
        "number": delivery.number,
        "at": instant(event.at),
        "change": event.interaction,
        "resource": about,
        "version": event.version,
        "url": f"{base}/{about}",
    }
    if whole:
        told["content"] = json.loads(stored.body)
    return Notice(delivery.id, json.dumps(told), JSON)
