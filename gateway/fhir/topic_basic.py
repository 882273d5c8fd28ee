"""A SubscriptionTopic as R4 holds it: a Basic with R5's elements as extensions (R4 Backport 1.1).

So a client of R4 can read what a topic tells of and what it can be filtered by.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.model import Resource

ELEMENT: Final = "http://hl7.org/fhir/5.0/StructureDefinition/extension-SubscriptionTopic."
TYPES: Final = "http://hl7.org/fhir/fhir-types"

_VALUES: Final[Mapping[str, str]] = {
    "url": "valueUri",
    "version": "valueString",
    "title": "valueString",
    "name": "valueString",
    "date": "valueDateTime",
    "description": "valueMarkdown",
    "resource": "valueUri",
    "supportedInteraction": "valueCode",
    "previous": "valueString",
    "current": "valueString",
    "resultForCreate": "valueCode",
    "resultForDelete": "valueCode",
    "requireBoth": "valueBoolean",
    "fhirPathCriteria": "valueString",
    "filterParameter": "valueString",
    "comparator": "valueCode",
    "modifier": "valueCode",
    "include": "valueString",
    "revInclude": "valueString",
}
"""The type of an extension's value, by the element that it stands for."""

_PARTS: Final = frozenset({"resourceTrigger", "canFilterBy", "notificationShape", "queryCriteria"})


def basic(topic: Resource) -> Resource:
    """The Basic of a SubscriptionTopic, under an id made of its URL."""
    return {
        "resourceType": "Basic",
        "id": str(uuid.uuid5(uuid.NAMESPACE_URL, topic["url"])),
        "extension": [*topic.get("extension", ()), *_elements(topic, ELEMENT)],
        "modifierExtension": [
            {"url": f"{ELEMENT}status", "valueCode": topic.get("status", "unknown")}
        ],
        "code": {"coding": [{"system": TYPES, "code": "SubscriptionTopic"}]},
    }


def _elements(node: Resource, prefix: str = "") -> Iterator[Resource]:
    for name, value in node.items():
        if name not in _VALUES and name not in _PARTS:
            continue
        for each in value if isinstance(value, list) else [value]:
            yield _element(f"{prefix}{name}", name, each)


def _element(url: str, name: str, value: Any) -> Resource:
    if name in _VALUES:
        return {"url": url, _VALUES[name]: value}
    return {"url": url, "extension": [*value.get("extension", ()), *_elements(value)]}
