"""Whether somebody may be asked who is named by a person, and not chosen by routing.

What a person prefers goes before fit and room. Consent, an agreement, a bar and a victim service
provider's pseudonym go before what anybody prefers (`referral-protocol.md`, section 5, gates).
"""

from __future__ import annotations

from datetime import datetime
from typing import Final

from gateway import routing
from gateway.members import Members
from gateway.model import Reference
from gateway.route import Candidate, Verdict, decide
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


def _is_open(verdict: Verdict) -> bool:
    return not any(each.says == "out" and each.rule in GATES for each in verdict.findings)
