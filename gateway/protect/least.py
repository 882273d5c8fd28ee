"""The least of a Patient: what an agency that was sent a referral sees of whose referral it is.

Enough to find, greet and reach the person, and nothing that only the owner needs: no social
security number, race, religion, marital status, photograph or account of the rest of their life.
A search can't ask for what isn't shown (DESIGN, section 7).
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

from gateway.fhir import json
from gateway.fhir.query import Query
from gateway.fhir.search import matches
from gateway.model import Context, Resource, Stored

SSN: Final = "http://hl7.org/fhir/sid/us-ssn"

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


def narrowed(context: Context, stored: Stored) -> bool:
    """Whether the caller sees less than the whole: a Patient that isn't its own."""
    return stored.type == "Patient" and stored.owner != context.agency and not context.admin


def shown(context: Context, stored: Stored) -> Stored:
    """A version as the caller may see it."""
    if not narrowed(context, stored) or stored.deleted:
        return stored
    whole = json.loads(stored.body)
    part = least(whole)
    return stored if part == whole else replace(stored, body=json.dumps(part))


def answers(context: Context, query: Query, stored: Stored) -> bool:
    """Whether what the caller is shown matches too: a search is no way to guess what is hidden."""
    if not narrowed(context, stored):
        return True
    return matches(query, json.loads(shown(context, stored).body))


def least(patient: Resource) -> Resource:
    """The Patient as a grant shows it."""
    part = {name: value for name, value in patient.items() if name.removeprefix("_") in PATIENT}
    kept = [each for each in part.pop("identifier", []) if not _national(each)]
    return {**part, "identifier": kept} if kept else part


def _national(identifier: dict[str, Any]) -> bool:
    if identifier.get("system") == SSN:
        return True
    codings = (identifier.get("type") or {}).get("coding") or []
    return any(each.get("code") in _NATIONAL for each in codings)
