"""Which resource a conditional interaction is about (R4 http, 3.1.0.4.3 to 3.1.0.8.1).

A search over what the caller may see, in the transaction that then writes. What it finds decides;
where it finds nothing and something will be made, the criteria's turn is taken first, so that of
many who ask the same at once one makes it and the rest find it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final
from uuid import uuid4

from gateway.admission import naming
from gateway.errors import (
    Conflict,
    GatewayError,
    InvalidResource,
    InvalidSearch,
    NotFound,
    PreconditionFailed,
)
from gateway.exchange.searching import Search, understood
from gateway.fhir.elements import resource_types
from gateway.fhir.interaction import ANY, Request, criteria
from gateway.fhir.query import Query
from gateway.fhir.references import references, rewrite
from gateway.fhir.search import awaited, matches
from gateway.model import Context, Reference, Resource, Stored
from gateway.store import Transaction

SEVERAL: Final = "several match"

_HEADERS: Final[Mapping[str, str]] = {
    "ifNoneExist": "If-None-Exist",
    "ifNoneMatch": "If-None-Match",
    "ifMatch": "If-Match",
}
"""Where a condition stands that in a Bundle stands in an entry's request."""


@dataclass(frozen=True, slots=True)
class Aim:
    """A request with the id that it is about.

    ``found`` is what a conditional create found instead of making it.
    """

    request: Request
    found: Stored | None = None


def aim(tx: Transaction, context: Context, request: Request) -> Aim:
    """The request with its id: the one that it names, that its criteria find, or a new one.

    Raises:
        PreconditionFailed: several match, or there is one where there may be none.
        NotFound: a patch of what isn't there.
        InvalidResource, Conflict: an update whose resource has another id than what was found.
    """
    if request.criteria is None:
        if request.method == "POST":
            return Aim(_under(request, str(uuid4())))
        if request.if_free:
            naming.check(tx, context, request.reference, request.at("url") or None)
        if request.if_free and tx.version(request.reference) is not None:
            raise _failed(request, "there is one", "ifNoneMatch")
        if request.if_match == ANY:
            return Aim(_there(tx, context, request))
        return Aim(request)
    where = "ifNoneExist" if request.method == "POST" else "url"
    try:
        found = _matching(tx, context, request.type, request.criteria)
    except GatewayError as error:
        raise error.moved(request.at(where)) if request.place else error from None
    if len(found) > 1:
        raise _failed(request, SEVERAL, where)
    if found:
        return _aim_at(request, found[0])
    return _aim_at_none(tx, context, request)


def _there(tx: Transaction, context: Context, request: Request) -> Request:
    """The request of any version, of which there must be one that the caller sees."""
    there = tx.version(request.reference) is not None and tx.visible(context, request.reference)
    if not there:
        raise _failed(request, "there is none", "ifMatch")
    return replace(request, if_match=None)


def _aim_at(request: Request, found: Stored) -> Aim:
    if request.method == "POST":
        return Aim(replace(request, id=found.id), found)
    if request.if_free:
        raise _failed(request, "there is one", "ifNoneMatch")
    given = (request.resource or {}).get("id")
    if given not in (None, found.id):
        place = f"{request.place}.resource.id" if request.place else f"{request.type}.id"
        raise InvalidResource("isn't the id of what the criteria find", place=place)
    if request.if_match == ANY:
        request = replace(request, if_match=None)
    return Aim(_under(request, found.id))


def _aim_at_none(tx: Transaction, context: Context, request: Request) -> Aim:
    if request.method == "PATCH":
        raise NotFound("nothing matches", place=request.at("url") or request.type)
    if request.method == "DELETE":
        return Aim(request)
    tx.take_turn(f"{request.type} {sorted(request.criteria or ())}")
    given = (request.resource or {}).get("id") if request.method == "PUT" else None
    place = f"{request.place}.resource.id" if request.place else f"{request.type}.id"
    if given is not None:
        naming.check(tx, context, f"{request.type}/{given}", place)
    if given is not None and tx.version(f"{request.type}/{given}") is not None:
        raise Conflict("the id is that of another resource", place=place)
    if request.if_match is not None:
        raise _failed(request, "there is none", "ifMatch")
    return Aim(_under(request, str(given or uuid4())))


