"""``Subscription/$get-ws-binding-token`` (R4 Backport 1.1)."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.operation import Asked, Operation, answered, parameters
from gateway.api.operations.subscription_status import DEFINITION, listed
from gateway.api.parameters import Parameter
from gateway.api.websocket import PATH
from gateway.fhir.meta import instant


async def get_ws_binding_token(asked: Asked) -> Response:
    """A token for the caller's subscriptions, and where to use it."""
    call = asked.call
    ids = listed(asked.inputs.all("id")) if asked.id is None else [asked.id]
    run = call.api.pipeline.bindings.token
    token, binding = await call.read(lambda: run(call.context, ids))
    root = str(call.request.base_url).rstrip("/").replace("http", "ws", 1)
    until = instant(datetime.fromtimestamp(binding.until, UTC))
    return answered(
        parameters(
            {"name": "token", "valueString": token},
            {"name": "expiration", "valueDateTime": until},
            *({"name": "subscription", "valueString": each} for each in binding.subscriptions),
            {"name": "websocket-url", "valueUrl": f"{root}{PATH}"},
        )
    )


GET_WS_BINDING_TOKEN: Final = Operation(
    "get-ws-binding-token",
    f"{DEFINITION}get-ws-binding-token",
    ("type", "instance"),
    get_ws_binding_token,
    "A token for a websocket",
    "For your subscriptions with the channel `websocket`: these, or all. Open a websocket at "
    "`websocket-url` and send `bind-with-token ` and the token: a handshake comes for each "
    "subscription, then what waits for it, then what happens.",
    parameters=(Parameter("id", "id", "Only these subscriptions", repeats=True),),
    types=("Subscription",),
    request={"All": parameters()},
    response={
        "A token": parameters(
            {"name": "token", "valueString": "bm90IGEgdG9rZW4"},
            {"name": "expiration", "valueDateTime": "2026-03-02T15:09:05.000Z"},
            {"name": "subscription", "valueString": examples.ID},
            {"name": "websocket-url", "valueUrl": "wss://gateway.example/websocket"},
        )
    },
    errors=(410,),
)
