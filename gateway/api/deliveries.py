"""What goes out, for the gateway's keeper: deliveries and subscribers, replays, and the trace.

Places, states and reasons, never what a resource holds.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any, Final, cast

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint, parameter
from gateway.api.examples import ID
from gateway.api.refusals import RequestError
from gateway.api.requests import query_pairs
from gateway.fhir.meta import instant
from gateway.outgoing.dispatch import Asked, Verdict
from gateway.protect.policy import Policy
from gateway.store.attempts import Attempt, Outcome
from gateway.store.deliveries import Place, Sent, Waiting
from gateway.store.subscribers import Standing

_JSON: Final = "application/json"
_STATES: Final = ("pending", "delivered", "withheld", "aside")
_ABOUT: Final = re.compile(r"[A-Z][A-Za-z]*/[A-Za-z0-9\-.]{1,64}")
_MARK: Final = re.compile(r"(\d{1,18})\.([0-9a-f-]{36})")


async def deliveries(call: Call) -> Response:
    """Deliveries, newest first, a page at a time."""
    asked = _query(call, ("subscriber", "agency", "state", "resource", "before"))
    state = asked.pop("state", "")
    if state not in ("", *_STATES):
        raise RequestError(f"a state is one of {', '.join(_STATES)}", place="state")
    outcome = cast("Outcome", state.removeprefix("pending")) if state else None
    before = _place(asked.pop("before", ""))
    about = asked.pop("resource", "")
    wanted = Asked(outcome=outcome, about=_about(about) if about else "", **asked)
    dispatch = call.api.pipeline.dispatch
    found = await call.read(lambda: dispatch.deliveries(wanted, before))
    last = f"{found[-1].at[0]}.{found[-1].at[1]}" if found else None
    return _json({"deliveries": [_line(each) for each in found], "before": last})


async def delivery(call: Call) -> Response:
    """One delivery, and what became of each attempt."""
    dispatch, id = call.api.pipeline.dispatch, call.path("delivery_id")
    sent, attempts = await call.read(lambda: dispatch.delivery(id))
    return _json(_line(sent) | {"history": _tried(attempts)})


async def replay(call: Call) -> Response:
    """Send one again."""
    dispatch, id = call.api.pipeline.dispatch, call.path("delivery_id")
    subscriber = await call.read(lambda: dispatch.replay(call.context, id))
    return _json({"id": id, "subscriber": subscriber})


async def subscribers(call: Call) -> Response:
    """Every subscriber and how it stands."""
    found = await call.read(call.api.pipeline.dispatch.subscribers)
    return _json({"subscribers": [_stands(*each) for each in found]})


async def replay_aside(call: Call) -> Response:
    """Send again what was set aside for a subscriber."""
    dispatch, id = call.api.pipeline.dispatch, call.path("subscriber_id")
    count = await call.read(lambda: dispatch.replay_aside(call.context, id))
    return _json({"subscriber": id, "replayed": count})


async def resume(call: Call) -> Response:
    """Try a subscriber in error again."""
    dispatch, id = call.api.pipeline.dispatch, call.path("subscriber_id")
    await call.read(lambda: dispatch.resume(call.context, id))
    return _json({"subscriber": id})


async def trace(call: Call) -> Response:
    """Why something did, or didn't, fire."""
    asked = _query(call, ("resource", "subscriber", "version"))
    version = asked.get("version", "0")
    if not re.fullmatch(r"\d{1,9}", version):
        raise RequestError("a version is a number", place="version")
    about, one = _about(asked.get("resource", "")), asked.get("subscriber", "")
    dispatch = call.api.pipeline.dispatch
    found = await call.read(lambda: dispatch.trace(about, one, int(version)))
    return _json({"resource": about, "trace": [_verdict(each) for each in found]})


def _query(call: Call, known: Iterable[str]) -> dict[str, str]:
    asked = dict(query_pairs(call.request))
    if unknown := asked.keys() - set(known):
        raise RequestError(f"it may say {', '.join(known)}", place=min(unknown))
    return asked


