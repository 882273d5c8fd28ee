"""``$meta``, ``$meta-add``, ``$meta-delete`` (R4 resource-operation-meta and its kin)."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from gateway.api.operation import R4, Asked, Operation, answered, parameters
from gateway.api.parameters import Parameter
from gateway.api.refusals import RequestError
from gateway.fhir import gates
from gateway.model import Resource
from gateway.operations.tagging import Edit, added, taken

_META: Final[Resource] = {"tag": [{"system": "https://food-bank.example/tags", "code": "urgent"}]}
_PARAMETER: Final = Parameter("meta", "Meta", "Profiles, security labels and tags")
_BODY: Final = {"A tag": parameters({"name": "meta", "valueMeta": _META})}
_ANSWER: Final = {"A tag": parameters({"name": "return", "valueMeta": _META})}


async def meta(asked: Asked) -> Response:
    """A resource's meta."""
    run, context = asked.call.api.pipeline.operations.meta, asked.call.context
    type, id = _named(asked)
    return _told(await asked.call.read(lambda: run(context, type, id)))


async def add(asked: Asked) -> Response:
    """Add to a resource's meta."""
    return await _changed(asked, added)


async def delete(asked: Asked) -> Response:
    """Take from a resource's meta."""
    return await _changed(asked, taken)


async def _changed(asked: Asked, edit: Edit) -> Response:
    given: Any = asked.inputs.need("meta")
    gates.check({"resourceType": "Basic", "code": {"text": "meta"}, "meta": given})
    type, id = _named(asked)
    run, context = asked.call.api.pipeline.operations.meta, asked.call.context
    return _told(await asked.call.write(0, lambda: run.change(context, type, id, given, edit)))


def _named(asked: Asked) -> tuple[str, str]:
    if asked.type is None or asked.id is None:
        raise RequestError("a resource is needed", place="id", code="required")
    return asked.type, asked.id


def _told(meta: Resource) -> Response:
    return answered(parameters({"name": "return", "valueMeta": meta}))


META: Final = Operation(
    "meta",
    R4 + "Resource-meta",
    ("instance",),
    meta,
    "Meta",
    "The profiles, security labels and tags of a resource, with its version and time.",
    response=_ANSWER,
)
META_ADD: Final = Operation(
    "meta-add",
    R4 + "Resource-meta-add",
    ("instance",),
    add,
    "Add to meta",
    "Adds profiles, labels and tags. It is a change like any other: a new version, if it is one.",
    parameters=(_PARAMETER,),
    affects=True,
    request=_BODY,
    response=_ANSWER,
    errors=(409, 422),
)
META_DELETE: Final = Operation(
    "meta-delete",
    R4 + "Resource-meta-delete",
    ("instance",),
    delete,
    "Take from meta",
    "Takes profiles, labels and tags away. A new version, if anything changes.",
    parameters=(_PARAMETER,),
    affects=True,
    request=_BODY,
    response=_ANSWER,
    errors=(409, 422),
)
