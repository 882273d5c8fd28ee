"""What became of messages that failed or wait: for the gateway's keeper, and for who sent them.

The lists hold places and reasons, never a message; one message, raw, is the keeper's to fetch, to
mend and to try again.
"""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint, parameter
from gateway.api.examples import ACK, ID, REFERRAL
from gateway.api.intake import HL7
from gateway.api.refusals import RequestError
from gateway.api.requests import query_pairs
from gateway.fhir.meta import instant
from gateway.protect.policy import Policy
from gateway.store import Kept

_JSON: Final = "application/json"
_FIELDS: Final = {
    "status": "status",
    "agency": "agency",
    "controlId": "control_id",
    "event": "event",
    "stage": "stage",
    "channel": "channel",
}
"""What messages are sought by, and the store's name of it."""

_STATUSES: Final = ("received", "accepted", "failed", "all")


async def messages(call: Call) -> Response:
    """The messages that failed, or that wait for what a Task asks for, the newest first."""
    pipeline, context = call.api.pipeline, call.context
    asked = dict(query_pairs(call.request))
    task = asked.pop("task", "")
    if asked not in ({}, {"status": "failed"}) or (asked and task):
        raise RequestError("status=failed or task=<id> is listed", place="query")
    kept = await call.read(
        lambda: (
            pipeline.replay.waiting(context, task) if task else pipeline.failed_messages(context)
        )
    )
    return Response(answers.as_json({"messages": [_line(each) for each in kept]}), media_type=_JSON)


async def sought(call: Call) -> Response:
    """Messages by what they are, newest first, a page at a time; by default those that failed."""
    asked = dict(query_pairs(call.request))
    if "task" in asked:
        return await messages(call)
    unknown = asked.keys() - {*_FIELDS, "since", "until", "before"}
    if unknown:
        raise RequestError(f"it may say {', '.join(_FIELDS)}, since, until", place=min(unknown))
    if asked.get("status", "all") not in _STATUSES:
        raise RequestError(f"status is one of {', '.join(_STATUSES)}", place="status")
    fields = {_FIELDS[name]: asked[name] for name in _FIELDS if name in asked}
    if not fields:
        fields = {"status": "failed"}
    elif fields.get("status") == "all":
        del fields["status"]
    when: dict[str, Any] = {name: _moment(asked, name) for name in ("since", "until")}
    if "before" in asked:
        when["before"] = _place(asked["before"])
    pipeline, context = call.api.pipeline, call.context
    found = await call.read(lambda: pipeline.messages(context, fields, **when))
    told = {
        "messages": [_line(each) for each, _ in found],
        "before": str(found[-1][1]) if found else None,
    }
    return Response(answers.as_json(told), media_type=_JSON)


def _place(text: str) -> int:
    if not text.isdigit() or len(text) > 18:
        raise RequestError("what the page before said", place="before")
    return int(text)


def _moment(asked: Mapping[str, str], name: str) -> datetime | None:
    """A date (midnight, UTC) or an instant with its offset, if the query says one."""
    if name not in asked:
        return None
    try:
        found = datetime.fromisoformat(asked[name])
    except ValueError:
        raise RequestError("a date, or an instant with its offset", place=name) from None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


async def message(call: Call) -> Response:
    """One message, byte for byte, the answer that it got, and what was put in its place."""
    pipeline, context, id = call.api.pipeline, call.context, call.path("message_id")
    kept = await call.read(lambda: pipeline.message(context, id))
    mended = await call.read(lambda: pipeline.replay.mended(context, id))
    whole = _line(kept) | {
        "raw": _base64(kept.message.raw),
        "answer": _base64(kept.answer),
        "mended": [
            {"at": instant(each.at), "by": each.client, "raw": _base64(each.raw)} for each in mended
        ],
    }
    return Response(answers.as_json(whole), media_type=_JSON)


async def replay(call: Call) -> Response:
    """Try one message again, as it came or as the body mends it; how it went this time."""
    pipeline, context, id = call.api.pipeline, call.context, call.path("message_id")
    asked = dict(query_pairs(call.request))
    agency = asked.pop("agency", "")
    if asked:
        raise RequestError("only agency=<id> may be said", place="query")
    body = await call.body() or None
    receipt = await asyncio.wrap_future(
        await call.read(lambda: pipeline.replay(context, id, body=body, agency=agency))
    )
    issues = [{"place": each.place, "text": each.text} for each in receipt.issues]
    told = {
        "id": receipt.message,
        "acknowledgement": receipt.acknowledgement,
        "issues": issues,
        "answer": _base64(receipt.answer),
    }
    return Response(answers.as_json(told), media_type=_JSON)


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


_TEXT: Final = {"type": "string"}
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
_FOUND: Final = {_JSON: {"Failed": {"messages": [_EXAMPLE], "before": "42"}}}
_OWN: Final = tuple(
    parameter(name, text, example)
    for name, text, example in (
        ("status", "`failed`, `accepted`, `received` or `all`", "failed"),
        ("agency", "Whose messages", "cedar-general"),
        ("controlId", "What the sender numbers it by (MSH-10)", "MSG00001"),
        ("event", "What it is about", "REF^I12"),
        ("stage", "Where it failed", "translate"),
        ("channel", "How it came", "mllp"),
        ("since", "Received then or later: a date or instant", "2026-03-01"),
        ("until", "Received before", "2026-03-02"),
        ("before", "The page before said it", "42"),
    )
)
_RAW: Final = _base64(REFERRAL.encode())
_WHOLE: Final = {_JSON: {"Failed": _EXAMPLE | {"raw": _RAW, "answer": "", "mended": []}}}
_ANSWER: Final = _base64(ACK.encode())
_TRIED: Final = {
    _JSON: {"In": {"id": ID, "acknowledgement": "AA", "issues": [], "answer": _ANSWER}}
}

ADMIN: Final = (
    Endpoint(
        "intake_messages",
        "GET",
        "/intake/messages",
        Policy.AGENCY,
        messages,
        Docs(
            "Intake",
            "Your messages that failed",
            "Each with the stage, place and reason; mend and send it again. With `task` those that "
            "wait for the code that a Task asks for: they are replayed once its table has it.",
            parameters=("status", "task"),
            response=_LIST,
        ),
    ),
    Endpoint(
        "admin_messages",
        "GET",
        "/admin/messages",
        Policy.ADMIN,
        sought,
        Docs(
            "Admin",
            "Messages",
            "Of all agencies, newest first, without their content: those that failed, or those "
            "that are as the query says (`status=all`: whatever became of them); with `task` those "
            "that wait for a code.",
            parameters=("task",),
            own=_OWN,
            response=_FOUND,
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
            "As it came (base64), what it was answered, and what was put in its place.",
            parameters=("message_id",),
            response=_WHOLE,
            errors=(404,),
        ),
    ),
    Endpoint(
        "admin_replay",
        "POST",
        "/admin/messages/{message_id}/replay",
        Policy.ADMIN,
        replay,
        Docs(
            "Admin",
            "Try a message again",
            "By the maps and tables as they are now. A body (ER7) takes the place of what came; "
            "both are kept. Nothing newer is overwritten. The sender isn't told; a resend gets the "
            "new answer. 409: it is under way, or a batch.",
            parameters=("message_id", "agency"),
            request={HL7: {"A mended message": REFERRAL}},
            needs_body=False,
            response=_TRIED,
            errors=(404, 408, 409, 413),
        ),
    ),
)
