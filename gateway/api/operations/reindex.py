"""``$reindex``: all search rows made again of what is stored, custom parameters' among them."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api.operation import Asked, Operation, answered
from gateway.fhir.codes import BASE
from gateway.fhir.outcome import noted
from gateway.protect.policy import Policy


async def reindex(asked: Asked) -> Response:
    """Make them, and say of how many resources."""
    count = await asked.call.read(asked.call.api.pipeline.search.reindex)
    text = f"search rows are made again: {count} resources"
    return answered(noted(text))


REINDEX: Final = Operation(
    "reindex",
    BASE + "OperationDefinition/reindex",
    ("system",),
    reindex,
    "Make search rows again",
    "For administrators, after an upgrade, or to have a new SearchParameter's rows made now and "
    "not by the first search for it. Searches go on meanwhile.",
    affects=True,
    response={"Done": noted("search rows are made again: 12 resources")},
    policy=Policy.ADMIN,
)
