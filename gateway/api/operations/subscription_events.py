"""``Subscription/[id]/$events`` (R4 Backport 1.1, backport-subscription-events)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.operation import Asked, Operation, answered, parameters
from gateway.api.operations.subscription_status import DEFINITION, TOLD
from gateway.api.parameters import Inputs, Parameter
from gateway.api.refusals import RequestError
from gateway.deliver.subscription import CONTENTS
from gateway.model import Content, Resource
from gateway.operations.subscriptions import MOST

LAST: Final = 2**62


async def events(asked: Asked) -> Response:
    """A Bundle of events by their numbers."""
    inputs, context, base, id = asked.inputs, asked.call.context, asked.call.base, asked.id or ""
    first, last = numbers(inputs)
    content = _content(inputs.text("content"))
    run = asked.call.api.pipeline.operations.subscriptions
    found = await asked.call.read(lambda: run.events(context, base, id, first, last, content))
    return answered(found)


def numbers(inputs: Inputs) -> tuple[int, int]:
    """The first and the last event number that are asked for."""
    return _number(inputs, "eventsSinceNumber", 1), _number(inputs, "eventsUntilNumber", LAST)


def _number(inputs: Inputs, name: str, default: int) -> int:
    text = inputs.text(name)
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) < 19):
        raise RequestError("a whole number from 0", place=name, code="value")
    return int(text)


def _content(text: str | None) -> Content:
    for each in CONTENTS:
        if text == each:
            return each
    if text is None:
        return ""
    raise RequestError("empty, id-only or full-resource", place="content", code="value")


SINCE: Final = Parameter("eventsSinceNumber", "string", "From that event on, itself too", "1")
UNTIL: Final = Parameter("eventsUntilNumber", "string", "Up to that event, itself too", "20")

_BUNDLE: Final[Resource] = {
    "resourceType": "Bundle",
    "type": "history",
    "timestamp": "2026-03-02T15:04:05.000Z",
    "entry": [
        {
            "fullUrl": f"urn:uuid:{TOLD['id']}",
            "resource": TOLD,
            "request": {
                "method": "GET",
                "url": f"{examples.BASE}/Subscription/{examples.ID}/$status",
            },
            "response": {"status": "200"},
        }
    ],
}
EVENTS: Final = Operation(
    "events",
    f"{DEFINITION}events",
    ("instance",),
    events,
    "What a subscription was told",
    f"The events of these numbers, at most {MOST}, as you may see them now: what you may no longer "
    "see keeps its number and tells no more.",
    parameters=(
        SINCE,
        UNTIL,
        Parameter("content", "code", "How much to tell: unless said, as it is sent", "id-only"),
    ),
    types=("Subscription",),
    request={"From the third on": parameters({"name": SINCE.name, "valueString": "3"})},
    response={"Events": _BUNDLE},
)
