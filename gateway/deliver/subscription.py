"""An R4 Subscription as the hub keeps it: checked whole when written, never first when sent.

What could poison a later delivery is refused here: an endpoint that may not be called, a header
that breaks the request or speaks for the transport, criteria that are no search. Criteria that
name a topic (R4 Backport 1.1) bring its filters, and what a notification tells, by extensions.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal
from urllib.parse import urlencode

from gateway.deliver.callback import JSON
from gateway.deliver.email import TEXT, check_address
from gateway.deliver.endpoint import PLACE, Guard
from gateway.deliver.failure import Failure
from gateway.deliver.websocket import check_nowhere
from gateway.errors import InvalidResource, InvalidSearch
from gateway.fhir.notification import CHANNEL, CONTENT, FILTER, HEARTBEAT, MAX_COUNT, TIMEOUT
from gateway.fhir.search import parse_criteria
from gateway.fhir.topics import NONE, Topic, Topics, named
from gateway.model import Content, Resource, Subscriber

PAYLOADS: Final = ("", "application/fhir+json", "application/json")
CONTENTS: Final[tuple[Content, ...]] = ("empty", "id-only", "full-resource")

MOST: Final = 100
"""How many events one notification may hold, whatever a subscription asks for."""

LONGEST: Final = 30
"""Seconds: no attempt takes longer, whatever timeout a subscription asks for."""

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


@dataclass(frozen=True, slots=True)
class Kind:
    """A channel that a Subscription may name, and what its endpoint and payload may be.

    ``contents`` is how much a topic's notification may tell there; without any it has no topics.
    ``greets``: its endpoint answers a handshake before it is active. ``beats``: it gets heartbeats.
    ``plain``: its criteria may be a search.
    """

    check: Callable[[str, Guard], object]
    payloads: tuple[str, ...] = PAYLOADS
    contents: tuple[Content, ...] = CONTENTS
    greets: bool = True
    beats: bool = True
    plain: bool = True


CHANNELS: Final[Mapping[str, Kind]] = {
    "rest-hook": Kind(lambda url, guard: guard.endpoint(url, ("http", "https"))),
    "email": Kind(
        lambda url, _: check_address(url),
        ("", TEXT),
        ("empty", "id-only"),
        greets=False,
        beats=False,
    ),
    "callback": Kind(
        lambda url, guard: guard.endpoint(url, ("http", "https")), ("", JSON), (), greets=False
    ),
    "websocket": Kind(check_nowhere, PAYLOADS[1:], greets=False, plain=False),
}


@dataclass(frozen=True, slots=True)
class Terms:
    """What a subscription says about its topic's notifications."""

    topic: str = ""
    content: Content = ""
    heartbeat: int = 0
    timeout: int = 0
    most: int = 1


def subscriber(resource: Resource, agency: str, guard: Guard, topics: Topics = NONE) -> Subscriber:
    """The subscriber that a Subscription with an id describes; it belongs to ``agency``.

    A ``requested`` one without a topic becomes active. Raises InvalidResource with the place of
    what is wrong; a channel, payload or element that isn't supported is refused and not ignored.
    """
    channel = resource.get("channel") or {}
    kind = _kind(channel)
    payload = str(channel.get("payload") or "")
    if payload not in CHANNELS[kind].payloads:
        text = f"the payload is one of: {', '.join(filter(None, CHANNELS[kind].payloads))}, none"
        raise _unsupported(text, "Subscription.channel.payload")
    topic = _topic(resource, topics)
    if topic is not None and not CHANNELS[kind].contents:
        raise _unsupported("this channel has no topics", "Subscription.criteria")
    if topic is None and not CHANNELS[kind].plain:
        raise _unsupported("this channel is for topics", "Subscription.criteria")
    terms = _terms(resource, channel, topic, CHANNELS[kind].contents)
    if terms.heartbeat and not CHANNELS[kind].beats:
        raise _unsupported("this channel has no heartbeats", "Subscription.channel.extension")
    return Subscriber(
        id=str(resource["id"]),
        agency=agency,
        channel=kind,
        endpoint=_endpoint(kind, str(channel.get("endpoint") or ""), guard),
        criteria=_criteria(resource, topic),
        payload=payload,
        headers=_headers(channel.get("header") or [], str(channel.get("endpoint"))),
        status=_status(str(resource.get("status")), topic if CHANNELS[kind].greets else None),
        topic=terms.topic,
        content=terms.content,
        heartbeat=terms.heartbeat,
        timeout=terms.timeout,
        most=terms.most,
        until=_until(resource),
    )


def _kind(channel: Resource) -> str:
    """The channel: R4's code, or the one that R4 Backport's extension names beyond those."""
    said = _extensions(channel.get("_type")).get(CHANNEL)
    coding = said[0].get("valueCoding") if said else None
    kind = str((coding or {}).get("code") if said else channel.get("type"))
    if kind not in CHANNELS:
        text = f"the channels are: {', '.join(CHANNELS)}"
        raise _unsupported(text, "Subscription.channel.type")
    return kind


