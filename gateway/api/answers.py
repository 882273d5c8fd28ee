"""Answers in bytes: resources, outcomes and Bundles, with the headers that FHIR gives them.

Stored bodies are joined, never parsed again: what was sent comes back to the digit.
FHIR R4 http.html sections 3.1.0.1 to 3.1.0.9, bundle.html.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from datetime import datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlencode

import orjson
from starlette.responses import Response

from gateway.api.requests import FHIR, Pairs
from gateway.errors import GatewayError, Throttled
from gateway.fhir import json
from gateway.fhir.meta import instant
from gateway.fhir.outcome import noted, outcome
from gateway.model import Stored
from gateway.store import Page

RETRY_AFTER = "5"


def resource(stored: Stored, status: int = 200, *, location: str = "") -> Response:
    """A version of a resource, as it is stored."""
    return Response(stored.body, status, versioned(stored, location), FHIR)


def versioned(stored: Stored, location: str = "") -> dict[str, str]:
    """The headers that name a version: ETag, Last-Modified and, after a write, Location."""
    headers = {
        "etag": f'W/"{stored.version}"',
        "last-modified": _date(stored.updated),
    }
    return headers | {"location": location} if location else headers


_DAYS: Final = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS: Final = (
    *("Jan", "Feb", "Mar", "Apr", "May", "Jun"),
    *("Jul", "Aug", "Sep", "Oct", "Nov", "Dec"),
)


def _date(at: datetime) -> str:
    """A UTC time as HTTP writes it (RFC 9110, 5.6.7): ``email`` takes five times as long."""
    return (
        f"{_DAYS[at.weekday()]}, {at.day:02} {_MONTHS[at.month - 1]} {at.year:04}"
        f" {at.hour:02}:{at.minute:02}:{at.second:02} GMT"
    )


def nothing(stored: Stored, status: int, *, location: str = "") -> Response:
    """A write's headers without a body (``Prefer: return=minimal``)."""
    return Response(b"", status, versioned(stored, location))


def told(stored: Stored, status: int, *, location: str = "") -> Response:
    """A write's headers and an OperationOutcome (``Prefer: return=OperationOutcome``)."""
    return Response(said(_WORDS.get(status, "Updated")), status, versioned(stored, location), FHIR)


def said(text: str) -> bytes:
    """An OperationOutcome that all is well."""
    return as_json(noted(text))


def pretty(response: Response) -> Response:
    """The same answer, indented."""
    headers = {k: v for k, v in response.headers.items() if not k.startswith("content-")}
    body = json.pretty(bytes(response.body))
    return Response(body, response.status_code, headers, FHIR)


def unchanged(stored: Stored) -> Response:
    """The client has this version (304)."""
    return Response(b"", HTTPStatus.NOT_MODIFIED, versioned(stored))


_WORDS: Final[dict[int, str]] = {201: "Created"}


def refusal(error: GatewayError, headers: dict[str, str] | None = None) -> Response:
    """The OperationOutcome of an error, with the headers that its status asks for."""
    extra = dict(headers or {})
    if error.status == HTTPStatus.UNAUTHORIZED:
        extra["www-authenticate"] = 'Bearer realm="care-gateway"'
    if error.status == HTTPStatus.SERVICE_UNAVAILABLE:
        extra["retry-after"] = RETRY_AFTER
    if isinstance(error, Throttled):
        extra["retry-after"] = str(math.ceil(error.again))
    return Response(as_json(outcome(error.issues)), error.status, extra, FHIR)


def searchset(base: str, path: str, pairs: Pairs, page: Page) -> bytes:
    """A page of a search at ``path`` below the base, "" for the base itself.

    The links repeat the search as it was understood, so that whoever kept one can ask again; they
    are called as R4 calls them (http, 3.1.0.10), "previous" among them.
    """
    asked = [(name, value) for name, value in pairs if name != "_cursor"]
    url = f"{base}/{path}" if path else base
    links = [_link("self", url, pairs), _link("first", url, asked)]
    for relation, cursor in (("previous", page.previous), ("next", page.next)):
        if cursor is not None:
            links.append(_link(relation, url, [*asked, ("_cursor", cursor)]))
    found = [_entry(base, each, b"match") for each in page.entries]
    brought = [_entry(base, each, b"include") for each in page.included]
    return _bundle("searchset", page.total, links, [*found, *brought])


def history(base: str, path: str, pairs: Pairs, page: Page) -> bytes:
    """A page of versions, the newest first; ``path`` is the history's below the base."""
    asked = [(name, value) for name, value in pairs if name != "_cursor"]
    links = [_link("self", f"{base}/{path}", pairs), _link("first", f"{base}/{path}", asked)]
    if page.next is not None:
        links.append(_link("next", f"{base}/{path}", [*asked, ("_cursor", page.next)]))
    return _bundle("history", page.total, links, (_past(base, each) for each in page.entries))


def as_json(value: object) -> bytes:
    """A value without decimals, as JSON."""
    return orjson.dumps(value)


def _bundle(
    type: str, total: int | None, links: list[dict[str, str]], entries: Iterable[bytes]
) -> bytes:
    head: dict[str, object] = {"resourceType": "Bundle", "type": type}
    if total is not None:
        head["total"] = total
    head["link"] = links
    body = b",".join(entries)
    tail = b',"entry":[' + body + b"]}" if body else b"}"
    return as_json(head)[:-1] + tail


def _link(relation: str, url: str, pairs: Pairs) -> dict[str, str]:
    query = urlencode(pairs)
    return {"relation": relation, "url": f"{url}?{query}" if query else url}


def _entry(base: str, stored: Stored, mode: bytes) -> bytes:
    url = as_json(f"{base}/{stored.reference}")
    search = b',"search":{"mode":"' + mode + b'"}}'
    return b"".join((b'{"fullUrl":', url, b',"resource":', stored.body, search))


def _past(base: str, stored: Stored) -> bytes:
    """An entry of a history; a deletion has no resource."""
    method = "DELETE" if stored.deleted else "POST" if stored.version == 1 else "PUT"
    url = stored.type if method == "POST" else stored.reference
    about: dict[str, object] = {
        "fullUrl": f"{base}/{stored.reference}",
        "request": {"method": method, "url": url},
        "response": {
            "status": {"DELETE": "204", "POST": "201"}.get(method, "200"),
            "etag": f'W/"{stored.version}"',
            "lastModified": instant(stored.updated),
        },
    }
    head = as_json(about)[:-1]
    return head + b"}" if stored.deleted else head + b',"resource":' + stored.body + b"}"
