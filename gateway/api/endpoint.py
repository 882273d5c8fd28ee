"""One row of the API, and the door in front of it: policy, key, and the answer to errors.

A route exists only as an ``Endpoint`` behind a ``Door``; ``check_doors`` refuses an app that has
any other. Whatever goes wrong behind a door becomes an OperationOutcome, and a log line that names
the route's template: a URL may hold a patient's name.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final, Literal, TypeVar

import structlog
from fastapi import FastAPI
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Scope

from gateway import logs, meters, traces
from gateway.api import answers, requests
from gateway.api.refusals import Unexpected
from gateway.errors import GatewayError, SettingError, Unauthenticated, on_disk
from gateway.exchange.looking import Wanted
from gateway.model import Context, Receipt, Stored
from gateway.pipeline import Pipeline
from gateway.protect.limits import Limits, Place
from gateway.protect.policy import Policy, admit
from gateway.protect.strangers import Kind, Strangers
from gateway.settings import Settings
from gateway.together import Together

T = TypeVar("T")

INLINE: Final = 64 * 2**10
"""A body up to so many bytes is parsed on the event loop; a larger one would hold up the rest."""

PLACE: Final = "gateway.place"
"""Where in a request's scope its place among those in hand stands, until it is answered."""

NOBODY: Final = Context("", "", frozenset())

TakeIn = Callable[[Pipeline, str, str, bytes], Future[Receipt]]
"""Takes raw HL7 v2, a message or a batch, from an agency over a channel."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Api:
    """What stands behind every door. ``threads`` bounds how many reads run at once.

    ``look`` reads a resource, those that are asked for at the same time in one snapshot.
    """

    pipeline: Pipeline
    settings: Settings
    take_in: TakeIn
    ready: Callable[[], bool]
    threads: ThreadPoolExecutor
    look: Together[Wanted, Stored]
    started: datetime
    limits: Limits
    strangers: Strangers


@dataclass(frozen=True, slots=True)
class Call:
    """One request that was let in, and by whom (``NOBODY`` on a public route)."""

    api: Api
    request: Request
    context: Context

    @property
    def base(self) -> str:
        """The FHIR base URL as the client calls it."""
        scope, host = self.request.scope, self.request.headers.get("host")
        if host is None or scope.get("root_path"):
            return f"{self.request.base_url}fhir"
        return f"{scope['scheme']}://{host}/fhir"

    def path(self, name: str) -> str:
        """A variable of the route's path."""
        value: str = self.request.path_params[name]
        return value

    async def body(self) -> bytes:
        """The request's body, within the limit of the settings."""
        place: Place | None = self.request.scope.get(PLACE)
        limit = self.api.settings.message_limit
        return await requests.body(self.request, limit, place.hold if place else None)

    async def read(self, reading: Callable[[], T]) -> T:
        """Run a blocking read beside the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self.api.threads, reading)

    async def write(self, size: int, writing: Callable[[], Future[T]]) -> T:
        """Start a write of ``size`` bytes and wait until it is on disk."""
        started = writing() if size <= INLINE else await self.read(writing)
        return await asyncio.wrap_future(started)


def parameter(
    name: str,
    text: str,
    example: str,
    where: Literal["query", "path", "header"] = "query",
    *,
    required: bool = False,
    **schema: Any,
) -> dict[str, Any]:
    """A parameter of a row as OpenAPI has it; one of the path is always required."""
    made = {"name": name, "in": where, "description": text, "example": example}
    needed = {"required": True} if required or where == "path" else {}
    return made | needed | {"schema": {"type": "string"} | schema}


@dataclass(frozen=True, slots=True)
class Docs:
    """A row in the OpenAPI document.

    ``parameters`` and ``errors`` name entries of its tables, ``own`` are the row's own parameters,
    ``request`` and ``response`` map a media type to an example, ``headers`` names those of the
    answer. Errors that every row has (400, 500), or every row behind a key (401, 403, 429, 503),
    are added by rule.
    """

    tag: str
    summary: str
    text: str = ""
    parameters: tuple[str, ...] = ()
    own: tuple[dict[str, Any], ...] = ()
    request: dict[str, Any] = field(default_factory=dict)
    needs_body: bool = True
    status: int = 200
    response: dict[str, Any] = field(default_factory=dict)
    also: dict[int, str] = field(default_factory=dict)
    headers: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A row: ``name`` as the specification names the interaction, ``policy`` who may call it.

    ``counted``: as what a call of its is counted that needs no key; None where its body says who
    calls, so that only a call that says it wrongly counts, as one with a wrong key does.
    """

    name: str
    method: str
    path: str
    policy: Policy
    answer: Callable[[Call], Awaitable[Response]]
    docs: Docs
    counted: Kind | None = "open"


