"""The two gates that a resource passes before the hub takes it.

Gate 1 is R4's own JSON schema with what it leaves unsaid (``definitions/build.py``), a few
microseconds; gate 2 the fhir.resources R4B models, some hundred: dates that don't exist and what
else a schema can't say. What ``agreement`` knows to pass both needn't be shown to them. Findings
carry the element's path and never a value, so that neither library's own texts get out.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cache
from itertools import islice
from typing import Any, Final

import jsonschema_rs
from pydantic import ValidationError

from gateway.errors import InvalidResource, Issue
from gateway.fhir.agreement import narrowed
from gateway.fhir.definitions import load
from gateway.fhir.elements import refused_types, resource_types
from gateway.fhir.json import dumps, loads
from gateway.model import Resource, ValidResource

MAX_ISSUES: Final = 20
"""A sender hears of this many findings at most; the rest is found when these are mended."""

MANY: Final = 20_000
"""A resource of so many parts that is wrong is told of one finding."""

_DEFINITIONS: Final = "#/definitions/"
_NAME = re.compile(r"_?[A-Za-z]\w{0,63}", re.ASCII)
_Path = Sequence[str | int]


def check(resource: Resource, *, type: str | None = None, models: bool = True) -> ValidResource:
    """``resource`` itself, if it is valid R4; nothing in it is changed.

    ``type`` is what it must be (the URL's). Resources inside it (contained, in a Bundle or in
    Parameters) pass the same gates. ``models=False`` leaves gate 2 out. Raises InvalidResource
    with one issue a finding.
    """
    name = _type_of(resource, type)
    if models and agreed(name, resource):
        return ValidResource(resource)
    issues = list(islice(_schema_issues(name, resource, name), MAX_ISSUES))
    if not issues and models:
        issues = list(islice(_model_issues(name, resource), MAX_ISSUES))
    if issues:
        raise _invalid(issues)
    return ValidResource(resource)


def valid_element(type: str, name: str, value: object) -> bool:
    """Whether gate 1 takes a top-level element, by itself, of a type that isn't inside another."""
    validator = _element_of(type, name)
    return validator is not None and validator.is_valid(value)


def prepare(types: Iterable[str]) -> None:
    """Compiles the gates of ``types`` now (some 0.4 s for a handful), not at their first resource.

    They are prepared on their first use otherwise.
    """
    for name in types:
        _agreeing(name)
        _validator(name)
        _model(name)


def _type_of(resource: Resource, wanted: str | None) -> str:
    name = resource.get("resourceType")
    if wanted is not None and name != wanted:
        raise InvalidResource(f"not a {wanted}", place="resourceType", code="invalid")
    problem = _unknown(name)
    if problem:
        raise InvalidResource(problem, place="resourceType", code="not-supported")
    return str(name)


def _unknown(name: object) -> str | None:
    if isinstance(name, str) and name in resource_types():
        return None
    if isinstance(name, str) and name in refused_types():
        return "an R4 type that R4B withdrew or changed: this gateway doesn't take it"
    return "missing" if name is None else "no R4 resource type"


def _invalid(issues: Sequence[Issue]) -> InvalidResource:
    first = issues[0]
    return InvalidResource(first.text, place=first.place, code=first.code, more=issues[1:])


# --- both gates ----------------------------------------------------------------------------------


def agreed(name: str, resource: Resource) -> bool:
    """Whether both gates are known to take it. False says nothing."""
    return _agreeing(name).is_valid(resource) and all(
        isinstance(inner, dict)
        and _unknown(inner.get("resourceType")) is None
        and agreed(inner["resourceType"], inner)
        for inner, _ in _inside(name, resource, "")
    )


@cache
def _agreeing(name: str) -> jsonschema_rs.Draft6Validator:
    return _compiled(name, narrowed(_reached(name)))


# --- gate 1 --------------------------------------------------------------------------------------


@cache
def _definitions() -> dict[str, Any]:
    schema: dict[str, Any] = load("schema")
    return schema


@cache
def _validator(name: str) -> jsonschema_rs.Draft6Validator:
    return _compiled(name, _reached(name))


