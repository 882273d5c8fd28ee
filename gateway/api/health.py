"""Whether the process lives, and whether it can take work. For load balancers; no key needed."""

from __future__ import annotations

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.errors import Unavailable
from gateway.protect.policy import Policy

_UP = answers.as_json({"status": "up"})
_UP_WITH_OLD_MAPS = answers.as_json({"status": "up", "maps": "edited, and broken: see /maps"})
_JSON = "application/json"
_ANSWER = {_JSON: {"Up": {"status": "up"}}}


async def livez(call: Call) -> Response:
    """The process runs and its event loop turns."""
    return Response(_UP, media_type=_JSON)


async def readyz(call: Call) -> Response:
    """The hub is open, its disk takes what is written and everything listens; else 503.

    Edited maps that don't load hinder nothing, for those before them serve: it says so.
    """
    if not await call.read(call.api.ready):
        # Not raised: it is the prober's to know, and no line in the log.
        return answers.refusal(Unavailable("the gateway is starting or stopping, or can't write"))
    broken = call.api.pipeline.maps.state.error is not None
    return Response(_UP_WITH_OLD_MAPS if broken else _UP, media_type=_JSON)


HEALTH = (
    Endpoint(
        "livez",
        "GET",
        "/livez",
        Policy.PUBLIC,
        livez,
        Docs("Health", "Does it live?", "The process runs.", response=_ANSWER),
        "probe",
    ),
    Endpoint(
        "readyz",
        "GET",
        "/readyz",
        Policy.PUBLIC,
        readyz,
        Docs(
            "Health",
            "Can it take work?",
            "503 while starting and while draining, and while the disk or the database doesn't "
            "take what is written.",
            response=_ANSWER,
            errors=(503,),
        ),
        "probe",
    ),
)
