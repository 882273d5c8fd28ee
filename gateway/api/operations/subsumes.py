"""``$subsumes`` (R4 codesystem-operation-subsumes): how two codes stand to each other."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api.operation import R4, Asked, Operation, answered, parameters
from gateway.api.operations.coded import source, system
from gateway.api.parameters import Inputs, Parameter
from gateway.api.refusals import RequestError
from gateway.operations.terms import Source

_ROLES: Final = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


async def subsumes(asked: Asked) -> Response:
    """Whether the first code is above the second, below it, the same, or none of that."""
    inputs, context = asked.inputs, asked.call.context
    (url, first), (other, second) = _code(inputs, "A"), _code(inputs, "B")
    url = inputs.text("system") or url or other
    if None not in (other, url) and other != url:
        raise RequestError("both codes must be of one system", place="codingB")
    of = source(asked, "codeSystem", "system") if asked.id or url is None else Source(url)
    terms = asked.call.api.pipeline.operations.terms
    found = await asked.call.read(lambda: terms.relation(context, of, first, second))
    return answered(parameters({"name": "outcome", "valueCode": found}))


def _code(inputs: Inputs, which: str) -> tuple[str | None, str]:
    """A system (None: not given) and a code."""
    coding = inputs.one(f"coding{which}")
    if coding is None:
        return None, str(inputs.need(f"code{which}"))
    if not isinstance(coding.get("code"), str):
        raise RequestError("a coding with a code is needed", place=f"coding{which}")
    url = coding.get("system")
    return (url if isinstance(url, str) else None), coding["code"]


SUBSUMES: Final = Operation(
    "subsumes",
    R4 + "CodeSystem-subsumes",
    ("type", "instance"),
    subsumes,
    "Is one code above the other?",
    "`outcome` says how `codeA` stands to `codeB`: `equivalent`, `subsumes`, `subsumed-by` or "
    "`not-subsumed`. A system or code that isn't known here is a 404.",
    parameters=(
        Parameter("codeA", "code", "The first code", "PRN"),
        Parameter("codeB", "code", "The second code", "MTH"),
        system("system", _ROLES),
        Parameter("codingA", "Coding", "The first code as a Coding"),
        Parameter("codingB", "Coding", "The second code as a Coding"),
    ),
    types=("CodeSystem",),
    response={"Above": parameters({"name": "outcome", "valueCode": "subsumes"})},
    errors=(410,),
)
