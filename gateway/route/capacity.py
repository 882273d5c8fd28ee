"""Capacity: what a service says of its room, how long that counts, and how it is told.

SDOHCC-ExtensionHealthcareServiceCapacityStatus says the status; this gateway's own extension
``capacity-detail`` beside it says when that was so (``at``), whether it counts ``beds``, how many
places there are (``total``, ``free``) and whether the hub counts its ``stays``. Without a time what
was said is as old as the resource's version (``meta.lastUpdated``). Pure.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any, Final

from gateway.fhir import codes
from gateway.model import Resource
from gateway.route.facts import Candidate, Capacity, Finding, Referral, Room, Says

DETAIL: Final = codes.ROUTE + "capacity-detail"

BEDS_COUNT: Final = timedelta(hours=24)
OTHERS_COUNT: Final = timedelta(days=7)
"""How long a word on beds, and on anything else, counts in full."""

KINDS: Final = {"at": str, "beds": bool, "stays": bool, "free": int, "total": int}
"""What the parts of ``capacity-detail`` hold; one that holds anything else says nothing."""

POINTS: Final = {Room.CAPACITY: 20, Room.ASSESSMENT: 10, Room.WAITLIST: -10, Room.NONE: -20}

WITH_BEDS: Final = frozenset({"homelessness", "inadequate-housing", "intimate-partner-violence"})
"""Needs that are met by a bed, where the service doesn't say whether it counts beds."""

SAYS: Final = {
    Room.CAPACITY: "has room",
    Room.ASSESSMENT: "has room after an assessment of its own",
    Room.WAITLIST: "has a waiting list",
    Room.NONE: "is full",
}


def has_room(referral: Referral, candidate: Candidate, now: datetime) -> Finding:
    """What it said of its room; a stale word is halved for each time that it should have come."""
    capacity = candidate.capacity
    if capacity is None:
        return Finding("capacity", "confirm", "whether it has room")
    points = round(POINTS[capacity.room] * weight(capacity, now))
    if is_stale(capacity, now):
        text = f"whether it still {SAYS[capacity.room]}: told too long ago"
        return Finding("capacity", "confirm", text, points)
    says: Says = "for" if points > 0 else "against"
    return Finding("capacity", says, SAYS[capacity.room], points)


def is_stale(capacity: Capacity, now: datetime) -> bool:
    """Whether what was said is older than it counts: 24 hours for beds, 7 days for others."""
    return now - capacity.at > _counts(capacity)


def weight(capacity: Capacity, now: datetime) -> float:
    """How much what was said still counts: 1 while fresh, then half as much each time over."""
    over = (now - capacity.at) / _counts(capacity) - 1
    return 1.0 if over <= 0 else float(0.5**over)


def is_full(candidate: Candidate, now: datetime) -> bool:
    """Whether it said that it has no room, lately enough to be believed."""
    return _lately(candidate, now) is Room.NONE


def has_only_a_list(candidate: Candidate, now: datetime) -> bool:
    """Whether it said, lately enough, that it has a waiting list and nothing else."""
    return _lately(candidate, now) is Room.WAITLIST


def opened(before: Resource | None, after: Resource, now: datetime) -> bool:
    """Whether this version of a HealthcareService has room where the one before had none.

    More free places than before count too: each wakes somebody on the waiting list.
    """
    new = read_capacity(after, now)
    if new is None or new.room not in (Room.CAPACITY, Room.ASSESSMENT) or is_stale(new, now):
        return False
    old = read_capacity(before, now) if before is not None else None
    if old is None or old.room in (Room.NONE, Room.WAITLIST):
        return True
    return new.free is not None and old.free is not None and new.free > old.free


def read_capacity(service: Resource, otherwise: datetime | None = None) -> Capacity | None:
    """What a HealthcareService says of its room; None where it says nothing that is known.

    ``otherwise``: when it said so, where neither it nor its meta tells.
    """
    room = _room(_extension(service, codes.CAPACITY_STATUS))
    detail = _parts(_extension(service, DETAIL))
    at = _time(detail.get("at") or (service.get("meta") or {}).get("lastUpdated")) or otherwise
    if room is None or at is None:
        return None
    beds = detail.get("beds", bool(_categories(service) & WITH_BEDS))
    return Capacity(room, at, bool(beds), detail.get("free"), detail.get("total"))


