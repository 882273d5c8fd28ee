"""A Binary as what it holds: read and written in its own media type (R4 binary, 2.43.4)."""

from __future__ import annotations

import base64
import re
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from gateway.api import answers
from gateway.api.refusals import RequestError
from gateway.api.requests import JSON_TYPES, WILDCARDS, accepted, media_type, query_pairs
from gateway.fhir import json
from gateway.model import Resource, Stored

BINARY: Final = "Binary"

_FHIR_TYPES: Final = frozenset(
    {
        *JSON_TYPES,
        "json",
        "application/fhir+xml",
        "application/xml",
        "application/xml+fhir",
        "application/fhir+turtle",
        "text/turtle",
        "text/xml",
    }
)
"""Who names one of them speaks of the resource and not of what it holds."""

_MEDIA: Final = re.compile(r"[\w!#$&^.+\-]+/[\w!#$&^.+\-]+(; ?[\w\-]+=[\w\-.\"]+)*", re.ASCII)
_GUARDS: Final = {
    "x-content-type-options": "nosniff",
    "content-security-policy": "sandbox; default-src 'none'",
    "content-disposition": "attachment",
}
"""What somebody stored is no page of this server's, whatever it calls itself."""


def wants_content(request: Request, type: str) -> bool:
    """Whether a read is of what the Binary holds: it names a type, and no form of a resource."""
    if type != BINARY or any(name == "_format" for name, _ in query_pairs(request)):
        return False
    kinds = set(accepted(request)) - WILDCARDS
    return bool(kinds) and not kinds & _FHIR_TYPES


def content(stored: Stored) -> Response:
    """What a Binary holds, in the media type that it says."""
    binary = json.loads(stored.body)
    headers = answers.versioned(stored) | _GUARDS
    context = (binary.get("securityContext") or {}).get("reference")
    if context is not None and context.isascii() and context.isprintable():
        headers["x-security-context"] = context
    media = str(binary["contentType"])
    if _MEDIA.fullmatch(media) is None:
        media = "application/octet-stream"
    held = base64.b64decode(str(binary.get("data") or ""))
    return Response(held, headers=headers | {"content-type": media})


def is_content(request: Request, type: str) -> bool:
    """Whether a body is what a Binary is to hold, not the Binary."""
    found = media_type(request)
    return type == BINARY and bool(found) and found not in _FHIR_TYPES


def holding(request: Request, raw: bytes, id: str) -> bytes:
    """The Binary that holds a body, as JSON. ``RequestError`` where its media type is none."""
    media = request.headers["content-type"].strip()
    if _MEDIA.fullmatch(media) is None:
        raise RequestError("must be a media type", place="Content-Type")
    binary: Resource = {"resourceType": BINARY} | ({"id": id} if id else {})
    context = request.headers.get("x-security-context")
    if context is not None:
        binary["securityContext"] = {"reference": context}
    binary["contentType"] = media
    if raw:
        binary["data"] = base64.b64encode(raw).decode()
    return json.dumps(binary)
