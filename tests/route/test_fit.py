"""Fit, a row a rule: unknown isn't ineligible."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any

import pytest

from gateway.fhir import codes
from gateway.route.concepts import SOPT
from gateway.route.facts import Area, Circle, Eligibility, Opening, Place
from gateway.route.fit import RULES, is_open
from tests.route.samples import NOW, pantry, referral

ACT = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
MEDICAID, HMO, MEDICARE = (SOPT, "2"), (SOPT, "211"), (SOPT, "1")
RAMP = (codes.ACCESSIBILITY, "wheelchair")
SIGNS = (codes.ACCESSIBILITY, "sign-language")
ID_CARD = frozenset({("http://loinc.org", "64290-0"), ("", "photo id")})
ELSEWHERE = Area(zips=frozenset({"52601"}))
ANY = frozenset(range(7))
NIGHT = Opening(ANY, time(18), time(7))
OFFICE = Opening(frozenset(range(5)), time(9), time(17))
TUESDAY = Opening(frozenset({1}), time(9), time(12))


def says(rule: str, asked: dict[str, Any], offers: dict[str, Any]) -> str:
    findings = (each(referral(**asked), pantry(**offers), NOW) for each in RULES)
    return next((each.says for each in findings if each and each.rule == rule), "")


def takes(**more: Any) -> dict[str, Any]:
    return {"eligibility": Eligibility(**more)}


@pytest.mark.parametrize(
    ("rule", "asked", "offers", "said"),
    [
        ("area", {}, {}, "for"),
        ("area", {}, {"area": ELSEWHERE}, "out"),
        ("area", {}, {"area": Area()}, "confirm"),
        ("area", {"place": Place()}, {}, "confirm"),
        ("area", {}, {"area": ELSEWHERE, "confidential": True}, "confirm"),
        ("age", {}, {}, ""),
        ("age", {}, takes(youngest=18), "for"),
        ("age", {"age": 17}, takes(youngest=18), "out"),
        ("age", {"age": 18}, takes(youngest=18), "for"),
        ("age", {"age": 24}, takes(youngest=18, oldest=24), "for"),
        ("age", {"age": 25}, takes(youngest=18, oldest=24), "out"),
        ("age", {"age": None}, takes(oldest=24), "confirm"),
        ("gender", {}, takes(genders=frozenset({"female"})), "for"),
        ("gender", {}, takes(genders=frozenset({"male"})), "out"),
        ("gender", {"gender": ""}, takes(genders=frozenset({"male"})), "confirm"),
        ("household", {}, {}, ""),
        ("household", {}, takes(households=frozenset({"with-children"})), "confirm"),
        (
            "household",
            {"household": "with-children"},
            takes(households=frozenset({"with-children"})),
            "for",
        ),
        (
            "household",
            {"household": "without-children"},
            takes(households=frozenset({"with-children"})),
            "out",
        ),
        ("veteran", {}, {}, ""),
        ("veteran", {}, takes(veterans_only=True), "confirm"),
        ("veteran", {"veteran": True}, takes(veterans_only=True), "for"),
        ("veteran", {"veteran": False}, takes(veterans_only=True), "out"),
        ("eligibility", {}, takes(others=1), "confirm"),
        ("insurance", {"insurances": {MEDICAID}}, {}, ""),
        ("insurance", {}, takes(insurances={MEDICAID}), "confirm"),
        ("insurance", {"insurances": {MEDICAID}}, takes(insurances={MEDICAID}), "for"),
        ("insurance", {"insurances": {HMO}}, takes(insurances={MEDICAID}), "for"),
        ("insurance", {"insurances": {MEDICAID}}, takes(insurances={HMO}), "against"),
        ("insurance", {"insurances": {MEDICARE}}, takes(insurances={MEDICAID}), "against"),
        ("insurance", {"insurances": {MEDICARE, HMO}}, takes(insurances={MEDICAID}), "for"),
        ("insurance", {"insurances": {(ACT, "PUBLICPOL")}}, takes(insurances={HMO}), "confirm"),
        ("accessibility", {}, {"accessible": {RAMP}}, ""),
        ("accessibility", {"needs": {RAMP}}, {"accessible": {RAMP, SIGNS}}, "for"),
        ("accessibility", {"needs": {RAMP, SIGNS}}, {"accessible": {RAMP}}, "confirm"),
        ("accessibility", {"needs": {RAMP}}, {}, "confirm"),
        ("documents", {"papers": {("", "photo id")}}, {}, ""),
        ("documents", {"papers": {("", "photo id")}}, {"papers": (ID_CARD,)}, "for"),
        ("documents", {"papers": {("", "lease")}}, {"papers": (ID_CARD,)}, "confirm"),
        (
            "documents",
            {"papers": {("", "lease")}},
            {"papers": (ID_CARD, frozenset({("", "lease")}))},
            "confirm",
        ),
        ("documents", {}, {"papers": (ID_CARD,)}, "confirm"),
        ("language", {}, {"languages": frozenset({"en"})}, "for"),
        ("language", {}, {"languages": frozenset({"fr"})}, "against"),
        ("language", {}, {}, "confirm"),
        ("language", {"languages": ()}, {"languages": frozenset({"fr"})}, ""),
        ("hours", {}, {"openings": (TUESDAY,)}, ""),
        ("hours", {"priority": "urgent"}, {}, "confirm"),
        ("hours", {"priority": "urgent"}, {"openings": (OFFICE,)}, "for"),
        ("hours", {"priority": "stat"}, {"openings": (NIGHT,)}, "against"),
        ("hours", {"priority": "asap"}, {"openings": (NIGHT,)}, "for"),
    ],
)
def test_a_rule_says(rule: str, asked: Any, offers: Any, said: str) -> None:
    assert says(rule, asked, offers) == said


def at(hour: int, day: int = 23) -> datetime:
    """An hour of November 2026 in Iowa, where it is six behind."""
    return datetime(2026, 11, day, tzinfo=UTC) + timedelta(hours=hour + 6)


@pytest.mark.parametrize(
    ("start", "hours", "opening", "open_"),
    [
        (at(12), 4, NIGHT, False),
        (at(12), 7, NIGHT, True),
        (at(2), 1, NIGHT, True),  # since yesterday evening
        (at(8), 9, NIGHT, False),
        (at(11), 1, OFFICE, True),
        (at(17), 15, OFFICE, False),
        (at(17), 17, OFFICE, True),  # tomorrow at nine
        (at(12, day=28), 4, OFFICE, False),  # a Saturday
        (at(3), 1, Opening(ANY, time(0), time(0)), True),
        (at(3), 1, Opening(frozenset({1}), time(0), time(0)), False),
    ],
)
def test_doors_are_open_by_their_own_clock(
    start: datetime, hours: int, opening: Opening, open_: bool
) -> None:
    assert is_open(pantry(openings=(opening,)), start, start + timedelta(hours=hours)) is open_


def test_a_day_on_which_it_is_closed_counts_as_closed() -> None:
    closed = replace(pantry(openings=(OFFICE,)), closed=((at(0), at(24)),))
    assert not is_open(closed, at(10), at(16))
    assert is_open(closed, at(10), at(10, day=24))


def test_an_hour_that_summer_time_skips_or_doubles_breaks_nothing() -> None:
    always = pantry(openings=(Opening(ANY, time(2), time(3)),))
    for month, day in ((3, 8), (11, 1)):
        start = datetime(2026, month, day, 6, tzinfo=UTC)
        assert is_open(always, start, start + timedelta(hours=24))


def test_a_circle_and_a_shape_hold_who_is_within() -> None:
    circle = Area(circles=(Circle((41.66, -91.53), 5.0),))
    box = ((41.0, -92.0), (41.0, -91.0), (42.0, -91.0), (42.0, -92.0))
    for area in (circle, Area(shapes=(box,))):
        assert says("area", {}, {"area": area}) == "for"
        assert says("area", {"place": Place(point=(40.8, -91.1))}, {"area": area}) == "out"
        assert says("area", {"place": Place(zip="52240")}, {"area": area}) == "confirm"
