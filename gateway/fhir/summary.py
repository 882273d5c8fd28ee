"""A patient summary: resources sorted into the sections of an International Patient Summary.

After HL7's IPS guide (hl7.fhir.uv.ips): a document Bundle whose Composition has the three sections
that must be there, empty ones with their reason, and the others where there is something to say.
Every section has a narrative made of what its entries say, escaped. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from html import escape
from typing import Any, Final
from uuid import uuid4

from gateway.fhir.meta import instant
from gateway.model import Resource

LOINC: Final = "http://loinc.org"
EMPTY: Final = "http://terminology.hl7.org/CodeSystem/list-empty-reason"
OBSERVED: Final = "http://terminology.hl7.org/CodeSystem/observation-category"
_XHTML: Final = '<div xmlns="http://www.w3.org/1999/xhtml">{}</div>'


@dataclass(frozen=True, slots=True)
class Section:
    """A section: its LOINC code and title, what belongs into it, and whether it must be there."""

    code: str
    title: str
    holds: Callable[[Resource], bool]
    required: bool = False


def _of(*types: str) -> Callable[[Resource], bool]:
    return lambda resource: resource["resourceType"] in types


def _observed(*categories: str) -> Callable[[Resource], bool]:
    """Observations of a category; with "" among them, those of none that another section takes."""

    def holds(resource: Resource) -> bool:
        if resource["resourceType"] != "Observation":
            return False
        found = {
            coding.get("code")
            for category in resource.get("category", ())
            for coding in category.get("coding", ())
            if coding.get("system") == OBSERVED
        }
        return bool(found & set(categories)) or ("" in categories and not found & _ELSEWHERE)

    return holds


_ELSEWHERE: Final = {"vital-signs", "social-history", "survey"}


def _results(resource: Resource) -> bool:
    return resource["resourceType"] == "DiagnosticReport" or _observed("laboratory", "")(resource)


SECTIONS: Final = (
    Section("11450-4", "Problems", _of("Condition"), required=True),
    Section(
        "10160-0", "Medications", _of("MedicationStatement", "MedicationRequest"), required=True
    ),
    Section("48765-2", "Allergies", _of("AllergyIntolerance"), required=True),
    Section("11369-6", "Immunizations", _of("Immunization")),
    Section("30954-2", "Results", _results),
    Section("47519-4", "Procedures", _of("Procedure")),
    Section("8716-3", "Vital signs", _observed("vital-signs")),
    Section("29762-2", "Social history", _observed("social-history", "survey")),
    Section("18776-5", "Plan of care", _of("CarePlan", "Goal", "ServiceRequest")),
)
TYPES: Final = (
    "AllergyIntolerance",
    "CarePlan",
    "Condition",
    "DiagnosticReport",
    "Goal",
    "Immunization",
    "MedicationRequest",
    "MedicationStatement",
    "Observation",
    "Procedure",
    "ServiceRequest",
)
"""The types that a section may hold."""

_WITHDRAWN: Final = frozenset({"entered-in-error"})


def summary(
    base: str,
    patient: Resource,
    author: Resource,
    about: Sequence[Resource],
    along: Sequence[Resource],
    at: datetime,
) -> Resource:
    """The document Bundle.

    ``author`` is an Organization, or a Reference without a resource; ``about`` what is about the
    patient, ``along`` what that refers to; ``base`` the FHIR base that all of it is read at.
    """
    said = [one for one in about if not _withdrawn(one)]
    sections = [made for one in SECTIONS if (made := _section(one, said)) is not None]
    held = {entry["reference"] for one in sections for entry in one.get("entry", ())}
    listed = [one for one in said if _reference(one) in held]
    whole = author.get("resourceType") == "Organization"
    composition = {
        "resourceType": "Composition",
        "id": str(uuid4()),
        "status": "final",
        "type": _coded("60591-5", "Patient summary Document"),
        "subject": {"reference": _reference(patient)},
        "date": instant(at),
        "author": [{"reference": _reference(author)} if whole else author],
        "title": "Patient summary",
        "section": sections,
    }
    beside = [patient, *([author] if whole else []), *listed, *along]
    entries = [{"fullUrl": f"urn:uuid:{composition['id']}", "resource": composition}]
    once = {_reference(one): one for one in beside}
    entries += [{"fullUrl": f"{base}/{ref}", "resource": one} for ref, one in once.items()]
    return {
        "resourceType": "Bundle",
        "identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{uuid4()}"},
        "type": "document",
        "timestamp": instant(at),
        "entry": entries,
    }


def _section(section: Section, about: Sequence[Resource]) -> Resource | None:
    held = [one for one in about if section.holds(one)]
    if not held and not section.required:
        return None
    out: Resource = {
        "title": section.title,
        "code": _coded(section.code, section.title),
        "text": {"status": "generated", "div": _XHTML.format(_narrative(held))},
    }
    if held:
        return out | {"entry": [{"reference": _reference(one)} for one in held]}
    unavailable = {"system": EMPTY, "code": "unavailable", "display": "Unavailable"}
    return out | {"emptyReason": {"coding": [unavailable]}}


def _narrative(held: Sequence[Resource]) -> str:
    if not held:
        return "<p>Nothing was shared.</p>"
    rows = "".join(f"<li>{escape(', '.join(_told(one)))}</li>" for one in held)
    return f"<ul>{rows}</ul>"


def _told(resource: Resource) -> Iterator[str]:
    """What a line says: what it is, its value, its state, its date."""
    yield _what(resource)
    for name, value in resource.items():
        if name.startswith("value") and (text := _value(value)):
            yield text
    state = resource.get("clinicalStatus", resource.get("status", resource.get("lifecycleStatus")))
    if text := _value(state):
        yield text
    for name, value in resource.items():
        if name.endswith(("DateTime", "Date", "Period", "On", "issued")) and (day := _day(value)):
            yield day
            return


def _what(resource: Resource) -> str:
    names = ("code", "medicationCodeableConcept", "vaccineCode", "description", "title", "category")
    for name in names:
        given = resource.get(name)
        if text := _value(given[0] if isinstance(given, list) and given else given):
            return text
    return str(resource["resourceType"])


def _value(given: Any) -> str:
    """A code's, concept's, quantity's or text's own words; "" for what has none."""
    if isinstance(given, dict):
        if "value" in given:
            return f"{given['value']} {given.get('unit') or given.get('code') or ''}".strip()
        codings = given.get("coding") or [{}]
        return str(given.get("text") or codings[0].get("display") or codings[0].get("code") or "")
    return "" if given is None or isinstance(given, list) else str(given)


def _day(given: Any) -> str:
    if isinstance(given, dict):
        given = given.get("start")
    return given[:10] if isinstance(given, str) and given[:1].isdigit() else ""


def _withdrawn(resource: Resource) -> bool:
    codings = (resource.get("verificationStatus") or {}).get("coding", ())
    said = {resource.get("status"), *(one.get("code") for one in codings)}
    return bool(said & _WITHDRAWN)


def _coded(code: str, display: str) -> Resource:
    return {"coding": [{"system": LOINC, "code": code, "display": display}]}


def _reference(resource: Resource) -> str:
    return f"{resource['resourceType']}/{resource['id']}"
