"""What one attempt carries to a receiver, whatever the channel."""

from __future__ import annotations

from dataclasses import dataclass

from gateway.model import Reference


@dataclass(frozen=True, slots=True)
class Notice:
    """A notification, made.

    ``id`` is what the receiver de-duplicates by, the same over all attempts. ``body`` is what goes
    out (JSON, text, or unframed HL7 messages one after another), None for none. ``resource``
    names what the body is the newest version of: rest-hook then updates it at the endpoint.
    ``title`` is an e-mail's subject. ``hops``: how many hubs it came through, this one counted.
    """

    id: str
    body: bytes | None = None
    media_type: str = ""
    resource: Reference = ""
    title: str = ""
    hops: int = 0