def _compiled(name: str, definitions: dict[str, Any]) -> jsonschema_rs.Draft6Validator:
    """The schema of one type; some 5 ms, once. RegexOptions: linear in hostile input."""
    schema = {"$ref": _DEFINITIONS + name, "definitions": definitions}
    return jsonschema_rs.Draft6Validator(schema, pattern_options=jsonschema_rs.RegexOptions())


@cache
def _element_of(type: str, name: str) -> jsonschema_rs.Draft6Validator | None:
    shape = _definitions()[type]["properties"].get(name)
    return None if shape is None else _element(dumps(shape))


@cache
def _element(shape: bytes) -> jsonschema_rs.Draft6Validator:
    """The schema of elements of one shape: many types have some of the same."""
    schema = loads(shape)
    schema["definitions"] = _reached(*_referred(schema))
    return jsonschema_rs.Draft6Validator(schema, pattern_options=jsonschema_rs.RegexOptions())


def _reached(*names: str) -> dict[str, Any]:
    out: dict[str, Any] = {}
    wanted = list(names)
    while wanted:
        one = wanted.pop()
        if one not in out:
            out[one] = _definitions()[one]
            wanted.extend(_referred(out[one]))
    return out


def _referred(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].removeprefix(_DEFINITIONS)
        for child in node.values():
            yield from _referred(child)
    elif isinstance(node, list):
        for child in node:
            yield from _referred(child)


def _schema_issues(name: str, resource: Resource, place: str) -> Iterator[Issue]:
    validator = _validator(name)
    if not validator.is_valid(resource):
        for error in _errors(validator, resource):
            yield from _worded(error, place)
    for inner, where in _inside(name, resource, place):
        type_ = inner.get("resourceType") if isinstance(inner, dict) else None
        problem = _unknown(type_)
        if problem:
            yield Issue(problem, f"{where}.resourceType", "not-supported", "102")
        else:
            yield from _schema_issues(str(type_), inner, where)


def _errors(
    validator: jsonschema_rs.Draft6Validator, resource: Resource
) -> Iterable[jsonschema_rs.ValidationError]:
    """What is wrong; of a very large resource the first alone.

    The library gathers all before it gives one: of a body of 6 MB that took a minute and 6 GB.
    """
    if next(islice(_nodes(resource), MANY, None), None) is None:
        return validator.iter_errors(resource)
    try:
        validator.validate(resource)
    except jsonschema_rs.ValidationError as error:
        return (error,)
    return ()


def _nodes(node: object) -> Iterator[object]:
    """All that is in it."""
    yield node
    children = node.values() if isinstance(node, dict) else node if isinstance(node, list) else ()
    for child in children:
        yield from _nodes(child)


def _inside(name: str, resource: Resource, place: str) -> Iterator[tuple[Any, str]]:
    """The resources in a resource: the schema says of them only that they have a type."""
    if "contained" in resource:
        yield from _listed(resource, "contained", place)
    if name == "Bundle":
        yield from _entries(resource, place)
    elif name == "Parameters":
        yield from _parameters(resource.get("parameter"), f"{place}.parameter")


def _listed(node: Resource, key: str, place: str) -> Iterator[tuple[Any, str]]:
    items = node[key]
    if isinstance(items, list):
        for index, item in enumerate(items):
            yield item, f"{place}.{key}[{index}]"


def _entries(bundle: Resource, place: str) -> Iterator[tuple[Any, str]]:
    for entry, where in _listed(bundle, "entry", place) if "entry" in bundle else ():
        if isinstance(entry, dict):
            if "resource" in entry:
                yield entry["resource"], f"{where}.resource"
            response = entry.get("response")
            if isinstance(response, dict) and "outcome" in response:
                yield response["outcome"], f"{where}.response.outcome"


def _parameters(parameters: object, place: str) -> Iterator[tuple[Any, str]]:
    if not isinstance(parameters, list):
        return
    for index, parameter in enumerate(parameters):
        if isinstance(parameter, dict):
            where = f"{place}[{index}]"
            if "resource" in parameter:
                yield parameter["resource"], f"{where}.resource"
            yield from _parameters(parameter.get("part"), f"{where}.part")


