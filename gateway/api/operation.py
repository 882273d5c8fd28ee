"""An operation, from which its routes, documents and line in the CapabilityStatement are made.

FHIR R4 operations.html. It may be called by POST with Parameters; by GET too where it changes
nothing and all that it needs can stand in a query.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final, Literal

from starlette.responses import Response

from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.parameters import Inputs, Parameter, posted, queried
from gateway.api.reading import resource_type
from gateway.api.requests import (
    FHIR,
    check_accepts_json,
    check_json_body,
    media_type,
    query_pairs,
)
from gateway.errors import NotFound
from gateway.fhir import json
from gateway.model import Resource
from gateway.protect.policy import Policy

Level = Literal["system", "type", "instance"]

BASE: Final = "/fhir"
_ID: Final = re.compile(r"[A-Za-z0-9\-.]{1,64}")
R4: Final = "http://hl7.org/fhir/OperationDefinition/"


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of an operation: on the system (``type`` and ``id`` None), a type or an instance."""

    call: Call
    level: Level
    type: str | None
    id: str | None
    inputs: Inputs
    raw: bytes = b""


@dataclass(frozen=True, slots=True)
class Operation:
    """A row of the table.

    ``name`` is without its dollar sign; ``types`` those that it is for, none meaning any.
    ``affects``: it changes something, so GET doesn't call it; ``reads``: on which levels what it
    needs can stand in a query, so that GET does. ``media`` are further types of body, which it gets
    raw, ``streamed`` those that it reads itself. ``request`` and ``response`` are named examples,
    ``raw_request`` those of other media types.
    """

    name: str
    definition: str
    levels: tuple[Level, ...]
    answer: Callable[[Asked], Awaitable[Response]]
    summary: str
    text: str
    parameters: tuple[Parameter, ...] = ()
    types: tuple[str, ...] = ()
    affects: bool = False
    reads: tuple[Level, ...] = ("system", "type", "instance")
    media: tuple[str, ...] = ()
    streamed: tuple[str, ...] = ()
    request: dict[str, Any] = field(default_factory=dict)
    raw_request: dict[str, dict[str, Any]] = field(default_factory=dict)
    response: dict[str, Any] = field(default_factory=dict)
    status: int = 200
    headers: tuple[str, ...] = ()
    errors: tuple[int, ...] = ()
    policy: Policy = Policy.MEMBER

    def rows(self) -> Iterator[Endpoint]:
        """Its endpoints: a level, a type and a method each."""
        for level in self.levels:
            for type_ in self.types or (None,):
                if level == "system" and type_ != (self.types or (None,))[0]:
                    continue
                for method in self._methods(level):
                    yield self._row(level, None if level == "system" else type_, method)

    def _methods(self, level: Level) -> tuple[str, ...]:
        return ("GET", "POST") if level in self.reads and not self.affects else ("POST",)

    def _row(self, level: Level, type_: str | None, method: str) -> Endpoint:
        parts = [BASE]
        if level != "system":
            parts.append(type_ or "{resource_type}")
        if level == "instance":
            parts.append("{id}")
        name = "_".join(filter(None, (self.name.replace("-", "_"), level, type_, method.lower())))
        return Endpoint(
            name,
            method,
            "/".join((*parts, f"${self.name}")),
            self.policy,
            lambda call: self._called(call, level, type_),
            self._docs(level, type_, method),
        )

    async def _called(self, call: Call, level: Level, type_: str | None) -> Response:
        pairs = query_pairs(call.request)
        check_accepts_json(call.request, pairs)
        type = None if level == "system" else type_ or resource_type(call)
        id = instance_id(call, type) if level == "instance" and type else None
        given = queried(pairs)
        raw = b""
        if call.request.method == "POST" and not self.streamed:
            raw = await call.body()
            if raw and media_type(call.request) not in self.media:
                check_json_body(call.request)
                given += posted(raw, self.parameters)
                raw = b""
        inputs = Inputs(self.parameters, given)
        return await self.answer(Asked(call, level, type, id, inputs, raw))

    def _docs(self, level: Level, type_: str | None, method: str) -> Docs:
        path: tuple[str, ...] = ("resource_type",) if level != "system" and type_ is None else ()
        path += ("id",) if level == "instance" else ()
        posts = method == "POST"
        where = {"system": "", "type": " on a type", "instance": " on a resource"}[level]
        request: dict[str, Any] = {FHIR: self.request} if posts and self.request else {}
        request |= self.raw_request if posts else {}
        body = {406, 408, 413, 415} if posts else {406}
        gone = {410} if level == "instance" else set()
        return Docs(
            "Operations",
            f"{self.summary}{where}" + (f": {type_}" if type_ and len(self.types) > 1 else ""),
            self.text,
            parameters=(*path, "format"),
            own=() if posts and self.request else tuple(map(_documented, self._queried())),
            request=request,
            needs_body=False,
            status=self.status,
            response={FHIR: self.response} if self.response else {},
            headers=self.headers,
            errors=tuple(sorted({404, *body, *gone, *self.errors})),
        )

    def _queried(self) -> list[Parameter]:
        return [one for one in self.parameters if one.simple]


def instance_id(call: Call, type: str) -> str:
    """The id in the path; what can't be an id is the id of nothing (``NotFound``)."""
    id = call.path("id")
    if _ID.fullmatch(id) is None:
        raise NotFound("no such resource", place=type)
    return id


def answered(
    resource: Resource, status: int = 200, headers: dict[str, str] | None = None
) -> Response:
    """A resource that an operation made."""
    return Response(json.dumps(resource), status, headers, FHIR)


def parameters(*given: Resource) -> Resource:
    """A Parameters resource."""
    out: Resource = {"resourceType": "Parameters"}
    return out | ({"parameter": list(given)} if given else {})


def offered(operations: Iterable[Operation]) -> dict[str, list[Resource]]:
    """By type ("" for the system), what the CapabilityStatement says is offered."""
    out: dict[str, list[Resource]] = {}
    for one in operations:
        line = {"name": one.name, "definition": one.definition}
        places = [""] if "system" in one.levels else []
        if {"type", "instance"} & set(one.levels):
            places += one.types or ("*",)
        for place in places:
            out.setdefault(place, []).append(line)
    return out


def _documented(one: Parameter) -> Resource:
    kinds: dict[str, Resource] = {"boolean": {"type": "boolean"}, "integer": {"type": "integer"}}
    schema: Resource = kinds.get(one.type, {"type": "string"})
    out: Resource = {"name": one.name, "in": "query", "description": one.text}
    if one.repeats:
        out |= {"schema": {"type": "array", "items": schema}, "explode": True}
        return out | ({"example": [one.example]} if one.example else {})
    example: Any = one.example
    if one.type == "integer" and example:
        example = int(example)
    elif one.type == "boolean" and example:
        example = example == "true"
    return out | {"schema": schema} | ({"example": example} if one.example else {})
