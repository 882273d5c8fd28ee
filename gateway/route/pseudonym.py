"""What tells who a person is, in a record that goes to or from a victim service provider. Pure.

34 USC 12291(a)(25) counts names, addresses, contacts, numbers, birth dates, and whatever else would
identify somebody. So what may stand there is listed, and all else tells: a pseudonym and nothing
beside it (DESIGN, section 7). What people write in words of their own nobody can check.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.fhir.least import national
from gateway.fhir.references import references
from gateway.model import Reference, Resource

PERSONS: Final[Mapping[str, frozenset[str]]] = {
    "Patient": frozenset({"active", "name", "identifier", "gender", "managingOrganization"}),
    "RelatedPerson": frozenset({"active", "name", "identifier", "patient", "relationship"}),
    "Person": frozenset({"active", "name", "identifier"}),
}
"""The resources that are a person's record, and what one may hold beside ``_ALWAYS``."""

REASONS: Final = frozenset({"Condition", "Observation", "Consent", "Goal"})
"""What may go with a request beside the person: why, and that they agreed."""

_ALWAYS: Final = frozenset({"resourceType", "id", "meta", "implicitRules"})
_NAMELESS: Final = frozenset({"ANON"})
"""Identifier types (HL7 table 0203) that are somebody's pseudonym."""

_OPEN: Final = frozenset({"contained", "text", "insurance", "sourceAttachment"})
"""Where a resource about a person would carry more of them than its own elements."""

_LINKS: Final = frozenset({"subject", "for", "patient"})
_BARE: Final = frozenset({"reference", "type"})


def telling(resource: Resource) -> str:
    """The place in a resource that tells who a person is, or might; "" where none does."""
    type_ = str(resource.get("resourceType", ""))
    name = _of_person(resource) if type_ in PERSONS else next(_about_person(resource), "")
    return f"{type_}.{name}" if name else ""


def persons(resource: Resource) -> list[Reference]:
    """The persons' records that a resource refers to, without their versions."""
    found = (to.partition("/_history/")[0] for _, to in references(resource))
    return [each for each in dict.fromkeys(found) if each.partition("/")[0] in PERSONS]


def _of_person(resource: Resource) -> str:
    allowed = PERSONS[resource["resourceType"]] | _ALWAYS
    for element, value in resource.items():
        if element not in allowed:
            return element
        if element == "gender" and value != "unknown":
            return element
        if element == "name" and any(each.get("use") != "anonymous" for each in value):
            return element
        if element == "identifier" and any(map(_is_known, value)):
            return element
    return ""


def _is_known(identifier: Resource) -> bool:
    """Whether a number is more than a pseudonym: of an office, or of a kind other than one."""
    kinds = {each.get("code") for each in (identifier.get("type") or {}).get("coding") or []}
    return bool(kinds - _NAMELESS) or national(identifier)


def _about_person(resource: Resource) -> Iterator[str]:
    yield from (each for each in resource if each in _OPEN)
    yield from (each for each, value in resource.items() if _names(each, value))


def _names(element: str, value: Any) -> bool:
    """Whether a name or number stands beside a reference to a person."""
    if isinstance(value, list):
        return any(_names(element, each) for each in value)
    if not isinstance(value, dict):
        return False
    to = str(value.get("reference") or "").partition("/")[0]
    if (element in _LINKS or to in PERSONS) and value.keys() - _BARE:
        return True
    return any(_names(each, inner) for each, inner in value.items())
