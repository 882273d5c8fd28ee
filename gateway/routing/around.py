"""What the hub knows around a referral: its patient, reasons, consents, who serves them already.

Only what the requester owns counts, and what the hub itself keeps: nobody else's record of a person
decides where this agency's referral goes, beside a bar.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Final

from gateway.errors import Gone, NotFound, RouteError
from gateway.fhir import json
from gateway.fhir.references import references
from gateway.fhir.search import parse_query
from gateway.members import KEEPER, Members
from gateway.model import HUB, Reference, Resource, Stored
from gateway.route.directory import performers
from gateway.route.facts import Referral
from gateway.route.requests import VETERAN, Around, referral
from gateway.store import Reader

MOST: Final = 100
"""Of each kind of thing about a person, how many are looked at."""

SERVES: Final = frozenset({"accepted", "in-progress", "completed"})
"""A Task in one of these shows that its owner serves the person, or did."""


def read_referral(
    reader: Reader, members: Members, request: Reference, now: datetime, category: str = ""
) -> Referral:
    """The Referral that a ServiceRequest of a member makes.

    Raises:
        RouteError: there is no such ServiceRequest.
    """
    stored = read(reader, request)
    if stored is None or stored.type != "ServiceRequest":
        raise RouteError("no such ServiceRequest", place="ServiceRequest", code="not-found")
    asked = json.loads(stored.body)
    beside = _named(reader, stored.owner, asked)
    around = _around(reader, members, stored.owner, asked, beside)

    def who(reference: Reference) -> str | None:
        return members.directory.by_reference(reference)

    return referral(asked, stored.owner, around, who, now, category=category)


def found(reader: Reader, type: str, *pairs: tuple[str, str]) -> Iterator[Stored]:
    """What the hub finds, whosoever it is: at most ``MOST``."""
    query = parse_query(type, [*pairs, ("_count", str(MOST)), ("_total", "none")])
    return iter(reader.search(KEEPER, query).entries)


def _around(
    reader: Reader,
    members: Members,
    owner: str,
    request: Resource,
    beside: Mapping[Reference, Resource],
) -> Around:
    patient = (request.get("subject") or {}).get("reference") or ""
    agency = members.get(owner)
    named = list(beside.values())
    consents = [each for each in named if each["resourceType"] == "Consent"]
    # A resource that isn't owned by the requester isn't its patient either: it has its own record.
    about = patient if patient in beside else ""
    if about:
        active = _own(reader, owner, "Consent", ("patient", about), ("status", "active"))
        known = {each.get("id") for each in consents}
        consents += [each for each in active if each.get("id") not in known]
    veteran = ("code", "|".join(VETERAN))
    insured = _own(reader, owner, "Coverage", ("beneficiary", about)) if about else []
    return Around(
        patient=beside.get(patient),
        reasons=[each for each in named if each["resourceType"] == "Condition"],
        consents=consents,
        observations=_own(reader, owner, "Observation", ("patient", about), veteran)
        if about
        else [],
        groups=_own(reader, owner, "Group", ("member", about)) if about else [],
        coverages=[*insured, *(each for each in named if each["resourceType"] == "Coverage")],
        documents=_own(reader, owner, "DocumentReference", ("patient", about)) if about else [],
        others=named,
        performers=performers(members.directory, request, beside),
        known_to=frozenset(_serving(reader, members, about)) if about else frozenset(),
        confidential=agency is not None and agency.confidential,
    )


def _own(reader: Reader, owner: str, type: str, *pairs: tuple[str, str]) -> list[Resource]:
    return [
        json.loads(each.body) for each in found(reader, type, *pairs) if each.owner in (owner, HUB)
    ]


def _serving(reader: Reader, members: Members, patient: Reference) -> Iterator[str]:
    """The members that took a referral of this patient."""
    for stored in found(reader, "Task", ("patient", patient), ("status", ",".join(sorted(SERVES)))):
        owner = (json.loads(stored.body).get("owner") or {}).get("reference") or ""
        agency = members.directory.by_reference(owner)
        if agency is not None:
            yield agency


def _named(reader: Reader, owner: str, request: Resource) -> dict[Reference, Resource]:
    """What the request refers to, and what its performers refer to: the requester's, or shared."""
    near = _resolved(reader, owner, [request])
    roles = [each for each in near.values() if each["resourceType"] in _LEADING]
    return {**_resolved(reader, owner, roles), **near}


_LEADING: Final = frozenset({"PractitionerRole", "HealthcareService"})


def _resolved(
    reader: Reader, owner: str, resources: Iterable[Resource]
) -> dict[Reference, Resource]:
    targets = dict.fromkeys(target for each in resources for _, target in references(each))
    found = ((target, read(reader, target)) for target in targets)
    return {
        target: json.loads(stored.body)
        for target, stored in found
        if stored is not None and (stored.owner in (owner, HUB) or stored.type in _LEADING)
    }


def read(reader: Reader, reference: Reference) -> Stored | None:
    """What stands there, whosoever it is; None where nothing does."""
    type_, _, id_ = reference.partition("/")
    try:
        return reader.read(KEEPER, type_, id_)
    except (NotFound, Gone):
        return None