def _endpoint(kind: str, url: str, guard: Guard) -> str:
    try:
        CHANNELS[kind].check(url, guard)
    except Failure as failure:
        raise InvalidResource(str(failure), place=PLACE) from None
    return url


# --- what it follows -----------------------------------------------------------------------------


def _topic(resource: Resource, topics: Topics) -> Topic | None:
    """The topic that the criteria name; None where they are a search."""
    text = str(resource.get("criteria") or "")
    if "://" not in text.partition("?")[0] and not text.startswith("urn:"):
        return None
    found = named(topics, text)
    if found is None:
        names = ", ".join(sorted(topics)) or "none"
        raise _unsupported(f"no such topic; there are: {names}", "Subscription.criteria")
    return found


def _criteria(resource: Resource, topic: Topic | None) -> str:
    text = str(resource.get("criteria") or "")
    try:
        if topic is None:
            parse_criteria(text)
            return text
        return _filtered(resource, topic)
    except InvalidSearch as error:
        raise InvalidResource(str(error), place="Subscription.criteria") from None


def _filtered(resource: Resource, topic: Topic) -> str:
    """The topic's filters as one search of its type."""
    asked = _extensions(resource.get("_criteria"))
    filters = [_value(each, "valueString", str, "_criteria") for each in asked.get(FILTER, ())]
    topic.criteria(filters)
    pairs = [pair for each in filters for pair in topic.filtered(each)]
    return f"{topic.type}?{urlencode(pairs)}"


def _terms(
    resource: Resource, channel: Resource, topic: Topic | None, contents: tuple[Content, ...]
) -> Terms:
    said = _extensions(channel)
    payload = _extensions(channel.get("_payload"))
    if topic is None:
        _refuse_terms(resource, said, payload)
        return Terms()
    content = payload.get(CONTENT)
    if not content or not channel.get("payload"):
        text = "with a topic it says a MIME type, and how much it tells by backport-payload-content"
        raise InvalidResource(text, place="Subscription.channel.payload", code="required")
    told = content[0].get("valueCode")
    if told not in contents:
        place = "Subscription.channel.payload.extension[0].value"
        raise InvalidResource(f"this channel tells {' or '.join(contents)}", place=place)
    return Terms(
        topic.url,
        told,
        _number(said, HEARTBEAT, "valueUnsignedInt", 2**31 - 1),
        _number(said, TIMEOUT, "valueUnsignedInt", LONGEST),
        _number(said, MAX_COUNT, "valuePositiveInt", MOST) or 1,
    )


def _refuse_terms(
    resource: Resource, said: Mapping[str, list[Any]], payload: Mapping[str, list[Any]]
) -> None:
    """Without a topic there are no events to number, filter, count or keep alive."""
    found = {
        "Subscription.criteria.extension": FILTER in _extensions(resource.get("_criteria")),
        "Subscription.channel.extension": bool({HEARTBEAT, TIMEOUT, MAX_COUNT} & set(said)),
        "Subscription.channel.payload.extension": CONTENT in payload,
    }
    for place, is_there in found.items():
        if is_there:
            raise _unsupported("it is for criteria that name a topic", place)


def _extensions(element: Any) -> dict[str, list[Any]]:
    out: dict[str, list[Any]] = {}
    for each in (element or {}).get("extension") or []:
        out.setdefault(each.get("url"), []).append(each)
    return out


def _value(extension: Resource, name: str, kind: type, place: str) -> Any:
    value = extension.get(name)
    if not isinstance(value, kind) or isinstance(value, bool):
        raise InvalidResource(f"has a {name}", place=f"Subscription.{place}.extension")
    return value


def _number(said: Mapping[str, list[Any]], url: str, name: str, most: int) -> int:
    found = said.get(url)
    return min(_value(found[0], name, int, "channel"), most) if found else 0


def _until(resource: Resource) -> datetime | None:
    """Its end; FHIR's instant has a zone, and Python reads it (a leap second as the one before)."""
    text = resource.get("end")
    if text is None:
        return None
    return datetime.fromisoformat(str(text).replace(":60", ":59").replace("Z", "+00:00"))


# --- headers and status --------------------------------------------------------------------------


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


def _status(said: str, topic: Topic | None) -> Literal["requested", "active", "error", "off"]:
    if said == "off":
        return "off"
    if said == "error":
        return "error"
    return "requested" if topic is not None and said == "requested" else "active"


def _bad_header(text: str, index: int) -> InvalidResource:
    return InvalidResource(text, place=f"Subscription.channel.header[{index}]")


def _unsupported(text: str, place: str) -> InvalidResource:
    return InvalidResource(text, place=place, code="not-supported")
