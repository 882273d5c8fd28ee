"""``HealthcareService/[id]/$capacity``: a service says whether it has room, by one tap."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.operation import Asked, Operation, parameters
from gateway.api.parameters import Parameter
from gateway.api.refusals import RequestError
from gateway.api.requests import FHIR
from gateway.fhir.codes import BASE, CAPACITY_STATUS, SDOH_CODES
from gateway.route.facts import Room


async def capacity(asked: Asked) -> Response:
    """Say it."""
    inputs, context = asked.inputs, asked.call.context
    said = inputs.need("status")
    if said not in set(Room):
        raise RequestError(f"one of: {', '.join(Room)}", place="status")
    free, notes = inputs.count("free"), inputs.text("notes") or ""
    run, id = asked.call.api.pipeline.operations.route, asked.id or ""
    written = await asked.call.write(
        0, lambda: run.tell(context, id, Room(said), free=free, notes=notes)
    )
    return Response(written.body, media_type=FHIR)


_STATUS: Final = {
    "url": "capacityStatus",
    "valueCodeableConcept": {"coding": [{"system": SDOH_CODES, "code": "capacity"}]},
}

CAPACITY: Final = Operation(
    "capacity",
    BASE + "OperationDefinition/capacity",
    ("instance",),
    capacity,
    "Say whether there is room",
    "Your HealthcareService's capacity, as SDOH Clinical Care has it, as of now. What is said of "
    "beds counts for 24 hours, of anything else for 7 days; then it counts less and less. Room "
    "where there was none wakes the waiting list.",
    parameters=(
        Parameter("status", "code", "One of " + ", ".join(Room), "capacity"),
        Parameter("free", "integer", "How many places are free", "3"),
        Parameter("notes", "string", "In words", "Families only tonight"),
    ),
    types=("HealthcareService",),
    affects=True,
    request={
        "Three beds": parameters(
            {"name": "status", "valueCode": "capacity"}, {"name": "free", "valueInteger": 3}
        )
    },
    response={
        "Told": {
            "resourceType": "HealthcareService",
            "id": examples.ID,
            "extension": [{"url": CAPACITY_STATUS, "extension": [_STATUS]}],
            "active": True,
            "name": "Night shelter",
        }
    },
)
