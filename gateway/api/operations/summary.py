"""``Patient/[id]/$summary`` (HL7 IPS guide, operation-patient-summary)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.operation import Asked, Operation, answered


async def summary(asked: Asked) -> Response:
    """The document."""
    run, context, base = (
        asked.call.api.pipeline.operations.summary,
        asked.call.context,
        asked.call.base,
    )
    return answered(await asked.call.read(lambda: run(context, asked.id or "", base)))


SUMMARY: Final = Operation(
    "summary",
    "http://hl7.org/fhir/uv/ips/OperationDefinition/summary",
    ("instance",),
    summary,
    "Patient summary",
    "An International Patient Summary: a document of what you own of the patient or was shared "
    "with you. Problems, medications and allergies are always there, empty ones with the reason; "
    "results, immunizations, procedures, vital signs, social history, plans where there are any.",
    types=("Patient",),
    response={
        "A document": {
            "resourceType": "Bundle",
            "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{examples.ID}"},
            "type": "document",
            "timestamp": "2026-03-02T15:04:05.123Z",
            "entry": [
                {
                    "fullUrl": f"{examples.BASE}/Patient/{examples.ID}",
                    "resource": examples.stored(examples.PATIENT),
                }
            ],
        }
    },
)
