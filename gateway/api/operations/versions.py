"""``$versions`` (R4 capabilitystatement-operation-versions): which versions of FHIR are spoken."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api import answers
from gateway.api.operation import R4, Asked, Operation, answered, parameters
from gateway.api.requests import accepted
from gateway.protect.policy import Policy

_VERSION: Final = "4.0"
_TOLD: Final = parameters(
    {"name": "version", "valueCode": _VERSION}, {"name": "default", "valueCode": _VERSION}
)


async def versions(asked: Asked) -> Response:
    """R4 alone: as Parameters, or for who accepts plain JSON first in the form made for that."""
    if next(accepted(asked.call.request), "") == "application/json":
        plain = {"versions": [_VERSION], "default": _VERSION}
        return Response(answers.as_json(plain), media_type="application/json")
    return answered(_TOLD)


VERSIONS: Final = Operation(
    "versions",
    R4 + "CapabilityStatement-versions",
    ("system",),
    versions,
    "Which FHIR is spoken",
    "4.0, for whoever asks.",
    reads=("system",),
    response={"R4": _TOLD},
    policy=Policy.PUBLIC,
)
