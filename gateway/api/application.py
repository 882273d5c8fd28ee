"""The API, put together from its tables: routes, errors, OpenAPI."""

from __future__ import annotations

import contextlib
from collections.abc import AsyncIterator, Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from typing import Final

from fastapi import FastAPI
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, WebSocketRoute

from gateway.api.admin import ADMIN
from gateway.api.asides import ASIDES
from gateway.api.bulk import BULK
from gateway.api.deliveries import DELIVERIES
from gateway.api.directory import Entrance
from gateway.api.docs import DOCS
from gateway.api.endpoint import Api, Door, Endpoint, TakeIn, check_doors, refuse, unexpected
from gateway.api.explaining import EXPLAINING
from gateway.api.health import HEALTH
from gateway.api.intake import INTAKE
from gateway.api.interactions import BASE, INTERACTIONS
from gateway.api.loads import LOADS
from gateway.api.maps import MAPS
from gateway.api.metrics import METRICS
from gateway.api.openapi import ABOUT, VERSION, openapi_text, operation
from gateway.api.operations import ROWS as OPERATIONS
from gateway.api.pages import PAGES
from gateway.api.refusals import RequestError, UnknownPath, WrongMethod
from gateway.api.unmet import UNMET
from gateway.api.websocket import PATH, SocketDoor
from gateway.pipeline import Pipeline
from gateway.protect.limits import Limits, limits_of
from gateway.protect.strangers import Strangers
from gateway.settings import Settings
from gateway.together import Together

ENDPOINTS: Final = (
    *OPERATIONS,
    *BULK,
    *INTERACTIONS,
    *INTAKE,
    *LOADS,
    *ASIDES,
    *ADMIN,
    *DELIVERIES,
    *UNMET,
    *MAPS,
    *EXPLAINING,
    *HEALTH,
    *METRICS,
    *DOCS,
    *PAGES,
)
WATCHED: Final = (*HEALTH, *METRICS)
"""What a process answers that has no API: whoever watches over it asks every one."""

READERS: Final = 8
TOGETHER: Final = 16
"""How many resources are read in one snapshot, where so many are asked for at once."""

_SHAPES: Final = {
    "resource_type": r"[A-Z][A-Za-z]*",
    "id": r"[A-Za-z0-9\-.]{1,64}",
    "member": r"[A-Z][A-Za-z]*|\*",
}


for _name, _regex in _SHAPES.items():
    register_url_convertor(_name, type(_name, (StringConvertor,), {"regex": _regex})())


def build_api(
    pipeline: Pipeline,
    settings: Settings,
    *,
    take_in: TakeIn,
    ready: Callable[[], bool],
    limits: Limits | None = None,
    endpoints: Iterable[Endpoint] = ENDPOINTS,
) -> FastAPI:
    """The ASGI application over a pipeline.

    ``take_in`` stands behind ``/intake/hl7v2``; ``ready`` answers ``/readyz``; ``limits`` are
    those of whatever else the process takes calls by. Raises ``SettingError`` if a route names no
    policy.
    """
    threads = ThreadPoolExecutor(READERS, thread_name_prefix="api-read")
    limits = limits or limits_of(settings, pipeline.members.allowance)
    look = Together(pipeline.looking.each, TOGETHER, threads)
    strangers = Strangers(settings.stranger_rate, settings.stranger_burst)
    api = Api(
        pipeline, settings, take_in, ready, threads, look, datetime.now(UTC), limits, strangers
    )
    app = _application(threads)
    for endpoint in endpoints:
        _add(app, endpoint, api)
    if endpoints is not WATCHED:
        app.router.routes.append(WebSocketRoute(PATH, SocketDoor(api)))
    check_doors(app)
    app.open(settings.cors_origins)
    app.state.openapi = openapi_text(app)
    return app


def _application(threads: ThreadPoolExecutor) -> Entrance:
    @contextlib.asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        yield
        threads.shutdown()

    return Entrance(
        title="Care Gateway",
        version=VERSION,
        description=ABOUT,
        openapi_url=None,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        # Its own spans and logs would say the URL, and what exceptions say.
        telemetry={"tracing": False, "metrics": False, "logs": False, "auto_configure": False},
        lifespan=lifespan,
        exception_handlers={HTTPException: _no_route, Exception: _outside},
    )


def _add(app: FastAPI, endpoint: Endpoint, api: Api) -> None:
    docs = endpoint.docs
    door = Door(endpoint, api)
    path = _narrowed(endpoint.path)
    app.add_api_route(
        path,
        door,
        methods=[endpoint.method],
        name=endpoint.name,
        operation_id=endpoint.name,
        tags=[docs.tag],
        summary=docs.summary,
        description=docs.text,
        status_code=docs.status,
        response_class=Response,
        response_model=None,
        openapi_extra=operation(endpoint),
        include_in_schema=bool(docs.tag),
    )
    if endpoint.method == "GET" and endpoint.path.startswith(BASE):
        app.add_api_route(
            path,
            door,
            methods=["HEAD"],
            response_model=None,
            include_in_schema=False,
        )
    if endpoint.path == BASE:  # clients join a base URL and "" with a slash or without
        app.add_api_route(
            f"{BASE}/",
            door,
            methods=[endpoint.method],
            response_model=None,
            include_in_schema=False,
        )


def _narrowed(path: str) -> str:
    """The path with its variables bound to what FHIR lets stand there: no type is ``$convert``."""
    for name in _SHAPES:
        path = path.replace(f"{{{name}}}", f"{{{name}:{name}}}")
    return path


async def _no_route(request: Request, error: Exception) -> Response:
    """What the router refuses: a path that isn't there, a method that the path doesn't know."""
    status = error.status_code if isinstance(error, HTTPException) else 400
    if status == 404:
        return refuse(UnknownPath("no such path"), "none")
    if status == 405:
        allowed = {"allow": ", ".join(sorted(_methods(request)))}
        return refuse(WrongMethod("the path doesn't know this method"), "none", allowed)
    return refuse(RequestError("the request can't be understood"), "none")


async def _outside(request: Request, error: Exception) -> Response:
    """What fails outside every door."""
    return unexpected(error, "none")


def _methods(request: Request) -> set[str]:
    """The methods of every route on the request's path: the router only knows of the first."""
    found: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= route.methods
    return found
