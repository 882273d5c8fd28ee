"""Gates: what ends the matter, whatever else speaks for a candidate (referral-protocol §5.1)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Final

from gateway.fhir import codes
from gateway.route.facts import Candidate, Coding, Finding, Permission, Referral

Gate = Callable[[Referral, Candidate, datetime], Finding | None]

GENERAL: Final[frozenset[Coding]] = frozenset(
    {
        (codes.SNOMED, "410606002"),  # social service procedure
        (codes.CORE_CATEGORY, "sdoh"),
        (codes.SDOH_CODES, "sdoh-category-unspecified"),
    }
)
"""Categories that every social need has: they tell no service from another."""

CODE: Final = 10
CATEGORY: Final = 5
CONSENTED: Final = 5


def is_active(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """HealthcareService.active."""
    return None if candidate.active else Finding("active", "out", "the service isn't active")


def is_another(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """Whoever asks isn't asked."""
    own = candidate.agency == referral.requester
    return Finding("another", "out", "it is the requester itself") if own else None


def receives(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """HMIS's ReceivesReferrals (CE Participation)."""
    if candidate.receives is None:
        return Finding("receives", "confirm", "whether it takes referrals")
    if candidate.receives:
        return Finding("receives", "for", "it takes referrals")
    return Finding("receives", "out", "it takes no referrals")


def has_agreement(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """A Contract with the member; where none is kept, being a member is the agreement."""
    if candidate.agreed is False:
        return Finding("agreement", "out", "no data-sharing agreement is in force")
    return Finding("agreement", "for", "an agreement is in force") if candidate.agreed else None


def told_itself(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """A directory's word on another agency's service is worth asking about."""
    if not candidate.hearsay:
        return None
    return Finding("directory", "confirm", "the service: another agency told of it", -CATEGORY)


def offers(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """The need: code, or category. What can't be compared is to be confirmed."""
    wanted, offered = referral.categories - GENERAL, candidate.categories - GENERAL
    if referral.codes & candidate.codes:
        return Finding("need", "for", "the very service that is asked for", CODE + CATEGORY)
    if wanted & offered:
        return Finding("need", "for", "the need's category", CATEGORY)
    if {system for system, _ in wanted} & {system for system, _ in offered}:
        return Finding("need", "out", "it serves other needs")
    return Finding("need", "confirm", "whether it serves this need")


def is_permitted(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """Consent: recipient, category of need, purpose, time. A denial outweighs a permission."""
    held = [one for one in referral.permissions if _holds(one, referral, now)]
    named = [one for one in held if not one.recipients or candidate.agency in one.recipients]
    if any(not one.permits for one in named):
        return Finding("consent", "out", "consent is denied")
    if named:
        return Finding("consent", "for", "consent covers it", CONSENTED)
    if any(one.permits for one in referral.permissions):
        return Finding("consent", "out", "the consent doesn't cover it")
    if referral.restricted:
        return Finding("consent", "out", "needs a consent, and there is none")
    return Finding("consent", "confirm", "consent: none is on record")


def keeps_secret(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """To or from a victim service provider a person goes under a pseudonym alone (DESIGN §7)."""
    if not (candidate.confidential or referral.confidential):
        return None
    if referral.person.pseudonymous:
        return Finding("pseudonym", "for", "goes under a pseudonym")
    return Finding("pseudonym", "out", "only under a pseudonym: a victim service provider")


def is_not_barred(referral: Referral, candidate: Candidate, now: datetime) -> Finding | None:
    """The agency's bar list."""
    if referral.person.patient and referral.person.patient in candidate.bars:
        return Finding("bar", "out", "the agency has barred this person")
    return None


GATES: Final[tuple[Gate, ...]] = (
    is_active,
    is_another,
    receives,
    has_agreement,
    told_itself,
    offers,
    is_permitted,
    keeps_secret,
    is_not_barred,
)


def _holds(permission: Permission, referral: Referral, now: datetime) -> bool:
    """Whether a Consent speaks of this referral, today."""
    begun = permission.start is None or permission.start <= now
    over = permission.end is not None and permission.end < now
    return (
        begun
        and not over
        and (not permission.purposes or referral.purpose in permission.purposes)
        and (not permission.categories or bool(permission.categories & referral.categories))
    )
