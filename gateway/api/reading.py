"""Interactions that read: read, vread, and history of a resource, of a type, of all.

FHIR R4 http.html 3.1.0.2, 3.1.0.3, 3.1.0.9, 3.1.0.1.5 (If-None-Match, If-Modified-Since).
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Final

from starlette.responses import Response

from gateway.api import answers
from gateway.api.binary import content, wants_content
from gateway.api.endpoint import Call
from gateway.api.refusals import RequestError, UnknownPath
from gateway.api.requests import (
    FHIR,
    check_accepts_json,
    is_known,
    plain,
    query_pairs,
)
from gateway.errors import NotFound
from gateway.exchange.looking import Wanted
from gateway.fhir.elements import resource_types
from gateway.fhir.shape import Shape, part, shape_of
from gateway.model import Stored

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
    """The newest version that the caller may see; 304 where the client has it."""
    type, id = resource_type(call), resource_id(call)
    shape = _shape(call, type)
    return _shown(call, await call.api.look(Wanted(call.context, type, id)), shape)


async def vread(call: Call) -> Response:
    """One version of a resource."""
    type, id, version = resource_type(call), resource_id(call), call.path("version_id")
    shape = _shape(call, type)
    if _VERSION.fullmatch(version) is None:
        raise NotFound("no such version", place=type)
    wanted = Wanted(call.context, type, id, int(version))
    return _shown(call, await call.api.look(wanted), shape)


async def history_instance(call: Call) -> Response:
    """A page of the versions of a resource, the newest first."""
    return await _history(call, resource_type(call), resource_id(call))


async def history_type(call: Call) -> Response:
    """A page of the versions of all resources of a type, the newest first."""
    return await _history(call, resource_type(call), "")


async def history_system(call: Call) -> Response:
    """A page of the versions of all resources, the newest first."""
    return await _history(call, "", "")


async def _history(call: Call, type: str, id: str) -> Response:
    pairs = query_pairs(call.request)
    check_accepts_json(call.request, pairs)
    asked = plain(pairs)
    shape, bounds = shape_of(type, asked)
    pipeline, context = call.api.pipeline, call.context
    page = await call.read(lambda: pipeline.history(context, type, id, bounds))
    page = replace(page, entries=tuple(part(each, shape) for each in page.entries))
    path = "/".join(each for each in (type, id, "_history") if each)
    return Response(answers.history(call.base, path, asked, page), media_type=FHIR)


def _shape(call: Call, type: str) -> Shape:
    """The shape that a read asks for. What it doesn't know is refused, for it'd be ignored."""
    pairs = query_pairs(call.request)
    if not wants_content(call.request, type):
        check_accepts_json(call.request, pairs)
    shape, rest = shape_of(type, plain(pairs))
    if rest:
        text = "a read takes _elements, _format, _pretty and _summary (but not count)"
        raise RequestError(text, place="query")
    return shape


def _shown(call: Call, stored: Stored, shape: Shape) -> Response:
    if is_known(call.request, stored.version, stored.updated):
        return answers.unchanged(stored)
    if wants_content(call.request, stored.type):
        return content(stored)
    return answers.resource(part(stored, shape))
