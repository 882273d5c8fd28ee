"""Patches of a resource: JSON Patch (RFC 6902) and JSON Merge Patch (RFC 7386).

FHIR R4 http, 3.1.0.5. ``fhirpath_patch`` is the third kind. Each is a pure function from a resource
to another: nothing in the first is changed. What a patch leaves empty goes, for FHIR knows no empty
list or object; whether the rest is still R4 is for the gates to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any, Final

from gateway.errors import InvalidResource, PatchError
from gateway.fhir import fhirpath_patch, json
from gateway.fhir.locations import without_empty
from gateway.model import Resource

Patch = Callable[[Resource], Resource]
"""Raises PatchError, whose place is the operation's."""

MAX_OPERATIONS: Final = 500
MAX_COPIED: Final = 100_000
"""How many values all copies of a patch may make: each can double what is there."""

_INDEX: Final = re.compile(r"0|[1-9][0-9]{0,8}")
_Pointer = tuple[str, ...]


def read(media_type: str, raw: bytes) -> Patch:
    """The patch in a body of this media type (without its parameters).

    What comes as plain JSON is known by its form: a list is a JSON Patch, a Parameters resource a
    FHIRPath Patch, and any other object a merge patch, as fhirpy sends it.

    Raises:
        InvalidResource: it isn't one.
    """
    body = json.parse(raw)
    reading = _BY_TYPE.get(media_type)
    if reading is None:
        reading = json_patch if isinstance(body, list) else _of_object(body)
    return reading(body)


def json_patch(operations: Any) -> Patch:
    """RFC 6902."""
    if not isinstance(operations, list):
        raise InvalidResource("a JSON Patch is a list of operations", place="patch")
    check_number(len(operations))
    steps = [_step(each, f"patch[{n}]") for n, each in enumerate(operations)]

    def patch(resource: Resource) -> Resource:
        copied = [0]
        node: Any = resource
        for step in steps:
            node = step(node, copied)
        if not isinstance(node, dict):
            raise PatchError("leaves no resource", place="patch")
        return without_empty(node)

    return patch


def merge_patch(body: Any) -> Patch:
    """RFC 7386: null removes, objects merge, all else takes the place of what was."""
    if not isinstance(body, dict):
        raise InvalidResource("a merge patch is a JSON object", place="patch")
    return lambda resource: without_empty(_merged(resource, body))


def check_number(operations: int) -> None:
    """Refuse a patch of too many operations."""
    if operations > MAX_OPERATIONS:
        text = f"more than {MAX_OPERATIONS} operations"
        raise InvalidResource(text, place="patch", code="too-costly")


def _of_object(body: Any) -> Callable[[Any], Patch]:
    is_parameters = isinstance(body, dict) and body.get("resourceType") == "Parameters"
    return fhirpath_patch.fhirpath_patch if is_parameters else merge_patch


_BY_TYPE: Final[Mapping[str, Callable[[Any], Patch]]] = {
    "application/json-patch+json": json_patch,
    "application/merge-patch+json": merge_patch,
    "application/fhir+json": fhirpath_patch.fhirpath_patch,
}


def _merged(node: Any, patch: Any) -> Any:
    if not isinstance(patch, dict):
        return patch
    out = dict(node) if isinstance(node, dict) else {}
    for name, value in patch.items():
        if value is None:
            out.pop(name, None)
        else:
            out[name] = _merged(out.get(name), value)
    return out


# --- RFC 6902 ------------------------------------------------------------------------------------

_Step = Callable[[Any, list[int]], Any]
"""From a document (and how much was copied so far) to the next."""


def _step(operation: Any, place: str) -> _Step:
    if not isinstance(operation, dict):
        raise InvalidResource("an operation is an object", place=place)
    kind = operation.get("op")
    make = _OPERATIONS.get(kind) if isinstance(kind, str) else None
    if make is None:
        known = ", ".join(_OPERATIONS)
        raise InvalidResource(f"an operation is one of {known}", place=f"{place}.op")
    return make(operation, place)


def _add(operation: Resource, place: str) -> _Step:
    path, value = _pointer(operation, "path", place), _value(operation, place)
    return lambda node, _: _put(node, path, value, place)


def _remove(operation: Resource, place: str) -> _Step:
    path = _pointer(operation, "path", place)
    return lambda node, _: _without(node, path, place)


def _replace(operation: Resource, place: str) -> _Step:
    path, value = _pointer(operation, "path", place), _value(operation, place)

    def replace(node: Any, _: list[int]) -> Any:
        _find(node, path, place)
        return _changed(node, path, place, lambda at, key: _with(at, key, value))

    return replace


def _move(operation: Resource, place: str) -> _Step:
    source, path = _pointer(operation, "from", place), _pointer(operation, "path", place)
    if path[: len(source)] == source and path != source:
        raise InvalidResource("can't move into itself", place=f"{place}.path")

    def move(node: Any, _: list[int]) -> Any:
        value = _find(node, source, place)
        return _put(_without(node, source, place), path, value, place) if source != path else node

    return move


