"""A ServiceRequest and what it refers to, as a Referral: no more of a person than decides.

Reference: SDOH Clinical Care 3.0 (ServiceRequest, Consent); R4 Consent; HL7 v3 ActCode for labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from typing import Any, Final, cast

from gateway.fhir import codes
from gateway.model import Reference, Resource
from gateway.route import places
from gateway.route.concepts import codings, names, of_access, of_coverage
from gateway.route.facts import Coding, Permission, Person, Place, Priority, Referral
from gateway.route.needs import needs
from gateway.route.pseudonym import REASONS, persons, telling
from gateway.route.services import language

RESTRICTED: Final = frozenset({"42CFRPart2", "ETH", "SUD", "R", "V"})
"""Security labels (v3-ActCode, v3-Confidentiality) of what goes nowhere without a consent."""

CARE: Final = frozenset({"TREAT", "CAREMGT", "COC"})
"""Purposes (v3-ActReason) that permit a referral: treatment, care management, coordination."""

DISABILITY: Final = "http://hl7.org/fhir/StructureDefinition/patient-disability"
GEOLOCATION: Final = "http://hl7.org/fhir/StructureDefinition/geolocation"
VETERAN: Final[Coding] = ("http://loinc.org", "93034-5")
"""Observation: discharged from the armed forces of the United States (PRAPARE)."""

HOUSEHOLD: Final[Coding] = (codes.ELIGIBILITY, "household")
"""Characteristic of the Group that a person lives in; its values are those of eligibility."""

_YES: Final = frozenset({"1", "Y", "LA33-6", "373066001"})
_NO: Final = frozenset({"0", "N", "LA32-8", "373067005"})

Who = Callable[[Reference], str | None]
"""The member that an Organization's reference stands for."""


@dataclass(frozen=True, slots=True)
class Around:
    """What of a referral stands outside its ServiceRequest.

    ``reasons``: the Conditions that it names. ``consents``: those that it names (revoked ones too)
    and the patient's active ones. ``observations``, ``groups``, ``coverages`` and ``documents``
    (DocumentReference) are about the patient. ``others`` are further resources that would travel
    with it. ``performers`` and ``known_to`` are members.
    """

    patient: Resource | None = None
    reasons: Sequence[Resource] = ()
    consents: Sequence[Resource] = ()
    observations: Sequence[Resource] = ()
    groups: Sequence[Resource] = ()
    coverages: Sequence[Resource] = ()
    documents: Sequence[Resource] = ()
    others: Sequence[Resource] = ()
    performers: tuple[str, ...] = ()
    known_to: frozenset[str] = frozenset()
    confidential: bool = False


def referral(
    request: Resource,
    requester: str,
    around: Around,
    who: Who,
    now: datetime,
    *,
    category: str = "",
) -> Referral:
    """What is asked for, by the member ``requester``.

    ``category`` (of SDOHCC-ValueSetSDOHCategory) narrows it to one of its needs: a part of it.
    """
    wanted = frozenset({(codes.SDOH_CODES, category)}) if category else _needs(request, around)
    labelled = (request, *around.reasons, *around.others)
    return Referral(
        id=str(request["id"]) + (f"|{category}" if category else ""),
        requester=requester,
        categories=wanted,
        codes=codings([request.get("code") or {}]),
        priority=cast("Priority", request.get("priority") or "routine"),
        person=person(request, around, now),
        performers=around.performers,
        known_to=around.known_to,
        permissions=tuple(one for each in around.consents for one in permissions(each, who)),
        restricted=any(labels(each) & RESTRICTED for each in labelled),
        confidential=around.confidential,
    )


def person(request: Resource, around: Around, now: datetime) -> Person:
    """The patient, as far as routing asks."""
    patient = around.patient or {}
    return Person(
        patient=(request.get("subject") or {}).get("reference") or "",
        age=_age(patient.get("birthDate"), now),
        gender=patient.get("gender") or "",
        veteran=_veteran(around.observations),
        household=_household(around.groups),
        languages=tuple(_languages(patient)),
        insurances=_insurances(around.coverages, now),
        needs=of_access([*(request.get("orderDetail") or []), *_disabilities(patient)]),
        papers=frozenset(name for each in around.documents for name in _papers(each)),
        place=_place(patient.get("address") or []),
        pseudonymous=_is_pseudonymous(request, around),
    )


def permissions(consent: Resource, who: Who) -> Iterator[Permission]:
    """What a Consent says. One that was revoked or refused denies all; a draft says nothing.

    The outermost provision is the rule, those inside it are its exceptions: around exceptions that
    permit, a rule that denies is no more than "nothing else", which is how they are read anyway.
    """
    status = consent.get("status")
    if status in ("inactive", "rejected"):
        yield Permission(permits=False)
    if status != "active":
        return
    rule = consent.get("provision") or {}
    inner = rule.get("provision") or []
    denies = rule.get("type") == "deny"
    if not denies or not any(each.get("type") == "permit" for each in inner):
        yield _permission(rule, who, permits=not denies)
    for each in inner:
        yield _permission(each, who, permits=each.get("type") == "permit")


def in_force(period: Resource | None, now: datetime) -> bool:
    """Whether a Period holds now; none given always does."""
    start = _moment((period or {}).get("start"), last=False)
    end = _moment((period or {}).get("end"), last=True)
    return (start is None or start <= now) and (end is None or now <= end)


