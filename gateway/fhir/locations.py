"""Where a FHIRPath leads in a resource, as a patch needs it: places, not values."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import InvalidResource, PatchError
from gateway.fhir.elements import Element, children
from gateway.fhir.patch_path import Path, Step
from gateway.model import Resource

MAX_STEPS: Final = 200_000
"""How many places one path may look at."""

Key = tuple[str | int, ...]


@dataclass(frozen=True, slots=True)
class Location:
    """A place: the keys that lead there, the type or path that its children are listed under, and
    its element (None of the resource itself)."""

    path: Key
    parent: str
    element: Element | None = None

    def node(self, resource: Any) -> Any:
        """What stands there; None where only its extensions do."""
        return _get(resource, self.path)

    def inside(self, resource: Resource) -> Location:
        """Where its members are: of a primitive, beside it under an underscore."""
        if self.element is None or not self.element.is_primitive:
            return self
        *before, last = self.path
        if isinstance(last, int):
            *outer, name = before
            return Location((*outer, f"_{name}", last), "Element", self.element)
        return Location((*before, f"_{last}"), "Element", self.element)

    def holder(self, resource: Resource) -> tuple[Resource, str, int | None]:
        """The object that holds it, its key there and, in a list, its index."""
        *before, last = self.path
        if isinstance(last, int):
            *outer, name = before
            return _get(resource, tuple(outer)), str(name), last
        return _get(resource, tuple(before)), str(last), None


def at_path(resource: Resource, path: Key, value: Any) -> Resource:
    """A copy with ``value`` at ``path``; lists of extensions grow as needed."""
    made: Resource = _with(resource, path, value)
    return made


def without_empty(resource: Resource) -> Resource:
    """The same without empty lists and objects; a list of primitives keeps its gaps (null)."""
    kept = ((name, _full(value)) for name, value in resource.items())
    return {name: value for name, value in kept if not _empty(value)}


def _full(node: Any) -> Any:
    if isinstance(node, dict):
        return without_empty(node)
    if isinstance(node, list):
        kept = [value for each in node if not _empty(value := _full(each))]
        return [] if all(value is None for value in kept) else kept
    return node


def _empty(node: Any) -> bool:
    return isinstance(node, (dict, list)) and not node


def _with(node: Any, path: Key, value: Any) -> Any:
    if not path:
        return value
    key, *rest = path
    if isinstance(key, int):
        items = list(node or ())
        items += [None] * (key + 1 - len(items))
        items[key] = _with(items[key], tuple(rest), value)
        return items
    inner = (node or {}).get(key)
    return {**(node or {}), key: _with(inner, tuple(rest), value)}


def locate(resource: Resource, path: Path, place: str) -> list[Location]:
    """The places that ``path`` leads to, in order. Raises PatchError where it is too costly."""
    return _Walk(resource, place).follow([Location((), str(resource["resourceType"]))], path)


def _get(node: Any, path: Key) -> Any:
    for key in path:
        if isinstance(key, int):
            node = node[key] if isinstance(node, list) and key < len(node) else None
        else:
            node = node.get(key) if isinstance(node, dict) else None
    return node


# --- walking -------------------------------------------------------------------------------------


class _Walk:
    """Follows paths in one resource, and no further than ``MAX_STEPS``."""

    def __init__(self, resource: Resource, place: str) -> None:
        self._resource = resource
        self._place = place
        self._left = MAX_STEPS

    def follow(self, found: list[Location], path: Path) -> list[Location]:
        """The places that ``path`` leads to from ``found``."""
        for step in path:
            self._left -= len(found) + 1
            if self._left < 0:
                raise PatchError("its path is too costly", place=self._place, code="too-costly")
            if step.name:
                found = [inner for each in found for inner in self._members(each, step.name)]
            else:
                found = self._function(found, step)
        return found

    def _members(self, at: Location, name: str) -> list[Location]:
        if not at.path and name in (self._resource["resourceType"], "Resource", "DomainResource"):
            return [at]
        inside = at.inside(self._resource)
        node = inside.node(self._resource)
        if not isinstance(node, dict):
            return []
        parent = str(node.get("resourceType", "")) if at.parent == "Resource" else inside.parent
        members = children(parent)
        return [
            location
            for key in dict.fromkeys(each.removeprefix("_") for each in node)
            if (element := members.get(key)) is not None and name in (key, element.choice)
            for location in _each(inside.path, key, element, node)
        ]

    def _function(self, found: list[Location], step: Step) -> list[Location]:
        choose = _CHOICES.get(step.function)
        if choose is not None:
            return choose(found, step.argument)
        if step.function == "$this":
            return found
        if step.function == "ofType":
            return [each for each in found if self._is(each, step.argument)]
        if step.function == "extension":
            inner = [one for each in found for one in self._members(each, "extension")]
            return [e for e in inner if _get(self._resource, (*e.path, "url")) == step.argument]
        if step.function == "where":
            return [each for each in found if self._holds(each, step.argument)]
        raise InvalidResource("its path doesn't lead to an element", place=self._place)

    def _is(self, at: Location, type_: str) -> bool:
        if at.element is None:
            return at.parent == type_
        if at.parent == "Resource":
            return bool(_get(self._resource, (*at.path, "resourceType")) == type_)
        return at.element.types[0] == type_

    def _holds(self, at: Location, condition: Any) -> bool:
        kind, *rest = condition
        if kind == "or":
            return any(self._holds(at, each) for each in rest)
        if kind == "and":
            return all(self._holds(at, each) for each in rest)
        if kind in ("=", "!="):
            left, right = (self._values(at, each) for each in rest)
            if not left or not right:
                return False
            same = len(left) == len(right) and all(map(_same, left, right))
            return same is (kind == "=")
        return self._values(at, condition) == [True]

    def _values(self, at: Location, term: Any) -> list[Any]:
        kind, *rest = term
        if kind == "literal":
            return list(rest)
        if kind != "path":
            return [self._holds(at, term)]
        steps: Path = rest[0]
        asks = next((n for n, each in enumerate(steps) if each.function in _ASKS), len(steps))
        found = self.follow([at], steps[:asks])
        values = [each.node(self._resource) for each in found]
        for step in steps[asks:]:
            if step.function not in _ASKS:
                raise InvalidResource("its path isn't understood", place=self._place)
            values = [_ASKS[step.function](values, step.argument)]
        return values


def _each(path: Key, key: str, element: Element, node: Resource) -> list[Location]:
    """A member's place, or those of its items."""
    if not element.is_list:
        return [Location((*path, key), element.parent, element)]
    lists = (node.get(key), node.get(f"_{key}"))
    length = max((len(each) for each in lists if isinstance(each, list)), default=0)
    return [Location((*path, key, n), element.parent, element) for n in range(length)]


def _nth(found: list[Location], number: Any) -> list[Location]:
    return found[number : number + 1]


_CHOICES: Final[Mapping[str, Callable[[list[Location], Any], list[Location]]]] = {
    "[]": _nth,
    "first": lambda found, _: found[:1],
    "last": lambda found, _: found[-1:],
    "single": lambda found, _: found,
    "tail": lambda found, _: found[1:],
    "skip": lambda found, number: found[number:],
}
_ASKS: Final[Mapping[str, Callable[[list[Any], Any], bool]]] = {
    "exists": lambda values, _: bool(values),
    "empty": lambda values, _: not values,
    "not": lambda values, _: values != [True],
    "startsWith": lambda values, start: any(
        isinstance(each, str) and each.startswith(start) for each in values
    ),
}


def _same(one: Any, other: Any) -> bool:
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    return bool(one == other)
