"""Literal references in a resource: which there are, and where they lead after a transaction."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.fhir.elements import children
from gateway.model import Reference, Resource

_LINKS = frozenset({"uri", "url", "oid", "uuid", "canonical"})
_NARRATED: Final = re.compile(r"""(\b(?:href|src)\s*=\s*)(["'])(.*?)\2""")


def references(resource: Resource) -> Iterator[tuple[str, Reference]]:
    """Each literal reference as (place, reference): ("Task.basedOn[0]", "ServiceRequest/1").

    Those of contained resources are among them, and so are references to these ("#a"). The place
    is the Reference's, not its ``reference`` element's.
    """
    type_ = str(resource.get("resourceType", ""))
    found: list[tuple[str, Reference]] = []
    _gather(resource, type_, (None, type_), found)
    return iter(found)


def rewrite(resource: Resource, mapping: Mapping[str, Reference]) -> Resource:
    """A copy in which links to a key of ``mapping`` lead to its value (R4, 3.1.0.11.2).

    Links are references, what is of a URI type, and a narrative's ``href`` and ``src``;
    identifiers, extension URLs and texts that happen to look like one stay. Resources of a type
    that isn't R4 come back as they are.
    """
    return _rewritten(resource, str(resource.get("resourceType", "")), mapping)


_Way = tuple[Any, str | int]
"""The way to a node and its last step: it is put into words only where there is a reference."""


def _gather(node: Resource, parent: str, way: _Way, found: list[tuple[str, Reference]]) -> None:
    """``parent`` is the type or backbone path that ``node`` is of."""
    inner = str(node.get("resourceType", "")) if parent == "Resource" else parent
    if inner == "Reference":
        literal = node.get("reference")
        if isinstance(literal, str):
            found.append((_worded(way), literal))
    members = children(inner)
    for key, child in node.items():
        kind = type(child)
        if kind is dict:
            if key in members:
                _gather(child, members[key].parent, (way, key), found)
        elif kind is list and key in members:
            for index, one in enumerate(child):
                if type(one) is dict:
                    _gather(one, members[key].parent, ((way, key), index), found)


def _worded(way: _Way) -> str:
    before, step = way
    if before is None:
        return str(step)
    return _worded(before) + (f"[{step}]" if isinstance(step, int) else f".{step}")


def _rewritten(node: Resource, parent: str, mapping: Mapping[str, Reference]) -> Resource:
    members = children(parent)
    out: Resource = {}
    for key, child in node.items():
        one = members.get(key)
        if one is None:
            out[key] = child
            continue
        if one.path == "Narrative.div":
            out[key] = _narrated(child, mapping) if isinstance(child, str) else child
            continue
        link = one.types[0] in _LINKS or one.path == "Reference.reference"
        link = link and one.path != "Extension.url"
        out[key] = _renamed(child, one.parent, mapping, link=link)
    return out


def _narrated(text: str, mapping: Mapping[str, Reference]) -> str:
    def led(link: re.Match[str]) -> str:
        return f"{link[1]}{link[2]}{mapping.get(link[3], link[3])}{link[2]}"

    return _NARRATED.sub(led, text) if mapping else text


def _renamed(node: Any, parent: str, mapping: Mapping[str, Reference], *, link: bool) -> Any:
    if isinstance(node, list):
        return [_renamed(child, parent, mapping, link=link) for child in node]
    if isinstance(node, dict):
        inner = str(node.get("resourceType", "")) if parent == "Resource" else parent
        return _rewritten(node, inner, mapping)
    return mapping.get(node, node) if link and isinstance(node, str) else node
