"""Interactions that write: create, update, patch, delete, each conditional too, and Bundles.

Each is answered after its commit. FHIR R4 http.html 3.1.0.4 (update), 3.1.0.5 (patch), 3.1.0.7
(delete), 3.1.0.8 (create), 3.1.0.11 (batch and transaction), 3.1.0.6 (If-Match).
"""

from __future__ import annotations

from starlette.responses import Response

from gateway.api import answers, bundles
from gateway.api.binary import holding, is_content
from gateway.api.endpoint import Call
from gateway.api.reading import resource_id, resource_type
from gateway.api.refusals import RequestError
from gateway.api.requests import (
    FHIR,
    JSON_TYPES,
    check_accepts_json,
    check_body_type,
    check_json_body,
    if_free,
    if_match,
    if_none_exist,
    plain,
    preference,
    query_pairs,
)
from gateway.api.within import beyond
from gateway.exchange.writing import Done
from gateway.fhir.interaction import Pairs

PATCHES = JSON_TYPES | {"application/json-patch+json", "application/merge-patch+json"}
"""How a patch may come; ``fhir.patch`` says what each is."""


async def create(call: Call) -> Response:
    """Store a new resource under an id that the gateway gives it.

    A condition stands in If-None-Exist, or in the query, where fhirpy puts it.
    """
    type = resource_type(call)
    criteria = if_none_exist(call.request, type)
    if criteria is None:
        criteria = tuple(plain(query_pairs(call.request))) or None
    else:
        _criteria(call, needed=False)
    raw = await _resource_body(call, type)
    pipeline, context = call.api.pipeline, call.context
    done = await call.write(
        len(raw), lambda: pipeline.create(context, type, raw, criteria=criteria)
    )
    return _written(call, done)


async def update(call: Call) -> Response:
    """Store a new version of a resource, or the first one where its id is free."""
    _criteria(call, needed=False)
    return await _update(call, resource_id(call), None)


async def conditional_update(call: Call) -> Response:
    """Store a new version of what the criteria find, or the first one where that is nothing."""
    return await _update(call, "", _criteria(call))


async def patch(call: Call) -> Response:
    """Change a part of a resource."""
    _criteria(call, needed=False)
    return await _patch(call, resource_id(call), None)


async def conditional_patch(call: Call) -> Response:
    """Change a part of the one resource that the criteria find."""
    return await _patch(call, "", _criteria(call))


async def delete(call: Call) -> Response:
    """Delete a resource."""
    _criteria(call, needed=False)
    return await _delete(call, resource_id(call), None)


async def conditional_delete(call: Call) -> Response:
    """Delete the one resource that the criteria find."""
    return await _delete(call, "", _criteria(call))


async def bundle(call: Call) -> Response:
    """Do all that a Bundle asks for: of a transaction all or nothing, of a batch each by itself."""
    _criteria(call, needed=False)
    raw = await _resource_body(call)
    pipeline, context = call.api.pipeline, call.context
    answered = await call.write(len(raw), lambda: pipeline.bundle(context, raw))
    others = await beyond(call, answered.entries)
    wanted = preference(call.request, "return")
    return Response(bundles.response(call.base, answered, wanted, others), media_type=FHIR)


async def _update(call: Call, id: str, criteria: Pairs | None) -> Response:
    type, version, free = resource_type(call), if_match(call.request), if_free(call.request)
    raw = await _resource_body(call, type, id)
    pipeline, context = call.api.pipeline, call.context
    done = await call.write(
        len(raw),
        lambda: pipeline.update(context, type, id, raw, version, criteria=criteria, if_free=free),
    )
    return _written(call, done)


async def _patch(call: Call, id: str, criteria: Pairs | None) -> Response:
    type, version = resource_type(call), if_match(call.request)
    check_accepts_json(call.request, query_pairs(call.request))
    media = check_body_type(call.request, PATCHES)
    raw = await _body(call)
    pipeline, context = call.api.pipeline, call.context
    done = await call.write(
        len(raw),
        lambda: pipeline.patch(context, type, id, media, raw, version, criteria=criteria),
    )
    return _written(call, done)


async def _delete(call: Call, id: str, criteria: Pairs | None) -> Response:
    type, version = resource_type(call), if_match(call.request)
    check_accepts_json(call.request, query_pairs(call.request))
    pipeline, context = call.api.pipeline, call.context
    done = await call.write(
        0, lambda: pipeline.delete(context, type, id, version, criteria=criteria)
    )
    headers = {} if done.stored is None else answers.versioned(done.stored)
    if preference(call.request, "return") == "OperationOutcome":
        return Response(answers.said("Deleted"), 200, headers, FHIR)
    return Response(b"", done.status, headers)


def _criteria(call: Call, *, needed: bool = True) -> Pairs:
    """The query as criteria. What isn't conditional has none: they would be ignored unsaid."""
    found = tuple(plain(query_pairs(call.request)))
    if needed and not found:
        raise RequestError("criteria are needed, as in ?identifier=system|value", place="query")
    if found and not needed:
        raise RequestError("this interaction takes no parameters", place="query")
    return found


async def _resource_body(call: Call, type: str = "", id: str = "") -> bytes:
    check_accepts_json(call.request, query_pairs(call.request))
    if is_content(call.request, type):
        return holding(call.request, await call.body(), id)
    check_json_body(call.request)
    return await _body(call)


async def _body(call: Call) -> bytes:
    raw = await call.body()
    if not raw:
        raise RequestError("the body is empty", place="body")
    return raw


def _written(call: Call, done: Done) -> Response:
    """What a writer gets back, as ``Prefer: return=…`` asks; the resource where it doesn't."""
    assert done.stored is not None
    location = f"{call.base}/{done.stored.reference}/_history/{done.stored.version}"
    answer = _RETURNS.get(preference(call.request, "return"), answers.resource)
    return answer(done.stored, done.status, location=location)


_RETURNS = {
    "minimal": answers.nothing,
    "representation": answers.resource,
    "OperationOutcome": answers.told,
}
