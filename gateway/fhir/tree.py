"""A profile's elements as a tree: each with its children and slices, found by their ids."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Json = dict[str, Any]


@dataclass(slots=True)
class Node:
    """One element of a profile: what it ``says`` (``profiles.reduced``), and what stands below."""

    name: str
    says: Json = field(default_factory=dict)
    children: dict[str, Node] = field(default_factory=dict)
    slices: dict[str, Node] = field(default_factory=dict)

    def at(self, path: str) -> list[Node]:
        """The nodes at a discriminator's path: "$this", "code", "value.coding"; slices' too."""
        found = [self]
        for name in () if path in ("$this", "") else path.split("."):
            found = [inner for node in found for inner in node._named(name)]
        return found

    def _named(self, name: str) -> list[Node]:
        child = self.children.get(name) or self.children.get(f"{name}[x]")
        return [child, *child.slices.values()] if child is not None else []


def tree(elements: Mapping[str, Json]) -> Node:
    """The root of a profile's elements, by their ids ("Task.input:food.value[x]")."""
    root = Node("")
    for id, says in elements.items():
        node = root
        for part in id.split(".")[1:]:
            name, _, slice = part.partition(":")
            node = node.children.setdefault(name, Node(name))
            if slice:
                node = node.slices.setdefault(slice, Node(name))
        node.says = says
    return root
