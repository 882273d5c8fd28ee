"""The CapabilityStatement (R4, 5.2), from the same tables that make routes and search."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Final

from gateway.fhir.elements import resource_types
from gateway.fhir.meta import instant
from gateway.fhir.search_parameters import parameters
from gateway.model import Resource

_TYPE_LEVEL: Final = (
    "read",
    "vread",
    "update",
    "patch",
    "delete",
    "history-instance",
    "history-type",
    "create",
    "search-type",
)
_SYSTEM_LEVEL: Final = ("transaction", "batch", "search-system", "history-system")


def capability(
    base_url: str,
    interactions: Iterable[str],
    *,
    types: Iterable[str] | None = None,
    at: datetime | None = None,
) -> Resource:
    """What this server does at ``base_url``, its FHIR base.

    ``interactions`` are the names of its routes ("read", "search_type", "transaction"); those
    that R4 has no code for are left out. ``types`` are the resource types they hold for (all, if
    None), ``at`` (aware) the time of the statement (now, if None).
    """
    names = {name.replace("_", "-") for name in interactions}
    here = [code for code in _TYPE_LEVEL if code in names]
    rest: Resource = {
        "mode": "server",
        "security": {"description": "A key of a member agency, as a bearer token."},
        "resource": [_resource(type_, here) for type_ in sorted(types or resource_types())],
    }
    system = [{"code": code} for code in _SYSTEM_LEVEL if code in names]
    return {
        "resourceType": "CapabilityStatement",
        "status": "active",
        "date": instant(at or datetime.now(UTC)),
        "kind": "instance",
        "software": _software(),
        "implementation": {"description": "Care Gateway", "url": base_url},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [rest | {"interaction": system} if system else rest],
    }


def _software() -> Resource:
    try:
        return {"name": "Care Gateway", "version": version("care-gateway")}
    except PackageNotFoundError:  # run from a checkout that isn't installed
        return {"name": "Care Gateway"}


def _resource(type_: str, interactions: Sequence[str]) -> Resource:
    out: Resource = {
        "type": type_,
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned-update",
        "readHistory": "vread" in interactions,
        "updateCreate": False,
        "conditionalCreate": False,
        "conditionalUpdate": False,
    }
    if "search-type" in interactions:
        out["searchParam"] = [
            {"name": one.code, "definition": one.definition, "type": one.kind}
            for one in sorted(parameters(type_).values(), key=lambda one: one.code)
        ]
    return out
