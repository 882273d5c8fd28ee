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
    """A row at a page's edge, by its sort values and key, and the total, if it was counted.

    What is sought comes after it, or (``back``) before it, by the ``way`` and from the criterion
    (``lead``) that its page was found by: by others it might stand in another order. "" is any.
    """

    total: int | None
    values: list[Any]
    back: bool = False
    way: str = ""
    lead: int = -1


def _tag(secret: bytes, context: Context, query: Query, content: bytes) -> bytes:
    sort = [(one.param, one.descending) for one in query.sort]  # any process says it so
    asked = (context.agency, context.admin, query.type, query.pairs, sort)
    signed = hashlib.blake2b(repr(asked).encode("utf-8", "surrogatepass")).digest() + content
    return hmac.new(secret, signed, hashlib.sha256).digest()[:_TAG]


def write(secret: bytes, context: Context, query: Query, place: Place) -> str:
    """The mark of a place."""
    content = json.dumps(place).encode()
    return base64.urlsafe_b64encode(_tag(secret, context, query, content) + content).decode()


def read(secret: bytes, context: Context, query: Query) -> Place:
    """Where ``query.cursor`` leads. Raises ``InvalidSearch``."""
    try:
        mark = base64.b64decode(query.cursor or "", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        mark = b""
    tag, content = mark[:_TAG], mark[_TAG:]
    if not hmac.compare_digest(tag, _tag(secret, context, query, content)):
        raise wrong()
    return Place(*json.loads(content))


def wrong() -> InvalidSearch:
    """What to raise for a mark of something else."""
    return InvalidSearch("not a page of this search for this caller", place="_cursor")