def _is_pseudonymous(request: Resource, around: Around) -> bool:
    """Whether nothing that would travel with a request tells who it is for; who isn't known might
    be told."""
    if around.patient is None:
        return False
    links = (*(request.get("reasonReference") or []), *(request.get("supportingInfo") or []))
    named = {str(each.get("reference")).partition("/_history/")[0] for each in links}
    along = [each for each in around.others if f"{each['resourceType']}/{each['id']}" in named]
    told = any(telling(each) for each in (around.patient, request, *along))
    alike = all(set(persons(each)) <= set(persons(request)) for each in along)
    return not told and alike and {each["resourceType"] for each in along} <= REASONS


def _permission(provision: Resource, who: Who, *, permits: bool) -> Permission:
    actors = [(each.get("reference") or {}) for each in provision.get("actor") or []]
    purposes = {each.get("code") or "" for each in provision.get("purpose") or []}
    period = provision.get("period") or {}
    return Permission(
        permits=permits,
        # An actor whom nobody knows still narrows: "to X" is never "to anybody".
        recipients=frozenset(_party(each, who) for each in actors),
        purposes=frozenset(purposes | ({"TREAT"} if purposes & CARE else set())),
        categories=codings(provision.get("code") or []),
        start=_moment(period.get("start"), last=False),
        end=_moment(period.get("end"), last=True),
    )


def _party(actor: Resource, who: Who) -> str:
    reference = actor.get("reference") or ""
    return who(reference) or reference or "?"


def _needs(request: Resource, around: Around) -> frozenset[Coding]:
    """Its own categories; where none is of SDOH Clinical Care, also what its reasons tell."""
    own = codings(request.get("category") or [])
    if any(system == codes.SDOH_CODES for system, _ in own):
        return own
    concepts = [
        *(request.get("reasonCode") or []),
        *(each.get("code") or {} for each in around.reasons),
    ]
    return own | needs(codings([*concepts, request.get("code") or {}]))


def labels(resource: Resource) -> set[str]:
    """The codes of a resource's security labels (R4 meta.security)."""
    return {each.get("code") or "" for each in (resource.get("meta") or {}).get("security") or []}


# --- the person ----------------------------------------------------------------------------------


def _age(born: str | None, now: datetime) -> float | None:
    """Full years, where the birth date tells at least the year and month."""
    parts = [int(each) for each in (born or "").split("-") if each.isdigit()]
    if len(parts) < 2:
        return None
    had = (now.month, now.day) >= (parts[1], parts[2] if len(parts) > 2 else 1)
    return float(now.year - parts[0] - (not had))


def _languages(patient: Resource) -> Iterator[str]:
    """Of Patient.communication, the preferred ones first."""
    told = sorted(patient.get("communication") or [], key=lambda each: not each.get("preferred"))
    for each in told:
        yield from (language(code) for _, code in sorted(codings([each.get("language") or {}])))


def _place(addresses: Iterable[Resource]) -> Place:
    """The home address, else the first that isn't old; of either what it tells."""
    current = [each for each in addresses if each.get("use") != "old"]
    found = next((each for each in current if each.get("use") == "home"), None)
    address = found or (current[0] if current else {})
    return Place(
        zip=places.zip_code(address.get("postalCode") or ""),
        county=places.county(address.get("district") or ""),
        state=places.state(address.get("state") or ""),
        point=_point(address),
    )


def _point(address: Resource) -> tuple[float, float] | None:
    for each in address.get("extension") or []:
        if each.get("url") == GEOLOCATION:
            parts = {one.get("url"): one.get("valueDecimal") for one in each.get("extension") or []}
            if None not in (parts.get("latitude"), parts.get("longitude")):
                return float(parts["latitude"]), float(parts["longitude"])
    return None


def _insurances(coverages: Iterable[Resource], now: datetime) -> frozenset[Coding]:
    """The kinds of coverage that are in force."""
    held = [each for each in coverages if each.get("status") == "active"]
    return of_coverage(each.get("type") or {} for each in held if in_force(each.get("period"), now))


def _disabilities(patient: Resource) -> Iterator[Resource]:
    """R4's patient-disability."""
    for each in patient.get("extension") or []:
        if each.get("url") == DISABILITY:
            yield each.get("valueCodeableConcept") or {}


def _papers(document: Resource) -> Iterator[Coding]:
    """What a document is called."""
    if document.get("status") == "current":
        for concept in (document.get("type") or {}, *(document.get("category") or [])):
            yield from names(concept)


def _veteran(observations: Iterable[Resource]) -> bool | None:
    """What the newest of them says of military service."""
    told = [each for each in observations if VETERAN in codings([each.get("code") or {}])]
    told.sort(key=lambda each: str(each.get("effectiveDateTime") or ""), reverse=True)
    return next(filter(lambda said: said is not None, map(_yes, told)), None)


def _yes(observation: Resource) -> bool | None:
    if "valueBoolean" in observation:
        return bool(observation["valueBoolean"])
    found = {code for _, code in codings([observation.get("valueCodeableConcept") or {}])}
    return True if found & _YES else False if found & _NO else None


def _household(groups: Iterable[Resource]) -> str:
    for group in groups:
        for each in group.get("characteristic") or []:
            if HOUSEHOLD in codings([each.get("code") or {}]):
                value: dict[str, Any] = each.get("valueCodeableConcept") or {}
                return next((code for _, code in sorted(codings([value]))), "")
    return ""


def _moment(text: str | None, *, last: bool) -> datetime | None:
    """A period's end as a moment; a day counts to its last."""
    if not text:
        return None
    if "T" in text:
        found = datetime.fromisoformat(text)
        return found if found.tzinfo else found.replace(tzinfo=UTC)
    day = date.fromisoformat((text + "-01-01")[:10])
    return datetime.combine(day, time.max if last else time.min, UTC)
