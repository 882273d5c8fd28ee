"""A Decision as JSON: kept whole in the hub, and shown to whoever may see the referral.

It holds no more of the person than its findings say, which have none of their values in them.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, Final

from gateway.route.facts import Decision, Finding, Verdict

UNTOLD: Final = "which agency that is isn't told"

Told = Mapping[str, Any]
"""A Decision as it is kept: JSON."""

SILENT: Final = frozenset({"bar"})
"""Rules whose word is between an agency and the hub: a bar list isn't read by asking."""


def told(decision: Decision) -> dict[str, Any]:
    """The Decision as JSON: each candidate, the best first, and all that was found of it."""
    chosen = decision.chosen
    return {
        "referral": decision.referral,
        "at": decision.at.isoformat(timespec="milliseconds"),
        "outcome": decision.outcome,
        "why": decision.why,
        "chosen": chosen.service if chosen else None,
        "agency": chosen.agency if chosen else None,
        "asked": sorted(decision.asked),
        "candidates": [_verdict(each) for each in decision.verdicts],
    }


def discreet(decision: Told, hidden: Collection[str]) -> dict[str, Any]:
    """The same for others than the hub: what is between an agency and the hub stays there.

    Of the ``hidden`` agencies nothing is told, whether chosen or not: one that were left out only
    where it is chosen would be known by that.
    """
    shown = [each for each in decision["candidates"] if each["agency"] not in hidden]
    out = {**decision, "candidates": [_discreet(each) for each in shown]}
    out["asked"] = [each for each in decision["asked"] if each not in hidden]
    untold = {"chosen": None, "agency": None, "why": UNTOLD}
    return {**out, **untold} if decision["agency"] in hidden else out


def _verdict(verdict: Verdict) -> dict[str, Any]:
    candidate = verdict.candidate
    return {
        "service": candidate.service,
        "agency": candidate.agency,
        "name": candidate.name,
        "standing": verdict.standing,
        "score": verdict.score,
        "findings": [_finding(each) for each in verdict.findings],
    }


def _finding(finding: Finding) -> dict[str, Any]:
    said = {"rule": finding.rule, "says": finding.says, "text": finding.text}
    return {**said, "points": finding.points} if finding.points else said


def _discreet(candidate: Told) -> dict[str, Any]:
    findings = [
        {"rule": "agency", "says": each["says"], "text": "the agency can't take this referral"}
        if each["rule"] in SILENT
        else each
        for each in candidate["findings"]
    ]
    return {**candidate, "findings": findings}
