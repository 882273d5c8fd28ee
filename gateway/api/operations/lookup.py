"""``$lookup`` (R4 codesystem-operation-lookup): what a code means."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api.operation import R4, Asked, Operation, answered, parameters
from gateway.api.operations.coded import CODE, CODING, codes, system
from gateway.api.refusals import RequestError
from gateway.model import Resource

GENDER: Final = "http://hl7.org/fhir/administrative-gender"


async def lookup(asked: Asked) -> Response:
    """A code's display, and the code above it."""
    url, code = codes(asked.inputs, "system")[0]
    if url is None:
        raise RequestError("a code needs its system", place="system", code="required")
    context, terms = asked.call.context, asked.call.api.pipeline.operations.terms
    found, concept = await asked.call.read(lambda: terms.lookup(context, url, code))
    told: list[Resource] = [{"name": "name", "valueString": found.name or url}]
    if found.version:
        told.append({"name": "version", "valueString": found.version})
    told.append({"name": "display", "valueString": concept.display or concept.code})
    if code in found.parents:
        parent = {"name": "value", "valueCode": found.parents[code]}
        told.append({"name": "property", "part": [{"name": "code", "valueCode": "parent"}, parent]})
    return answered(parameters(*told))


LOOKUP: Final = Operation(
    "lookup",
    R4 + "CodeSystem-lookup",
    ("type",),
    lookup,
    "Look a code up",
    "What a code means: of one of HL7's own systems, or of a CodeSystem that you see. Of another "
    "it is a 404: not known here.",
    parameters=(CODE, system("system", GENDER), CODING),
    types=("CodeSystem",),
    response={
        "A code": parameters(
            {"name": "name", "valueString": "AdministrativeGender"},
            {"name": "display", "valueString": "Female"},
        )
    },
)
