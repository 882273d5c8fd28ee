"""What a batch asks beyond resources, asked at the API's own doors (R4 http, 3.1.0.11.1).

Operations, ``_search`` by POST, compartments, all types, the capabilities: each as if it had come
by itself with the key that the batch came with, once the batch's other entries are done.
"""

from __future__ import annotations

from collections.abc import MutableMapping, Sequence
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Any, Final
from urllib.parse import quote, unquote, urlencode

from gateway.api import answers
from gateway.api.endpoint import PLACE, Call
from gateway.api.requests import FHIR, HOPS
from gateway.exchange.writing import Done
from gateway.fhir import json
from gateway.fhir.interaction import Request
from gateway.fhir.meta import instant

_KEPT: Final = (b"authorization", b"host", HOPS.encode())

_OWN: Final = ("path_params", "state", PLACE)
"""What a request doesn't share: the batch's place among those in hand is left with the batch."""

Message = MutableMapping[str, Any]


async def beyond(call: Call, entries: Sequence[Done]) -> dict[int, bytes]:
    """The response entries, by index, of those that are left for these doors."""
    return {
        n: await _asked(call, each.beyond)
        for n, each in enumerate(entries)
        if each.beyond is not None
    }


async def _asked(call: Call, asked: Request) -> bytes:
    status, headers, body = HTTPStatus.INTERNAL_SERVER_ERROR, {}, b""
    sent = b"" if asked.resource is None else json.dumps(asked.resource)

    async def receive() -> Message:
        return {"type": "http.request", "body": sent, "more_body": False}

    async def send(message: Message) -> None:
        nonlocal status, headers, body
        if message["type"] == "http.response.start":
            status = HTTPStatus(message["status"])
            headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            body += message.get("body", b"")

    await call.request.app(_scope(call, asked, len(sent)), receive, send)
    return _entry(status, headers, b"" if asked.method == "HEAD" else body)


def _scope(call: Call, asked: Request, length: int) -> dict[str, Any]:
    """As the server would give a request of its own."""
    scope = call.request.scope
    path = "/".join([scope["path"].rstrip("/"), *(each for each in asked.path if each)])
    kept = [pair for pair in scope["headers"] if pair[0] in _KEPT]
    own = {"accept": FHIR, "content-length": str(length)} | (
        {"content-type": FHIR} if length else {}
    )
    return {
        **{name: value for name, value in scope.items() if name not in _OWN},
        "method": asked.method,
        "path": unquote(path),
        "raw_path": quote(path, safe="/%$:").encode(),
        "query_string": urlencode(asked.pairs).encode(),
        "headers": kept + [(name.encode(), value.encode()) for name, value in own.items()],
    }


def _entry(status: HTTPStatus, headers: dict[str, str], body: bytes) -> bytes:
    told = {"status": f"{status.value} {status.phrase}"}
    told |= {name: headers[name] for name in ("location", "etag") if name in headers}
    if "last-modified" in headers:
        told["lastModified"] = instant(parsedate_to_datetime(headers["last-modified"]))
    response = answers.as_json({"response": told})
    if not body or not headers.get("content-type", "").startswith(FHIR):
        return response
    if status >= HTTPStatus.BAD_REQUEST:
        return response[:-2] + b',"outcome":' + body + b"}}"
    return b'{"resource":' + body + b"," + response[1:]
