"""A decision as it is kept: whole, as JSON, with none of the person's values in it."""

from __future__ import annotations

import json

from gateway.route import decide
from gateway.route.decision import discreet, told
from gateway.route.facts import Room
from tests.route.samples import NOW, pantry, referral
from tests.route.samples import told as room


def test_a_decision_is_kept_whole() -> None:
    candidates = [pantry("a"), pantry("b", capacity=room(Room.NONE)), pantry("c", active=False)]
    kept = json.loads(json.dumps(told(decide(referral(), candidates, {"z"}, NOW))))
    assert kept["outcome"] == "ask"
    assert kept["agency"] == "a"
    assert kept["chosen"] == "HealthcareService/a"
    assert kept["asked"] == ["z"]
    assert kept["at"] == "2026-11-23T17:00:00.000+00:00"
    assert [each["standing"] for each in kept["candidates"]] == ["chosen", "full", "out"]
    assert {"rule": "active", "says": "out", "text": "the service isn't active"} in (
        kept["candidates"][2]["findings"]
    )


def test_nobody_chosen_is_kept_too() -> None:
    kept = told(decide(referral(), [], (), NOW))
    assert (kept["outcome"], kept["chosen"], kept["agency"]) == ("nobody", None, None)


def test_it_tells_nothing_of_the_person() -> None:
    text = json.dumps(told(decide(referral(), [pantry("a")], (), NOW)))
    for value in ("52240", "johnson", "Patient/p", "34", "female"):
        assert value not in text


def test_a_bar_list_is_not_read_by_asking() -> None:
    barred = pantry("a", bars=frozenset({"Patient/p"}))
    kept = told(decide(referral(), [barred], (), NOW))
    assert "bar" in json.dumps(kept)
    shown = discreet(kept, ())
    assert "barred" not in json.dumps(shown)
    assert '"bar"' not in json.dumps(shown)
    assert shown["candidates"][0]["standing"] == "out"
