"""Where a page of a search starts: opaque, and good only for who got it and what they asked."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import json
from typing import Any, Final, NamedTuple

from gateway.errors import InvalidSearch
from gateway.fhir.query import Query
from gateway.model import Context

_TAG: Final = 16


class Place(NamedTuple):
    """Where a page ended: its last row's sort values and key, and the total, if it was counted."""

    total: int | None
    values: list[Any]


def _tag(secret: bytes, context: Context, query: Query, content: bytes) -> bytes:
    asked = (context.agency, context.admin, query.type, query.pairs, query.sort)
    signed = hashlib.blake2b(repr(asked).encode("utf-8", "surrogatepass")).digest() + content
    return hmac.new(secret, signed, hashlib.sha256).digest()[:_TAG]


def write(secret: bytes, context: Context, query: Query, place: Place) -> str:
    """The mark of where a page ended."""
    content = json.dumps(place).encode()
    return base64.urlsafe_b64encode(_tag(secret, context, query, content) + content).decode()


def read(secret: bytes, context: Context, query: Query) -> Place:
    """The row after which ``query.cursor`` starts. Raises ``InvalidSearch``."""
    try:
        mark = base64.b64decode(query.cursor or "", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        mark = b""
    tag, content = mark[:_TAG], mark[_TAG:]
    if not hmac.compare_digest(tag, _tag(secret, context, query, content)):
        raise InvalidSearch("not a page of this search for this caller", place="_cursor")
    return Place(*json.loads(content))
