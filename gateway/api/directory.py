"""Which door a path leads to: a look into a table, where a router tries each route in turn.

Routes are many (an operation has some for every type), and FastAPI's way to its endpoint, made for
dependencies and models that no door has, took as long as all that a read does behind it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, Final, cast

import structlog
from fastapi import FastAPI
from starlette.middleware.cors import CORSMiddleware
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gateway.api.correlation import named
from gateway.api.endpoint import PLACE, Door
from gateway.api.requests import Asked
from gateway.protect.limits import Place

Found = tuple[Door, dict[str, Any]]
"""A door, and what stands for the variables of its path."""


class Directory:
    """The doors of routes, by method, number of segments and last segment; the first fit wins."""

    def __init__(self, routes: Iterable[BaseRoute] = ()) -> None:
        self._rows: dict[tuple[str, int], dict[str, list[Route]]] = {}
        for route in cast("Iterable[Route]", routes):
            for method in getattr(route, "methods", None) or ():  # a websocket has none
                self._add(self._rows.setdefault((method, route.path.count("/")), {"": []}), route)

    def _add(self, by_end: dict[str, list[Route]], route: Route) -> None:
        """Under its own end, or where that is a variable ("") under every end that is there."""
        end = route.path.rpartition("/")[2]
        if "{" in end:
            for rows in by_end.values():
                rows.append(route)
        else:
            by_end.setdefault(end, list(by_end[""])).append(route)

    def find(self, method: str, path: str) -> Found | None:
        """The door at a decoded path; None where the method has none there."""
        by_end = self._rows.get((method, path.count("/")))
        if by_end is None:
            return None
        for route in by_end.get(path.rpartition("/")[2]) or by_end[""]:
            match = route.path_regex.match(path)
            if match is not None:
                return cast(Door, route.endpoint), match.groupdict()
        return None


_ASKED: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE")
_TOLD: Final = (
    "ETag",
    "Last-Modified",
    "Location",
    "Content-Location",
    "Retry-After",
    "X-Progress",
    "X-Request-Id",
)


TOLD: Final = "gateway.told"
"""Where in a request's scope the headers stand that tell the answer's reader what it is called."""


def _telling(scope: Scope, send: Send) -> Send:
    """The answers of what has no door bear them, too."""

    async def told(message: Message) -> None:
        if message["type"] == "http.response.start":
            message["headers"] = [*message.get("headers", ()), *scope[TOLD]]
        await send(message)

    return told if scope["type"] == "http" else send


class Entrance(FastAPI):
    """FastAPI with its routes and documents; but a path that has a door leads straight there."""

    directory = Directory()
    _front: ASGIApp | None = None

    def open(self, origins: Sequence[str] = ()) -> None:
        """Take up the routes, once all are there.

        Browsers may call from pages of ``origins`` (CORS; R4 http, 3.1.0). A key is in no cookie,
        so a page can do no more than what somebody gave it a key for.
        """
        self.directory = Directory(self.routes)
        if origins:
            self._front = CORSMiddleware(
                self._enter,
                allow_origins=origins,
                allow_methods=_ASKED,
                allow_headers=("*",),
                expose_headers=_TOLD,
            )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request, and then let go of its place among those in hand."""
        if scope["type"] != "http":
            await self._enter(scope, receive, send)
            return
        id_, scope[TOLD] = named(scope["headers"])
        bound = structlog.contextvars.bind_contextvars(request=id_)
        try:
            await (self._front or self._enter)(scope, receive, send)
        finally:
            place: Place | None = scope.pop(PLACE, None)
            if place is not None:
                place.leave()
            structlog.contextvars.reset_contextvars(**bound)

    async def _enter(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer, or hand on what has no door: refusals, and the life of the app."""
        found = None
        if scope["type"] == "http" and not scope.get("root_path"):
            found = self.directory.find(scope["method"], scope["path"])
            if found is None and scope["query_string"] and scope["path"].endswith("/"):
                # Patient/?name=… is a search of Patients; Patient/ is a read without an id
                found = self.directory.find(scope["method"], scope["path"][:-1])
        if found is None:
            await super().__call__(scope, receive, _telling(scope, send))
            return
        door, scope["path_params"] = found
        scope["app"] = self
        response = await door(Asked(scope, receive, send))
        response.raw_headers += scope[TOLD]
        await response(scope, receive, send)