class Policed:
    """What a route leads to: it says who may come in."""

    policy: Policy


class Door(Policed):
    """The ASGI endpoint of a row: lets in, answers, and turns every error into an outcome."""

    def __init__(self, endpoint: Endpoint, api: Api) -> None:
        self.endpoint = endpoint
        self.policy = endpoint.policy
        self._api = api

    async def __call__(self, request: Request) -> Response:
        """Answer one request; what took a key to see is kept by no cache on its way."""
        began = time.perf_counter()
        with self._traced(request) as span:
            response = await self._answer(request)
            span.note(status=response.status_code)
        self._count(request.method, response.status_code, time.perf_counter() - began)
        if response.media_type == requests.FHIR and requests.wants_pretty(request):
            response = answers.pretty(response)
        if self.policy is not Policy.PUBLIC:
            response.raw_headers.append((b"cache-control", b"no-store"))
        return response

    async def _answer(self, request: Request) -> Response:
        context = NOBODY
        try:
            try:
                context = self._let_in(request)
                with on_disk():
                    return await self.endpoint.answer(Call(self._api, request, context))
            except Unauthenticated:
                self._api.strangers.enter(address(request.scope), "key")
                raise
        except GatewayError as error:
            return refuse(error, self.endpoint.name, agency=context.agency)
        except Exception as error:  # noqa: BLE001 - recorded by `unexpected`, answered 500
            return unexpected(error, self.endpoint.name, agency=context.agency)

    def _traced(self, request: Request) -> traces.Span:
        if not traces.is_on():
            return traces.NOTHING
        parent = request.headers.get(traces.HEADER, "")
        return traces.span(f"{request.method} {self.endpoint.path}", "server", parent=parent)

    def _count(self, method: str, status: int, seconds: float) -> None:
        """By the route's template: a URL may hold a name."""
        meters.requested(self.endpoint.path, method, status).inc()
        meters.requested_for(self.endpoint.path, method).observe(seconds)

    def _let_in(self, request: Request) -> Context:
        metrics = self.policy is Policy.METRICS
        if self.policy is Policy.PUBLIC or (metrics and self._api.settings.metrics_public):
            if self.endpoint.counted is not None:
                self._api.strangers.enter(address(request.scope), self.endpoint.counted)
            return NOBODY
        secret, members = requests.bearer(request), self._api.pipeline.members
        if not members.is_known(secret):  # others' tries are no reason to shut out who has been in
            self._api.strangers.check(address(request.scope), "key")
        context = members.authenticate(secret)
        admit(self.policy, context)
        if not (context.admin or metrics):  # who looks after the gateway comes in when it is full
            request.scope[PLACE] = self._api.limits.enter(context.agency)
        hops = requests.hops(request)
        return replace(context, hops=hops) if hops else context


def address(scope: Scope) -> str:
    """Where a call comes from, as far as trusted proxies say; "" where nobody can tell."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def check_doors(app: FastAPI) -> None:
    """Refuse an app with a route that names no policy (``SettingError`` with its path)."""
    for route in app.routes:
        if not isinstance(getattr(route, "endpoint", None), Policed):
            place = getattr(route, "path", type(route).__name__)
            raise SettingError("a route names no policy", place=place)


def refuse(
    error: GatewayError, route: str, headers: dict[str, str] | None = None, *, agency: str = ""
) -> Response:
    """Answer an error that was foreseen, and log it without a value."""
    logs.refusal(log, "refused", error, route=route, status=error.status, agency=agency)
    return answers.refusal(error, headers)


def unexpected(error: Exception, route: str, *, agency: str = "") -> Response:
    """Answer an error that nobody foresaw, and log its kind and where it was, never its text."""
    meters.refused("api", None)
    log.error("unexpected", route=route, agency=agency, **logs.about(error))
    return answers.refusal(Unexpected("the gateway failed; its log says where"))
