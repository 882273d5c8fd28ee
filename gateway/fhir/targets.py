"""Which types R4's references may lead to (R4 references, 2.3.0: the targets of an element).

The gates and the rules of writing see that something is there; ``$validate`` also what it is.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache

from gateway.errors import Issue
from gateway.fhir.definitions import load
from gateway.fhir.elements import resource_types
from gateway.fhir.expressions import LITERAL
from gateway.fhir.values import Value, whole
from gateway.model import Resource


def astray(resource: Resource) -> Iterator[Issue]:
    """One issue for each reference to a type that R4 doesn't allow there."""
    yield from _astray(whole(resource), resource)


def _astray(value: Value, resource: Resource) -> Iterator[Issue]:
    allowed = _targets().get(value.path, ()) if value.type == "Reference" else ()
    if allowed and isinstance(value.node, dict):
        type_ = _type(value.node, resource)
        if type_ in resource_types() and type_ not in allowed:
            text = f"refers to a type that R4 doesn't allow here; it may be {', '.join(allowed)}"
            yield Issue(text, value.place, "structure")
    for child in value.all_below():
        yield from _astray(child, resource)


def _type(reference: Resource, resource: Resource) -> str:
    """What a reference leads to, as far as it or its resource tells; "" where they don't."""
    literal = reference.get("reference")
    if not isinstance(literal, str):
        return str(reference.get("type") or "")
    if literal.startswith("#"):
        held = {each.get("id"): each["resourceType"] for each in resource.get("contained") or []}
        return str(held.get(literal[1:]) or "")
    match = LITERAL.fullmatch(literal)
    return match["type"] if match else ""


@cache
def _targets() -> dict[str, tuple[str, ...]]:
    return {path: tuple(types) for path, types in load("targets").items()}
