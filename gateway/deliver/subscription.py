"""An R4 Subscription as the hub keeps it: checked whole when written, never first when sent.

What could poison a later delivery is refused here: an endpoint that may not be called, a header
that breaks the request or speaks for the transport, criteria that are no search.
"""

from __future__ import annotations

import re
from typing import Final, Literal

from gateway.deliver.endpoint import PLACE, Guard
from gateway.deliver.failure import Failure
from gateway.errors import InvalidResource, InvalidSearch
from gateway.fhir.search import parse_criteria
from gateway.model import Resource, Subscriber

PAYLOADS: Final = ("", "application/fhir+json", "application/json")

_HEADERS: Final = 16
_LINE: Final = 4096
_NAME: Final = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]+")
_VALUE: Final = re.compile(r"[\x20-\x7e]*")
_TRANSPORTS: Final = frozenset(
    {
        "accept-encoding",
        "connection",
        "content-encoding",
        "content-length",
        "content-type",
        "cookie",
        "expect",
        "forwarded",
        "host",
        "keep-alive",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "via",
    }
)
_PREFIXES: Final = ("webhook-", "proxy-", "x-forwarded-", "sec-")


def subscriber(resource: Resource, agency: str, guard: Guard) -> Subscriber:
    """The subscriber that a Subscription with an id describes; it belongs to ``agency``.

    A ``requested`` one becomes active. Raises InvalidResource with the place of what is wrong;
    a channel, payload or element that isn't supported is refused and not ignored.
    """
    channel = resource.get("channel") or {}
    if channel.get("type") != "rest-hook":
        raise _unsupported("only rest-hook is supported", "Subscription.channel.type")
    if "end" in resource:
        raise _unsupported("a subscription ends by its status", "Subscription.end")
    payload = str(channel.get("payload") or "")
    if payload not in PAYLOADS:
        raise _unsupported("the payload is JSON or none", "Subscription.channel.payload")
    return Subscriber(
        id=str(resource["id"]),
        agency=agency,
        channel="rest-hook",
        endpoint=_endpoint(str(channel.get("endpoint") or ""), guard),
        criteria=_criteria(str(resource.get("criteria") or "")),
        payload=payload,
        headers=_headers(channel.get("header") or [], str(channel.get("endpoint"))),
        status=_status(str(resource.get("status"))),
    )


def _endpoint(url: str, guard: Guard) -> str:
    try:
        guard.endpoint(url, ("http", "https"))
    except Failure as failure:
        raise InvalidResource(str(failure), place=PLACE) from None
    return url


def _criteria(text: str) -> str:
    try:
        parse_criteria(text)
    except InvalidSearch as error:
        raise InvalidResource(str(error), place="Subscription.criteria") from None
    return text


def _headers(lines: list[str], endpoint: str) -> tuple[str, ...]:
    if len(lines) > _HEADERS:
        raise _bad_header("too many headers", _HEADERS)
    for index, line in enumerate(lines):
        name, colon, value = line.partition(":")
        bare = name.lower()
        if len(line) > _LINE or not colon or not _NAME.fullmatch(name):
            raise _bad_header("not a header", index)
        if not _VALUE.fullmatch(value):
            raise _bad_header("a header has printable ASCII alone", index)
        if bare in _TRANSPORTS or bare.startswith(_PREFIXES):
            raise _bad_header("this header isn't a subscriber's to set", index)
        if bare == "authorization" and not endpoint.startswith("https:"):
            raise _bad_header("credentials are sent over https alone", index)
    return tuple(lines)


def _status(said: str) -> Literal["active", "error", "off"]:
    if said == "off":
        return "off"
    return "error" if said == "error" else "active"


def _bad_header(text: str, index: int) -> InvalidResource:
    return InvalidResource(text, place=f"Subscription.channel.header[{index}]")


def _unsupported(text: str, place: str) -> InvalidResource:
    return InvalidResource(text, place=place, code="not-supported")
