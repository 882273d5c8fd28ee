"""Gates, a row a rule: what is out, what speaks for it, what is to be confirmed."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from gateway.fhir import codes
from gateway.route.facts import Permission
from gateway.route.gates import GATES
from tests.route.samples import FOOD, NOW, SHELTER, pantry, referral

HSIS = ("http://211hsis.org", "BD-1800")
DAY = timedelta(days=1)
YES, NO = Permission(permits=True), Permission(permits=False)
TO_PANTRY = Permission(permits=True, recipients=frozenset({"pantry"}))
TO_OTHER = Permission(permits=True, recipients=frozenset({"other"}))
CODE = (codes.SNOMED, "467771000124109")


def says(rule: str, asked: dict[str, Any], offers: dict[str, Any]) -> str:
    findings = (gate(referral(**asked), pantry(**offers), NOW) for gate in GATES)
    return next((each.says for each in findings if each and each.rule == rule), "")


@pytest.mark.parametrize(
    ("rule", "asked", "offers", "said"),
    [
        ("active", {}, {}, ""),
        ("active", {}, {"active": False}, "out"),
        ("another", {"requester": "pantry"}, {}, "out"),
        ("another", {}, {}, ""),
        ("receives", {}, {"receives": True}, "for"),
        ("receives", {}, {"receives": None}, "confirm"),
        ("receives", {}, {"receives": False}, "out"),
        ("agreement", {}, {"agreed": None}, ""),
        ("agreement", {}, {"agreed": True}, "for"),
        ("agreement", {}, {"agreed": False}, "out"),
        ("directory", {}, {"hearsay": True}, "confirm"),
        ("directory", {}, {}, ""),
        ("need", {}, {}, "for"),
        ("need", {}, {"categories": frozenset({SHELTER})}, "out"),
        ("need", {}, {"categories": frozenset()}, "confirm"),
        ("need", {}, {"categories": frozenset({HSIS})}, "confirm"),
        ("need", {"categories": frozenset()}, {}, "confirm"),
        (
            "need",
            {"categories": frozenset({(codes.CORE_CATEGORY, "sdoh"), SHELTER})},
            {"categories": frozenset({(codes.CORE_CATEGORY, "sdoh"), FOOD})},
            "out",
        ),
        (
            "need",
            {"codes": frozenset({CODE}), "categories": frozenset({SHELTER})},
            {"codes": frozenset({CODE})},
            "for",
        ),
        ("bar", {}, {"bars": frozenset({"Patient/p"})}, "out"),
        ("bar", {}, {"bars": frozenset({"Patient/q"})}, ""),
        ("pseudonym", {}, {}, ""),
        ("pseudonym", {}, {"confidential": True}, "out"),
        ("pseudonym", {"confidential": True}, {}, "out"),
        ("pseudonym", {"pseudonymous": True}, {"confidential": True}, "for"),
        ("pseudonym", {"pseudonymous": True, "confidential": True}, {}, "for"),
    ],
)
def test_a_gate_says(rule: str, asked: Any, offers: Any, said: str) -> None:
    assert says(rule, asked, offers) == said


@pytest.mark.parametrize(
    ("permissions", "more", "said"),
    [
        ((), {}, "confirm"),
        ((), {"restricted": True}, "out"),
        ((YES,), {}, "for"),
        ((YES,), {"restricted": True}, "for"),
        ((NO,), {}, "out"),
        ((YES, NO), {}, "out"),
        ((TO_PANTRY,), {}, "for"),
        ((TO_OTHER,), {}, "out"),
        ((TO_OTHER, TO_PANTRY), {}, "for"),
        ((YES, Permission(False, recipients=frozenset({"pantry"}))), {}, "out"),
        ((YES, Permission(False, recipients=frozenset({"other"}))), {}, "for"),
        ((Permission(True, end=NOW - DAY),), {}, "out"),
        ((Permission(True, start=NOW + DAY),), {}, "out"),
        ((Permission(True, start=NOW - DAY, end=NOW + DAY),), {}, "for"),
        ((Permission(False, end=NOW - DAY),), {}, "confirm"),
        ((Permission(True, purposes=frozenset({"HMARKT"})),), {}, "out"),
        ((Permission(True, purposes=frozenset({"TREAT"})),), {}, "for"),
        ((Permission(True, categories=frozenset({SHELTER})),), {}, "out"),
        ((Permission(True, categories=frozenset({SHELTER, FOOD})),), {}, "for"),
    ],
)
def test_consent_covers_recipient_need_purpose_and_time(
    permissions: Any, more: Any, said: str
) -> None:
    assert says("consent", {"permissions": permissions, **more}, {}) == said
