"""What routing goes by, and what it says: values alone, with none of a person's names in them.

Reference: `referral-protocol.md`, section 5. ``None`` and an empty collection mean "not known" (of
a candidate: "not stated"), and what isn't known is never a reason against: it is to be confirmed.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime, time
from enum import StrEnum
from typing import Literal

from gateway.model import Reference

Coding = tuple[str, str]
"""A code: its system ("" where not given) and the code itself."""

Point = tuple[float, float]
"""Latitude and longitude, in degrees (WGS 84)."""

Priority = Literal["routine", "urgent", "asap", "stat"]
"""R4 request-priority."""


# --- a service that might help -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Circle:
    """All within ``radius`` kilometres of ``centre``."""

    centre: Point
    radius: float


@dataclass(frozen=True, slots=True)
class Area:
    """Where a service's people live: any of these. ``counties`` are (state, county) as compared
    (``places.county``), the state "" where not given; ``shapes`` are rings of points (GeoJSON).
    """

    zips: frozenset[str] = frozenset()
    counties: frozenset[tuple[str, str]] = frozenset()
    states: frozenset[str] = frozenset()
    circles: tuple[Circle, ...] = ()
    shapes: tuple[tuple[Point, ...], ...] = ()

    @property
    def is_stated(self) -> bool:
        """Whether it says anything."""
        return any((self.zips, self.counties, self.states, self.circles, self.shapes))


@dataclass(frozen=True, slots=True)
class Eligibility:
    """Whom a service takes. Ages are years; ``youngest`` and ``oldest`` are both taken.

    ``households`` are HMIS's: "without-children", "with-children", "only-children".
    ``insurances`` are kinds of coverage, of which one is needed. ``others`` counts conditions in
    words that no rule reads, and which somebody has to confirm.
    """

    youngest: float | None = None
    oldest: float | None = None
    genders: frozenset[str] = frozenset()
    households: frozenset[str] = frozenset()
    veterans_only: bool = False
    insurances: frozenset[Coding] = frozenset()
    others: int = 0


@dataclass(frozen=True, slots=True)
class Opening:
    """When a service is open on these weekdays (Monday is 0), in its own time; ``end`` may be past
    midnight (earlier than ``start``). Equal times mean all day.
    """

    days: frozenset[int]
    start: time
    end: time


class Room(StrEnum):
    """SDOH-CC's capacity status (SDOHCC-ValueSetCapacityStatus)."""

    CAPACITY = "capacity"
    ASSESSMENT = "additional-assessment-required"
    WAITLIST = "waitlist"
    NONE = "no-capacity"


@dataclass(frozen=True, slots=True)
class Capacity:
    """What a service said of its room, and when. ``free`` places of ``total``, where it counts."""

    room: Room
    at: datetime
    beds: bool = False
    free: int | None = None
    total: int | None = None


@dataclass(frozen=True, slots=True)
class Candidate:
    """A service of a member: ``service`` (``HealthcareService/…``) is what is asked for, ``agency``
    (a member's id) who is asked. ``weight`` is its share among equals.

    ``receives`` is its ReceivesReferrals, ``agreed`` whether its data-sharing agreement is in
    force (None: not known). ``confidential``: a victim service provider, of whose place nothing is
    known here. ``bars`` are the Patients that it doesn't take. ``hearsay``: another agency told of
    the service, not its own. ``accessible`` is how it can be used, ``papers`` what it asks to see,
    each by every name that it has.
    """

    service: Reference
    agency: str
    name: str
    active: bool = True
    receives: bool | None = None
    agreed: bool | None = None
    confidential: bool = False
    hearsay: bool = False
    bars: frozenset[Reference] = frozenset()
    categories: frozenset[Coding] = frozenset()
    codes: frozenset[Coding] = frozenset()
    area: Area = Area()
    eligibility: Eligibility = Eligibility()
    languages: frozenset[str] = frozenset()
    accessible: frozenset[Coding] = frozenset()
    papers: tuple[frozenset[Coding], ...] = ()
    openings: tuple[Opening, ...] = ()
    closed: tuple[tuple[datetime, datetime], ...] = ()
    timezone: str = "UTC"
    capacity: Capacity | None = None
    weight: int = 1