def _copy(operation: Resource, place: str) -> _Step:
    source, path = _pointer(operation, "from", place), _pointer(operation, "path", place)

    def copy(node: Any, copied: list[int]) -> Any:
        value = _find(node, source, place)
        copied[0] += _size(value, MAX_COPIED - copied[0])
        if copied[0] > MAX_COPIED:
            raise PatchError("copies too much", place=place, code="too-costly")
        return _put(node, path, value, place)

    return copy


def _test(operation: Resource, place: str) -> _Step:
    path, value = _pointer(operation, "path", place), _value(operation, place)

    def test(node: Any, _: list[int]) -> Any:
        if not _same(_find(node, path, place), value):
            raise PatchError("the test fails", place=place)
        return node

    return test


_OPERATIONS: Final[Mapping[str, Callable[[Resource, str], _Step]]] = {
    "add": _add,
    "remove": _remove,
    "replace": _replace,
    "move": _move,
    "copy": _copy,
    "test": _test,
}


def _pointer(operation: Resource, name: str, place: str) -> _Pointer:
    """A JSON Pointer (RFC 6901), unescaped."""
    text = operation.get(name)
    if not isinstance(text, str) or text[:1] not in ("", "/") or re.search(r"~(?![01])", text):
        raise InvalidResource("a JSON Pointer is needed", place=f"{place}.{name}")
    return tuple(each.replace("~1", "/").replace("~0", "~") for each in text.split("/")[1:])


def _value(operation: Resource, place: str) -> Any:
    if "value" not in operation:
        raise InvalidResource("required", place=f"{place}.value", code="required")
    return operation["value"]


def _nothing(place: str) -> PatchError:
    return PatchError("its path leads to nothing", place=place)


def _index(key: str, length: int, place: str) -> int:
    """The index that ``key`` is, of ``length`` that may be named."""
    if _INDEX.fullmatch(key) is None or int(key) >= length:
        raise _nothing(place)
    return int(key)


def _child(node: Any, key: str, place: str) -> Any:
    if isinstance(node, list):
        return node[_index(key, len(node), place)]
    if isinstance(node, dict) and key in node:
        return node[key]
    raise _nothing(place)


def _find(node: Any, path: _Pointer, place: str) -> Any:
    for key in path:
        node = _child(node, key, place)
    return node


def _with(node: Any, key: str, value: Any) -> Any:
    """A copy of an object or list with another value where there is one."""
    if isinstance(node, dict):
        return {**node, key: value}
    return [value if n == int(key) else each for n, each in enumerate(node)]


def _changed(node: Any, path: _Pointer, place: str, change: Callable[[Any, str], Any]) -> Any:
    """A copy of ``node`` in which ``change`` has made something of what holds the last key."""
    if not path:
        return change({"": node}, "")[""]
    trail = [node]
    for key in path[:-1]:
        trail.append(_child(trail[-1], key, place))
    made = change(trail[-1], path[-1])
    for holder, key in zip(reversed(trail[:-1]), reversed(path[:-1]), strict=True):
        made = _with(holder, key, made)
    return made


def _put(node: Any, path: _Pointer, value: Any, place: str) -> Any:
    def put(holder: Any, key: str) -> Any:
        if isinstance(holder, list):
            at = len(holder) if key == "-" else _index(key, len(holder) + 1, place)
            return [*holder[:at], value, *holder[at:]]
        if isinstance(holder, dict):
            return {**holder, key: value}
        raise _nothing(place)

    return _changed(node, path, place, put)


def _without(node: Any, path: _Pointer, place: str) -> Any:
    if not path:
        raise PatchError("the whole resource isn't removed by a patch", place=place)

    def drop(holder: Any, key: str) -> Any:
        _child(holder, key, place)
        if isinstance(holder, list):
            return [each for n, each in enumerate(holder) if n != int(key)]
        return {name: each for name, each in holder.items() if name != key}

    return _changed(node, path, place, drop)


def _same(one: Any, other: Any) -> bool:
    """RFC 6902, 4.6: numbers by their value; true is no 1."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(_same(one[name], other[name]) for name in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(_same, one, other))
    if isinstance(one, bool) or isinstance(other, bool):
        return one is other
    numbers = (int, Decimal)
    return (isinstance(one, numbers) and isinstance(other, numbers) and one == other) or (
        type(one) is type(other) and one == other
    )


def _size(node: Any, limit: int) -> int:
    """How many values a value is made of; counts no further than just above ``limit``."""
    count, open_ = 0, [node]
    while open_ and count <= limit:
        each = open_.pop()
        count += 1
        if isinstance(each, (dict, list)):
            open_.extend(each.values() if isinstance(each, dict) else each)
    return count
