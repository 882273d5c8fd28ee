"""When the asker must hear of a move, and the note that it did."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from gateway.close import KINDS
from gateway.close.loop import (
    delivered,
    is_news,
    keep_notes,
    messages,
    replies,
    what_to_send,
)
from gateway.close.transitions import WRITERS
from gateway.fhir import codes
from gateway.model import Closing
from tests.close.cases import BOOKED, ask, business, case

BOTH = Closing(reply="rri", outcome="oru", to="mllp://clinic:2575")
STEPS = Closing(reply="osu", progress="osu", booking="siu")
ALL = Closing(reply="rri", progress="osu", outcome="oru", booking="siu")


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        ("requested", "accepted", "rri"),
        ("requested", "rejected", "rri"),
        ("accepted", "in-progress", None),
        ("in-progress", "on-hold", None),
        ("in-progress", "completed", "oru"),
        ("accepted", "failed", "oru"),
        ("accepted", "cancelled", "oru"),
        ("requested", "entered-in-error", None),
        (None, "requested", None),
        (None, "accepted", "rri"),
    ],
)
def test_each_move_has_its_message(before: str | None, after: str, kind: str | None) -> None:
    assert what_to_send(BOTH, before, after) == kind


@pytest.mark.parametrize("status", sorted(WRITERS))
def test_no_move_is_no_news(status: str) -> None:
    assert what_to_send(BOTH, status, status) is None


def test_an_agency_hears_only_what_it_asked_for() -> None:
    reply, outcome, none = Closing(reply="rri"), Closing(outcome="oru"), Closing()
    assert what_to_send(reply, "in-progress", "completed") is None
    assert what_to_send(outcome, "requested", "accepted") is None
    assert what_to_send(none, "in-progress", "completed") is None


def test_a_refusal_closes_the_loop_of_whoever_wants_no_reply() -> None:
    assert what_to_send(Closing(outcome="oru"), "requested", "rejected") == "oru"
    assert what_to_send(Closing(), "requested", "rejected") is None


@pytest.mark.parametrize(
    ("before", "after", "kind"),
    [
        (None, "requested", None),
        ("requested", "accepted", "osu"),
        ("requested", "rejected", "osu"),
        ("accepted", "in-progress", "osu"),
        ("in-progress", "on-hold", "osu"),
        ("on-hold", "in-progress", "osu"),
        ("in-progress", "completed", "osu"),
        ("accepted", "failed", "osu"),
        ("accepted", "cancelled", "osu"),
        ("completed", "entered-in-error", None),
    ],
)
def test_who_follows_each_step_hears_of_each(
    before: str | None, after: str, kind: str | None
) -> None:
    assert what_to_send(STEPS, before, after) == kind


@pytest.mark.parametrize("status", sorted(WRITERS))
def test_what_may_call_for_a_message_is_news(status: str) -> None:
    assert is_news(status) == (what_to_send(STEPS, None, status) is not None)


@pytest.mark.parametrize(
    ("event", "control", "before", "after", "kinds"),
    [
        ("REF^I12", "NW", "requested", "accepted", ("rri",)),
        ("OMG^O19", "NW", "requested", "accepted", ("osu",)),
        ("ORM^O01", "NW", "requested", "rejected", ("osu",)),
        ("REF^I12", "NW", "accepted", "completed", ("oru",)),
        ("OMG^O19", "NW", "accepted", "completed", ("oru",)),
        ("REF^I14", "NW", "accepted", "cancelled", ("rri",)),
        ("OMG^O19", "CA", "accepted", "cancelled", ("osu",)),
        ("REF^I12", "NW", "accepted", "cancelled", ("oru",)),
        ("REF^I12", "NW", "accepted", "accepted", ()),
    ],
)
def test_each_is_answered_in_the_manner_in_which_it_asked(
    event: str, control: str, before: str, after: str, kinds: tuple[str, ...]
) -> None:
    asked = ask(event, control=control)
    assert messages(ALL, {"status": before}, case(after, asked=asked)) == kinds


def test_a_first_version_may_be_news_already() -> None:
    assert messages(BOTH, None, case("accepted")) == ("rri",)
    assert messages(BOTH, None, case("requested")) == ()


@pytest.mark.parametrize("status", ["requested", "in-progress", "completed"])
@pytest.mark.parametrize(("event", "kinds"), [("REF^I13", ("rri",)), ("OMG^O19", ("osu",))])
def test_who_wants_a_reply_gets_it_though_nothing_moves(
    event: str, status: str, kinds: tuple[str, ...]
) -> None:
    made = case(status, asked=ask(event))
    assert replies(ALL, made) == kinds
    assert replies(Closing(outcome="oru"), made) == ()
    assert messages(ALL, made.task, made) == ()


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        ({}, {"output": BOOKED}, ("osu", "siu")),
        ({"output": BOOKED}, {"output": BOOKED}, ("osu",)),
        ({}, {"businessStatus": business("5.1.1")}, ("osu", "siu")),
        (
            {"output": BOOKED},
            {"output": BOOKED, "businessStatus": business("5.1.2")},
            ("osu", "siu"),
        ),
        ({"output": BOOKED}, {"output": BOOKED, "businessStatus": business("5.1.1")}, ("osu",)),
        ({"output": BOOKED}, {}, ("osu",)),
        ({}, {"businessStatus": business("5.1.4")}, ("osu",)),
    ],
)
def test_an_appointment_is_told_once_beside_the_step(
    before: dict[str, Any], after: dict[str, Any], kinds: tuple[str, ...]
) -> None:
    made = case("in-progress", asked=ask("OMG^O19"), **after)
    assert messages(STEPS, {"status": "accepted", **before}, made) == kinds
    unmoved = messages(STEPS, {"status": "in-progress", **before}, made)
    assert unmoved == tuple(kind for kind in kinds if kind == "siu")
    assert "siu" not in messages(BOTH, {"status": "accepted", **before}, made)


def test_every_kind_that_a_profile_may_name_is_built() -> None:
    assert set(KINDS) == {"rri", "osu", "oru", "siu"}


def test_the_task_shows_each_delivery_once_in_utc_and_nothing_of_its_own_is_lost() -> None:
    at = datetime(2024, 5, 7, 10, 0, tzinfo=timezone(timedelta(hours=-5)))
    own = {"url": "https://elsewhere.example", "valueString": "x"}
    task: dict[str, Any] = {"resourceType": "Task", "status": "completed", "extension": [own]}
    once = delivered(task, "rri", "CG1", at)
    twice = delivered(delivered(once, "oru", "CG2", at), "oru", "CG2", at)
    assert task["extension"] == [own]
    assert once["extension"][0] == own
    notes = [each for each in twice["extension"] if each["url"] == codes.LOOP_DELIVERED]
    assert [note["extension"] for note in notes] == [
        [
            {"url": "message", "valueCode": kind},
            {"url": "controlId", "valueString": number},
            {"url": "acknowledged", "valueInstant": "2024-05-07T15:00:00.000Z"},
        ]
        for kind, number in (("rri", "CG1"), ("oru", "CG2"))
    ]


def test_a_put_from_an_older_version_keeps_the_hubs_notes_and_its_own_extensions() -> None:
    noted = delivered({"resourceType": "Task"}, "rri", "C1", datetime(2026, 3, 1, tzinfo=UTC))
    theirs = {"url": "http://example.org/x", "valueString": "y"}
    forged = delivered({"resourceType": "Task"}, "oru", "C2", datetime(2026, 3, 2, tzinfo=UTC))[
        "extension"
    ]
    proposed = {"resourceType": "Task", "extension": [theirs, *forged]}
    assert keep_notes(noted, proposed)["extension"] == [theirs, *noted["extension"]]
    assert "extension" not in keep_notes({}, {"resourceType": "Task", "extension": forged})
