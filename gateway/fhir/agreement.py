"""Where gate 1, made narrower, is known to say what gate 2 would: most of what is posted.

The models of fhir.resources take some hundred microseconds for what a schema says in five. Both
were compared, element by element (``definitions/build_agreement.py``), and what is left of the
schema where they agree, with patterns that know the calendar, takes nothing that gate 2 refuses.
What it doesn't take isn't judged: it goes through both gates.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

from gateway.fhir.definitions import load

Schema = dict[str, Any]

_SOLID: Final = (  # what neither library's regular expressions call a blank
    "!-~\u00a1-\u167f\u1681-\u1fff\u200b-\u2027\u2030-\u205e\u2060-\u2fff\u3001-\U0010ffff"
)
_ANY: Final = r"[^\x00-\x08\x0b\x0c\x0e-\x1f]*"
_YEAR: Final = "([0-9]([0-9]([0-9][1-9]|[1-9]0)|[1-9]00)|[1-9]000)"
_LEAP: Final = (
    "([0-9]{2}(0[48]|[2468][048]|[13579][26])|(0[48]|[2468][048]|[13579][26])00)"  # R4: no year 0
)
_DAY: Final = (
    f"({_YEAR}-((0[13578]|1[02])-(0[1-9]|[12][0-9]|3[01])|(0[469]|11)-(0[1-9]|[12][0-9]|30)"
    f"|02-(0[1-9]|1[0-9]|2[0-8]))|{_LEAP}-02-29)"
)
_PARTLY: Final = f"{_YEAR}(-(0[1-9]|1[0-2]))?"
_CLOCK: Final = r"([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](\.[0-9]{1,6})?"  # no leap second
_ZONE: Final = r"(Z|[+\-]((0[0-9]|1[0-3]):[0-5][0-9]|14:00))"
_LABEL: Final = "[a-z][a-z0-9]*(-[a-z0-9]+)*"
_STRETCH: Final = r"[A-Za-z0-9._~/$=&+,;:@!*()\-]*"
_TEXT: Final = rf"^{_ANY}[\t\n\r {_SOLID}]{_ANY}$"
_NARROWED: Final[dict[str, str]] = {
    "base64Binary": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{3}=|[A-Za-z0-9+/]{2}==)$",
    "canonical": f"^[{_SOLID}]+$",
    "code": f"^[{_SOLID}]+( [{_SOLID}]+)*$",
    "date": f"^({_PARTLY}|{_DAY})$",
    "dateTime": f"^({_PARTLY}|{_DAY}(T{_CLOCK}{_ZONE})?)$",
    "instant": f"^{_DAY}T{_CLOCK}{_ZONE}$",
    "markdown": _TEXT,
    "string": _TEXT,
    "time": f"^{_CLOCK}$",
    "uri": f"^[{_SOLID}]+$",
    "url": rf"^https?://{_LABEL}(\.{_LABEL})*(:[0-9]{{1,4}})?(/{_STRETCH})?(\?{_STRETCH})?$",
    "uuid": "^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$",
}
"""The other primitives stay as they are."""


def narrowed(definitions: Schema) -> Schema:
    """The schema's ``definitions``, each taking only what both gates take."""
    return {name: _definition(name, one) for name, one in definitions.items()}


def _definition(name: str, given: Schema) -> Schema:
    if name in _NARROWED:
        return {"type": "string", "pattern": _NARROWED[name]}
    if name not in _differing():
        return given
    told = _differing()[name]
    properties = {k: v for k, v in given["properties"].items() if k not in told.get("apart", ())}
    for key in told.get("gapless", ()):
        properties[key] = _without_nulls(properties[key])
    required = [*given.get("required", ()), *told.get("needs", ())]
    rules = [{"anyOf": [{"required": [n]} for n in one]} for one in told.get("choices", ())]
    out = given | {"properties": properties}
    if required:
        out["required"] = required
    return out | {"allOf": [*given.get("allOf", ()), *rules]} if rules else out


def _without_nulls(listed: Schema) -> Schema:
    return listed | {"items": listed["items"]["anyOf"][0]}


@cache
def _differing() -> dict[str, dict[str, list[Any]]]:
    table: dict[str, dict[str, list[Any]]] = load("agreement")
    return table
