"""Every official R4 search parameter as data, and the rows that a resource is found by.

A parameter that can't be answered yet isn't offered: ``unsupported`` names it and says why.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Final, cast

from gateway.fhir.definitions import load
from gateway.fhir.expressions import (
    UnsupportedExpression,
    Walk,
    compile_expression,
    values_of,
)
from gateway.fhir.indexing import MAKERS, Maker
from gateway.fhir.query import Kind
from gateway.fhir.rows import IndexRow
from gateway.model import Resource

_DEFINITION: Final = "http://hl7.org/fhir/SearchParameter/"
_NOT_DOMAIN: Final = ("Bundle", "Binary", "Parameters")


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one type.

    ``definition`` is its canonical URL, ``expression`` its FHIRPath, ``targets`` the types that a
    reference may point to (empty: any). ``walks`` lead to its values, each with what makes rows.
    """

    code: str
    kind: Kind
    definition: str
    expression: str
    targets: tuple[str, ...]
    walks: tuple[tuple[Walk, Maker], ...]


@cache
def parameters(type: str) -> Mapping[str, Parameter]:
    """The search parameters of a resource type by code, ``_id`` and ``_lastUpdated`` among them."""
    offered, _ = _compiled(type)
    return offered


@cache
def unsupported(type: str) -> Mapping[str, str]:
    """Official parameters of a type that aren't offered, and why."""
    _, refused = _compiled(type)
    return refused


def extract(resource: Resource, only: frozenset[str] | None = None) -> list[IndexRow]:
    """The rows of a valid resource, without repetitions; none for ``_id`` and ``_lastUpdated``.

    ``only`` those of these parameters, where not all are needed.
    """
    out: list[IndexRow] = []
    by_key = _walks(resource["resourceType"], only)
    for key in ("", *resource):
        walks = by_key.get(key)
        if walks is not None:
            first = values_of(resource[key]) if key else [resource]
            for param, walk, make in walks:
                for value in walk.beyond(first, resource) if walk.steps else first:
                    out += make(param, value, walk.element)
    return list(dict.fromkeys(out))


@lru_cache(4096)
def _walks(
    type: str, only: frozenset[str] | None
) -> Mapping[str, tuple[tuple[str, Walk, Maker], ...]]:
    """The walks by the top-level key that they start with: most keys aren't there."""
    out: dict[str, list[tuple[str, Walk, Maker]]] = {}
    for code, parameter in parameters(type).items():
        if code not in ("_id", "_lastUpdated") and (only is None or code in only):
            for walk, make in parameter.walks:
                out.setdefault(walk.first, []).append((code, walk, make))
    return {key: tuple(found) for key, found in out.items()}


@cache
def _definitions() -> Mapping[str, tuple[Mapping[str, Any], ...]]:
    out: dict[str, list[Mapping[str, Any]]] = {}
    for raw in load("search_parameters"):
        for base in raw["base"]:
            out.setdefault(base, []).append(raw)
    return {base: tuple(found) for base, found in out.items()}


def _of(type: str) -> Iterator[Mapping[str, Any]]:
    yield from _definitions().get("Resource", ())
    if type not in _NOT_DOMAIN:
        yield from _definitions().get("DomainResource", ())
    yield from _definitions().get(type, ())


@cache
def _compiled(type: str) -> tuple[Mapping[str, Parameter], Mapping[str, str]]:
    offered: dict[str, Parameter] = {}
    refused: dict[str, str] = {}
    for raw in _of(type):
        try:
            offered[raw["code"]] = _parameter(raw, type)
        except UnsupportedExpression as error:
            refused[raw["code"]] = str(error)
    return offered, refused


def _parameter(raw: Mapping[str, Any], type: str) -> Parameter:
    kind, expression = raw["type"], raw.get("expression", "")
    if kind not in MAKERS:
        raise UnsupportedExpression(f"{kind} parameters")
    if not expression:
        raise UnsupportedExpression("full-text search and named queries")
    if raw["code"] == "phonetic":
        raise UnsupportedExpression("phonetic matching")
    return Parameter(
        code=raw["code"],
        kind=cast(Kind, kind),
        definition=_DEFINITION + raw["id"],
        expression=expression,
        targets=tuple(raw.get("target", ())),
        walks=_made(kind, compile_expression(expression, type)),
    )


def _made(kind: str, walks: list[Walk]) -> tuple[tuple[Walk, Maker], ...]:
    """Each walk with what makes its rows; a choice's types that the kind can't hold fall out."""
    made = [(walk, MAKERS[kind][walk.type]) for walk in walks if walk.type in MAKERS[kind]]
    if not made:
        types = ", ".join(sorted({walk.type for walk in walks})) or "nothing"
        raise UnsupportedExpression(f"{kind} of {types}")
    return tuple(made)
