"""The hub's directory as candidates: HealthcareServices of members, with what stands around them.

A service is a candidate where a member provides it. What a member says of its own services goes
before what another directory (a 211's HSDS feed) says of them.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Final

import structlog

from gateway.fhir import codes, json
from gateway.fhir.query import Query
from gateway.fhir.search import parse_query
from gateway.identify.scoring import score
from gateway.identify.ways import escaped, ways
from gateway.members import KEEPER, Members
from gateway.model import HUB, Agency, Reference, Resource, Stored
from gateway.route.concepts import codings
from gateway.route.directory import performer
from gateway.route.facts import Candidate, Coding, Referral
from gateway.route.gates import GENERAL
from gateway.route.requests import in_force
from gateway.route.services import Beside, candidate
from gateway.routing.around import found, read
from gateway.store import Reader

log = structlog.get_logger()

WHOLE: Final = 200
"""A directory of so many services is looked through whole, so that a decision shows why each fell.
Of a larger one those are read that say the need, or say no need at all."""

PAGE: Final = 500

BARRED: Final[Coding] = (codes.FLAG, "barred")
"""Flag.code of a person whom the Flag's agency doesn't take."""

IN_FORCE: Final = frozenset({"executed", "amended", "appended", "renewed"})
"""Contract.status of an agreement that was signed and not ended."""


def read_candidates(
    reader: Reader, members: Members, referral: Referral, now: datetime, zone: str
) -> list[Candidate]:
    """The services that might help, in no order that means anything.

    ``zone`` (IANA) is where doors open whose agency tells no timezone.
    """
    services = [
        (stored, service, id)
        for stored, service in _services(reader, referral)
        if (id := _provider(reader, members, stored, service)) is not None
    ]
    own = {id for stored, _, id in services if stored.owner == id}
    bars = _bars(reader, members, referral)
    agreed = _agreements(reader, members, now)
    out = []
    for stored, service, id in services:
        agency = members.get(id)
        hearsay = stored.owner not in (id, HUB)
        if agency is None or (hearsay and id in own):
            continue
        barred = frozenset({referral.person.patient} if id in bars else ())
        locations = _locations(reader, stored, service)
        beside = Beside(locations, agreed.get(id), barred, hearsay, zone)
        out += _understood(service, agency, beside)
    return out


def _understood(service: Resource, agency: Agency, beside: Beside) -> list[Candidate]:
    """The service as a candidate; of one that can't be understood none.

    What one agency writes of itself mustn't stop the routing of all.
    """
    try:
        return [candidate(service, agency, beside)]
    except (ValueError, TypeError, LookupError, AttributeError, ArithmeticError) as fault:
        where = f"HealthcareService/{service['id']}"
        log.warning("routing.unreadable", service=where, error=type(fault).__name__)
        return []


def _services(reader: Reader, referral: Referral) -> list[tuple[Stored, Resource]]:
    """All of a small directory; of a large one what might serve the need."""
    first = reader.search(KEEPER, _query(("_count", str(WHOLE))))
    entries: Sequence[Stored] = first.entries
    wanted = referral.categories - GENERAL
    if first.next is not None and (wanted or referral.codes):
        several = [_all(reader, name, codes) for name, codes in _narrow(wanted, referral.codes)]
        entries = [each for one in several for each in one]
    elif first.next is not None:
        entries = list(_all(reader, "active", "true"))
    return [(one, json.loads(one.body)) for one in {each.id: each for each in entries}.values()]


def _narrow(wanted: frozenset[Coding], asked: frozenset[Coding]) -> Iterator[tuple[str, str]]:
    yield "service-category:missing", "true"
    for name, some in (("service-category", wanted), ("service-type", asked), ("specialty", asked)):
        if some:
            yield name, ",".join(sorted("|".join(map(escaped, each)) for each in some))


def _all(reader: Reader, name: str, value: str) -> Iterator[Stored]:
    """Every service of that value, page by page."""
    cursor: str | None = ""
    while cursor is not None:
        more = [("_cursor", cursor)] if cursor else []
        page = reader.search(KEEPER, _query((name, value), ("_count", str(PAGE)), *more))
        yield from page.entries
        cursor = page.next


def _query(*pairs: tuple[str, str]) -> Query:
    return parse_query("HealthcareService", [*pairs, ("_total", "none")])


def _provider(reader: Reader, members: Members, stored: Stored, service: Resource) -> str | None:
    """The member that provides a service: named by it, or else its owner."""
    link = service.get("providedBy")
    if not isinstance(link, dict):
        return stored.owner if members.get(stored.owner) else None
    named = _read_all(reader, stored, [link])
    return performer(members.directory, {"performer": [link]}, named)


def _locations(reader: Reader, stored: Stored, service: Resource) -> dict[Reference, Resource]:
    return _read_all(reader, stored, service.get("coverageArea") or [])


def _read_all(
    reader: Reader, stored: Stored, links: Sequence[Resource]
) -> dict[Reference, Resource]:
    """What these refer to, as far as it is the service's own owner's, or the hub's."""
    known = {}
    for reference in filter(None, (each.get("reference") for each in links)):
        target = read(reader, reference)
        if target is not None and target.owner in (stored.owner, HUB):
            known[reference] = json.loads(target.body)
    return known


def _bars(reader: Reader, members: Members, referral: Referral) -> frozenset[str]:
    """The members that have this person on their bar list: by a Flag about their own record of
    them or the referral's, or by one of the requester's that names them as its author."""
    records = _records(reader, referral)
    barring = set()
    for stored in found(reader, "Flag", ("patient", ",".join(records))) if records else ():
        flag = json.loads(stored.body)
        if flag.get("status") != "active" or BARRED not in codings([flag.get("code") or {}]):
            continue
        author = members.directory.by_reference((flag.get("author") or {}).get("reference") or "")
        barring.add(author if stored.owner == referral.requester else stored.owner)
    return frozenset(filter(None, barring))


def _records(reader: Reader, referral: Referral) -> list[Reference]:
    """The referral's Patient, and those of other agencies that are the same person for certain."""
    person = read(reader, referral.person.patient)
    if person is None:
        return []
    whole = json.loads(person.body)
    others = {
        one.reference: one for pairs in ways(whole) for one in found(reader, "Patient", *pairs)
    }
    others.pop(person.reference, None)
    bodies = ((reference, json.loads(one.body)) for reference, one in others.items())
    certain = [reference for reference, body in bodies if score(whole, body).grade == "certain"]
    return [person.reference, *certain]


def _agreements(reader: Reader, members: Members, now: datetime) -> dict[str, bool]:
    """Of each member whose agreements the hub keeps (Contract), whether one is in force."""
    signed: dict[str, list[bool]] = defaultdict(list)
    for stored in found(reader, "Contract"):
        if stored.owner != HUB:
            continue
        contract = json.loads(stored.body)
        parties = [*(contract.get("subject") or []), *_signers(contract)]
        valid = contract.get("status") in IN_FORCE and in_force(contract.get("applies"), now)
        for party in parties:
            agency = members.directory.by_reference(party.get("reference") or "")
            if agency is not None:
                signed[agency].append(valid)
    return {agency: any(some) for agency, some in signed.items()}


def _signers(contract: Resource) -> list[Resource]:
    return [each.get("party") or {} for each in contract.get("signer") or []]
