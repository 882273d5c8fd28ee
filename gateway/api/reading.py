"""Interactions that read: capabilities, read, vread, history_instance, search_type.

FHIR R4 http.html 3.1.0.2, 3.1.0.3, 3.1.0.9 to 3.1.0.11; search.html.
"""

from __future__ import annotations

import re
from typing import Final

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call
from gateway.api.refusals import UnknownPath
from gateway.api.requests import (
    FHIR,
    Pairs,
    check_accepts_json,
    form_pairs,
    preference,
    query_pairs,
)
from gateway.errors import NotFound
from gateway.fhir.elements import resource_types
from gateway.fhir.search import parse_query

_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_VERSION: Final = re.compile(r"[0-9]{1,18}")


def resource_type(call: Call) -> str:
    """The type in the path; ``UnknownPath`` where it isn't one that is kept here."""
    type = call.path("resource_type")
    if type not in resource_types():
        raise UnknownPath("no such resource type here", place="resource_type")
    return type


def resource_id(call: Call) -> str:
    """The id in the path; what can't be an id is the id of nothing (``NotFound``)."""
    id = call.path("id")
    if _ID.fullmatch(id) is None:
        raise NotFound("no such resource", place=call.path("resource_type"))
    return id


async def read(call: Call) -> Response:
    """The newest version that the caller may see."""
    check_accepts_json(call.request, query_pairs(call.request))
    type, id = resource_type(call), resource_id(call)
    pipeline, context = call.api.pipeline, call.context
    return answers.resource(await call.read(lambda: pipeline.read(context, type, id)))


async def vread(call: Call) -> Response:
    """One version of a resource."""
    check_accepts_json(call.request, query_pairs(call.request))
    type, id, version = resource_type(call), resource_id(call), call.path("version_id")
    if _VERSION.fullmatch(version) is None:
        raise NotFound("no such version", place=type)
    pipeline, context = call.api.pipeline, call.context
    stored = await call.read(lambda: pipeline.vread(context, type, id, int(version)))
    return answers.resource(stored)


async def history_instance(call: Call) -> Response:
    """All versions of a resource, the newest first."""
    check_accepts_json(call.request, query_pairs(call.request))
    type, id = resource_type(call), resource_id(call)
    pipeline, context = call.api.pipeline, call.context
    versions = await call.read(lambda: pipeline.history(context, type, id))
    return Response(answers.history(call.base, f"{type}/{id}", versions), media_type=FHIR)


async def search_type(call: Call) -> Response:
    """A page of the resources of one type that match the query and that the caller may see."""
    return await _search(call, query_pairs(call.request))


async def search_type_post(call: Call) -> Response:
    """The same search with its parameters in the body, out of reach of any log of URLs."""
    pairs = query_pairs(call.request)
    return await _search(call, pairs + form_pairs(call.request, await call.body()))


async def _search(call: Call, pairs: Pairs) -> Response:
    check_accepts_json(call.request, pairs)
    type = resource_type(call)
    asked = [(name, value) for name, value in pairs if name != "_format"]
    lenient = preference(call.request, "handling") == "lenient"
    pipeline, context = call.api.pipeline, call.context
    page = await call.read(lambda: pipeline.search(context, type, asked, lenient=lenient))
    if lenient:
        asked = list(parse_query(type, asked, lenient=True).pairs)
    return Response(answers.searchset(call.base, type, asked, page), media_type=FHIR)
