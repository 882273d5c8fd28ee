"""``Patient/$match`` (R4 patient-operation-match)."""

from __future__ import annotations

from decimal import Decimal
from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.operation import R4, Asked, Operation, answered, parameters
from gateway.api.parameters import Parameter
from gateway.fhir import gates, json
from gateway.model import Resource
from gateway.operations.matching import Match

GRADE: Final = "http://hl7.org/fhir/StructureDefinition/match-grade"
DEFAULT: Final = 10
MOST: Final = 50


async def match(asked: Asked) -> Response:
    """The records that may be the person's, the likeliest first."""
    inputs, context, base = asked.inputs, asked.call.context, asked.call.base
    person = gates.check(inputs.need("resource"), type="Patient")
    only_certain = bool(inputs.one("onlyCertainMatches"))
    count = min(inputs.count("count", 1) or DEFAULT, MOST)
    run = asked.call.api.pipeline.operations.match
    found = await asked.call.read(
        lambda: run(context, person, only_certain=only_certain, count=count)
    )
    bundle: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
    if found:
        bundle["entry"] = [_entry(base, one) for one in found]
    return answered(bundle)


def _entry(base: str, one: Match) -> Resource:
    return {
        "fullUrl": f"{base}/{one.stored.reference}",
        "resource": json.loads(one.stored.body),
        "search": {
            "extension": [{"url": GRADE, "valueCode": one.score.grade}],
            "mode": "match",
            "score": Decimal(str(one.score.value)),
        },
    }


MATCH: Final = Operation(
    "match",
    R4 + "Patient-match",
    ("type",),
    match,
    "Find a person's records",
    "The Patients among those you see that may be the person described, the likeliest first, each "
    "with a score and a grade: `certain`, `probable`, `possible`. With `onlyCertainMatches` the "
    "one that is certain, or none. What you aren't shown of a Patient isn't compared.",
    parameters=(
        Parameter("resource", "Patient", "The person, as far as known"),
        Parameter("onlyCertainMatches", "boolean", "Only the one that is certain", "false"),
        Parameter("count", "integer", f"How many, {DEFAULT} unless said, at most {MOST}", "3"),
    ),
    types=("Patient",),
    reads=(),
    request={
        "A person": parameters(
            {"name": "resource", "resource": examples.PATIENT},
            {"name": "count", "valueInteger": 3},
        )
    },
    response={
        "Found": {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": 1,
            "entry": [
                {
                    "fullUrl": f"{examples.BASE}/Patient/{examples.ID}",
                    "resource": examples.stored(examples.PATIENT),
                    "search": {
                        "extension": [{"url": GRADE, "valueCode": "certain"}],
                        "mode": "match",
                        "score": 0.9999,
                    },
                }
            ],
        }
    },
)
