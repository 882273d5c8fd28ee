"""The light page: a referral, for whoever bears its signed link. Server-rendered, for any phone.

No account, no script, nothing loaded from elsewhere. A GET only shows, since mail programs follow
links; a POST does. The token stands in the path alone: it is asked for by nobody else (no cookie,
so no other site can act with it), and leaves neither by Referer nor by our log, which names
routes' templates. HTML is escaped by Jinja2 throughout.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

import structlog
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.responses import RedirectResponse, Response

from gateway import logs
from gateway.api import requests
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.pages.words import words
from gateway.api.refusals import RequestError
from gateway.errors import (
    CloseError,
    Conflict,
    GatewayError,
    Gone,
    InvalidResource,
    NotFound,
    PreconditionFailed,
    Unauthenticated,
    Unavailable,
)
from gateway.light import MOVES, REASONS, Answer
from gateway.protect.policy import Policy

PATH: Final = "/light/{token}"

_FIELDS: Final = 16
_FORM_LIMIT: Final = 16 * 2**10
_SITES: Final = ("", "same-origin", "none")

log = structlog.get_logger()

_pages = Environment(
    loader=PackageLoader("gateway.api.pages"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_STYLE: Final = _pages.get_template("style.css").render()
_HASH: Final = base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()
_SAFE: Final = {
    "content-security-policy": f"default-src 'none'; style-src 'sha256-{_HASH}'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
    "cache-control": "no-store",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-robots-tag": "noindex, nofollow",
}


async def page(call: Call) -> Response:
    """The referral as it stands, and what can be done about it."""
    try:
        sight = await call.read(lambda: call.api.pipeline.light.see(call.path("token")))
    except GatewayError as error:
        return _refused(error)
    return _html("referral.html", seen=words(sight), reasons=REASONS)


async def act(call: Call) -> Response:
    """Accept, decline or mark served; what comes of it is seen by a new link."""
    token = call.path("token")
    try:
        answer = _answer(await _form(call))
        future = await call.read(lambda: call.api.pipeline.light.act(token, answer))
        new = await asyncio.wrap_future(future)
    except GatewayError as error:
        return _refused(error)
    return RedirectResponse(f"./{new}", 303, headers=_SAFE)


async def _form(call: Call) -> Mapping[str, str]:
    """The form's fields. A browser says whose page sent it; another site's isn't taken."""
    if call.request.headers.get("sec-fetch-site", "") not in _SITES:
        raise RequestError("the form must come from its own page", place="Sec-Fetch-Site")
    requests.check_body_type(call.request, {requests.FORM})
    raw = await requests.body(call.request, _FORM_LIMIT)
    try:
        pairs = parse_qsl(raw.decode(), keep_blank_values=True, max_num_fields=_FIELDS)
    except ValueError:
        raise RequestError("the form can't be read") from None
    return dict(pairs)


def _answer(form: Mapping[str, str]) -> Answer:
    move, version, date = form.get("move", ""), form.get("version", ""), form.get("date", "")
    if move not in {each for some in MOVES.values() for each in some}:
        raise RequestError("no such move", place="move")
    if not re.fullmatch(r"[0-9]{1,9}", version):
        raise RequestError("a version is a number", place="version")
    if not re.fullmatch(r"(\d{4}-\d\d-\d\d)?", date):
        raise RequestError("a date is needed", place="date")
    return Answer(move, int(version), form.get("reason", ""), form.get("text", ""), date)


def _html(template: str, status: int = 200, **values: Any) -> Response:
    body = _pages.get_template(template).render(style=_STYLE, **values)
    return Response(body, status, headers=_SAFE, media_type="text/html")


def _refused(error: GatewayError) -> Response:
    """A page that says what to do now; the log names the place, never the token."""
    logs.refusal(log, "refused", error, route="light", status=error.status)
    status = 404 if isinstance(error, Unauthenticated) else error.status
    return _html("refused.html", status, why=_why(error))


def _why(error: GatewayError) -> tuple[str, str]:
    found = (said for kind, said in _WHY if isinstance(error, kind))
    return next(found, ("That didn't work.", "Go back and try again."))


_LOOK: Final = "Look at it again and decide then."
_WHY: Final[tuple[tuple[type[GatewayError], tuple[str, str]], ...]] = (
    (Unauthenticated, ("This link has ended.", "Use the one in the newest message that you got.")),
    (NotFound, ("This referral is no longer with you.", "There is nothing left to do for you.")),
    (Gone, ("This referral is no longer with you.", "There is nothing left to do for you.")),
    (PreconditionFailed, ("The referral has changed meanwhile.", _LOOK)),
    (CloseError, ("The referral has changed meanwhile.", _LOOK)),
    (Conflict, ("This was done before.", "Look at the referral to see how it stands.")),
    (InvalidResource, ("Something is missing.", "Go back and fill in the reason and the date.")),
    (Unavailable, ("That can't be done at the moment.", "Try again in a minute.")),
)

PAGES: Final = (
    Endpoint("light_page", "GET", PATH, Policy.PUBLIC, page, Docs("", "")),
    Endpoint("light_act", "POST", PATH, Policy.PUBLIC, act, Docs("", "")),
)