def _about(text: str) -> str:
    if not _ABOUT.fullmatch(text):
        raise RequestError("a resource is Type/id", place="resource")
    return text


def _place(text: str) -> Place | None:
    if not text:
        return None
    found = _MARK.fullmatch(text)
    if found is None:
        raise RequestError("what the page before said", place="before")
    return int(found[1]), found[2]


def _line(sent: Sent) -> dict[str, Any]:
    event = sent.event
    return {
        "id": sent.id,
        "subscriber": sent.subscriber,
        "agency": sent.agency,
        "channel": sent.channel,
        "number": sent.number,
        "resource": f"{event.type}/{event.id}",
        "version": event.version,
        "interaction": event.interaction,
        "at": instant(event.at),
        "state": sent.state,
        "attempts": sent.attempts,
        "firstAttempt": instant(sent.first_attempt) if sent.first_attempt else None,
        "settled": instant(sent.settled) if sent.settled else None,
    }


def _tried(attempts: Iterable[Attempt]) -> list[dict[str, str]]:
    return [
        {
            "at": instant(each.at),
            "outcome": each.outcome,
            "stage": each.stage,
            "place": each.place,
            "reason": each.reason,
        }
        for each in attempts
    ]


def _stands(standing: Standing, waiting: Waiting) -> dict[str, Any]:
    told = standing.subscriber
    failing, again = standing.failing_since, standing.retry_at
    return {
        "id": told.id,
        "agency": told.agency,
        "channel": told.channel,
        "criteria": told.criteria.partition("?")[0],
        "topic": told.topic,
        "status": told.status,
        "error": told.error,
        "failingSince": instant(failing) if failing else None,
        "nextAttempt": instant(again) if again else None,
        "events": standing.next_number - 1,
        "pending": waiting.pending,
        "aside": waiting.aside,
    }


def _verdict(verdict: Verdict) -> dict[str, Any]:
    told, sent = verdict.subscriber, verdict.delivery
    return {
        "version": verdict.event.version,
        "interaction": verdict.event.interaction,
        "at": instant(verdict.event.at),
        "subscriber": told.id,
        "agency": told.agency,
        "channel": told.channel,
        "fired": verdict.fired,
        "because": verdict.because,
        "delivery": _line(sent) | {"history": _tried(verdict.attempts)} if sent else None,
    }


def _json(told: dict[str, Any]) -> Response:
    return Response(answers.as_json(told), media_type=_JSON)


_SUBSCRIBER: Final = parameter("subscriber", "A subscriber's id", "close:cedar-general")
_DELIVERY: Final = (parameter("delivery_id", "The delivery's id", ID, "path"),)
_ONE: Final = (parameter("subscriber_id", "A Subscription's id, or close:<agency>", ID, "path"),)
_LINE: Final = {
    "id": ID,
    "subscriber": "close:cedar-general",
    "agency": "cedar-general",
    "channel": "mllp",
    "number": 7,
    "resource": f"Task/{ID}",
    "version": 2,
    "interaction": "update",
    "at": "2026-03-02T15:04:05.123Z",
    "state": "aside",
    "attempts": 3,
    "firstAttempt": "2026-03-02T15:04:05.200Z",
    "settled": "2026-03-02T15:04:09.000Z",
}
_TRIED: Final = {
    "at": "2026-03-02T15:04:09.000Z",
    "outcome": "aside",
    "stage": "close",
    "place": "Task.owner",
    "reason": "the performer isn't there",
}
_STANDS: Final = {
    "id": "close:cedar-general",
    "agency": "cedar-general",
    "channel": "mllp",
    "criteria": "Task",
    "topic": "",
    "status": "active",
    "error": "",
    "failingSince": None,
    "nextAttempt": None,
    "events": 7,
    "pending": 0,
    "aside": 1,
}
_TRACED: Final = {
    "version": 2,
    "interaction": "update",
    "at": "2026-03-02T15:04:05.123Z",
    "subscriber": ID,
    "agency": "food-bank",
    "channel": "rest-hook",
    "fired": False,
    "because": "not met: status",
    "delivery": None,
}

