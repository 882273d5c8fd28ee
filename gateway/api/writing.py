"""Interactions that write: create, update, transaction. Each is answered after its commit.

FHIR R4 http.html 3.1.0.4 (update), 3.1.0.8 (create), 3.1.0.11 (transaction), 3.1.0.6 (If-Match).
"""

from __future__ import annotations

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call
from gateway.api.reading import resource_id, resource_type
from gateway.api.refusals import RequestError, Unbuilt
from gateway.api.requests import (
    FHIR,
    check_accepts_json,
    check_json_body,
    if_match,
    preference,
    query_pairs,
)
from gateway.model import Stored


async def create(call: Call) -> Response:
    """Store a new resource under an id that the gateway gives it."""
    type = resource_type(call)
    raw = await _resource_body(call)
    pipeline, context = call.api.pipeline, call.context
    stored = await call.write(len(raw), lambda: pipeline.create(context, type, raw))
    return _written(call, stored, 201)


async def update(call: Call) -> Response:
    """Store a new version of a resource, or the first one where its id is free."""
    type, id = resource_type(call), resource_id(call)
    version = if_match(call.request)
    raw = await _resource_body(call)
    pipeline, context = call.api.pipeline, call.context
    stored, created = await call.write(
        len(raw), lambda: pipeline.update(context, type, id, raw, version)
    )
    return _written(call, stored, 201 if created else 200)


async def transaction(call: Call) -> Response:
    """Store all entries of a Bundle, or none."""
    raw = await _resource_body(call)
    pipeline, context = call.api.pipeline, call.context
    bundle = await call.write(len(raw), lambda: pipeline.transaction(context, raw))
    return Response(bundle, media_type=FHIR)


async def _resource_body(call: Call) -> bytes:
    """The body, once the headers are such that nothing in them would be ignored unsaid."""
    request = call.request
    check_accepts_json(request, query_pairs(request))
    check_json_body(request)
    for header in ("if-none-exist", "if-none-match"):
        if header in request.headers:
            raise Unbuilt("conditional writes are not supported", place=header.title())
    raw = await call.body()
    if not raw:
        raise RequestError("the body is empty", place="body")
    return raw


def _written(call: Call, stored: Stored, status: int) -> Response:
    """What a writer gets back, as ``Prefer: return=…`` asks; the resource where it doesn't."""
    location = f"{call.base}/{stored.reference}/_history/{stored.version}"
    answer = _RETURNS.get(preference(call.request, "return"), answers.resource)
    return answer(stored, status, location=location)


_RETURNS = {
    "minimal": answers.nothing,
    "representation": answers.resource,
    "OperationOutcome": answers.told,
}