def led(
    tx: Transaction, context: Context, requests: Sequence[Request], gone: Collection[Reference]
) -> list[Request]:
    """The requests with their conditional references (``Patient?identifier=…``) led.

    What a transaction makes counts, and what it deletes (``gone``) doesn't; a request alone leads
    to what is there. Raises PreconditionFailed where not just one matches.
    """
    made = {
        each.reference: each.resource
        for each in requests
        if each.resource is not None and each.place
    }
    return [_led(tx, context, each, made, gone) for each in requests]


def _led(
    tx: Transaction,
    context: Context,
    request: Request,
    made: Mapping[Reference, Resource],
    gone: Collection[Reference],
) -> Request:
    if request.resource is None:
        return request
    leads: dict[str, Reference] = {}
    for where, reference in references(request.resource):
        place = f"{request.place}.resource.{where.partition('.')[2]}" if request.place else where
        if "?" in reference and reference[:1].isupper() and reference not in leads:
            leads[reference] = _only(tx, context, reference, made, gone, place)
        elif request.place and reference.startswith(("urn:uuid:", "urn:oid:")):
            raise InvalidResource("no entry has this fullUrl", place=place, code="not-found")
    return replace(request, resource=rewrite(request.resource, leads)) if leads else request


def _only(
    tx: Transaction,
    context: Context,
    reference: str,
    made: Mapping[Reference, Resource],
    gone: Collection[Reference],
    place: str,
) -> Reference:
    type_, _, asked = reference.partition("?")
    if type_ not in resource_types():
        raise InvalidResource("no such resource type here", place=place, code="not-found")
    pairs = criteria(asked, place)
    try:
        query = _understood(tx, context, type_, pairs)
    except GatewayError as error:
        raise error.moved(place) from None
    found = {each.reference for each in _matching(tx, context, type_, pairs, but={*made, *gone})}
    found |= {name for name, resource in made.items() if matches(query, resource)}
    if len(found) != 1:
        text = SEVERAL if found else "nothing matches"
        raise PreconditionFailed(text, place=place, code="multiple-matches" if found else None)
    return found.pop()


def _matching(
    tx: Transaction,
    context: Context,
    type_: str,
    pairs: Sequence[tuple[str, str]],
    *,
    but: Collection[Reference] = (),
) -> list[Stored]:
    """One or two of those that match."""
    query = _understood(tx, context, type_, pairs)
    found: list[Stored] = []
    cursor: str | None = None
    while len(found) < 2:
        page = tx.search(context, replace(query, count=20, total="none", cursor=cursor))
        found += [each for each in page.entries if each.reference not in but]
        cursor = page.next
        if cursor is None:
            break
    return found[:2]


def _understood(
    tx: Transaction, context: Context, type_: str, pairs: Sequence[tuple[str, str]]
) -> Query:
    query = understood(tx, context, Search(type_, pairs))
    if not query.criteria:
        raise InvalidResource("no criteria are given", place=type_, code="required")
    if awaited(query):
        text = "full text, :text, phonetic, near and custom parameters are no conditions"
        raise InvalidSearch(text, place=type_)
    return query


def _under(request: Request, id: str) -> Request:
    if request.resource is None:
        return replace(request, id=id)
    return replace(request, id=id, resource={**request.resource, "id": id})


def _failed(request: Request, text: str, element: str) -> PreconditionFailed:
    place = request.at(element) or _HEADERS.get(element, request.type)
    code = "multiple-matches" if text is SEVERAL else None
    return PreconditionFailed(text, place=place, code=code)
