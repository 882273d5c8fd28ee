"""The CapabilityStatement (R4, 5.2), from the same tables that make routes and search."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from types import MappingProxyType
from typing import Final

from gateway.fhir.codes import SDOH
from gateway.fhir.compartments import compartment
from gateway.fhir.coordination import EXCHANGED
from gateway.fhir.elements import resource_types
from gateway.fhir.meta import instant
from gateway.fhir.notification import IG, TOPIC
from gateway.fhir.profiles import shipped
from gateway.fhir.search_parameters import Parameter, parameters
from gateway.fhir.terminology import code_systems
from gateway.model import Resource

PLATFORM: Final = SDOH + "CapabilityStatement/SDOHCC-CoordinationPlatform"
"""What this server is in SDOH Clinical Care 3.0: the referral's coordination platform."""

SUBSCRIPTIONS: Final = IG + "CapabilityStatement/backport-subscription-server-r4"
"""What it is in the Subscriptions R5 Backport 1.1."""

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
_REFERENCES: Final = ["literal", "logical", "enforced"]
_SECURITY: Final[Resource] = {
    # SMART-on-FHIR isn't named: nobody can get a token by OAuth here.
    "service": [{"text": "a key as bearer token, bounded by SMART v2 system scopes"}],
    "description": "A key of a member agency, as a bearer token; SMART v2 system scopes bound it.",
}


def capability(
    interactions: Iterable[str],
    *,
    operations: Mapping[str, Sequence[Resource]] = MappingProxyType({}),
    patches: Sequence[str] = (),
    topics: Sequence[str] = (),
    types: Iterable[str] | None = None,
    at: datetime | None = None,
) -> Resource:
    """What this server does, wherever it stands (``placed``).

    ``interactions`` are the names of its routes ("read", "search_type", "conditional_update"), and
    of what their headers make of them ("conditional_create", "conditional_read"). ``operations``
    are what each type offers (name and definition); "*" is every type, "" the system. ``patches``
    are the media types of a patch, ``topics`` the canonical URLs of what can be subscribed to,
    ``types`` the resource types that all this holds for (all, if None), ``at`` (aware) the time of
    the statement (now, if None).
    """
    names = frozenset(name.replace("_", "-") for name in interactions)
    held = sorted(types or resource_types())
    out: Resource = {
        "resourceType": "CapabilityStatement",
        "name": "CareGateway",
        "title": "Care Gateway",
        "status": "active",
        "date": instant(at or datetime.now(UTC)),
        "kind": "instance",
        "instantiates": [PLATFORM, SUBSCRIPTIONS] if topics else [PLATFORM],
        "software": _software(),
        "implementation": {"description": "Care Gateway"},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
    }
    if patches:
        out["patchFormat"] = list(patches)
    return out | {"rest": [_with_topics(_rest(names, operations, held), topics)]}


def _with_topics(rest: Resource, topics: Sequence[str]) -> Resource:
    """R4 Backport 1.1: the topics stand at the Subscription."""
    told = [{"url": TOPIC, "valueCanonical": each} for each in topics]
    resource = [
        {"type": "Subscription", "extension": told} | each
        if told and each["type"] == "Subscription"
        else each
        for each in rest["resource"]
    ]
    return rest | {"resource": resource}


def terminology_capability(statement: Resource) -> Resource:
    """The TerminologyCapabilities (R4, 2.30) of the server that ``statement`` is of."""
    same = ("title", "status", "date", "kind", "software", "implementation")
    systems = [
        {"uri": url, "version": [{"code": number, "isDefault": True}]} if number else {"uri": url}
        for url, number in code_systems()
    ]
    return {
        "resourceType": "TerminologyCapabilities",
        "name": "CareGatewayTerminology",
        **{name: statement[name] for name in same},
        "codeSystem": systems,
        "expansion": {
            "hierarchical": False,
            "paging": True,
            "incomplete": False,
            "parameter": [{"name": name} for name in ("url", "filter", "offset", "count")],
            "textFilter": "A part of a code or display, whatever its case",
        },
        "codeSearch": "explicit",
        "validateCode": {"translations": False},
        "translation": {"needsMap": True},
    }


