"""What became of messages that failed: for the gateway's keeper, and for the agency that sent them.

The lists hold places and reasons, never a message; one message, raw, is the keeper's to fetch.
"""

from __future__ import annotations

import base64
from typing import Any, Final

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.examples import ID, REFERRAL
from gateway.api.refusals import RequestError
from gateway.api.requests import query_pairs
from gateway.fhir.meta import instant
from gateway.protect.policy import Policy
from gateway.store import Kept

_JSON: Final = "application/json"


async def failed_messages(call: Call) -> Response:
    """The failed messages that the caller may see, the newest first."""
    for name, value in query_pairs(call.request):
        if (name, value) != ("status", "failed"):
            raise RequestError("only status=failed is listed", place="query")
    pipeline, context = call.api.pipeline, call.context
    kept = await call.read(lambda: pipeline.failed_messages(context))
    return Response(answers.as_json({"messages": [_line(each) for each in kept]}), media_type=_JSON)


async def message(call: Call) -> Response:
    """One message, byte for byte, and the answer that it got."""
    pipeline, context, id = call.api.pipeline, call.context, call.path("message_id")
    kept = await call.read(lambda: pipeline.message(context, id))
    whole = _line(kept) | {"raw": _base64(kept.message.raw), "answer": _base64(kept.answer)}
    return Response(answers.as_json(whole), media_type=_JSON)


def _line(kept: Kept) -> dict[str, Any]:
    return {
        "id": kept.message.id,
        "agency": kept.message.agency,
        "channel": kept.message.channel,
        "received": instant(kept.message.received),
        "controlId": kept.message.control_id,
        "event": kept.event,
        "acknowledgement": kept.acknowledgement,
        "stage": kept.stage,
        "place": kept.place,
        "reason": kept.reason,
    }


def _base64(raw: bytes) -> str:
    return base64.b64encode(raw).decode()


_EXAMPLE: Final = {
    "id": ID,
    "agency": "cedar-general",
    "channel": "mllp",
    "received": "2026-03-02T15:04:05.123Z",
    "controlId": "MSG00001",
    "event": "REF^I12",
    "acknowledgement": "AE",
    "stage": "translate",
    "place": "PID-3",
    "reason": "a patient needs an identifier",
}
_LIST: Final = {_JSON: {"Failed": {"messages": [_EXAMPLE]}}}
_WHOLE: Final = {_JSON: {"Failed": _EXAMPLE | {"raw": _base64(REFERRAL.encode()), "answer": ""}}}

ADMIN: Final = (
    Endpoint(
        "intake_messages",
        "GET",
        "/intake/messages",
        Policy.AGENCY,
        failed_messages,
        Docs(
            "Intake",
            "Your messages that failed",
            "Each with the stage, place and reason; mend and send it again.",
            parameters=("status",),
            response=_LIST,
            errors=(400,),
        ),
    ),
    Endpoint(
        "admin_messages",
        "GET",
        "/admin/messages",
        Policy.ADMIN,
        failed_messages,
        Docs(
            "Admin",
            "Messages that failed",
            "Of all agencies, without their content.",
            parameters=("status",),
            response=_LIST,
            errors=(400,),
        ),
    ),
    Endpoint(
        "admin_message",
        "GET",
        "/admin/messages/{message_id}",
        Policy.ADMIN,
        message,
        Docs(
            "Admin",
            "One message",
            "As it came (base64), and what it was answered.",
            parameters=("message_id",),
            response=_WHOLE,
            errors=(404,),
        ),
    ),
)
