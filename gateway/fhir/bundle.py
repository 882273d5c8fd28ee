"""A batch or transaction taken apart into its interactions (FHIR R4 http, 3.1.0.11).

Each entry becomes a ``Request`` at its place. Of a batch every entry stands alone, so one that
isn't right becomes its error; of a transaction the first such error is the whole's.
"""

from __future__ import annotations

import base64
import binascii
import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, cast

from gateway.errors import GatewayError, InvalidResource
from gateway.fhir import gates
from gateway.fhir.elements import resource_types
from gateway.fhir.fhirpath_patch import fhirpath_patch
from gateway.fhir.interaction import Method, Request, criteria, query, version
from gateway.fhir.patch import Patch, read
from gateway.model import Reference, Resource

MAX_ENTRIES: Final = 5000
MAX_OTHERS: Final = 100
"""How much of a batch may ask for more than resources and searches of one type."""

_CONDITIONS: Final = ("ifMatch", "ifNoneMatch", "ifModifiedSince", "ifNoneExist")
_TAKEN: Final[Mapping[str, Sequence[str]]] = {
    "GET": ("ifNoneMatch", "ifModifiedSince"),
    "HEAD": ("ifNoneMatch", "ifModifiedSince"),
    "POST": ("ifNoneExist",),
    "PUT": ("ifMatch", "ifNoneMatch"),
    "PATCH": ("ifMatch",),
    "DELETE": ("ifMatch",),
}
"""The conditions that each method heeds; another would be ignored unsaid."""

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_RESTFUL: Final = re.compile(r"(https?://.+)/([A-Z][A-Za-z]+)/([A-Za-z0-9\-.]{1,64})")


def kind(bundle: Resource) -> str:
    """Which of the two it is. Raises InvalidResource for a Bundle that asks for nothing."""
    type_ = bundle.get("type")
    if bundle.get("resourceType") != "Bundle" or type_ not in ("batch", "transaction"):
        raise InvalidResource(
            "a Bundle of type batch or transaction is taken here",
            place="Bundle.type",
            code="not-supported",
        )
    return str(type_)


def transaction(bundle: Resource) -> list[Request]:
    """The entries of a checked transaction, in the order sent. Raises InvalidResource."""
    return [_inside(_request(each, place)) for each, place in _entries(bundle)]


def batch(bundle: Resource) -> list[Request | GatewayError]:
    """The entries of a batch, each as it is asked for, or why it can't be.

    Raises InvalidResource for what is wrong with the Bundle beside its entries.
    """
    head = {name: value for name, value in bundle.items() if name != "entry"}
    entries = bundle.get("entry", [])
    if not isinstance(entries, list) or not all(isinstance(each, dict) for each in entries):
        raise InvalidResource("a list of objects", place="Bundle.entry", code="structure")
    gates.check(head, type="Bundle")
    asked = [_alone(head, each, place) for each, place in _entries(bundle)]
    others = [n for n, one in enumerate(asked) if isinstance(one, Request) and one.beyond]
    for n in others[MAX_OTHERS:]:
        text, place = f"more than {MAX_OTHERS} operations and the like", f"Bundle.entry[{n}]"
        asked[n] = InvalidResource(text, place=place, code="too-costly")
    return asked


def names(requests: Sequence[Request], made: Mapping[str, Reference]) -> dict[str, Reference]:
    """What the entries are called by the others: full URL to ``Type/id``.

    What has none but an id of its sender's is called by that (``Patient/a``), as HAPI has it, if
    no other is. ``made`` gives the reference of the entry at each place. Raises InvalidResource
    where two bear the same full URL.
    """
    found: dict[str, Reference] = {}
    loose: list[tuple[str, Reference]] = []
    for each in requests:
        if each.place not in made:
            continue
        if not each.full_url:
            loose += [(each.called, made[each.place])] if each.called else []
            continue
        if found.get(each.full_url, made[each.place]) != made[each.place]:
            raise InvalidResource(
                "another entry has this fullUrl", place=f"{each.place}.fullUrl", code="duplicate"
            )
        found[each.full_url] = made[each.place]
    once = Counter(name for name, _ in loose)
    return {name: to for name, to in loose if once[name] == 1} | found


def names_for(request: Request, named: Mapping[str, Reference]) -> Mapping[str, Reference]:
    """What an entry may call the others: relative ones, too, where its own URL tells the base."""
    own = _RESTFUL.fullmatch(request.full_url)
    if own is None:
        return named
    base = own[1] + "/"
    near = {url.removeprefix(base): to for url, to in named.items() if url.startswith(base)}
    return {**named, **near}


def _entries(bundle: Resource) -> list[tuple[Resource, str]]:
    entries = bundle.get("entry") or []
    if len(entries) > MAX_ENTRIES:
        text = f"more than {MAX_ENTRIES} entries"
        raise InvalidResource(text, place="Bundle.entry", code="too-costly")
    return [(each, f"Bundle.entry[{n}]") for n, each in enumerate(entries)]


def _alone(head: Resource, entry: Resource, place: str) -> Request | GatewayError:
    try:
        _check({**head, "entry": [entry]}, place)
        return _request(entry, place)
    except GatewayError as error:
        return error


def _check(one: Resource, place: str) -> None:
    """Check a Bundle of one entry, whose place is told as it is in the whole."""
    try:
        gates.check(one, type="Bundle")
    except GatewayError as error:
        raise error.moved(place, instead="Bundle.entry[0]") from None


