"""Interactions that search: a type, the system, a compartment; by GET, or by POST of a form.

FHIR R4 http.html 3.1.0.9, search.html 3.1.1, compartmentdefinition.html 2.45.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.api import answers, examples
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.reading import resource_id, resource_type
from gateway.api.refusals import UnknownPath
from gateway.api.requests import (
    FHIR,
    FORM,
    Pairs,
    check_accepts_json,
    form_pairs,
    plain,
    preference,
    query_pairs,
)
from gateway.exchange.searching import Search
from gateway.fhir.compartments import compartment
from gateway.fhir.elements import resource_types
from gateway.fhir.shape import Shape, part, shape_of
from gateway.protect.policy import Policy
from gateway.store import Page

BASE: Final = "/fhir"
_ALL: Final = "*"


async def search_type(call: Call) -> Response:
    """A page of the resources of one type that match the query and that the caller may see."""
    return await _search(call, resource_type(call), query_pairs(call.request))


async def search_type_post(call: Call) -> Response:
    """The same search with its parameters in the body, out of reach of any log of URLs."""
    return await _search(call, resource_type(call), await _posted(call))


async def search_system(call: Call) -> Response:
    """A page of resources of all types, or of those of ``_type``."""
    return await _search(call, "", query_pairs(call.request))


async def search_system_post(call: Call) -> Response:
    """The same search with its parameters in the body."""
    return await _search(call, "", await _posted(call))


async def search_compartment(call: Call) -> Response:
    """A page of what a compartment holds: of a type, or ("*") of all."""
    return await _inside(call, query_pairs(call.request))


async def search_compartment_post(call: Call) -> Response:
    """The same search with its parameters in the body."""
    return await _inside(call, await _posted(call))


async def _inside(call: Call, pairs: Pairs) -> Response:
    owner, member = resource_type(call), call.path("member")
    if not compartment(owner) or member not in (_ALL, *resource_types()):
        raise UnknownPath("no such path")
    within = (owner, resource_id(call))
    return await _search(call, "" if member == _ALL else member, pairs, within)


async def _posted(call: Call) -> Pairs:
    pairs = query_pairs(call.request)
    return pairs + form_pairs(call.request, await call.body())


async def _search(
    call: Call, type: str, pairs: Pairs, within: tuple[str, str] | None = None
) -> Response:
    check_accepts_json(call.request, pairs)
    asked = plain(pairs)
    shape, rest = shape_of(type, asked)
    lenient = preference(call.request, "handling") == "lenient"
    pipeline, context, base = call.api.pipeline, call.context, call.base
    search = Search(type, rest, lenient, base, within)
    found = await call.read(lambda: pipeline.search(context, search))
    path = type if within is None else "/".join((*within, type or _ALL))
    if lenient:
        shaping = ("_summary", "_elements", "_cursor")
        asked = [*found.pairs, *(pair for pair in asked if pair[0] in shaping)]
    return Response(
        answers.searchset(base, path, asked, _shaped(found.page, shape)), media_type=FHIR
    )


def _shaped(page: Page, shape: Shape) -> Page:
    return replace(
        page,
        entries=tuple(part(each, shape) for each in page.entries),
        included=tuple(part(each, shape) for each in page.included),
    )


# --- the rows ------------------------------------------------------------------------------------

_FOUND: Final = {FHIR: {"Referrals": examples.SEARCHSET}}
_EVERY_ERROR: Final = (404, 406)
_POST_ERRORS: Final = (404, 406, 408, 413, 415)
_COMPARTMENT: Final = f"{BASE}/{{resource_type}}/{{id}}/{{member}}"

SEARCHES: Final = (
    Endpoint(
        "search_type_post",
        "POST",
        f"{BASE}/{{resource_type}}/_search",
        Policy.MEMBER,
        search_type_post,
        Docs(
            "FHIR",
            "Search, with the parameters in the body",
            "The same as GET; names and birth dates stay out of URLs and so of logs.",
            parameters=("resource_type", "prefer_handling"),
            request={FORM: {"Referrals": "owner=Organization/food-bank&status=requested"}},
            response=_FOUND,
            errors=_POST_ERRORS,
        ),
    ),
    Endpoint(
        "search_system_post",
        "POST",
        f"{BASE}/_search",
        Policy.MEMBER,
        search_system_post,
        Docs(
            "FHIR",
            "Search the system, with the parameters in the body",
            "The same as GET on the base.",
            parameters=("prefer_handling",),
            request={FORM: {"What is new": "_type=Task,ServiceRequest&_sort=-_lastUpdated"}},
            response=_FOUND,
            errors=_POST_ERRORS,
        ),
    ),
    Endpoint(
        "search_system",
        "GET",
        BASE,
        Policy.MEMBER,
        search_system,
        Docs(
            "FHIR",
            "Search the system",
            "A page of resources of all types, or of those that `_type` names (commas between), "
            "by parameters that they all have.",
            parameters=("search_system", "prefer_handling", "format"),
            response=_FOUND,
            errors=_EVERY_ERROR,
        ),
    ),
    Endpoint(
        "search_type",
        "GET",
        f"{BASE}/{{resource_type}}",
        Policy.MEMBER,
        search_type,
        Docs(
            "FHIR",
            "Search",
            "A page of what matches and what you may see; `next` and `previous` in `link` lead on "
            "and back.",
            parameters=("resource_type", "search", "prefer_handling", "format"),
            response=_FOUND,
            errors=_EVERY_ERROR,
        ),
    ),
)
"""They stand before what else is on their paths."""

COMPARTMENTS: Final = (
    Endpoint(
        "search_compartment",
        "GET",
        _COMPARTMENT,
        Policy.MEMBER,
        search_compartment,
        Docs(
            "FHIR",
            "Search a compartment",
            "What is about one Patient, Encounter, Practitioner, RelatedPerson or Device, of a "
            "type or (`*`) of all.",
            parameters=(
                "compartment",
                "id",
                "member",
                "search_inside",
                "prefer_handling",
                "format",
            ),
            response=_FOUND,
            errors=_EVERY_ERROR,
        ),
    ),
    Endpoint(
        "search_compartment_post",
        "POST",
        f"{_COMPARTMENT}/_search",
        Policy.MEMBER,
        search_compartment_post,
        Docs(
            "FHIR",
            "Search a compartment, with the parameters in the body",
            "The same as GET.",
            parameters=("compartment", "id", "member", "prefer_handling"),
            request={FORM: {"What is asked for": "status=active,on-hold"}},
            response=_FOUND,
            errors=_POST_ERRORS,
        ),
    ),
)
"""They stand after history, whose paths are as long."""