DELIVERIES: Final = (
    Endpoint(
        "admin_deliveries",
        "GET",
        "/admin/deliveries",
        Policy.ADMIN,
        deliveries,
        Docs(
            "Admin",
            "Deliveries",
            "Newest first. `state=aside` are those that couldn't be made, or that their receiver "
            "refused for good: they hold up nobody and wait for a replay.",
            own=(
                _SUBSCRIBER,
                parameter("agency", "Whose subscribers", "cedar-general"),
                parameter("state", f"One of {', '.join(_STATES)}", "aside"),
                parameter("resource", "What they are about", f"Task/{ID}"),
                parameter("before", "The page before said it", f"42.{ID}"),
            ),
            response={_JSON: {"Aside": {"deliveries": [_LINE], "before": f"42.{ID}"}}},
        ),
    ),
    Endpoint(
        "admin_delivery",
        "GET",
        "/admin/deliveries/{delivery_id}",
        Policy.ADMIN,
        delivery,
        Docs(
            "Admin",
            "One delivery",
            "How it stands, and every attempt but the one that succeeded, newest first.",
            own=_DELIVERY,
            response={_JSON: {"Aside": _LINE | {"history": [_TRIED]}}},
            errors=(404,),
        ),
    ),
    Endpoint(
        "admin_delivery_replay",
        "POST",
        "/admin/deliveries/{delivery_id}/replay",
        Policy.ADMIN,
        replay,
        Docs(
            "Admin",
            "Send a delivery again",
            "Under its id and number, made anew, before what waits. Of an old version it says what "
            "was so then. 409: it is under way.",
            own=_DELIVERY,
            response={_JSON: {"Due": {"id": ID, "subscriber": "close:cedar-general"}}},
            errors=(404, 409),
        ),
    ),
    Endpoint(
        "admin_subscribers",
        "GET",
        "/admin/subscribers",
        Policy.ADMIN,
        subscribers,
        Docs(
            "Admin",
            "Who is told",
            "Subscriptions and closing profiles: status, last error, and what each has before it.",
            response={_JSON: {"Some": {"subscribers": [_STANDS]}}},
        ),
    ),
    Endpoint(
        "admin_subscriber_replay",
        "POST",
        "/admin/subscribers/{subscriber_id}/replay",
        Policy.ADMIN,
        replay_aside,
        Docs(
            "Admin",
            "Send again what was set aside",
            "All of one subscriber's, in their order.",
            own=_ONE,
            response={_JSON: {"Due": {"subscriber": ID, "replayed": 3}}},
            errors=(404,),
        ),
    ),
    Endpoint(
        "admin_subscriber_resume",
        "POST",
        "/admin/subscribers/{subscriber_id}/resume",
        Policy.ADMIN,
        resume,
        Docs(
            "Admin",
            "Try a subscriber again",
            "One in error: its events were kept, and follow in order. 409: it isn't in error.",
            own=_ONE,
            response={_JSON: {"Resumed": {"subscriber": ID}}},
            errors=(404, 409),
        ),
    ),
    Endpoint(
        "admin_trace",
        "GET",
        "/admin/trace",
        Policy.ADMIN,
        trace,
        Docs(
            "Admin",
            "Why did, or didn't, this fire?",
            "Each of a resource's newest versions against each subscriber to its type: whether it "
            "was told, and the reason.",
            own=(
                parameter("resource", "Type/id", f"Task/{ID}"),
                _SUBSCRIBER,
                parameter("version", "Only this version", "2"),
            ),
            response={_JSON: {"Not told": {"resource": f"Task/{ID}", "trace": [_TRACED]}}},
            errors=(404,),
        ),
    ),
)
