"""``$validate-code`` (R4 codesystem- and valueset-operation-validate-code): is a code one of them?

A code that isn't valid is an answer (``result`` false); a set that isn't known here is a 404.
"""

from __future__ import annotations

from functools import partial
from typing import Final

from starlette.responses import Response

from gateway.api.operation import R4, Asked, Operation, answered, parameters
from gateway.api.operations.coded import CODE, CODING, CONCEPT, DISPLAY, codes, source, system
from gateway.api.operations.lookup import GENDER
from gateway.api.parameters import Parameter
from gateway.api.refusals import RequestError
from gateway.model import Resource
from gateway.operations.terms import Source, Verdict

GENDERS: Final = "http://hl7.org/fhir/ValueSet/administrative-gender"
_VALID: Final = parameters(
    {"name": "result", "valueBoolean": True}, {"name": "display", "valueString": "Female"}
)


async def in_system(asked: Asked) -> Response:
    """Whether a code is one of a code system."""
    inputs, terms, context = (
        asked.inputs,
        asked.call.api.pipeline.operations.terms,
        asked.call.context,
    )
    display, whole = inputs.text("display") or "", inputs.one("codeSystem")
    verdicts = []
    for named, code in codes(inputs, "url"):
        url = inputs.text("url") or named or ""
        if not (url or asked.id or whole):
            raise RequestError("which code system?", place="url", code="required")
        of = source(asked, "codeSystem") if asked.id or whole else Source(url)
        verdicts.append(await asked.call.read(partial(terms.in_system, context, of, code, display)))
    return _told(next((one for one in verdicts if one.valid), verdicts[0]))


async def in_set(asked: Asked) -> Response:
    """Whether a code is in a value set."""
    inputs, terms, context = (
        asked.inputs,
        asked.call.api.pipeline.operations.terms,
        asked.call.context,
    )
    of, asked_of, display = (
        source(asked, "valueSet"),
        codes(inputs, "system"),
        inputs.text("display"),
    )
    return _told(await asked.call.read(lambda: terms.in_set(context, of, asked_of, display or "")))


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
    ("type", "instance"),
    in_system,
    "Is it a code of the system?",
    "`result` says; a code system that isn't known here is a 404.",
    parameters=(
        Parameter("url", "uri", "The code system", GENDER),
        Parameter("codeSystem", "CodeSystem", "The code system itself"),
        CODE,
        DISPLAY,
        CODING,
        CONCEPT,
    ),
    types=("CodeSystem",),
    response={"Yes": _VALID},
    errors=(410,),
)
SET_CODE: Final = Operation(
    "validate-code",
    R4 + "ValueSet-validate-code",
    ("type", "instance"),
    in_set,
    "Is it a code of the set?",
    "`result` says; a value set that isn't known here, or can't be listed whole, is a 404.",
    parameters=(
        Parameter("url", "uri", "The value set", GENDERS),
        Parameter("valueSet", "ValueSet", "The value set itself"),
        CODE,
        system("system", GENDER),
        DISPLAY,
        CODING,
        CONCEPT,
    ),
    types=("ValueSet",),
    response={"Yes": _VALID},
    errors=(410,),
)
