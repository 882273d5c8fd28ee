"""FHIRPath Patch: a Parameters resource of add, insert, delete, replace, move (R4 fhirpatch).

The values of a Parameters become elements: one that is a list takes another, one that is not must
not be there yet; a choice (``value[x]``) takes the type of what it is given.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import InvalidResource, PatchError
from gateway.fhir import gates
from gateway.fhir.elements import Element, children
from gateway.fhir.locations import Location, at_path, locate, without_empty
from gateway.fhir.patch_path import Path, parse
from gateway.model import Resource

MAX_OPERATIONS: Final = 500


@dataclass(frozen=True, slots=True)
class Given:
    """A value of a Parameters: its JSON, its type as ``value[x]`` has it, its ``_value[x]``."""

    raw: Any
    suffix: str = ""
    extra: Any = None
    parts: tuple[Resource, ...] = ()


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation, read: ``steps`` is its path."""

    kind: str
    steps: Path
    place: str
    name: str = ""
    value: Given | None = None
    numbers: Mapping[str, int] | None = None


def fhirpath_patch(body: Any) -> Callable[[Resource], Resource]:
    """The patch in a Parameters resource. Raises InvalidResource; the patch PatchError."""
    if not isinstance(body, dict) or body.get("resourceType") != "Parameters":
        raise InvalidResource("a FHIRPath Patch is a Parameters resource", place="resourceType")
    gates.check(body, models=False)
    listed = body.get("parameter") or []
    if len(listed) > MAX_OPERATIONS:
        text = f"at most {MAX_OPERATIONS} operations"
        raise InvalidResource(text, place="Parameters.parameter", code="too-costly")
    operations = [_operation(each, f"Parameters.parameter[{n}]") for n, each in enumerate(listed)]

    def patch(resource: Resource) -> Resource:
        for each in operations:
            resource = _APPLY[each.kind](resource, each)
        return without_empty(resource)

    return patch


# --- reading -------------------------------------------------------------------------------------


def _operation(parameter: Resource, place: str) -> Operation:
    if parameter.get("name") != "operation":
        raise InvalidResource("each parameter is an operation", place=place)
    parts = {str(each["name"]): each for each in parameter.get("part") or []}
    kind = _told(parts, "type", place, "valueCode", "valueString")
    if kind not in _APPLY:
        known = ", ".join(_APPLY)
        raise InvalidResource(f"an operation is one of {known}", place=place, code="value")
    path = _told(parts, "path", place, "valueString")
    name = _told(parts, "name", place, "valueString") if kind == "add" else ""
    numbers = {each: _number(parts, each, place) for each in _NUMBERS.get(kind, ())}
    value = _given(parts.get("value"), place) if kind in ("add", "insert", "replace") else None
    return Operation(kind, parse(path, place), place, name, value, numbers)


_NUMBERS: Final[Mapping[str, Sequence[str]]] = {
    "insert": ("index",),
    "move": ("source", "destination"),
}


def _told(parts: Mapping[str, Resource], name: str, place: str, *keys: str) -> str:
    for key in keys:
        text = parts.get(name, {}).get(key)
        if isinstance(text, str) and text:
            return text
    raise InvalidResource(f"the part {name} is missing", place=place, code="required")


def _number(parts: Mapping[str, Resource], name: str, place: str) -> int:
    for key in ("valueInteger", "valueUnsignedInt", "valuePositiveInt"):
        number = parts.get(name, {}).get(key)
        if isinstance(number, int) and not isinstance(number, bool) and number >= 0:
            return number
    raise InvalidResource(f"the part {name} is missing", place=place, code="required")


def _given(part: Resource | None, place: str) -> Given:
    for key, raw in (part or {}).items():
        if key.startswith("value"):
            return Given(raw, key[5:], (part or {}).get("_" + key))
        if key.startswith("_value") and key[1:] not in (part or {}):
            return Given(None, key[6:], raw)
        if key == "resource":
            return Given(raw)
        if key == "part":
            return Given(None, parts=tuple(raw))
    raise InvalidResource("the part value is missing", place=place, code="required")


# --- applying ------------------------------------------------------------------------------------


def _add(resource: Resource, asked: Operation) -> Resource:
    assert asked.value is not None
    holder = _one(resource, asked).inside(resource)
    key, element = _member(holder.parent, asked.name, asked.value, asked.place)
    raw = _built(element, asked.value, asked.place)
    node = holder.node(resource)
    node = node if isinstance(node, dict) else {}
    if not element.is_list and _taken(node, key, element):
        raise PatchError("is there already: replace it", place=asked.place)
    if element.is_list:
        made = _inserted(node, key, len(node.get(key) or node.get("_" + key) or ()), raw, asked)
    else:
        made = _set(node, key, raw, asked.value.extra)
    return at_path(resource, holder.path, made)


def _insert(resource: Resource, asked: Operation) -> Resource:
    assert asked.value is not None
    assert asked.numbers is not None
    holder, key, element = _list(resource, asked)
    node, index = holder.node(resource), asked.numbers["index"]
    if index > _length(node, key):
        raise PatchError("its index is beyond the list", place=asked.place)
    raw = _built(element, asked.value, asked.place)
    return at_path(resource, holder.path, _inserted(node, key, index, raw, asked))


def _move(resource: Resource, asked: Operation) -> Resource:
    assert asked.numbers is not None
    holder, key, _ = _list(resource, asked)
    node = holder.node(resource)
    source, destination = asked.numbers["source"], asked.numbers["destination"]
    if max(source, destination) >= _length(node, key):
        raise PatchError("its index is beyond the list", place=asked.place)
    made = dict(node)
    for name in (key, "_" + key):
        if name in made:
            items = _padded(made[name], _length(node, key))
            items.insert(destination, items.pop(source))
            made[name] = items
    return at_path(resource, holder.path, made)