# --- the person and the request -------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """Where the person is, as far as the request says."""

    zip: str = ""
    county: str = ""
    state: str = ""
    point: Point | None = None


@dataclass(frozen=True, slots=True)
class Person:
    """What of a person decides who can help. ``age`` in years; ``languages`` in their order.

    ``insurances`` are kinds of coverage that are in force, ``needs`` what they need to use a
    service, ``papers`` the documents of theirs on record, by every name.
    ``pseudonymous``: nothing that goes with the request tells who it is.
    """

    patient: Reference = ""
    age: float | None = None
    gender: str = ""
    veteran: bool | None = None
    household: str = ""
    languages: tuple[str, ...] = ()
    insurances: frozenset[Coding] = frozenset()
    needs: frozenset[Coding] = frozenset()
    papers: frozenset[Coding] = frozenset()
    place: Place = Place()
    pseudonymous: bool = False


@dataclass(frozen=True, slots=True)
class Permission:
    """What one Consent says: ``permits`` (else it denies) to ``recipients`` (agency ids; empty:
    anybody) for ``purposes`` (empty: any) and ``categories`` of need (empty: any), within the time.
    """

    permits: bool
    recipients: frozenset[str] = frozenset()
    purposes: frozenset[str] = frozenset()
    categories: frozenset[Coding] = frozenset()
    start: datetime | None = None
    end: datetime | None = None


@dataclass(frozen=True, slots=True)
class Referral:
    """What is asked for, by whom (an agency's id), for whom. ``id`` decides among equals, so that
    the same referral always falls the same way: the root ServiceRequest's.

    ``performers`` are the agencies that the request names, in its order; ``known_to`` those that
    serve the person already. ``restricted``: what it carries may go nowhere without a Consent
    (42 CFR Part 2). ``confidential``: it comes from a victim service provider.
    """

    id: str
    requester: str
    categories: frozenset[Coding] = frozenset()
    codes: frozenset[Coding] = frozenset()
    priority: Priority = "routine"
    person: Person = Person()
    performers: tuple[str, ...] = ()
    known_to: frozenset[str] = frozenset()
    permissions: tuple[Permission, ...] = ()
    purpose: str = "TREAT"
    restricted: bool = False
    confidential: bool = False


# --- what comes of it ----------------------------------------------------------------------------

Says = Literal["for", "against", "confirm", "out"]
"""How a finding counts: for, against, unknown (to be confirmed), or it ends the matter."""

Standing = Literal["chosen", "next", "waitlist", "full", "asked", "out"]
"""A candidate's: asked now; next in order; has a waiting list only; full; asked before; can't."""

Outcome = Literal["ask", "wait", "nobody"]
"""Ask ``chosen``; put on ``chosen``'s waiting list; or nobody is left: the navigator's queue."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One rule's word on one candidate. ``text`` has no value of the person in it."""

    rule: str
    says: Says
    text: str
    points: int = 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """All that was found of one candidate, and where it stands. ``score`` is the sum of points."""

    candidate: Candidate
    standing: Standing
    score: int
    findings: tuple[Finding, ...]

    @property
    def confirm(self) -> tuple[str, ...]:
        """What isn't known and is to be asked."""
        return tuple(each.text for each in self.findings if each.says == "confirm")


@dataclass(frozen=True, slots=True)
class Decision:
    """A decision kept whole: every candidate, the best first, and who was chosen.

    ``why`` says in a sentence how the choice fell.
    """

    referral: str
    at: datetime
    outcome: Outcome
    chosen: Candidate | None
    verdicts: tuple[Verdict, ...]
    asked: Collection[str] = field(default_factory=frozenset)
    why: str = ""