def told(
    service: Resource,
    room: Room,
    at: datetime,
    *,
    free: int | None = None,
    total: int | None = None,
    notes: str = "",
) -> Resource:
    """The HealthcareService once it has said how it stands: the one-tap update.

    ``free`` isn't carried over from what was said before; whether it counts beds, whether its stays
    are counted, and its ``total`` where none is given, are.
    """
    known = _parts(_extension(service, DETAIL))
    coding = {"system": codes.SDOH_CODES, "code": str(room)}
    status: Resource = {
        "url": codes.CAPACITY_STATUS,
        "extension": [
            {"url": "capacityStatus", "valueCodeableConcept": {"coding": [coding]}},
            *([{"url": "capacityNotes", "valueString": notes}] if notes else []),
        ],
    }
    parts: list[Resource] = [{"url": "at", "valueInstant": _instant(at)}]
    parts += [{"url": n, "valueBoolean": known[n]} for n in ("beds", "stays") if n in known]
    for name, count in (("free", free), ("total", known.get("total") if total is None else total)):
        if count is not None:
            parts.append({"url": name, "valueInteger": count})
    others = [
        each
        for each in service.get("extension") or []
        if each.get("url") not in (codes.CAPACITY_STATUS, DETAIL)
    ]
    return {**service, "extension": [*others, status, {"url": DETAIL, "extension": parts}]}


def after_stays(service: Resource, occupied: int, at: datetime) -> Resource:
    """The HealthcareService once so many of its places are taken: what bed stays tell.

    One that doesn't say how many places it has stays as it is. A full one that kept a waiting
    list goes on keeping it; one that wants an assessment first goes on wanting it.
    """
    total = _parts(_extension(service, DETAIL)).get("total")
    if total is None:
        return service
    before = read_capacity(service, at)
    room = before.room if before else Room.CAPACITY
    free = max(0, total - occupied)
    full = Room.WAITLIST if room is Room.WAITLIST else Room.NONE
    some = Room.ASSESSMENT if room is Room.ASSESSMENT else Room.CAPACITY
    return told(service, some if free else full, at, free=free)


def counts_stays(service: Resource) -> bool:
    """Whether the hub is to count who stays with it."""
    detail = _parts(_extension(service, DETAIL))
    return detail.get("stays") is True and "total" in detail


def is_news(before: Resource, after: Resource, now: datetime) -> bool:
    """Whether ``after`` says anything else of its room, or the same after half of its time."""
    old, new = read_capacity(before), read_capacity(after, now)
    if old is None or new is None or (old.room, old.free) != (new.room, new.free):
        return old != new
    return now - old.at > _counts(old) / 2


def _lately(candidate: Candidate, now: datetime) -> Room | None:
    capacity = candidate.capacity
    return None if capacity is None or is_stale(capacity, now) else capacity.room


def _counts(capacity: Capacity) -> timedelta:
    return BEDS_COUNT if capacity.beds else OTHERS_COUNT


def _room(extension: Resource | None) -> Room | None:
    concept = _parts(extension).get("capacityStatus")
    known = set(Room)
    codings = concept.get("coding") or [] if isinstance(concept, dict) else []
    found = (each.get("code") for each in codings)
    return next((Room(code) for code in found if code in known), None)


def _extension(resource: Resource, url: str) -> Resource | None:
    found = (each for each in resource.get("extension") or [] if each.get("url") == url)
    return next(found, None)


def _parts(extension: Resource | None) -> dict[str, Any]:
    """The values of a complex extension, by the names of its parts."""
    found = {}
    for part in (extension or {}).get("extension") or []:
        value = next((v for name, v in part.items() if name.startswith("value")), None)
        name = str(part.get("url"))
        if value is not None and type(value) is KINDS.get(name, type(value)):
            found[name] = value
    return found


def _categories(service: Resource) -> set[str]:
    concepts = service.get("category") or []
    return {c.get("code") or "" for each in concepts for c in each.get("coding") or []}


def _time(text: object) -> datetime | None:
    """A FHIR instant or dateTime with a time; what has no zone is UTC."""
    try:
        found = datetime.fromisoformat(str(text))
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _instant(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="milliseconds")
