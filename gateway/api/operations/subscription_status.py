"""``Subscription/$status`` (R4 Backport 1.1, backport-subscription-status)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.operation import Asked, Operation, answered, parameters
from gateway.api.parameters import Parameter
from gateway.fhir.notification import IG
from gateway.model import Resource

DEFINITION: Final = IG + "OperationDefinition/backport-subscription-"


async def status(asked: Asked) -> Response:
    """How one subscription stands, or those that are asked for."""
    inputs, context, base = asked.inputs, asked.call.context, asked.call.base
    run = asked.call.api.pipeline.operations.subscriptions
    if asked.id is not None:
        id = asked.id
        found = await asked.call.read(lambda: run.status(context, base, id))
    else:
        ids, among = listed(inputs.all("id")), listed(inputs.all("status"))
        found = await asked.call.read(lambda: run.statuses(context, base, ids, among))
    return answered(_bundle(found))


def listed(values: list[str]) -> list[str]:
    """Each of the values, of which a text may have several with commas between."""
    return list(dict.fromkeys(part for value in values for part in value.split(",") if part))


def _bundle(found: list[Resource]) -> Resource:
    out: Resource = {"resourceType": "Bundle", "type": "searchset", "total": len(found)}
    entries = [
        {"fullUrl": f"urn:uuid:{each['id']}", "resource": each, "search": {"mode": "match"}}
        for each in found
    ]
    return out | ({"entry": entries} if entries else {})


TOLD: Final[Resource] = parameters(
    {
        "name": "subscription",
        "valueReference": {"reference": f"{examples.BASE}/Subscription/{examples.ID}"},
    },
    {
        "name": "topic",
        "valueCanonical": "http://hl7.org/fhir/us/sdoh-clinicalcare/SubscriptionTopic/Task",
    },
    {"name": "status", "valueCode": "active"},
    {"name": "type", "valueCode": "query-status"},
    {"name": "events-since-subscription-start", "valueString": "2"},
) | {"id": "2d5afc69-6ef2-420f-a8d1-8500c99eb96c"}

STATUS: Final = Operation(
    "status",
    f"{DEFINITION}status",
    ("type", "instance"),
    status,
    "How subscriptions stand",
    "The status of one subscription, or of those that you see: its topic, how many events there "
    "were since it began, and why it is in error, if it is.",
    parameters=(
        Parameter("id", "id", "Only these subscriptions", examples.ID, repeats=True),
        Parameter("status", "code", "Only those in one of these", "error", repeats=True),
    ),
    types=("Subscription",),
    request={"Those in error": parameters({"name": "status", "valueCode": "error"})},
    response={"One": _bundle([TOLD])},
    errors=(410,),
)
