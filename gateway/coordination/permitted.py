"""Whether somebody may be asked who is named by a person, and not chosen by routing; and whether
consent lets who is asked read of the person.

What a person prefers goes before fit and room. Consent, an agreement, a bar and a victim service
provider's pseudonym go before what anybody prefers (`referral-protocol.md`, section 5, gates).
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Final

from gateway import routing
from gateway.coordination.nouns import target
from gateway.members import Members
from gateway.model import Grant, Reference, Resource
from gateway.protect.grants import Reachable, grants_for
from gateway.route import Candidate, Verdict, decide
from gateway.route.gates import is_permitted
from gateway.route.requests import RESTRICTED, Around, labels, referral
from gateway.routing.around import read_referral
from gateway.store import Transaction

GATES: Final = frozenset({"agreement", "bar", "consent", "pseudonym"})
"""The rules (``route.gates``) that nobody's wish opens."""


def may_be_asked(
    tx: Transaction, members: Members, request: Reference, agency: str, now: datetime
) -> bool:
    """Whether no gate stands before one of the agency's services, or the agency itself."""
    decision = routing.explain(tx, members, request, (), now=now)
    verdicts = [each for each in decision.verdicts if each.candidate.agency == agency]
    if not verdicts:
        known = members.get(agency)
        hidden = known is not None and known.confidential
        itself = Candidate("", agency, agency, confidential=hidden)
        referral = read_referral(tx, members, request, now, "")
        verdicts = list(decide(referral, [itself], (), now).verdicts)
    return any(_is_open(each) for each in verdicts)


def covered(
    tx: Transaction, task: Resource, owned: Reachable, agency: str, now: datetime
) -> list[Grant]:
    """Of what an agency needs of a referral, what it may read by the Consents that the request
    names: all of it, or the Task alone.

    A request that names none is its asker's own word, but for what goes nowhere without a Consent
    (``RESTRICTED``). ``owned`` holds what the asker owns: nobody else's Consent counts.
    """
    given = grants_for(task, owned, agency)
    request = tx.content(target(task, "focus")) or {}
    named = [tx.content(each) for each in consents_of(request) if each in owned]
    held = [each for each in named if each is not None]
    if not held:
        about = is_restricted(tx, target(task, "focus"))
        return given[:1] if about else [e for e in given if not is_restricted(tx, e.resource)]
    asked = referral(request, "", Around(consents=held), _member, now)
    finding = is_permitted(asked, Candidate("", agency, agency), now)
    return given if finding is None or finding.says != "out" else given[:1]


def is_restricted(tx: Transaction, reference: Reference) -> bool:
    """Whether a resource bears a label of what goes nowhere without a Consent."""
    if not tx.may_bear_labels(reference):
        return False
    return bool(labels(tx.content(reference) or {}) & RESTRICTED)


def consents_of(request: Resource) -> Iterator[Reference]:
    """The Consents that a ServiceRequest names."""
    for each in request.get("supportingInfo") or []:
        reference = str(each.get("reference") or "").partition("/_history/")[0]
        if reference.startswith("Consent/"):
            yield reference


def _member(reference: Reference) -> str | None:
    """The agency that an actor stands for: its Organization bears its id."""
    type, _, id = reference.partition("/")
    return id if type == "Organization" else None


def _is_open(verdict: Verdict) -> bool:
    return not any(each.says == "out" and each.rule in GATES for each in verdict.findings)
