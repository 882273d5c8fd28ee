"""``$validate-code`` (R4 codesystem- and valueset-operation-validate-code): is a code one of them?

A code that isn't valid is an answer (``result`` false); a set that isn't known here is a 404.
"""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api.operation import R4, Asked, Operation, answered, parameters
from gateway.api.operations.coded import CODE, CODING, CONCEPT, DISPLAY, codes, system
from gateway.api.operations.lookup import GENDER
from gateway.api.parameters import Parameter
from gateway.api.refusals import RequestError
from gateway.model import Resource
from gateway.operations.terms import Verdict

GENDERS: Final = "http://hl7.org/fhir/ValueSet/administrative-gender"
_VALID: Final = parameters(
    {"name": "result", "valueBoolean": True}, {"name": "display", "valueString": "Female"}
)


async def in_system(asked: Asked) -> Response:
    """Whether a code is one of a code system."""
    inputs, terms = asked.inputs, asked.call.api.pipeline.operations.terms
    display = inputs.text("display") or ""
    verdicts = []
    for named, code in codes(inputs, "url"):
        url = inputs.text("url") or named
        if url is None:
            raise RequestError("which code system?", place="url", code="required")
        verdicts.append(terms.in_system(url, code, display))
    return _told(next((one for one in verdicts if one.valid), verdicts[0]))


async def in_set(asked: Asked) -> Response:
    """Whether a code is in a value set."""
    inputs, terms = asked.inputs, asked.call.api.pipeline.operations.terms
    asked_of = codes(inputs, "system")
    return _told(terms.in_set(inputs.need("url"), asked_of, inputs.text("display") or ""))


def _told(verdict: Verdict) -> Response:
    told: list[Resource] = [{"name": "result", "valueBoolean": verdict.valid}]
    if verdict.why:
        told.append({"name": "message", "valueString": verdict.why})
    if verdict.display:
        told.append({"name": "display", "valueString": verdict.display})
    return answered(parameters(*told))


SYSTEM_CODE: Final = Operation(
    "validate-code",
    R4 + "CodeSystem-validate-code",
    ("type",),
    in_system,
    "Is it a code of the system?",
    "`result` says; a code system that isn't known here is a 404.",
    parameters=(
        Parameter("url", "uri", "The code system", GENDER),
        CODE,
        DISPLAY,
        CODING,
        CONCEPT,
    ),
    types=("CodeSystem",),
    response={"Yes": _VALID},
)
SET_CODE: Final = Operation(
    "validate-code",
    R4 + "ValueSet-validate-code",
    ("type",),
    in_set,
    "Is it a code of the set?",
    "`result` says; a value set that isn't known here, or can't be listed whole, is a 404.",
    parameters=(
        Parameter("url", "uri", "The value set", GENDERS),
        CODE,
        system("system", GENDER),
        DISPLAY,
        CODING,
        CONCEPT,
    ),
    types=("ValueSet",),
    response={"Yes": _VALID},
)
