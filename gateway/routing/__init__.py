"""Routing over the hub: the referral and the directory are read, ``route.decide`` decides.

``route`` keeps each decision whole, ``explain`` only shows what it would be. Whoever acts on it
(``coordination``) does so in the same transaction.

    around      what the hub knows around a referral
    candidates  the directory, as services that might help
    publishing  who sees the directory
"""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Final

from gateway.fhir import json
from gateway.members import Members
from gateway.model import Reference
from gateway.route import Decision, decide
from gateway.route.decision import told
from gateway.route.timing import Timing
from gateway.routing.around import read_referral
from gateway.routing.candidates import read_candidates
from gateway.store import Reader, Transaction

__all__ = ["explain", "route"]

COMMUNITY: Final = Timing()
"""The community's zone and hops where nobody says otherwise."""


def route(
    tx: Transaction,
    members: Members,
    request: Reference,
    asked: Collection[str],
    *,
    now: datetime | None = None,
    category: str = "",
    timing: Timing = COMMUNITY,
) -> Decision:
    """Decide who is asked about a ServiceRequest now, and keep the decision.

    ``asked`` are the agencies that were asked before, ``category`` the one of its needs that it is
    about ("": all). ``timing`` caps the hops, and has the zone of doors that tell none.

    Raises:
        RouteError: there is no such ServiceRequest.
    """
    decision = explain(tx, members, request, asked, now=now, category=category, timing=timing)
    id = request.partition("/")[2]
    owner = tx.owner(request) or ""
    tx.keep_decision(id, owner, decision.at, json.dumps(told(decision)))
    return decision


def explain(
    reader: Reader,
    members: Members,
    request: Reference,
    asked: Collection[str],
    *,
    now: datetime | None = None,
    category: str = "",
    timing: Timing = COMMUNITY,
) -> Decision:
    """What ``route`` would decide. Raises RouteError."""
    at = now or datetime.now(UTC)
    referral = read_referral(reader, members, request, at, category)
    candidates = read_candidates(reader, members, referral, at, timing.zone)
    return decide(referral, candidates, asked, at, hops=timing.hops)
