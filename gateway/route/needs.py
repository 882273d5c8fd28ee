"""Which social need a diagnosis tells of, where the request itself names none.

A clinic that speaks HL7 v2 says why it refers by a Z code; SDOH Clinical Care says it by a category
(SDOHCC-ValueSetSDOHCategory). ICD-10-CM FY2026 by the beginning of the code, without its dot, the
longest first; SNOMED CT by the code.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from gateway.fhir import codes
from gateway.route.facts import Coding

ICD10: Final = "http://hl7.org/fhir/sid/icd-10-cm"

_BY_ICD10: Final[Mapping[str, str]] = {
    "Z556": "personal-health-literacy",
    "Z55": "educational-attainment",
    "Z56": "employment-status",
    "Z590": "homelessness",
    "Z5912": "utility-insecurity",
    "Z591": "inadequate-housing",
    "Z594": "food-insecurity",
    "Z595": "financial-insecurity",
    "Z596": "financial-insecurity",
    "Z597": "health-insurance-coverage-status",
    "Z5981": "housing-instability",
    "Z5982": "transportation-insecurity",
    "Z5986": "financial-insecurity",
    "Z5987": "material-hardship",
    "Z602": "social-connection",
    "Z604": "social-connection",
    "Z651": "incarceration-status",
    "Z652": "incarceration-status",
    "Z6911": "intimate-partner-violence",
    "Z733": "stress",
}
_BY_SNOMED: Final[Mapping[str, str]] = {
    "733423003": "food-insecurity",
    "32911000": "homelessness",
    "1156191002": "housing-instability",
    "105531004": "inadequate-housing",
    "713458007": "transportation-insecurity",
    "73438004": "employment-status",
    "423315002": "social-connection",
}


def needs(told: Iterable[Coding]) -> frozenset[Coding]:
    """The categories of need that these codes tell of."""
    found = (_need(system, code) for system, code in told)
    return frozenset((codes.SDOH_CODES, need) for need in found if need)


def _need(system: str, code: str) -> str | None:
    if system == codes.SNOMED:
        return _BY_SNOMED.get(code)
    if system != ICD10:
        return None
    plain = code.replace(".", "")
    beginnings = (plain[:length] for length in range(len(plain), 2, -1))
    return next((_BY_ICD10[each] for each in beginnings if each in _BY_ICD10), None)
