"""An operation's inputs: from the query, from a Parameters resource, or a resource by itself.

R4 operations.html 3.2.0.3. What an operation doesn't know is refused, and what it knows is named.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from gateway.api.refusals import RequestError
from gateway.api.requests import Pairs
from gateway.errors import InvalidResource
from gateway.fhir import json
from gateway.fhir.search_values import span
from gateway.model import Resource

CONTROL: Final = frozenset({"_format", "_pretty"})
"""Parameters of HTTP itself, which any operation takes."""

_SIMPLE: Final = frozenset(
    {
        "string",
        "code",
        "uri",
        "canonical",
        "boolean",
        "integer",
        "instant",
        "date",
        "dateTime",
        "id",
    }
)


@dataclass(frozen=True, slots=True)
class Parameter:
    """What an operation takes: ``type`` as R4 names it ("uri", "Coding", "Resource").

    ``repeats``: as often as one likes; else once. ``example`` is for the documents.
    """

    name: str
    type: str
    text: str
    example: str = ""
    repeats: bool = False

    @property
    def simple(self) -> bool:
        """Whether it can stand in a query."""
        return self.type in _SIMPLE


class Inputs:
    """The values that a call gives its operation's parameters, by name."""

    def __init__(self, known: Sequence[Parameter], given: Iterable[tuple[str, Any]]) -> None:
        self._known = {one.name: one for one in known}
        self._found: dict[str, list[Any]] = {}
        for name, value in given:
            self._take(name, value)

    def all(self, name: str) -> list[Any]:
        """Every value of a parameter, in order."""
        return self._found.get(name, [])

    def one(self, name: str) -> Any:
        """A parameter's value: a str, bool, int, Decimal, dict or resource; None without one."""
        found = self._found.get(name)
        return found[0] if found else None

    def text(self, name: str) -> str | None:
        """A string, code or URI; None where it isn't given."""
        value = self.one(name)
        return value if isinstance(value, str) else None

    def count(self, name: str, least: int = 0) -> int | None:
        """A whole number. ``RequestError`` below ``least``."""
        value = self.one(name)
        if value is not None and (not isinstance(value, int) or value < least):
            raise RequestError(f"a whole number from {least}", place=name)
        return value

    def moment(self, name: str) -> str:
        """A date, dateTime or instant as it is given, "" for none. ``RequestError``."""
        text = self.text(name) or ""
        if text and span(text.replace(" ", "+")) is None:  # "+" stands for a blank in a query
            raise RequestError("a date or time, as 2024-03-01", place=name, code="value")
        return text

    def need(self, name: str) -> Any:
        """A value that must be given (``RequestError``)."""
        value = self.one(name)
        if value is None:
            raise RequestError("the operation needs this parameter", place=name, code="required")
        return value

    def _take(self, name: str, value: Any) -> None:
        one = self._known.get(name)
        if one is None:
            names = ", ".join(sorted(self._known)) or "none"
            raise RequestError(f"no such parameter; there are: {names}", place=_named(name))
        found = self._found.setdefault(name, [])
        if found and not one.repeats:
            raise RequestError("given more than once", place=name)
        found.append(_typed(one, value))


def queried(pairs: Pairs) -> list[tuple[str, Any]]:
    """What a query gives."""
    return [(name, value) for name, value in pairs if name not in CONTROL]


def posted(raw: bytes, known: Sequence[Parameter]) -> list[tuple[str, Any]]:
    """What a body gives: Parameters, or the resource of an operation that takes one resource.

    Raises InvalidResource for what is neither. The resources inside are for the operation to check.
    """
    if not raw.strip():
        return []
    body = json.loads(raw)
    if body.get("resourceType") == "Parameters" and not _wants_parameters(known):
        return [_given(each, place) for place, each in _listed(body)]
    alone = [one for one in known if one.type[:1].isupper() and one.type not in _COMPLEX]
    if len(alone) != 1 or "resourceType" not in body:
        raise InvalidResource("the body is a Parameters resource", place="resourceType")
    return [(alone[0].name, body)]


_COMPLEX: Final = frozenset({"Coding", "CodeableConcept", "Meta", "Identifier", "Period"})


def _wants_parameters(known: Sequence[Parameter]) -> bool:
    return any(one.type == "Parameters" for one in known)


def _listed(body: Resource) -> Iterable[tuple[str, Resource]]:
    found = body.get("parameter", [])
    if not isinstance(found, list):
        raise InvalidResource("must be a list", place="Parameters.parameter")
    for index, each in enumerate(found):
        place = f"Parameters.parameter[{index}]"
        if not isinstance(each, dict) or not isinstance(each.get("name"), str):
            raise InvalidResource("a parameter has a name", place=place)
        yield place, each


def _given(each: Resource, place: str) -> tuple[str, Any]:
    """A parameter's name and its value, resource or parts."""
    if "part" in each:
        parts = [_given(part, f"{place}.part[{n}]") for n, part in enumerate(each["part"])]
        return each["name"], parts
    values = [value for key, value in each.items() if key == "resource" or key.startswith("value")]
    if len(values) != 1:
        raise InvalidResource("a parameter has one value", place=place)
    return each["name"], values[0]


def _typed(one: Parameter, value: Any) -> Any:
    """A value in the form of its type; texts of a query become what they say."""
    if one.type == "boolean" and value in ("true", "false"):
        return value == "true"
    if one.type == "integer" and isinstance(value, str) and value.lstrip("-").isdigit():
        return int(value)
    fits: Any = _FORMS.get(one.type, str if one.simple else dict)
    if one.type == "part":
        fits = list
    if not isinstance(value, fits) or (isinstance(value, bool) and one.type != "boolean"):
        raise RequestError(f"must be a {one.type}", place=one.name)
    return value


_FORMS: Final = {"boolean": bool, "integer": int, "decimal": (int, Decimal)}


def _named(name: str) -> str | None:
    """A parameter's name where it looks like one, so that no text of a sender's gets out."""
    return name if name.replace("-", "").replace("_", "").isalnum() and len(name) < 64 else None
