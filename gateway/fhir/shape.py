"""A part of a resource: ``_summary`` and ``_elements`` (R4 search, 3.1.1.5.8 and 3.1.1.5.9).

What must be there by R4 and what modifies the rest stays in, and a tag says that it is a part.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from functools import cache
from typing import Any, Final

from gateway.errors import InvalidSearch
from gateway.fhir import json
from gateway.fhir.definitions import load
from gateway.fhir.elements import Element, children
from gateway.model import Resource, Stored

SUBSETTED: Final[Mapping[str, str]] = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "SUBSETTED",
    "display": "subsetted",
}
SUMMARIES: Final = ("true", "text", "data", "count", "false")

Pairs = list[tuple[str, str]]

_ALWAYS: Final = frozenset({"resourceType", "id", "meta"})


@dataclass(frozen=True, slots=True)
class Shape:
    """What is asked for of each resource: a summary ("" for none), or elements by name.

    A name may bear its type in front ("Patient.name"): it counts for that type alone.
    """

    summary: str = ""
    elements: tuple[str, ...] = ()

    @property
    def whole(self) -> bool:
        """Whether all of it is asked for."""
        return self.summary in ("", "false", "count") and not self.elements


def shape_of(type_: str, pairs: Pairs) -> tuple[Shape, Pairs]:
    """The shape that a query's pairs ask for, and the rest of them. ``type_`` "" is any.

    ``_summary=count`` becomes ``_count=0``. Raises InvalidSearch.
    """
    summary = ""
    elements: tuple[str, ...] = ()
    rest: Pairs = []
    for name, value in pairs:
        if name == "_summary":
            if value not in SUMMARIES:
                text = f"must be one of {', '.join(SUMMARIES)}"
                raise InvalidSearch(text, place="_summary", code="value")
            summary = value
        elif name == "_elements":
            elements = tuple(each.strip() for each in value.split(",") if each.strip())
            check_elements(type_, elements)
        else:
            rest.append((name, value))
    if summary == "count":
        rest = [*(each for each in rest if each[0] != "_count"), ("_count", "0")]
    return Shape(summary, elements), rest


def part(stored: Stored, shape: Shape) -> Stored:
    """A version of a resource in the shape that is asked for."""
    if shape.whole or stored.deleted:
        return stored
    return replace(stored, body=json.dumps(shaped(json.loads(stored.body), shape)))


def shaped(resource: Resource, shape: Shape) -> Resource:
    """The part of ``resource`` that is asked for, tagged as one; itself where that is all."""
    if shape.whole:
        return resource
    type_ = str(resource["resourceType"])
    part = _CUT[shape.summary](resource) if shape.summary not in ("", "false") else resource
    if shape.elements:
        part = _chosen(part, _mandatory(type_) | _wanted(type_, shape.elements))
    meta = part.get("meta") or {}
    tags = [each for each in meta.get("tag") or [] if not is_subsetted(each)]
    front: Resource = {name: part[name] for name in ("resourceType", "id") if name in part}
    rest = {name: value for name, value in part.items() if name not in _ALWAYS}
    return {**front, "meta": {**meta, "tag": [*tags, dict(SUBSETTED)]}, **rest}


def is_subsetted(tag: Any) -> bool:
    """Whether a tag says that its resource is a part."""
    return isinstance(tag, dict) and tag.get("code") == "SUBSETTED"


def check_elements(type_: str, names: Collection[str]) -> None:
    """Refuse what is no element of the type (``InvalidSearch``)."""
    if not type_:
        return
    members = children(type_)
    known = set(members) | {each.choice for each in members.values() if each.choice}
    for name in names:
        owner, _, last = name.rpartition(".")
        if owner in ("", type_) and last not in known | _ALWAYS:
            raise InvalidSearch(f"not an element of {type_}", place="_elements", code="value")


@cache
def _tables() -> tuple[Mapping[str, frozenset[str]], Mapping[str, frozenset[str]]]:
    raw = load("summary")
    summary = {path: frozenset(names) for path, names in raw["summary"].items()}
    return summary, {path: frozenset(names) for path, names in raw["modifier"].items()}


@cache
def _mandatory(type_: str) -> frozenset[str]:
    """The top-level elements that may not be left out: required ones, and those that modify."""
    needed = {name for name, each in children(type_).items() if each.min or each.demanded}
    return frozenset(needed | _tables()[1].get(type_, frozenset()) | _ALWAYS)


def _wanted(type_: str, names: Collection[str]) -> frozenset[str]:
    asked = {name.rpartition(".")[2] for name in names if name.rpartition(".")[0] in ("", type_)}
    members = children(type_).items()
    return frozenset(asked | {name for name, each in members if each.choice in asked})


def _chosen(resource: Resource, names: frozenset[str]) -> Resource:
    return {name: v for name, v in resource.items() if name.removeprefix("_") in names}


def _summary(resource: Resource) -> Resource:
    type_ = str(resource["resourceType"])
    return {"resourceType": type_, **_summarised(resource, type_)}


def _summarised(node: Resource, parent: str) -> Resource:
    listed = _tables()[0].get(parent, frozenset())
    members = children(parent)
    out: Resource = {}
    for name, value in node.items():
        member = members.get(name)
        if member is not None and (name in listed or member.min):
            inner = _inner(value, member)
            if inner != {}:
                out[name] = inner
    return out


def _inner(value: Any, member: Element) -> Any:
    if isinstance(value, list):
        return [_inner(each, member) for each in value]
    if isinstance(value, dict) and "resourceType" in value:
        return _summary(value)
    if isinstance(value, dict) and member.parent in _tables()[0]:
        return _summarised(value, member.parent)
    return value


def _text(resource: Resource) -> Resource:
    members = children(str(resource["resourceType"])).items()
    needed = {name for name, each in members if each.min or each.demanded}
    return _chosen(resource, frozenset(needed) | _ALWAYS | {"text"})


def _data(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "text"}


_CUT: Final = {"true": _summary, "text": _text, "data": _data}
