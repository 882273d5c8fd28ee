"""What the bench is asked over HTTP: whose, of how many, and how it is answered."""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call, parameter
from gateway.api.refusals import RequestError
from gateway.api.requests import query_pairs
from gateway.errors import NotFound

JSON: Final = "application/json"
_MOST: Final = 1000
"""Messages that one call may look at."""


def told(said: dict[str, Any]) -> Response:
    """An answer of the bench."""
    return Response(answers.as_json(said), media_type=JSON)


def asked_of(call: Call, known: set[str]) -> dict[str, str]:
    """The query, which may say these. Raises RequestError."""
    asked = dict(query_pairs(call.request))
    if asked.keys() - known:
        raise RequestError(f"only {', '.join(sorted(known))} may be said", place="query")
    return asked


def needed(query: dict[str, str], name: str) -> str:
    """What it must say. Raises RequestError."""
    if not query.get(name):
        raise RequestError(f"{name} is missing", place=name)
    return query[name]


def member_of(call: Call, query: dict[str, str]) -> str:
    """The member that is asked about: the caller, or for the keeper whom it names."""
    if call.context.admin:
        return needed(query, "agency")
    if query.get("agency", call.context.agency) != call.context.agency:
        raise NotFound("no such member", place="agency")
    return call.context.agency


def how_many(query: dict[str, str]) -> int:
    """How many messages or rows are to be looked at. Raises RequestError."""
    text = query.get("count", "100")
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise RequestError(f"a number from 1 to {_MOST}", place="count")
    return int(text)


COUNT: Final = parameter("count", f"How many of the last messages, at most {_MOST}.", "100")
AGENCY: Final = parameter("agency", "Whose messages; the keeper alone names one.", "cedar-general")


def shown(name: str, example: dict[str, Any]) -> dict[str, Any]:
    """An example as OpenAPI has it."""
    return {JSON: {name: example}}