def placed(statement: Resource, base_url: str) -> Resource:
    """The statement of the server whose FHIR base is ``base_url``."""
    implementation = statement["implementation"] | {"url": base_url}
    return statement | {"url": f"{base_url}/metadata", "implementation": implementation}


def _software() -> Resource:
    try:
        return {"name": "Care Gateway", "version": version("care-gateway")}
    except PackageNotFoundError:  # run from a checkout that isn't installed
        return {"name": "Care Gateway"}


def _rest(
    names: frozenset[str], operations: Mapping[str, Sequence[Resource]], types: Sequence[str]
) -> Resource:
    out: Resource = {"mode": "server", "security": _SECURITY}
    out["resource"] = [
        _resource(type_, names, [*operations.get("*", ()), *operations.get(type_, ())])
        for type_ in types
    ]
    system = [{"code": code} for code in _SYSTEM_LEVEL if code in names]
    if system:
        out["interaction"] = system
    if "search-system" in names:
        out["searchParam"] = _searched(_common(types))
    if operations.get(""):
        out["operation"] = list(operations[""])
    if "search-compartment" in names:
        out["compartment"] = [
            f"http://hl7.org/fhir/CompartmentDefinition/{type_.lower()}"
            for type_ in types
            if compartment(type_)
        ]
    return out


def _resource(type_: str, names: Collection[str], operations: Sequence[Resource]) -> Resource:
    out: Resource = {"type": type_}
    profiles = supported(type_)
    if profiles:
        out["supportedProfile"] = profiles
    out |= {
        "interaction": [{"code": code} for code in _TYPE_LEVEL if code in names],
        "versioning": "versioned-update",
        "readHistory": "vread" in names,
        "updateCreate": "update" in names,
        "conditionalCreate": "conditional-create" in names,
        "conditionalRead": "full-support" if "conditional-read" in names else "not-supported",
        "conditionalUpdate": "conditional-update" in names,
        "conditionalDelete": "single" if "conditional-delete" in names else "not-supported",
        "referencePolicy": _REFERENCES,
    }
    if "search-type" in names:
        out |= _search(type_)
    return out | ({"operation": list(operations)} if operations else {})


def supported(type_: str) -> list[str]:
    """The profiles on a type that are checked here or known to be exchanged whole."""
    checked = [url for url in shipped() if shipped().type_of(url) == type_]
    return sorted({*checked, *EXCHANGED.get(type_, ())})


def _search(type_: str) -> Resource:
    """By what a type is searched; each part left out where it is empty."""
    found = sorted(parameters(type_).values(), key=lambda one: one.code)
    parts = {
        "searchInclude": [f"{type_}:{one.code}" for one in found if one.kind == "reference"],
        "searchRevInclude": _pointing().get(type_),
        "searchParam": _searched(found),
    }
    return {name: part for name, part in parts.items() if part}


def _searched(found: Iterable[Parameter]) -> list[Resource]:
    return [{"name": one.code, "definition": one.definition, "type": one.type} for one in found]


def _common(types: Sequence[str]) -> list[Parameter]:
    """The parameters that every type has."""
    first, *others = (parameters(type_) for type_ in types)
    shared = set(first).intersection(*others)
    return [first[code] for code in sorted(shared)]


@cache
def _pointing() -> Mapping[str, list[str]]:
    """By type, the parameters that refer to it by name ("Task:owner").

    What may refer to any type serves ``_revinclude`` too, and would fill the page for each.
    """
    out: dict[str, list[str]] = {}
    for type_ in sorted(resource_types()):
        for code, one in sorted(parameters(type_).items()):
            if one.kind == "reference" and len(one.targets) < len(resource_types()):
                for target in one.targets:
                    out.setdefault(target, []).append(f"{type_}:{code}")
    return out
