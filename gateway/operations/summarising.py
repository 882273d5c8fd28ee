"""``Patient/[id]/$summary``: an IPS document of what the caller owns of a patient or was shared.

HL7 IPS guide, operation-patient-summary.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from gateway.errors import GatewayError, InvalidSearch
from gateway.fhir import json
from gateway.fhir.summary import TYPES, summary
from gateway.model import Context, Resource, Stored
from gateway.operations.everything import Asked, Note, gathered
from gateway.protect import scopes
from gateway.protect.least import shown
from gateway.store import Hub, Reader

MOST: Final = 2000
"""How many resources a summary may have; beyond it isn't one."""


class Summarising:
    """Writes summaries."""

    def __init__(self, hub: Hub, note: Note) -> None:
        self._hub = hub
        self._note = note

    def __call__(self, context: Context, id: str, base: str) -> Resource:
        """The document. Raises Denied, NotFound, Gone, InvalidSearch (too much for a summary)."""
        scopes.require(context, "Patient", "r")
        with self._hub.read() as reader:
            patient = shown(context, reader.read(context, "Patient", id))
            about, along = _gathered(reader, context, id, base)
            author = _author(reader, context)
        self._note(context, "summary", [patient, *about, *along])
        body = [[json.loads(one.body) for one in part] for part in ([patient], about, along)]
        return summary(base, body[0][0], author, body[1], body[2], datetime.now(UTC))


def _gathered(
    reader: Reader, context: Context, id: str, base: str
) -> tuple[list[Stored], list[Stored]]:
    types = tuple(type for type in TYPES if scopes.allows(context.scopes, type, "r"))
    about: list[Stored] = []
    along: dict[str, Stored] = {}
    asked: Asked | None = Asked(types, count=200)
    while asked is not None and types:
        page = gathered(reader, context, id, asked, base)
        about += page.entries
        along |= {one.reference: one for one in page.included}
        if len(about) > MOST:
            raise InvalidSearch("too much for a summary", place="Patient", code="too-costly")
        asked = replace(asked, cursor=page.next) if page.next else None
    held = {one.reference for one in about}
    return about, [one for reference, one in along.items() if reference not in held]


def _author(reader: Reader, context: Context) -> Resource:
    """Who gives the summary: the caller's agency."""
    try:
        return json.loads(reader.read(context, "Organization", context.agency).body)
    except GatewayError:
        return {"display": "Care Gateway"}
