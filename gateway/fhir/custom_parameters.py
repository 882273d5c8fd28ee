"""Search parameters that somebody defines: SearchParameter resources (R4 searchparameter, 5.2).

What is outside of the part of FHIRPath that ``expressions`` compiles is refused when it is
posted, and never found wanting first by a search. Their rows are made late (``query.Late``), under
a name that holds what they were defined as: a changed definition starts anew.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import replace
from functools import lru_cache
from typing import Final, cast

from gateway.errors import InvalidParameter
from gateway.fhir.elements import resource_types
from gateway.fhir.indexing import MAKERS
from gateway.fhir.json import loads
from gateway.fhir.query import Kind, Late
from gateway.fhir.rows import IndexRow
from gateway.fhir.search_parameters import (
    Parameter,
    late_rows,
    parameters,
    simple,
    unsupported,
    with_apart,
)
from gateway.model import Resource

_CODE: Final = re.compile(r"[A-Za-z][A-Za-z0-9\-]{0,63}")
_LONGEST: Final = 2000
_TOKEN: Final[Kind] = "token"


def check(definition: Resource) -> None:
    """Refuse a SearchParameter that is to be active and can't be (``InvalidParameter``)."""
    if definition.get("status") == "active":
        defined(definition)


@lru_cache(256)
def from_json(body: bytes) -> Mapping[str, Parameter]:
    """``defined``, of a stored one."""
    return defined(loads(body))


def defined(definition: Resource) -> Mapping[str, Parameter]:
    """By resource type, the parameter that a SearchParameter defines.

    Raises InvalidParameter with the place of what isn't supported.
    """
    code, kind = str(definition.get("code")), str(definition.get("type"))
    if not _CODE.fullmatch(code):
        raise _refused("must be letters, digits and dashes", "code", "value")
    if kind not in MAKERS:
        raise _refused(f"must be one of {', '.join(MAKERS)}", "type")
    return {type: _parameter(definition, type, code, kind) for type in _bases(definition)}


def _bases(definition: Resource) -> list[str]:
    bases = [str(base) for base in definition.get("base", ())]
    for number, base in enumerate(bases):
        if base not in resource_types():
            raise _refused("must be a resource type by name", f"base[{number}]")
    return bases


def _parameter(definition: Resource, type: str, code: str, kind: str) -> Parameter:
    if code in parameters(type) or code in unsupported(type):
        raise _refused(f"is an official parameter of {type}", "code", "duplicate")
    expression = str(definition.get("expression") or "")
    if not expression or len(expression) > _LONGEST:
        raise _refused("an expression is needed", "expression", "required")
    targets = tuple(str(each) for each in definition.get("target", ()))
    try:
        one = simple(code, kind, str(definition.get("url")), expression, targets, type)
    except (ValueError, LookupError, StopIteration):
        raise _refused(
            f"outside of the FHIRPath that searches of {type} are made of here: paths, |, as, "
            "ofType, extension('…'), [n], where(a = 'b') and where(resolve() is T)",
            "expression",
        ) from None
    return replace(one, late=_late(one, type))


def _late(one: Parameter, type: str) -> Late:
    about = f"{one.kind} {one.expression}".encode()
    name = f"{one.code}#{hashlib.blake2b(about, digest_size=8).hexdigest()}"

    def rows(resource: Resource) -> list[IndexRow]:
        return [
            row
            for walk, make in one.walks
            for value in walk.values(resource)
            for row in make(name, value, walk.element)
        ]

    kinds = tuple(dict.fromkeys((cast(Kind, one.kind), _TOKEN)))
    return Late(f"{type}?{name}", type, late_rows(rows), row_names(name), kinds)


def row_names(name: str) -> tuple[str, ...]:
    """What rows of a parameter of one's own may be called."""
    return with_apart((name, f"{name}:of-type", f"{name}:identifier"))


def _refused(text: str, element: str, code: str = "not-supported") -> InvalidParameter:
    return InvalidParameter(text, place=f"SearchParameter.{element}", code=code)
