"""Codes of coverage, accessibility and documents, as both sides of routing say them. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gateway.fhir import codes
from gateway.model import Resource
from gateway.route.directory import normal
from gateway.route.facts import Coding

SOPT: Final = "https://nahdo.org/sopt"
"""Source of Payment Typology, US Core's payer types: a kind's code begins with its parent's."""

COVERAGE: Final = frozenset(
    {
        SOPT,
        "http://terminology.hl7.org/CodeSystem/v3-ActCode",
        "http://terminology.hl7.org/CodeSystem/coverage-selfpay",
    }
)
"""Systems of Coverage.type (R4 coverage-type; US Core)."""

_SYSTEMS: Final = {"urn:oid:2.16.840.1.113883.3.221.5": SOPT}
_ELEMENTS: Final = codes.BASE + "CodeSystem/hmis-element"
_HMIS: Final = {
    "Medicare": "1",
    "Medicaid": "2",
    "VHAServices": "32",
    "IndianHealthServices": "33",
    "EmployerProvided": "5",
    "COBRA": "5",
    "PrivatePay": "5",
}
"""HMIS's health insurance (IncomeBenefits) as payer types."""


def codings(concepts: Iterable[Resource]) -> frozenset[Coding]:
    """The codes of CodeableConcepts."""
    found = (each for concept in concepts for each in concept.get("coding") or [])
    return frozenset((each.get("system") or "", each["code"]) for each in found if "code" in each)


def of_coverage(concepts: Iterable[Resource]) -> frozenset[Coding]:
    """The kinds of coverage among their codes."""
    found = (_of_coverage(system, code) for system, code in codings(concepts))
    return frozenset(each for each in found if each[0] in COVERAGE)


def _of_coverage(system: str, code: str) -> Coding:
    if system == _ELEMENTS and code in _HMIS:
        return SOPT, _HMIS[code]
    return _SYSTEMS.get(system, system), code


def of_access(concepts: Iterable[Resource]) -> frozenset[Coding]:
    """What of accessibility is among their codes."""
    return frozenset(each for each in codings(concepts) if each[0] == codes.ACCESSIBILITY)


def names(concept: Resource) -> frozenset[Coding]:
    """A concept by all that it can be compared by: its codes, and its words under no system."""
    said = [concept.get("text"), *(each.get("display") for each in concept.get("coding") or [])]
    return codings([concept]) | {("", normal(each)) for each in said if each}


def covers(wanted: Coding, held: Coding) -> bool:
    """Whether a kind of coverage is the wanted one, or a kind of it."""
    if wanted == held:
        return True
    return wanted[0] == held[0] == SOPT and held[1].startswith(wanted[1])
