"""The builder's second half: R4's JSON schema with what it leaves unsaid, from the elements.

Required elements, exclusive choices, no empty lists or objects, codes of required bindings, whole
numbers, nulls only where FHIR has them. Resources inside resources are left to ``gates``.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Json = dict[str, Any]

WHOLE = {"integer": -(2**31), "unsignedInt": 0, "positiveInt": 1}
COMMON = (
    "String",
    "Reference",
    "CodeableConcept",
    "Coding",
    "Code",
    "Boolean",
    "Quantity",
    "DateTime",
)
TEXT: Json = {"type": "string", "pattern": "^[^\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f]+$"}
SAID: dict[str, Json] = {  # where the schema's patterns refuse Unicode spaces, or let "" through
    **dict.fromkeys(("string", "markdown", "xhtml"), TEXT),
    **dict.fromkeys(("uri", "url", "canonical"), {"type": "string", "pattern": r"^\S+$"}),
    "base64Binary": {"type": "string", "pattern": r"^[0-9A-Za-z+/=\s]+$"},
}
ANY_RESOURCE: Json = {"type": "object", "required": ["resourceType"]}


def overlaid(
    schema: Json,
    table: dict[str, dict[str, Json]],
    names: dict[str, str],
    codes: dict[str, list[str]],
) -> Json:
    """The definitions that a kept element reaches, with what the elements add."""
    out = {
        names[path]: one_definition(schema[names[path]], members, codes)
        for path, members in table.items()
        if names[path] in schema
    }
    for name in sorted({name for one in out.values() for name in found(one)} - set(out)):
        out[name] = SAID.get(name) or primitive(schema[name])
    return dict(sorted(out.items()))


def found(node: Any) -> Iterator[str]:
    """The definitions that a schema refers to."""
    if isinstance(node, dict):
        if "$ref" in node:
            yield node["$ref"].rpartition("/")[2]
        for child in node.values():
            yield from found(child)
    elif isinstance(node, list):
        for child in node:
            yield from found(child)


def one_definition(given: Json, members: dict[str, Json], codes: dict[str, list[str]]) -> Json:
    """One definition without its texts, with the overlay."""
    known = given["properties"] | unsaid(given["properties"], members)
    properties = {
        name: one_property(
            value, members.get(name, {}), codes, gaps=f"_{name.lstrip('_')}" in known
        )
        for name, value in known.items()
        if name == "resourceType" or name.removeprefix("_") in members
    }
    required, rules = demands(members, properties)
    out: Json = {"type": "object", "minProperties": 1, "additionalProperties": False}
    out["properties"] = properties
    required = sorted({*given.get("required", ()), *required} & set(properties))
    if required:
        out["required"] = required
    if rules:
        out["allOf"] = rules
    return out


def unsaid(known: Json, members: dict[str, Json]) -> Json:
    """The extensions of canonicals, which the schema forgets."""
    extensions = {"$ref": "#/definitions/Element"}
    return {
        "_" + name: {"items": extensions} if "items" in known[name] else extensions
        for name, one in members.items()
        if one["types"] == ["canonical"] and "_" + name not in known
    }


def one_property(value: Json, one: Json, codes: dict[str, list[str]], *, gaps: bool) -> Json:
    """One property; lists aren't empty, and null stands only where FHIR has it.

    That is in lists of primitives and of their extensions, where the other list speaks.
    """
    if "items" not in value:
        return typed(value, one, codes)
    items = typed(value["items"], one, codes)
    if gaps:
        items = {"anyOf": [items, {"type": "null"}]}
    return {"type": "array", "minItems": 1, "items": items}


def typed(value: Json, one: Json, codes: dict[str, list[str]]) -> Json:
    """What one value must be: a listed code, a primitive in its own words, or a reference."""
    name = value.get("$ref", "").rpartition("/")[2] or next(iter(one.get("types", ())), "")
    if "const" in value:
        return {"const": value["const"]}
    if name == "ResourceList":
        return ANY_RESOURCE
    if name == "code" and one.get("binding", [""])[0] == "required":
        listed = codes.get(one["binding"][1])
        return {"enum": listed} if listed else {"$ref": "#/definitions/code"}
    if name in WHOLE:
        return {"type": "integer", "minimum": WHOLE[name], "maximum": 2**31 - 1}
    return {"$ref": f"#/definitions/{name}"} if name else primitive(value)


def primitive(given: Json) -> Json:
    """Without its text; a boolean or a number has no pattern."""
    keys = ("type",) if given.get("type") in ("boolean", "number") else ("type", "pattern", "enum")
    return {key: given[key] for key in keys if key in given}


def demands(members: dict[str, Json], properties: Json) -> tuple[list[str], list[Json]]:
    """What must be there, and what may not be there together."""
    required, rules = [], []
    choices: dict[str, list[str]] = {}
    demanded: set[str] = set()
    for name, one in members.items():
        if "choice" in one:
            choices.setdefault(one["choice"], []).append(name)
            demanded |= {one["choice"]} if one.get("demanded") else set()
        elif one["min"] and "_" + name in properties:
            rules.append({"anyOf": [{"required": [name]}, {"required": ["_" + name]}]})
        elif one["min"]:
            required.append(name)
    usual = 1 + len(required) + len(rules)
    for choice, names in choices.items():
        names.sort(key=lambda name: not name.endswith(COMMON))
        rules.extend(exclusive(names, choice in demanded, properties, usual))
    return required, rules


def exclusive(names: list[str], demanded: bool, properties: Json, usual: int) -> Iterator[Json]:
    """At most one of a choice's names; exactly one where it is demanded.

    An object of at most ``usual`` members, all but one of them required, can't hold two of the
    choice: asking that first spares looking for each of an Extension's fifty.
    """
    if demanded:
        extended = ["_" + name for name in names if "_" + name in properties]
        yield {"anyOf": [{"required": [name]} for name in (*names, *extended)]}
    if len(names) > 1:
        one = {"oneOf": [{"required": [name]} for name in names]}
        none = {"not": {"anyOf": [{"required": [name]} for name in names]}}
        yield {"anyOf": [{"maxProperties": usual}, none, one]}