def _request(entry: Resource, place: str) -> Request:
    asked = entry.get("request") or {}
    method, url = str(asked.get("method") or ""), str(asked.get("url") or "")
    read_ = _BY_METHOD.get(method)
    if read_ is None or not url:
        element = "url" if read_ else "method"
        raise InvalidResource("required", place=f"{place}.request.{element}", code="required")
    for condition in _CONDITIONS:
        if condition in asked and condition not in _TAKEN.get(method, ()):
            text = f"a {method} takes no such condition here"
            where = f"{place}.request.{condition}"
            raise InvalidResource(text, place=where, code="not-supported")
    path, _, asks = url.removeprefix("/").partition("?")
    base = Request(
        cast(Method, method),
        place=place,
        full_url=str(entry.get("fullUrl") or ""),
        path=tuple(path.split("/")),
        pairs=query(asks, f"{place}.request.url"),
    )
    return read_(base, asks, asked, entry.get("resource"))


def _inside(request: Request) -> Request:
    if request.beyond:
        raise _refused(request, "this is for a batch, not for a transaction", "not-supported")
    return request


def _read(base: Request, asks: str, asked: Resource, resource: Any) -> Request:
    tag, since = asked.get("ifNoneMatch"), asked.get("ifModifiedSince")
    return _with(
        base,
        known=None if tag is None else version(str(tag), base.at("ifNoneMatch")),
        since=None if since is None else _moment(str(since), base.at("ifModifiedSince")),
    )


def _create(base: Request, asks: str, asked: Resource, resource: Any) -> Request:
    if base.beyond:
        return _with(base, resource=resource)
    if asks:
        raise _refused(base, "a POST names a type alone")
    wanted, given, type_ = asked.get("ifNoneExist"), _resource(base, resource), base.path[0]
    condition = None if wanted is None else criteria(str(wanted), base.at("ifNoneExist"), type_)
    called = f"{type_}/{given['id']}" if "id" in given else ""
    return _with(base, resource=given, criteria=condition, called=called)


def _update(base: Request, asks: str, asked: Resource, resource: Any) -> Request:
    target = _target(base, asks)
    given = _resource(base, resource)
    if target["id"] and given.get("id") != target["id"]:
        raise _refused(base, "the URL's id must be the resource's")
    if_free = "ifNoneMatch" in asked
    if if_free and str(asked["ifNoneMatch"]).strip() != "*":
        raise InvalidResource("a write takes * alone", place=base.at("ifNoneMatch"), code="value")
    return _with(base, resource=given, if_free=if_free, **_matched(base, asked), **target)


def _patch(base: Request, asks: str, asked: Resource, resource: Any) -> Request:
    target = _target(base, asks)
    place = f"{base.place}.resource"
    try:
        patch = _patch_in(resource)
    except GatewayError as error:
        raise error.moved(place) from None
    return _with(base, patch=patch, **_matched(base, asked), **target)


def _delete(base: Request, asks: str, asked: Resource, resource: Any) -> Request:
    return _with(base, **_matched(base, asked), **_target(base, asks))


_BY_METHOD: Final[Mapping[str, Callable[[Request, str, Resource, Any], Request]]] = {
    "GET": _read,
    "HEAD": _read,
    "POST": _create,
    "PUT": _update,
    "PATCH": _patch,
    "DELETE": _delete,
}


def _with(base: Request, **more: Any) -> Request:
    known = ("method", "place", "full_url", "path", "pairs")
    return Request(type=_type(base), **{name: getattr(base, name) for name in known}, **more)


def _type(base: Request) -> str:
    """The type that the URL begins with; "" for what is about the whole system."""
    type_ = base.path[0]
    if base.beyond or (base.reads and type_ == "_history"):
        return type_ if type_ in resource_types() else ""
    if type_ not in resource_types():
        raise _refused(base, "no such resource type here", "not-found")
    return type_


def _target(base: Request, asks: str) -> dict[str, Any]:
    """What a PUT, PATCH or DELETE is about: an id, or criteria."""
    if len(base.path) == 2 and not asks and _ID.fullmatch(base.path[1]):
        return {"id": base.path[1]}
    if len(base.path) == 1:
        return {"id": "", "criteria": criteria(asks, base.at("url"))}
    raise _refused(base, "names neither a resource nor criteria")


def _matched(base: Request, asked: Resource) -> dict[str, Any]:
    tag = asked.get("ifMatch")
    return {"if_match": None if tag is None else version(str(tag), base.at("ifMatch"))}


def _resource(base: Request, resource: Any) -> Resource:
    if not isinstance(resource, dict) or resource.get("resourceType") != base.path[0]:
        text = "the resource isn't of the URL's type"
        raise InvalidResource(text, place=f"{base.place}.resource", code="invalid")
    return resource


def _patch_in(resource: Any) -> Patch:
    """A FHIRPath Patch as Parameters, or a Binary that holds another kind."""
    if not isinstance(resource, dict) or resource.get("resourceType") != "Binary":
        return fhirpath_patch(resource)
    try:
        raw = base64.b64decode(str(resource.get("data") or ""), validate=True)
    except (binascii.Error, ValueError):
        raise InvalidResource("not base64", place="Binary.data") from None
    return read(str(resource.get("contentType") or "").partition(";")[0].strip(), raw)


def _moment(text: str, place: str) -> datetime:
    try:
        return datetime.fromisoformat(text)
    except ValueError:  # a leap second
        raise InvalidResource("no such time", place=place, code="value") from None


def _refused(base: Request, text: str, code: str = "invalid") -> InvalidResource:
    return InvalidResource(text, place=base.at("url"), code=code)
