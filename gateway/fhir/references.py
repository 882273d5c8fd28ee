"""Literal references in a resource: which there are, and where they lead after a transaction."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gateway.fhir.elements import children
from gateway.model import Reference, Resource

_LINKS = frozenset({"uri", "url", "oid", "uuid", "canonical"})


def references(resource: Resource) -> Iterator[tuple[str, Reference]]:
    """Each literal reference as (place, reference): ("Task.basedOn[0]", "ServiceRequest/1").

    Those of contained resources are among them, and so are references to these ("#a"). The place
    is the Reference's, not its ``reference`` element's.
    """
    type_ = str(resource.get("resourceType", ""))
    yield from _found(resource, type_, type_)


def rewrite(resource: Resource, mapping: Mapping[str, Reference]) -> Resource:
    """A copy in which links to a key of ``mapping`` lead to its value (R4, 3.1.0.11.2).

    Links are references and what is of a URI type; identifiers, extension URLs and texts that
    happen to look like one stay. Resources of a type that isn't R4 come back as they are.
    """
    return _rewritten(resource, str(resource.get("resourceType", "")), mapping)


def _found(node: Any, parent: str, place: str) -> Iterator[tuple[str, Reference]]:
    """``parent`` is the type or backbone path that ``node`` is of."""
    if isinstance(node, list):
        for index, child in enumerate(node):
            yield from _found(child, parent, f"{place}[{index}]")
    elif isinstance(node, dict):
        inner = str(node.get("resourceType", "")) if parent == "Resource" else parent
        literal = node.get("reference")
        if inner == "Reference" and isinstance(literal, str):
            yield place, literal
        members = children(inner)
        for key, child in node.items():
            if isinstance(child, (dict, list)) and key in members:
                yield from _found(child, members[key].parent, f"{place}.{key}")


def _rewritten(node: Resource, parent: str, mapping: Mapping[str, Reference]) -> Resource:
    members = children(parent)
    out: Resource = {}
    for key, child in node.items():
        one = members.get(key)
        if one is None:
            out[key] = child
            continue
        link = one.types[0] in _LINKS or one.path == "Reference.reference"
        link = link and one.path != "Extension.url"
        out[key] = _renamed(child, one.parent, mapping, link=link)
    return out


def _renamed(node: Any, parent: str, mapping: Mapping[str, Reference], *, link: bool) -> Any:
    if isinstance(node, list):
        return [_renamed(child, parent, mapping, link=link) for child in node]
    if isinstance(node, dict):
        inner = str(node.get("resourceType", "")) if parent == "Resource" else parent
        return _rewritten(node, inner, mapping)
    return mapping.get(node, node) if link and isinstance(node, str) else node
