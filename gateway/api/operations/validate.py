"""``$validate`` (R4 resource-operation-validate): 200 and an OperationOutcome, good news or bad."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.operation import R4, Asked, Operation, answered
from gateway.api.parameters import Parameter
from gateway.api.refusals import RequestError
from gateway.fhir.outcome import outcome
from gateway.operations.validation import MODES

_PROFILE: Final = (
    "http://hl7.org/fhir/us/sdoh-clinicalcare/StructureDefinition/SDOHCC-TaskForReferralManagement"
)


async def validate(asked: Asked) -> Response:
    """What is to be said of a resource, and of writing it."""
    mode = asked.inputs.text("mode") or ""
    if mode not in MODES:
        raise RequestError("create, update, delete or profile", place="mode")
    run, context = asked.call.api.pipeline.operations.validate, asked.call.context
    resource, profiles = asked.inputs.one("resource"), asked.inputs.all("profile")
    found = await asked.call.read(
        lambda: run(context, asked.type, asked.id, resource, mode, profiles)
    )
    return answered(outcome(found))


VALIDATE: Final = Operation(
    "validate",
    R4 + "Resource-validate",
    ("system", "type", "instance"),
    validate,
    "Validate",
    "Whether a resource is R4, keeps R4's invariants and its profiles (those in `meta.profile`, "
    "and `profile`), and with `mode` `create`, `update` or `delete` whether it could be written "
    "now, by you: references, rights and the referral's rules. Always 200: the OperationOutcome "
    "tells. What can't be checked here (a foreign code system's value set) is said as information.",
    parameters=(
        Parameter("resource", "Resource", "What is to be validated; the stored one if left out"),
        Parameter("mode", "code", "create, update, delete or profile", "create"),
        Parameter("profile", "uri", "A profile to hold it to", _PROFILE, repeats=True),
    ),
    reads=("instance",),
    request={
        "By itself": examples.TASK,
        "Against a profile": {
            "resourceType": "Parameters",
            "parameter": [
                {"name": "resource", "resource": examples.TASK},
                {"name": "profile", "valueUri": _PROFILE},
            ],
        },
    },
    response={
        "A finding": examples.outcome("required", "the profile asks for at least 1", "Task.focus"),
        "None": outcome([]),
    },
)
