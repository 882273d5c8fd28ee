"""Values in a resource with their place and type, as profiles and invariants walk over them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from gateway.fhir.elements import Binding, Element, children


class Value(NamedTuple):
    """One value: ``node`` (None of a primitive that only has extensions) and its ``extra``.

    ``type`` is its type's name ("Reference", "code"), ``parent`` the path under which the elements
    of its children are listed, ``path`` its own in R4 ("Patient.contact"), without indexes.
    ``binding`` is the value set that R4 draws it from.
    """

    node: Any
    extra: Any
    place: str
    type: str
    parent: str
    path: str
    binding: Binding | None = None

    def below(self, name: str) -> list[Value]:
        """The values of a child, in order; ``name`` may be a choice's ("value[x]", "value")."""
        if not isinstance(self.node, dict):
            return self._of_extra(name)
        members = children(self.parent)
        stem = name.removesuffix("[x]")
        keys = [stem] if stem in members else []
        keys += [key for key, one in members.items() if one.choice == stem and key[0] != "_"]
        return [value for key in keys for value in self._of(key, members[key])]

    def all_below(self) -> Iterator[Value]:
        """The values of every child."""
        if isinstance(self.node, dict):
            members = children(self.parent)
            for key in self.node:
                plain = key.removeprefix("_")
                if plain in members and (plain == key or plain not in self.node):
                    yield from self._of(plain, members[plain])
        elif isinstance(self.extra, dict):
            yield from self._of_extra("extension")

    def _of(self, key: str, element: Element) -> Iterator[Value]:
        nodes, extras = self.node.get(key), self.node.get(f"_{key}")
        if nodes is None and extras is None:
            return
        place = f"{self.place}.{key}"
        if not isinstance(nodes, list) and not isinstance(extras, list):
            yield _value(nodes, extras, place, element)
            return
        nodes, extras = nodes or [], extras or []
        for index in range(max(len(nodes), len(extras))):
            node = nodes[index] if index < len(nodes) else None
            extra = extras[index] if index < len(extras) else None
            yield _value(node, extra, f"{place}[{index}]", element)

    def _of_extra(self, name: str) -> list[Value]:
        """The extensions of a primitive."""
        if name != "extension" or not isinstance(self.extra, dict):
            return []
        element = children("Element")["extension"]
        found = self.extra.get("extension", [])
        return [
            _value(one, None, f"{self.place}.extension[{index}]", element)
            for index, one in enumerate(found)
        ]


def whole(resource: dict[str, Any], place: str = "") -> Value:
    """A resource as a value."""
    type_ = str(resource.get("resourceType", ""))
    return Value(resource, None, place or type_, type_, type_, type_)


def _value(node: Any, extra: Any, place: str, element: Element) -> Value:
    if element.types[0] == "Resource" and isinstance(node, dict):
        return whole(node, place)
    parent = element.parent
    path = element.path
    if element.choice:
        stem, _, last = path.rpartition(".")
        path = f"{stem}.{element.choice}" if last else path
    return Value(node, extra, place, element.types[0], parent, path, element.binding)
