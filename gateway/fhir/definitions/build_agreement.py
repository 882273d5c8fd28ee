"""Builds ``agreement.json.gz`` beside it: where our schema and fhir.resources' R4B models differ.

From ``schema.json.gz`` and the installed models::

    python -m gateway.fhir.definitions.build_agreement

``{definition: {"apart": [names], "needs": [names], "choices": [[names]], "gapless": [names]}}``;
what is empty is left out. ``apart`` are elements that the two may judge differently; ``needs`` and
``choices`` what the models want there to be (one of each choice) and the schema doesn't; of
``gapless`` lists they take no nulls. A definition that isn't named is judged alike.
``gateway.fhir.agreement`` makes a narrower schema of it.
"""

from __future__ import annotations

import re
import types
import typing
from typing import Any

from gateway.fhir.definitions import load
from gateway.fhir.definitions.build import Json, write
from gateway.fhir.elements import resource_types

ALIKE = {
    "base64Binary": {"base64Binary"},
    "boolean": {"boolean"},
    "canonical": {"canonical", "uri"},
    "code": {"code", "string"},
    "date": {"date"},
    "dateTime": {"dateTime"},
    "decimal": {"decimal"},
    "id": {"id", "string", "code"},
    "instant": {"instant"},
    "markdown": {"markdown", "string"},
    "oid": {"oid", "uri"},
    "string": {"string", "markdown"},
    "time": {"time"},
    "uri": {"canonical", "uri"},
    "url": {"url", "uri"},
    "uuid": {"uuid", "uri"},
    "xhtml": {"xhtml", "string"},
}
"""By our primitive: those of the models that take all that the narrowed pattern of ours takes."""

CODE = re.compile(r"[!-~]+( [!-~]+)*")
ELEMENT, EXTENSION = "Element", "FHIRPrimitiveExtension"


def main() -> None:
    """Writes the table."""
    write("agreement", differing())


def differing() -> Json:
    """Compares every definition with the models that stand where it does."""
    from fhir.resources.R4B import get_fhir_model_class

    found: dict[str, Json] = {}
    left = [(name, get_fhir_model_class(name)) for name in sorted(resource_types())]
    done = set()
    while left:
        pair = left.pop()
        if pair not in done:
            done.add(pair)
            left += compared(*pair, found.setdefault(pair[0], {}))
    return {name: {k: sorted(v) for k, v in one.items()} for name, one in sorted(found.items()) if one}


def compared(name: str, model: Any, told: Json) -> list[tuple[str, Any]]:
    """Adds what ``model`` asks beyond the definition; the pairs that are met on the way."""
    definition = load_schema()[name]
    properties: Json = definition["properties"]
    fields = {field.alias or key: (key, field) for key, field in model.model_fields.items()}
    met: list[tuple[str, Any]] = []
    for key, schema in properties.items():
        if key == "resourceType":
            continue
        inner = same(schema, fields[key][1]) if key in fields else None
        if inner is None:
            add(told, "apart", key)
            continue
        met += inner
        if nullable(schema) and not nulls(fields[key][1]):
            add(told, "gapless", key)
    aliases = {field: alias for alias, (field, _) in fields.items()}
    demand(definition, model, aliases, told)
    return met


def same(schema: Json, field: Any) -> list[tuple[str, Any]] | None:
    """The pair that an element leads on to, if any; None where the two may differ."""
    listed, kind = unpacked(field.annotation)
    if listed != ("items" in schema):
        return None
    schema = one_item(schema)
    if schema == {"type": "object", "required": ["resourceType"]}:
        return [] if getattr(kind, "__name__", "") == "ResourceType" else None
    ref = schema.get("$ref", "").rpartition("/")[2]
    if hasattr(kind, "get_model_klass"):
        if not ref or ref in ALIKE or kind.__name__ in ("ResourceType", "ElementType"):
            return None
        model = kind.get_model_klass()
        nested = "_" in ref  # what has a name of its own in either: nobody else stands there
        wanted = EXTENSION if ref == ELEMENT else model.__name__ if nested else ref
        return [(ref, model)] if model.__name__ == wanted else None
    return [] if alike(schema, ref, kind) else None


def alike(schema: Json, ref: str, kind: Any) -> bool:
    """Whether a primitive of the models takes what ours does, once that is narrowed."""
    mark: Any = next(iter(getattr(kind, "__metadata__", ())[-1:]), None)
    theirs = "boolean" if kind is bool else getattr(mark, "__visit_name__", "uuid")
    if "enum" in schema:
        return theirs in ("code", "string") and all(map(CODE.fullmatch, schema["enum"]))
    if schema.get("type") == "integer":
        return bool(
            theirs in ("integer", "unsignedInt", "positiveInt")
            and mark.min_length <= schema["minimum"]
            and mark.max_length >= schema["maximum"]
        )
    return theirs in ALIKE.get(ref, ())


def demand(definition: Json, model: Any, aliases: dict[str, str], told: Json) -> None:
    """What the model wants there to be, and which of its elements exclude each other."""
    required = {*definition.get("required", ())}
    wanted = {aliases[key] for key, field in model.model_fields.items() if field.is_required()}
    wanted |= {name for name, _ in model.get_required_fields(None)}
    for name in sorted(wanted - required):
        add(told, "needs", name)
    for names in model.get_one_of_many_fields(None).values():
        here = [aliases[name] for name in names if aliases[name] in definition["properties"]]
        if model.model_fields[names[0]].json_schema_extra["one_of_many_required"]:
            add(told, "choices", here)
        if len(here) > 1 and not any(set(here) <= one for one in exclusive(definition)):
            for name in here:
                add(told, "apart", name)


def exclusive(definition: Json) -> list[set[str]]:
    """The names of which the schema lets at most one be there."""
    rules = [one for rule in definition.get("allOf", ()) for one in rule["anyOf"]]
    return [{each["required"][0] for each in one["oneOf"]} for one in rules if "oneOf" in one]


def add(told: Json, key: str, value: Any) -> None:
    """Once."""
    listed = told.setdefault(key, [])
    if value not in listed:
        listed.append(value)


def load_schema() -> Json:
    """Our schema, read once."""
    global _SCHEMA
    _SCHEMA = _SCHEMA or load("schema")
    return _SCHEMA


_SCHEMA: Json = {}


def one_item(schema: Json) -> Json:
    """Of a list its items, of what may be null the rest."""
    schema = schema.get("items", schema)
    return schema["anyOf"][0] if "anyOf" in schema else schema


def nullable(schema: Json) -> bool:
    """Whether the list may hold nulls."""
    return "anyOf" in schema.get("items", {})


def nulls(field: Any) -> bool:
    """Whether the model's list may."""
    return any(type(None) in typing.get_args(one) for one in typing.get_args(bare(field.annotation)))


def unpacked(annotation: Any) -> tuple[bool, Any]:
    """Whether it is a list, and of what."""
    kind = bare(annotation)
    if typing.get_origin(kind) is list:
        return True, bare(typing.get_args(kind)[0])
    return False, kind


def bare(annotation: Any) -> Any:
    """``X | None`` without the None. A union that a primitive is stays."""
    while typing.get_origin(annotation) in (typing.Union, types.UnionType):
        rest = [one for one in typing.get_args(annotation) if one is not type(None)]
        if len(rest) != 1:
            # Resource.id: the narrower one is tried first, and the wider takes what it doesn't
            return rest[-1]
        annotation = rest[0]
    return annotation


if __name__ == "__main__":
    main()
