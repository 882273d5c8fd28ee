"""``ServiceRequest/[id]/$decisions``: why a referral went where it went."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api.operation import Asked, Operation, answered
from gateway.api.operations.decided import EXAMPLE, decided
from gateway.fhir.codes import BASE


async def decisions(asked: Asked) -> Response:
    """Every decision that was made about it."""
    run, context = asked.call.api.pipeline.operations.route, asked.call.context
    return answered(decided(await asked.call.read(lambda: run.decisions(context, asked.id or ""))))


DECISIONS: Final = Operation(
    "decisions",
    BASE + "OperationDefinition/decisions",
    ("instance",),
    decisions,
    "Why it went there",
    "Every routing decision about your ServiceRequest as it was made, the oldest first: each "
    "candidate, what spoke for and against it, and who was asked. Only its requester reads them; "
    "a victim service provider that it did not name isn't told of.",
    types=("ServiceRequest",),
    response={"One decision": decided([EXAMPLE])},
)
