"""``ServiceRequest/[id]/$route``: find an agency for a referral, or show which it would be."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.operation import Asked, Operation, answered, parameters
from gateway.api.operations.decided import EXAMPLE, decided
from gateway.api.parameters import Parameter
from gateway.fhir.codes import BASE


async def route(asked: Asked) -> Response:
    """Decide and send, or with ``dryRun`` explain."""
    run, context = asked.call.api.pipeline.operations.route, asked.call.context
    id = asked.id or ""
    if asked.inputs.one("dryRun"):
        routed = await asked.call.read(lambda: run.explain(context, id))
    else:
        routed = await asked.call.write(0, lambda: run.route(context, id))
    return answered(decided(routed.decisions, routed.task))


ROUTE: Final = Operation(
    "route",
    BASE + "OperationDefinition/route",
    ("instance",),
    route,
    "Find an agency",
    "Decides which agency is asked about your ServiceRequest, by gates, fit, capacity and choice, "
    "and asks it; 409 where somebody has it already. With `dryRun` nothing is sent or kept: you "
    "see what would be decided. Either way you are told of every candidate what spoke `for` it "
    "and `against`, what is to be `confirm`ed, and what put it `out`. The outcome is `ask`, `wait` "
    "(a waiting list) or `nobody` (people take it: the navigator's queue). A request for several "
    "needs gets a decision each.",
    parameters=(Parameter("dryRun", "boolean", "Only show what would be decided", "true"),),
    types=("ServiceRequest",),
    affects=True,
    request={"Only show": parameters({"name": "dryRun", "valueBoolean": True})},
    response={"Asked": decided([EXAMPLE], f"Task/{examples.ID}")},
    errors=(409,),
)
