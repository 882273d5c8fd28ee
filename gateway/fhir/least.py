"""What of a Patient an agency sees that was sent a referral: enough to find, greet and reach them.

``protect.least`` shows no more than this, and search must not test more than it: rows that come
from the rest are filed apart (``hidden``), and only the owner's search reads them.
"""

from __future__ import annotations

import re
from typing import Any, Final

from gateway.fhir.codes import SSN_HASH
from gateway.model import Resource

PATIENT: Final = frozenset(
    {
        "resourceType",
        "id",
        "meta",
        "identifier",
        "active",
        "name",
        "telecom",
        "gender",
        "birthDate",
        "deceasedBoolean",
        "deceasedDateTime",
        "address",
        "contact",
        "communication",
        "managingOrganization",
    }
)
"""The elements of a Patient that a grant shows."""

_NATIONAL: Final = frozenset({"SS", "SB", "NI", "PPN", "DL", "TAX", "MC", "MA", "MI"})
"""Identifier types (HL7 table 0203) of numbers that open more doors than the referral's."""

_OFFICES: Final = ("http://hl7.org/fhir/sid/", "urn:oid:2.16.840.1.113883.4.", SSN_HASH.lower())
"""Systems of numbers that offices give to people, and of what gives such a number away."""

_WORDS: Final = re.compile(
    r"\bSSN\b|social\W*sec|\btax\b|passport|driv\S*\s*lic|medicare|medicaid", re.IGNORECASE
)
"""How people call such numbers who don't code them."""


def least(patient: Resource) -> Resource:
    """The Patient as a grant shows it."""
    part = {name: value for name, value in patient.items() if name.removeprefix("_") in PATIENT}
    kept = [each for each in part.pop("identifier", []) if not national(each)]
    return {**part, "identifier": kept} if kept else part


def hidden(resource: Resource) -> dict[str, list[Any]]:
    """The top-level elements of which a grant doesn't show all, and what it does show of each."""
    if resource["resourceType"] != "Patient":
        return {}
    out: dict[str, list[Any]] = {name: [] for name in resource if name not in PATIENT}
    identifiers = resource.get("identifier", ())
    kept = [each for each in identifiers if not national(each)]
    if len(kept) < len(identifiers):
        out["identifier"] = kept
    return out


def may_hide(type: str, element: str) -> bool:
    """Whether what comes from that top-level element ("": from any) may be hidden."""
    return type == "Patient" and (element == "identifier" or element not in PATIENT)


def national(identifier: dict[str, Any]) -> bool:
    """Whether an Identifier is a number of the state's, by its system or its type."""
    if str(identifier.get("system") or "").lower().startswith(_OFFICES):
        return True
    kind = identifier.get("type") or {}
    codings = kind.get("coding") or []
    called = (kind.get("text"), *(each.get("display") for each in codings))
    return any(each.get("code") in _NATIONAL for each in codings) or any(
        _WORDS.search(each) for each in called if each
    )
