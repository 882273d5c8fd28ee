"""``Subscription/[id]/$resend`` (R4 Backport, backport-subscription-resend)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from gateway.api.operation import Asked, Operation, answered, parameters
from gateway.api.operations.subscription_events import SINCE, UNTIL, numbers
from gateway.api.operations.subscription_status import DEFINITION
from gateway.api.parameters import Inputs, Parameter
from gateway.api.refusals import RequestError
from gateway.fhir.outcome import noted
from gateway.operations.subscriptions import Again

_EARLIEST: Final = datetime(1, 1, 1, tzinfo=UTC)
_LATEST: Final = datetime(9999, 12, 31, tzinfo=UTC)


async def resend(asked: Asked) -> Response:
    """Have events sent again, and say how many."""
    inputs, context, id = asked.inputs, asked.call.context, asked.id or ""
    first, last = numbers(inputs)
    since = _moment(inputs, "eventsSinceInstant", _EARLIEST)
    until = _moment(inputs, "eventsUntilInstant", _LATEST)
    run = asked.call.api.pipeline.operations.subscriptions
    again = Again(first, last, since, until)
    count = await asked.call.write(0, lambda: run.resend(context, id, again))
    text = f"sent again: {count} events"
    return answered(noted(text))


def _moment(inputs: Inputs, name: str, default: datetime) -> datetime:
    text = inputs.text(name)
    if text is None:
        return default
    try:
        found = datetime.fromisoformat(text.replace(" ", "+"))  # a blank is a query's plus
    except ValueError:
        raise RequestError("an instant", place=name, code="value") from None
    if found.tzinfo is None:
        raise RequestError("an instant has a time zone", place=name, code="value")
    return found


RESEND: Final = Operation(
    "resend",
    f"{DEFINITION}resend",
    ("instance",),
    resend,
    "Send events again",
    "What was sent, withheld or set aside goes out again, in its order, under its numbers and ids; "
    "rights are asked again. For the subscription's owner.",
    parameters=(
        SINCE,
        UNTIL,
        Parameter("eventsSinceInstant", "instant", "From then on", "2026-03-01T00:00:00Z"),
        Parameter("eventsUntilInstant", "instant", "Until then", "2026-03-02T00:00:00Z"),
    ),
    types=("Subscription",),
    affects=True,
    request={"From the third on": parameters({"name": SINCE.name, "valueString": "3"})},
    response={"Done": noted("sent again: 4 events")},
)
