"""The choice: who is asked, and in which order the others stand (referral-protocol §5.3 to §5.6).

The person's choice, then who serves them already, then neighbours before the whole state, then the
score, and among equals a weighted draw by the referral's id: the same referral always falls the
same way, and many referrals fall by weight. Pure: nothing depends on the order of candidates.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from hashlib import sha256
from math import log
from typing import Final

from gateway.route.capacity import has_only_a_list, has_room, is_full
from gateway.route.facts import (
    Candidate,
    Decision,
    Finding,
    Outcome,
    Referral,
    Standing,
    Verdict,
)
from gateway.route.fit import RULES
from gateway.route.gates import GATES
from gateway.route.places import reach

HOPS: Final = 5
"""How many agencies are asked about one referral before a human takes it."""

_ORDER: Final[tuple[Standing, ...]] = ("chosen", "next", "waitlist", "full", "asked", "out")

Rank = tuple[int, int, bool, bool, int, float, str]


def decide(
    referral: Referral,
    candidates: Sequence[Candidate],
    asked: Collection[str],
    now: datetime,
    *,
    hops: int = HOPS,
) -> Decision:
    """Who is to be asked now, with all that was found of every candidate.

    ``asked`` are the agencies that were asked about it before: none is asked again, and once there
    are ``hops`` of them nobody is.
    """
    before = frozenset(asked)
    judged = [judge(referral, each, before, now) for each in candidates]
    judged.sort(key=lambda verdict: _rank(referral, verdict))
    best = judged[0] if judged else None
    outcome = _outcome(best, exhausted=len(before) >= hops)
    if best is None or outcome == "nobody":
        why = "as many were asked as may be" if len(before) >= hops else "nobody is left to ask"
        return Decision(referral.id, now, "nobody", None, tuple(judged), before, why)
    chosen = Verdict(best.candidate, "chosen", best.score, best.findings)
    why = _why(referral, judged, outcome)
    verdicts = (chosen, *judged[1:])
    return Decision(referral.id, now, outcome, best.candidate, verdicts, before, why)


def judge(
    referral: Referral, candidate: Candidate, asked: Collection[str], now: datetime
) -> Verdict:
    """All that is found of one candidate. Every rule is asked, so that none hides another."""
    said = [rule(referral, candidate, now) for rule in (*GATES, *RULES, has_room)]
    findings = [each for each in said if each is not None]
    if candidate.agency in asked:
        findings.append(Finding("asked", "out", "was asked before"))
    standing = _standing(candidate, findings, now, was_asked=candidate.agency in asked)
    return Verdict(candidate, standing, sum(each.points for each in findings), tuple(findings))


def draw(referral: str, candidate: Candidate) -> float:
    """A candidate's lot among equals: the least wins, in proportion to the weights.

    Rendezvous hashing: with u even in (0, 1), the least of -ln(u)/weight falls to each as often as
    its weight says, and taking one candidate away moves nobody else's referrals.
    """
    hashed = sha256(f"{referral}|{candidate.service}".encode()).digest()
    even = (int.from_bytes(hashed[:8]) + 0.5) / 2**64
    return -log(even) / max(1, candidate.weight)


def _standing(
    candidate: Candidate, findings: Sequence[Finding], now: datetime, *, was_asked: bool
) -> Standing:
    if any(each.says == "out" and each.rule != "asked" for each in findings):
        return "out"
    if was_asked:
        return "asked"
    if is_full(candidate, now):
        return "full"
    return "waitlist" if has_only_a_list(candidate, now) else "next"


def _rank(referral: Referral, verdict: Verdict) -> Rank:
    """The order of candidates, the first best; the service's own name ends what a draw can't."""
    candidate = verdict.candidate
    named = referral.performers
    return (
        _ORDER.index(verdict.standing),
        named.index(candidate.agency) if candidate.agency in named else len(named),
        candidate.agency not in referral.known_to,
        _is_far(referral, candidate),
        -verdict.score,
        draw(referral.id, candidate),
        candidate.service,
    )


def _is_far(referral: Referral, candidate: Candidate) -> bool:
    """Whether it serves the person only because it serves the whole state."""
    return not candidate.confidential and reach(candidate.area, referral.person.place) == "regional"


def _outcome(best: Verdict | None, *, exhausted: bool) -> Outcome:
    if best is None or exhausted or best.standing not in ("next", "waitlist"):
        return "nobody"
    return "ask" if best.standing == "next" else "wait"


def _why(referral: Referral, judged: Sequence[Verdict], outcome: Outcome) -> str:
    """In a sentence, how the first came to be the first."""
    first, second = judged[0], judged[1] if len(judged) > 1 else None
    start = "nobody has room now, this one keeps a waiting list: " if outcome == "wait" else ""
    if first.candidate.agency in referral.performers:
        return f"{start}the request names it"
    if first.candidate.agency in referral.known_to:
        return f"{start}it serves the person already"
    if second is None or second.standing != first.standing:
        return f"{start}the only one left"
    if _rank(referral, first)[:5] == _rank(referral, second)[:5]:
        return f"{start}drawn among equals, by weight and the referral's id"
    if _is_far(referral, second.candidate) and not _is_far(referral, first.candidate):
        return f"{start}the best of those near the person"
    return f"{start}the most speaks for it"
