"""Fit: whether a service suits this person, now (referral-protocol §5.2).

Unknown isn't ineligible: it earns nothing, and says "confirm".
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from gateway.route.concepts import covers
from gateway.route.facts import Candidate, Finding, Opening, Priority, Referral
from gateway.route.places import reach

Rule = Callable[[Referral, Candidate, datetime], Finding | None]

WITHIN: Final[Mapping[Priority, timedelta]] = {
    "stat": timedelta(hours=1),
    "urgent": timedelta(hours=4),
    "asap": timedelta(hours=24),
}
"""How soon a door must be open. Routine requests can wait for it."""

LOCAL, REGIONAL = 20, 5
ELIGIBLE: Final = 5
LANGUAGE: Final = 10
INSURED: Final = 10
OPEN: Final = 15


def serves_area(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """coverageArea against where the person is; of a confidential service nothing is asked."""
    if candidate.confidential:
        return Finding("area", "confirm", "whether it serves the person's area")
    match reach(candidate.area, referral.person.place):
        case "local":
            return Finding("area", "for", "serves where the person is", LOCAL)
        case "regional":
            return Finding("area", "for", "serves the whole state", REGIONAL)
        case "outside":
            return Finding("area", "out", "doesn't serve where the person is")
        case _:
            return Finding("area", "confirm", "whether it serves the person's area")


def takes_age(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """Between the youngest and the oldest whom it takes, in full years."""
    low, high = candidate.eligibility.youngest, candidate.eligibility.oldest
    if low is None and high is None:
        return None
    age = referral.person.age
    if age is None:
        return Finding("age", "confirm", "the person's age")
    if (low is not None and age < low) or (high is not None and age >= high + 1):
        return Finding("age", "out", "takes other ages")
    return Finding("age", "for", "takes this age", ELIGIBLE)


def takes_gender(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """Some shelters are for women, some for men."""
    wanted = candidate.eligibility.genders
    return _among("gender", wanted, referral.person.gender) if wanted else None


def takes_household(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """Families, single adults, children alone."""
    wanted = candidate.eligibility.households
    return _among("household", wanted, referral.person.household) if wanted else None


def takes_veterans(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """A service for veterans alone suits them more than one for anybody."""
    if not candidate.eligibility.veterans_only:
        return None
    veteran = referral.person.veteran
    if veteran is None:
        return Finding("veteran", "confirm", "whether the person is a veteran")
    if veteran:
        return Finding("veteran", "for", "is for veterans", ELIGIBLE)
    return Finding("veteran", "out", "is for veterans alone")


def takes_insurance(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """Coverage of a kind that it takes. Another on record doesn't prove that there is no such."""
    wanted, held = candidate.eligibility.insurances, referral.person.insurances
    if not wanted:
        return None
    if any(covers(want, has) for want in wanted for has in held):
        return Finding("insurance", "for", "takes the person's insurance", ELIGIBLE)
    if {system for system, _ in wanted} & {system for system, _ in held}:
        return Finding("insurance", "against", "takes other insurance", -INSURED)
    return Finding("insurance", "confirm", "whether it takes the person's insurance")


def is_accessible(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """What the person needs to use a service; what it doesn't tell, it may still have."""
    needed = referral.person.needs
    if not needed:
        return None
    if needed <= candidate.accessible:
        return Finding("accessibility", "for", "can be used as the person needs", ELIGIBLE)
    return Finding("accessibility", "confirm", "whether it can be used as the person needs")


def asks_for_papers(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """The documents that it asks to see. One that isn't on record may be in a pocket."""
    if not candidate.papers:
        return None
    if all(paper & referral.person.papers for paper in candidate.papers):
        return Finding("documents", "for", "the documents that it asks for are there", ELIGIBLE)
    return Finding("documents", "confirm", "the documents that it asks for")


def has_conditions(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """Eligibility that is written in words."""
    if not candidate.eligibility.others:
        return None
    return Finding("eligibility", "confirm", "the service's other conditions")


def speaks(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """A language in common. Without one an interpreter may help: it isn't out."""
    theirs, ours = referral.person.languages, candidate.languages
    if not theirs:
        return None
    if not ours:
        return Finding("language", "confirm", "whether it speaks the person's language")
    if any(language in ours for language in theirs):
        return Finding("language", "for", "speaks the person's language", LANGUAGE)
    return Finding("language", "against", "doesn't speak the person's language", -LANGUAGE)


def opens_in_time(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """Opening hours against urgency."""
    within = WITHIN.get(referral.priority)
    if within is None:
        return None
    if not candidate.openings:
        return Finding("hours", "confirm", "whether it is open in time")
    if is_open(candidate, now, now + within):
        return Finding("hours", "for", "is open in time", OPEN)
    return Finding("hours", "against", "isn't open in time", -OPEN)


RULES: Final[tuple[Rule, ...]] = (
    serves_area,
    takes_age,
    takes_gender,
    takes_household,
    takes_veterans,
    takes_insurance,
    has_conditions,
    speaks,
    is_accessible,
    asks_for_papers,
    opens_in_time,
)


def is_open(candidate: Candidate, start: datetime, end: datetime) -> bool:
    """Whether the door is open at some time between ``start`` and ``end``, by its own clock."""
    zone = ZoneInfo(candidate.timezone)
    first = start.astimezone(zone).date() - timedelta(days=1)  # may be open past midnight
    days = (end.astimezone(zone).date() - first).days
    return any(
        _overlaps(candidate, max(start, opens), min(end, closes))
        for number in range(days + 1)
        for opening in candidate.openings
        if (day := first + timedelta(days=number)).weekday() in opening.days
        for opens, closes in (_hours(opening, datetime.combine(day, opening.start, zone)),)
    )


def _hours(opening: Opening, opens: datetime) -> tuple[datetime, datetime]:
    closes = datetime.combine(opens.date(), opening.end, opens.tzinfo)
    return opens, closes if opening.end > opening.start else closes + timedelta(days=1)


def _overlaps(candidate: Candidate, start: datetime, end: datetime) -> bool:
    """Whether anything of that time is left once the days on which it is closed are taken off."""
    for closed, reopened in sorted(candidate.closed):
        if closed <= start < reopened:
            start = reopened
    return start < end


def _among(rule: str, wanted: frozenset[str], found: str) -> Finding:
    if not found:
        return Finding(rule, "confirm", f"the person's {rule}")
    if found in wanted:
        return Finding(rule, "for", f"takes this {rule}", ELIGIBLE)
    return Finding(rule, "out", f"takes another {rule}")
