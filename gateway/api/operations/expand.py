"""``$expand`` (R4 valueset-operation-expand): a value set's codes, page by page."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from starlette.responses import Response

from gateway.api.operation import R4, Asked, Operation, answered
from gateway.api.operations.coded import source
from gateway.api.operations.validate_code import GENDERS
from gateway.api.parameters import Parameter
from gateway.fhir.meta import instant
from gateway.fhir.terminology import Concept
from gateway.model import Resource
from gateway.operations.terms import Expansion


async def expand(asked: Asked) -> Response:
    """A page of a value set, filtered."""
    inputs, context = asked.inputs, asked.call.context
    offset, count, part = inputs.count("offset") or 0, inputs.count("count"), inputs.text("filter")
    of, terms = source(asked, "valueSet"), asked.call.api.pipeline.operations.terms
    page = await asked.call.read(lambda: terms.expand(context, of, part or "", offset, count))
    return answered(_resource(page, f"urn:uuid:{uuid4()}", instant(datetime.now(UTC))))


def _resource(page: Expansion, identifier: str, at: str) -> Resource:
    out: Resource = {"resourceType": "ValueSet", "status": page.of.status}
    for key in ("url", "name", "title", "version"):
        if said := getattr(page.of, key):
            out[key] = said
    expansion: Resource = {"identifier": identifier, "timestamp": at, "total": page.total}
    expansion["offset"] = page.offset
    if page.concepts:
        expansion["contains"] = [_contained(one) for one in page.concepts]
    return out | {"expansion": expansion}


def _contained(concept: Concept) -> Resource:
    out: Resource = {"system": concept.system, "code": concept.code}
    return out | ({"display": concept.display} if concept.display else {})


_FEMALE: Final = Concept("http://hl7.org/fhir/administrative-gender", "female", "Female")

EXPAND: Final = Operation(
    "expand",
    R4 + "ValueSet-expand",
    ("type", "instance"),
    expand,
    "List a value set",
    "The codes of a value set that is known here (HL7's, or a ValueSet that you see), at most 1000 "
    "a page. `filter` looks in codes and displays. A set of all of SNOMED CT, LOINC or another "
    "system that isn't known here is a 404.",
    parameters=(
        Parameter("url", "uri", "The value set", GENDERS),
        Parameter("valueSet", "ValueSet", "The value set itself"),
        Parameter("filter", "string", "A part of a code or display", "fem"),
        Parameter("offset", "integer", "How many to leave out", "0"),
        Parameter("count", "integer", "How many to list", "10"),
    ),
    types=("ValueSet",),
    response={
        "A page": {
            "resourceType": "ValueSet",
            "url": GENDERS,
            "status": "active",
            "expansion": {
                "identifier": "urn:uuid:6f1b2a1c-3f0e-4a53-9f0e-3b1f2a1c6f1b",
                "timestamp": "2026-03-02T15:04:05.123Z",
                "total": 1,
                "offset": 0,
                "contains": [_contained(_FEMALE)],
            },
        }
    },
    errors=(410,),
)
