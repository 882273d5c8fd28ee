"""A decision and what it is made of, on each engine."""

from __future__ import annotations

import json
from datetime import UTC, datetime

from gateway import routing
from gateway.store import Hub
from tests.routing.county import BARRED, CLINIC, PANTRY, REQUEST, county, put

NOW = datetime(2026, 11, 23, 17, tzinfo=UTC)


def test_a_decision_is_kept_whole_and_a_dry_run_is_not(hub: Hub) -> None:
    members = county(hub)
    subject = {"reference": "Patient/p"}
    flag = {"id": "f", "status": "active", "code": BARRED, "subject": subject}
    put(hub, "bank", {"resourceType": "Flag", **flag})
    with hub.read() as reader:
        shown = routing.explain(reader, members, REQUEST, (), now=NOW)
        assert reader.decisions(CLINIC, "r") == []
    decision = hub.write(lambda tx: routing.route(tx, members, REQUEST, (), now=NOW))
    assert decision == shown
    with hub.read() as reader:
        (kept,) = reader.decisions(CLINIC, "r")
        assert reader.decisions(PANTRY, "r") == []
    body = json.loads(kept.body)
    assert kept.at == decision.at == NOW
    assert (body["outcome"], body["agency"]) == ("ask", "pantry")
    assert [each["standing"] for each in body["candidates"]] == ["chosen", "out"]
