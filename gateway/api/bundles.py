"""What a batch or transaction is answered: an entry for each of its own (R4 http, 3.1.0.11.4)."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType
from typing import Any, Final

from gateway.api import answers
from gateway.exchange.writing import Answered, Done
from gateway.fhir.meta import instant
from gateway.fhir.outcome import outcome

_WHOLE: Final = ("", "representation")


def response(
    base: str, answered: Answered, wanted: str, beyond: Mapping[int, bytes] = MappingProxyType({})
) -> bytes:
    """The response Bundle's JSON.

    ``wanted`` is what ``Prefer: return`` says of written entries; ``beyond`` are the entries, by
    index, that other doors answered.
    """
    head = {"resourceType": "Bundle", "type": f"{answered.kind}-response"}
    entries = b",".join(
        beyond[n] if n in beyond else _entry(base, each, wanted)
        for n, each in enumerate(answered.entries)
    )
    tail = b',"entry":[' + entries + b"]}" if entries else b"}"
    return answers.as_json(head)[:-1] + tail


def _entry(base: str, done: Done, wanted: str) -> bytes:
    body = _resource(base, done, wanted)
    told = answers.as_json({"response": _told(base, done, wanted)})
    return b'{"resource":' + body + b"," + told[1:] if body else told


def _resource(base: str, done: Done, wanted: str) -> bytes:
    if done.method == "HEAD" or done.status == HTTPStatus.NOT_MODIFIED or done.error is not None:
        return b""
    if done.listing is not None:
        found = done.listing
        if found.kind == "history":
            return answers.history(base, found.path, list(found.pairs), found.page)
        return answers.searchset(base, found.path, list(found.pairs), found.page)
    if (
        done.stored is None
        or done.stored.deleted
        or (done.method != "GET" and wanted not in _WHOLE)
    ):
        return b""
    return done.stored.body


def _told(base: str, done: Done, wanted: str) -> dict[str, Any]:
    told: dict[str, Any] = {"status": f"{done.status} {HTTPStatus(done.status).phrase}"}
    if done.stored is not None:
        if done.method not in ("GET", "HEAD", "DELETE"):
            told["location"] = f"{base}/{done.stored.reference}/_history/{done.stored.version}"
        told["etag"] = f'W/"{done.stored.version}"'
        told["lastModified"] = instant(done.stored.updated)
    if done.error is not None:
        told["outcome"] = outcome(done.error.issues)
    elif wanted == "OperationOutcome":
        told["outcome"] = outcome([])
    return told
