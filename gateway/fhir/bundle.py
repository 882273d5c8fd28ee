"""A transaction Bundle taken apart and its answer put together (FHIR R4, 3.1.0.11).

An entry's ``fullUrl`` names it for the others: references to it become ``Type/id`` once it has an
id. Conditional requests and DELETE aren't taken: they are refused at their place, never ignored.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Literal
from uuid import uuid4

from gateway.errors import InvalidResource
from gateway.fhir.json import dumps, loads
from gateway.fhir.references import rewrite
from gateway.model import Reference, Resource, Stored

Method = Literal["POST", "PUT", "GET"]

_CONDITIONS: Final = ("ifNoneExist", "ifNoneMatch", "ifModifiedSince")


@dataclass(frozen=True, slots=True)
class Request:
    """One entry: its place, method, target, and for a write the resource with its id.

    ``if_match`` is a PUT's version; a GET reads what the writes left.
    """

    place: str
    method: Method
    type: str
    id: str
    resource: Resource | None = None
    if_match: int | None = None


def requests(bundle: Resource) -> list[Request]:
    """The entries of a transaction, references between them resolved, in the order sent.

    Raises:
        InvalidResource: no transaction, or an entry that can't be done.
    """
    if bundle.get("resourceType") != "Bundle" or bundle.get("type") != "transaction":
        raise InvalidResource(
            "only a Bundle of type transaction is taken here",
            place="Bundle.type",
            code="not-supported",
        )
    entries = bundle.get("entry") or []
    found = [_request(entry, f"Bundle.entry[{n}]") for n, entry in enumerate(entries)]
    names = {
        entry["fullUrl"]: f"{request.type}/{request.id}"
        for entry, request in zip(entries, found, strict=True)
        if "fullUrl" in entry and request.resource is not None
    }
    _refuse_twice(found)
    return [_renamed(request, names) for request in found]


def response(stored: Sequence[tuple[Stored, int]]) -> bytes:
    """The transaction-response: for each entry, in order, the version and its HTTP status."""
    return dumps(
        {
            "resourceType": "Bundle",
            "type": "transaction-response",
            "entry": [_answer(each) for each in stored],
        }
    )


def _request(entry: Resource, place: str) -> Request:
    asked = entry.get("request") or {}
    for condition in _CONDITIONS:
        if condition in asked:
            raise _refused("conditional requests aren't taken", f"{place}.request.{condition}")
    method, url = asked.get("method"), str(asked.get("url") or "")
    type_, _, id_ = url.partition("/")
    if method == "GET":
        if not re.fullmatch(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}", url):
            raise _refused("a GET here reads one resource", f"{place}.request.url")
        return Request(place, "GET", type_, id_)
    if method not in ("POST", "PUT"):
        raise _refused("this method isn't taken in a transaction", f"{place}.request.method")
    resource = entry.get("resource")
    if not isinstance(resource, dict) or resource.get("resourceType") != type_:
        raise _refused("the resource isn't of the URL's type", f"{place}.resource", "invalid")
    return _write(place, method, type_, id_, resource, asked)


def _write(
    place: str, method: Method, type_: str, id_: str, resource: Resource, asked: Resource
) -> Request:
    if method == "POST":
        if id_:
            raise _refused("a POST names a type alone", f"{place}.request.url", "invalid")
        id_ = str(uuid4())
        return Request(place, method, type_, id_, {**resource, "id": id_})
    if not id_ or resource.get("id") != id_:
        raise _refused("the URL's id must be the resource's", f"{place}.request.url", "invalid")
    return Request(place, method, type_, id_, resource, _version(asked, place))


def _version(asked: Resource, place: str) -> int | None:
    tag = asked.get("ifMatch")
    if tag is None:
        return None
    number = str(tag).removeprefix("W/").strip('"')
    if not number.isdigit():
        raise _refused("not an ETag of ours", f"{place}.request.ifMatch", "value")
    return int(number)


def _refuse_twice(found: Sequence[Request]) -> None:
    seen: set[tuple[str, str]] = set()
    for request in found:
        if request.resource is None:
            continue
        if (request.type, request.id) in seen:
            raise _refused("the same resource twice", f"{request.place}.request.url", "invalid")
        seen.add((request.type, request.id))


def _renamed(request: Request, names: dict[str, Reference]) -> Request:
    if request.resource is None:
        return request
    return Request(
        request.place,
        request.method,
        request.type,
        request.id,
        rewrite(request.resource, names),
        request.if_match,
    )


def _answer(each: tuple[Stored, int]) -> Resource:
    stored, status = each
    return {
        "resource": loads(stored.body),
        "response": {
            "status": str(status),
            "location": f"{stored.reference}/_history/{stored.version}",
            "etag": f'W/"{stored.version}"',
            "lastModified": stored.updated.isoformat(timespec="milliseconds").replace(
                "+00:00", "Z"
            ),
        },
    }


def _refused(text: str, place: str, code: str = "not-supported") -> InvalidResource:
    return InvalidResource(text, place=place, code=code)
