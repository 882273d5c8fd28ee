"""The choice: in which order candidates stand, and what holds whatever there is to choose from."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.route import HOPS, Candidate, Decision, Referral, decide
from gateway.route.facts import Area, Permission, Room
from gateway.route.gates import GATES
from tests.route.samples import FOOD, HERE, NOW, SHELTER, pantry, referral, told

NEAR, FAR, AWAY = HERE, Area(states=frozenset({"ia"})), Area(zips=frozenset({"52601"}))


def chosen(asked: Referral, *candidates: Candidate, before: Any = ()) -> str | None:
    decision = decide(asked, candidates, before, NOW)
    return decision.chosen.agency if decision.chosen else None


def standing(decision: Decision) -> dict[str, str]:
    return {each.candidate.agency: each.standing for each in decision.verdicts}


@pytest.mark.parametrize(
    ("asked", "better", "worse"),
    [
        # the request's own choice goes before everything else
        ({"performers": ("a",)}, {"capacity": None, "area": FAR}, {}),
        ({"performers": ("a", "b")}, {}, {}),
        ({"performers": ("a",), "known_to": frozenset({"b"})}, {}, {}),
        # who serves the person already, before near and far
        ({"known_to": frozenset({"a"})}, {"area": FAR, "capacity": None}, {}),
        # neighbours before the whole state, whatever the score
        ({}, {"capacity": None}, {"area": FAR}),
        # then the score: room, language, what is known
        ({}, {}, {"capacity": told(Room.ASSESSMENT)}),
        ({}, {"capacity": told(Room.ASSESSMENT)}, {"capacity": None}),
        ({}, {}, {"capacity": told(Room.CAPACITY, ago=timedelta(days=14))}),
        ({}, {"capacity": None}, {"capacity": told(Room.NONE, ago=timedelta(days=14))}),
        ({}, {"languages": frozenset({"es"})}, {}),
        ({}, {}, {"languages": frozenset({"fr"})}),
        ({}, {}, {"area": Area()}),
        ({}, {}, {"hearsay": True}),
        # a waiting list only where nobody has room
        ({}, {"capacity": None, "area": FAR}, {"capacity": told(Room.WAITLIST)}),
        ({"performers": ("b",)}, {}, {"capacity": told(Room.WAITLIST)}),
        ({"performers": ("b",)}, {}, {"capacity": told(Room.NONE)}),
    ],
)
def test_a_goes_before_b(asked: Any, better: Any, worse: Any) -> None:
    a, b = pantry("a", **better), pantry("b", **worse)
    for candidates in ((a, b), (b, a)):
        assert chosen(referral(**asked), *candidates) == "a"


def test_every_candidate_has_its_verdict() -> None:
    decision = decide(
        referral(),
        [
            pantry("good"),
            pantry("next", languages=frozenset({"fr"})),
            pantry("list", capacity=told(Room.WAITLIST)),
            pantry("full", capacity=told(Room.NONE)),
            pantry("asked"),
            pantry("away", area=AWAY),
            pantry("asked-and-away", area=AWAY),
        ],
        {"asked", "asked-and-away"},
        NOW,
    )
    assert standing(decision) == {
        "good": "chosen",
        "next": "next",
        "list": "waitlist",
        "full": "full",
        "asked": "asked",
        "away": "out",
        "asked-and-away": "out",
    }
    assert [each.candidate.agency for each in decision.verdicts][:5] == list(standing(decision))[:5]
    assert decision.outcome == "ask"
    assert decision.why == "the most speaks for it"
    assert decision.asked == {"asked", "asked-and-away"}
    best = decision.verdicts[0]
    assert best.score == sum(each.points for each in best.findings)
    assert "consent: none is on record" in best.confirm


@pytest.mark.parametrize(
    ("candidates", "outcome", "agency"),
    [
        ((), "nobody", None),
        ((pantry("a", area=AWAY),), "nobody", None),
        ((pantry("a", capacity=told(Room.NONE)),), "nobody", None),
        ((pantry("a", capacity=told(Room.WAITLIST)),), "wait", "a"),
        ((pantry("a", capacity=told(Room.NONE)), pantry("b")), "ask", "b"),
    ],
)
def test_an_outcome(candidates: Any, outcome: str, agency: str | None) -> None:
    decision = decide(referral(), candidates, (), NOW)
    assert decision.outcome == outcome
    assert (decision.chosen.agency if decision.chosen else None) == agency


@pytest.mark.parametrize(
    ("asked", "candidates", "why"),
    [
        ({"performers": ("a",)}, (pantry("a"), pantry("b")), "the request names it"),
        (
            {"known_to": frozenset({"a"})},
            (pantry("a"), pantry("b")),
            "it serves the person already",
        ),
        ({}, (pantry("a"),), "the only one left"),
        ({}, (pantry("a"), pantry("b", area=AWAY)), "the only one left"),
        ({}, (pantry("a"), pantry("b", area=FAR)), "the best of those near the person"),
        ({}, (pantry("a"), pantry("b", capacity=None)), "the most speaks for it"),
        ({}, (pantry("a"), pantry("b")), "drawn among equals, by weight and the referral's id"),
        (
            {},
            (pantry("a", capacity=told(Room.WAITLIST)),),
            "nobody has room now, this one keeps a waiting list: the only one left",
        ),
        ({}, (), "nobody is left to ask"),
    ],
)
def test_it_says_why(asked: Any, candidates: Any, why: str) -> None:
    assert decide(referral(**asked), candidates, (), NOW).why == why


def test_after_so_many_hops_a_human_takes_it() -> None:
    before = [f"asked-{number}" for number in range(HOPS)]
    decision = decide(referral(), [pantry("a")], before, NOW)
    assert (decision.outcome, decision.chosen) == ("nobody", None)
    assert decision.why == "as many were asked as may be"
    assert standing(decision) == {"a": "next"}
    assert decide(referral(), [pantry("a")], before, NOW, hops=HOPS + 1).outcome == "ask"
    assert decide(referral(), [pantry("a")], before[1:] * 2, NOW).outcome == "ask"


def test_equals_get_their_share_by_weight() -> None:
    equals = [pantry("a", weight=3), pantry("b"), pantry("c", weight=0)]
    told_off = Counter(chosen(referral(id=f"r{number}"), *equals) for number in range(5000))
    assert told_off["a"] == pytest.approx(3000, abs=150)
    assert told_off["b"] == pytest.approx(1000, abs=120)
    assert told_off["c"] == pytest.approx(1000, abs=120)


def test_when_one_of_the_equals_goes_only_its_referrals_move() -> None:
    equals = [pantry(name) for name in "abcd"]
    for number in range(200):
        asked = referral(id=f"r{number}")
        was = chosen(asked, *equals)
        assert was in (chosen(asked, *equals[1:]), "a")


# --- whatever there is to choose from -------------------------------------------------------------

AGENCIES = ("a", "b", "c", "d", "e", "f", "clinic")
CAPACITIES = (None, *(told(room, ago=timedelta(days=days)) for room in Room for days in (0, 30)))
PERMISSIONS = (
    Permission(True),
    Permission(False),
    Permission(True, recipients=frozenset({"a", "b"})),
    Permission(True, end=NOW - timedelta(days=1)),
)

a_candidate = st.builds(
    pantry,
    agency=st.sampled_from(AGENCIES),
    service=st.integers(0, 9).map("HealthcareService/{}".format),
    active=st.booleans(),
    receives=st.sampled_from((None, True, False)),
    confidential=st.booleans(),
    hearsay=st.booleans(),
    bars=st.sampled_from((frozenset(), frozenset({"Patient/p"}))),
    categories=st.sampled_from((frozenset({FOOD}), frozenset({SHELTER}), frozenset())),
    area=st.sampled_from((NEAR, FAR, AWAY, Area())),
    capacity=st.sampled_from(CAPACITIES),
    weight=st.integers(0, 5),
)
candidates_of = st.lists(a_candidate, max_size=8, unique_by=lambda each: each.service)
a_referral = st.builds(
    referral,
    id=st.text("abc123", min_size=1, max_size=4),
    performers=st.lists(st.sampled_from(AGENCIES), max_size=2, unique=True).map(tuple),
    known_to=st.frozensets(st.sampled_from(AGENCIES), max_size=2),
    permissions=st.lists(st.sampled_from(PERMISSIONS), max_size=2).map(tuple),
    restricted=st.booleans(),
    pseudonymous=st.booleans(),
)
some_asked = st.frozensets(st.sampled_from(AGENCIES), max_size=5)
checked = settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])


@checked
@given(a_referral, candidates_of, some_asked, st.randoms(use_true_random=False))
def test_the_order_of_candidates_decides_nothing(
    asked: Referral, candidates: list[Candidate], before: frozenset[str], chance: random.Random
) -> None:
    shuffled = candidates[:]
    chance.shuffle(shuffled)
    assert decide(asked, candidates, before, NOW) == decide(asked, shuffled, before, NOW)


@checked
@given(a_referral, candidates_of, some_asked)
def test_nobody_is_asked_who_was_asked_is_out_or_is_the_requester(
    asked: Referral, candidates: list[Candidate], before: frozenset[str]
) -> None:
    decision = decide(asked, candidates, before, NOW)
    assert len(decision.verdicts) == len(candidates)
    assert (decision.chosen is None) is (decision.outcome == "nobody")
    if decision.chosen is None:
        return
    assert decision.chosen.agency not in before
    assert decision.chosen.agency != asked.requester
    assert len(before) < HOPS
    findings = [gate(asked, decision.chosen, NOW) for gate in GATES]
    assert all(each is None or each.says != "out" for each in findings)
    best = decision.verdicts[0]
    assert (best.candidate, best.standing) == (decision.chosen, "chosen")


@checked
@given(a_referral, candidates_of)
def test_asking_on_ends_and_asks_each_agency_once(
    asked: Referral, candidates: list[Candidate]
) -> None:
    before: list[str] = []
    while (decision := decide(asked, candidates, before, NOW)).chosen is not None:
        before.append(decision.chosen.agency)
    assert len(before) == len(set(before)) <= HOPS


@checked
@given(a_referral, candidates_of, some_asked)
def test_somebody_is_asked_wherever_somebody_can_be(
    asked: Referral, candidates: list[Candidate], before: frozenset[str]
) -> None:
    decision = decide(asked, candidates, before, NOW)
    left = [each for each in decision.verdicts if each.standing in ("chosen", "next", "waitlist")]
    assert (decision.chosen is not None) is (bool(left) and len(before) < HOPS)
    if decision.outcome == "wait":
        assert not any(each.standing == "next" for each in decision.verdicts)


@checked
@given(a_referral, candidates_of)
def test_nothing_is_said_of_a_confidential_services_place(
    asked: Referral, candidates: list[Candidate]
) -> None:
    hidden = [replace(each, confidential=True) for each in candidates]
    bare = [replace(each, area=Area()) for each in hidden]
    said, unsaid = (decide(asked, each, (), NOW) for each in (hidden, bare))
    assert [v.findings for v in said.verdicts] == [v.findings for v in unsaid.verdicts]