def _replace(resource: Resource, asked: Operation) -> Resource:
    assert asked.value is not None
    spot = _one(resource, asked)
    if spot.element is None:
        raise PatchError("the whole resource isn't replaced by a patch", place=asked.place)
    holder, key, index = spot.holder(resource)
    raw = _built(spot.element, asked.value, asked.place)
    if index is None:
        node = {name: value for name, value in holder.items() if name != "_" + key}
        if spot.element.choice and asked.value.suffix:
            renamed = spot.element.choice + asked.value.suffix
            node = {renamed if name == key else name: value for name, value in node.items()}
            key = renamed
        return at_path(resource, spot.path[:-1], _set(node, key, raw, asked.value.extra))
    removed = _removed(holder, key, index)
    return at_path(resource, spot.path[:-2], _inserted(removed, key, index, raw, asked))


def _delete(resource: Resource, asked: Operation) -> Resource:
    found = locate(resource, asked.steps, asked.place)
    if not found:
        return resource  # what isn't there needn't be deleted
    if len(found) > 1:
        raise PatchError("its path leads to several elements", place=asked.place)
    if not found[0].path:
        raise PatchError("the whole resource isn't removed by a patch", place=asked.place)
    holder, key, index = found[0].holder(resource)
    if index is not None:
        return at_path(resource, found[0].path[:-2], _removed(holder, key, index))
    kept = {name: value for name, value in holder.items() if name not in (key, "_" + key)}
    return at_path(resource, found[0].path[:-1], kept)


_APPLY: Final[Mapping[str, Callable[[Resource, Operation], Resource]]] = {
    "add": _add,
    "insert": _insert,
    "delete": _delete,
    "replace": _replace,
    "move": _move,
}


def _one(resource: Resource, asked: Operation) -> Location:
    found = locate(resource, asked.steps, asked.place)
    if len(found) != 1:
        text = "several elements" if found else "nothing"
        raise PatchError(f"its path leads to {text}", place=asked.place)
    return found[0]


def _list(resource: Resource, asked: Operation) -> tuple[Location, str, Element]:
    """What holds the list that a path names, the list's key and its element."""
    *before, last = asked.steps
    if last.name == "" or not before:
        raise PatchError("its path must name a list", place=asked.place)
    found = locate(resource, tuple(before), asked.place)
    if len(found) != 1:
        raise PatchError("its path must name one list", place=asked.place)
    holder = found[0].inside(resource)
    element = children(holder.parent).get(last.name)
    if element is None or not element.is_list or not isinstance(holder.node(resource), dict):
        raise PatchError("its path must name a list", place=asked.place)
    return holder, last.name, element


def _member(parent: str, name: str, given: Given, place: str) -> tuple[str, Element]:
    """The key and the element that ``name`` is, a choice by the type of what is given."""
    members = children(parent)
    for key in (name, name + given.suffix):
        element = members.get(key)
        if element is not None and (key == name or element.choice == name):
            return key, element
    raise PatchError("R4 has no such element there", place=place, code="structure")


def _taken(node: Resource, key: str, element: Element) -> bool:
    if element.choice is None:
        return key in node or "_" + key in node
    one_of = {
        name
        for name, each in children(element.path.rpartition(".")[0]).items()
        if each.choice == element.choice
    }
    return any(name.removeprefix("_") in one_of for name in node)


def _built(element: Element, given: Given, place: str) -> Any:
    """The JSON of a value: as it is given, or put together from its parts."""
    if not given.parts:
        return given.raw
    made: Resource = {}
    for n, part in enumerate(given.parts):
        where = f"{place}.part[{n}]"
        value = _given({k: v for k, v in part.items() if k != "name"}, where)
        key, member = _member(element.parent, str(part.get("name")), value, where)
        raw = _built(member, value, where)
        if member.is_list:
            made = _appended(made, key, raw, value.extra)
        elif _taken(made, key, member):
            raise PatchError("is there already", place=where)
        else:
            made = _set(made, key, raw, value.extra)
    return made


def _set(node: Resource, key: str, raw: Any, extra: Any) -> Resource:
    made = {name: value for name, value in node.items() if name not in (key, "_" + key)}
    if raw is not None:
        made = {name: (raw if name == key else node[name]) for name in node if name != "_" + key}
        made[key] = raw
    return made | {"_" + key: extra} if extra is not None else made


def _length(node: Resource, key: str) -> int:
    return max(len(node.get(key) or ()), len(node.get("_" + key) or ()))


def _padded(items: Sequence[Any], length: int) -> list[Any]:
    return [*items, *[None] * (length - len(items))]


def _appended(node: Resource, key: str, raw: Any, extra: Any) -> Resource:
    return _placed(node, key, _length(node, key), raw, extra)


def _inserted(node: Resource, key: str, index: int, raw: Any, asked: Operation) -> Resource:
    return _placed(node, key, index, raw, asked.value.extra if asked.value else None)


def _placed(node: Resource, key: str, index: int, raw: Any, extra: Any) -> Resource:
    """A list with one more value; the list of its extensions stays in step."""
    made, length = dict(node), _length(node, key)
    for name, value in ((key, raw), ("_" + key, extra)):
        if name in made or value is not None:
            items = _padded(made.get(name) or (), length)
            items.insert(index, value)
            made[name] = items
    return made


def _removed(node: Resource, key: str, index: int) -> Resource:
    made = dict(node)
    for name in (key, "_" + key):
        if name in made:
            made[name] = [value for n, value in enumerate(made[name]) if n != index]
    return made