def path(root: str, steps: Iterable[str | int]) -> str:
    """``Patient.name[1].family``; a step that is no element's name (a sender's text) ends it."""
    out = root
    for step in steps:
        if isinstance(step, int):
            out += f"[{step}]"
        elif _NAME.fullmatch(step):
            out += f".{step}"
        else:
            break
    return out


def _worded(error: jsonschema_rs.ValidationError, root: str) -> Iterator[Issue]:
    """A schema finding in our own words; one that several branches share is said once."""
    kind: Any = error.kind
    where: _Path = error.instance_path
    word = _WORDS.get(kind.name)
    if kind.name == "required":
        yield Issue("required", path(root, [*where, kind.property]), "required", "101")
    elif kind.name == "additionalProperties":
        for name in kind.unexpected:
            yield Issue("unknown element", path(root, [*where, name]), "structure", "102")
    elif kind.name in ("anyOf", "oneOf"):
        yield _choice(error, root)
    elif word is None:
        yield Issue("not as R4 has it", path(root, where), "invalid", "102")
    else:
        yield Issue(word(kind), path(root, where), "value", "103" if kind.name == "enum" else "102")


def _choice(error: jsonschema_rs.ValidationError, root: str) -> Issue:
    """What anyOf says in our schema: one of these is needed, only one may be, or a list's item."""
    branches = _definition_at(error.schema_path)
    names = [branch["required"][0] for branch in branches if "required" in branch]
    if len(names) == 2 and names[1] == "_" + names[0]:
        return Issue("required", path(root, [*error.instance_path, names[0]]), "required", "101")
    place = path(root, error.instance_path)
    if names:
        return Issue(f"one of {_some(names)} is required", place, "required", "101")
    exclusive = [b["required"][0] for branch in branches for b in branch.get("oneOf", ())]
    if exclusive:
        given: Any = error.instance
        there = [name for name in exclusive if name in given]
        return Issue(f"only one of {_some(there)} may be there", place, "structure", "102")
    return Issue("not of the right type", place, "value", "102")


def _some(names: Sequence[str]) -> str:
    return ", ".join(names[:5]) + (", …" if len(names) > 5 else "")


def _definition_at(schema_path: _Path) -> list[Any]:
    node: Any = {"definitions": _definitions()}
    for step in schema_path:
        node = node[step] if isinstance(step, int) else node.get(step, node)
    return node if isinstance(node, list) else []


_TYPES = {
    "string": "a string",
    "array": "a list",
    "object": "an object",
    "boolean": "true or false",
    "number": "a number",
    "integer": "a whole number",
}

_WORDS: dict[str, Callable[[Any], str]] = {
    "type": lambda kind: f"must be {_TYPES[kind.types[0]]}",
    "enum": lambda kind: "not a code of its required value set",
    "const": lambda kind: "not the type that stands here",
    "pattern": lambda kind: "not written as its type demands",
    "minItems": lambda kind: "an empty list",
    "minProperties": lambda kind: "an empty object",
    "minimum": lambda kind: "too small",
    "maximum": lambda kind: "too large",
}


# --- gate 2 --------------------------------------------------------------------------------------


@cache
def _model(name: str) -> Any:
    """One R4B model: imported when it is first needed (never all of them: 2.5 s, 120 MB)."""
    from fhir.resources.R4B import get_fhir_model_class

    return get_fhir_model_class(name)


def _model_issues(name: str, resource: Resource) -> Iterator[Issue]:
    try:
        _model(name).model_validate(resource)
    except ValidationError as error:
        for found in error.errors(include_url=False, include_context=False, include_input=False):
            yield Issue("not as R4 has it", _model_path(name, found["loc"]), "invalid", "102")


def _model_path(root: str, steps: _Path) -> str:
    """Pydantic's way to the element; the names of models that it puts in between are left out."""
    return path(root, [step for step in steps if isinstance(step, int) or step[0].islower()])
