"""R4's own invariants on a resource and all that is in it (conformance-rules, 2.1.0.20).

They cost milliseconds, so ``$validate`` asks them and writing doesn't.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache

from gateway.errors import Issue, Severity
from gateway.fhir.definitions import load
from gateway.fhir.fhirpath import holds
from gateway.fhir.values import Value, whole
from gateway.model import Resource

Rule = tuple[str, Severity, str, str]
"""Key, severity, what it says, and its FHIRPath."""


def broken(resource: Resource) -> Iterator[Issue]:
    """One issue for each rule that doesn't hold, at the element that it is a rule of."""
    yield from _broken(whole(resource), resource, resource)


def judged(
    rules: Sequence[Rule], value: Value, root: Resource, resource: Resource
) -> Iterator[Issue]:
    """Those of ``rules`` that don't hold of a value. Primitives without a value aren't asked."""
    for key, severity, text, expression in rules:
        if value.node is None:
            return
        if holds(expression, value.node, value.path, root, resource) is False:
            yield Issue(f"{key}: {text}", value.place, "invariant", severity=severity)


def _broken(value: Value, root: Resource, resource: Resource) -> Iterator[Issue]:
    here = value.node if value.path == value.type and "." not in value.path else resource
    inside = here if isinstance(here, dict) and "resourceType" in here else resource
    rules = _rules()
    for name in dict.fromkeys((value.path, value.type)):
        yield from judged(rules.get(name, ()), value, root, inside)
    if value.type == "Extension":
        yield from _extended(value)
    for child in value.all_below():
        yield from _broken(child, root, inside)


def _extended(value: Value) -> Iterator[Issue]:
    """ext-1 by hand, since fhirpathpy finds no ``value[x]`` of an Extension."""
    keys = {key.lstrip("_") for key in value.node} if isinstance(value.node, dict) else set()
    if ("extension" in keys) == any(key.startswith("value") for key in keys):
        text = "ext-1: Must have either extensions or value[x], not both"
        yield Issue(text, value.place, "invariant", severity="error")


@cache
def _rules() -> dict[str, list[Rule]]:
    table = load("invariants")
    return {path: [(k, s, text, e) for k, s, text, e in rules] for path, rules in table.items()}
