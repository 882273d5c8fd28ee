"""``$translate`` (R4 conceptmap-operation-translate): what the mapping tables make of a code."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api.operation import R4, Asked, Operation, answered, parameters
from gateway.api.operations.coded import CODING, CONCEPT, codes, source, system
from gateway.api.parameters import Parameter
from gateway.fhir.codes import TABLE_MAP
from gateway.model import Resource
from gateway.operations.terms import Translated

_SEX: Final = TABLE_MAP + "administrative-sex"


async def translate(asked: Asked) -> Response:
    """What a table makes of a code, by the caller's own table or the standard one."""
    inputs, context = asked.inputs, asked.call.context
    terms = asked.call.api.pipeline.operations.terms
    of, target = source(asked, "conceptMap"), inputs.text("targetsystem")
    given = codes(inputs, "system")
    found = await asked.call.read(
        lambda: [
            one
            for system, code in given
            for one in terms.translate(context, of, code, target, system)
        ]
    )
    told: list[Resource] = [{"name": "result", "valueBoolean": bool(found)}]
    if not found:
        told.append({"name": "message", "valueString": "the map has nothing for this code"})
    return answered(parameters(*told, *map(_match, found)))


def _match(found: Translated) -> Resource:
    concept = found.concept
    coding = {"system": concept.system, "code": concept.code, "display": concept.display}
    told: list[Resource] = [
        {"name": "equivalence", "valueCode": found.equivalence},
        {"name": "concept", "valueCoding": {k: v for k, v in coding.items() if v}},
    ]
    if found.source:
        told.append({"name": "source", "valueUri": found.source})
    return {"name": "match", "part": told}


TRANSLATE: Final = Operation(
    "translate",
    R4 + "ConceptMap-translate",
    ("type", "instance"),
    translate,
    "Translate a code",
    "By the tables that HL7 v2 messages are translated by, your own before the standard ones: "
    f"`{TABLE_MAP}<table>`, the tables being the files of `mappings/hl7v2/tables`; or by what "
    "other networks call the states of referrals (BSeR and 360X, HMIS, findhelp, Clarity): "
    f"`{TABLE_MAP}<name>`, the ConceptMaps of `mappings/referral`; or by a ConceptMap that you "
    "see.",
    parameters=(
        Parameter("url", "uri", "The map", _SEX),
        Parameter("conceptMap", "ConceptMap", "The map itself"),
        Parameter("code", "code", "The code to translate", "F"),
        system("system", "http://terminology.hl7.org/CodeSystem/v2-0001"),
        CODING,
        CONCEPT,
        Parameter("targetsystem", "uri", "The system that the answer must be of"),
    ),
    types=("ConceptMap",),
    response={
        "A match": parameters(
            {"name": "result", "valueBoolean": True},
            {
                "name": "match",
                "part": [
                    {"name": "equivalence", "valueCode": "equivalent"},
                    {
                        "name": "concept",
                        "valueCoding": {
                            "system": "http://hl7.org/fhir/administrative-gender",
                            "code": "female",
                        },
                    },
                    {"name": "source", "valueUri": _SEX},
                ],
            },
        )
    },
    errors=(410,),
)
