"""How long who is asked may take: hours, working days, zones, and played days."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from gateway.route.timing import Timing
from gateway.settings import Settings

TUESDAY = datetime(2026, 11, 17, 15, 30, tzinfo=UTC)
FRIDAY = datetime(2026, 11, 20, 15, 30, tzinfo=UTC)
CHICAGO = Timing(zone="America/Chicago")


@pytest.mark.parametrize("priority", ["urgent", "asap", "stat"])
def test_what_is_urgent_is_answered_within_hours_on_any_day(priority: str) -> None:
    assert Timing().remind(priority, FRIDAY) == FRIDAY + timedelta(hours=4)
    assert Timing().recall(priority, FRIDAY) == FRIDAY + timedelta(hours=2)


@pytest.mark.parametrize("priority", ["routine", ""])
def test_what_is_routine_within_working_days(priority: str) -> None:
    assert Timing().remind(priority, TUESDAY) == TUESDAY + timedelta(days=3)
    assert Timing().remind(priority, FRIDAY) == FRIDAY + timedelta(days=5), "no weekends"
    saturday = FRIDAY + timedelta(days=1)
    assert Timing().remind(priority, saturday) == saturday + timedelta(days=4)


def test_a_weekend_is_the_communitys_own() -> None:
    late = datetime(2026, 11, 21, 2, 0, tzinfo=UTC)  # Friday evening in Chicago
    assert CHICAGO.look(late) == datetime(2026, 11, 24, 2, 0, tzinfo=UTC)
    assert Timing().look(late) == datetime(2026, 11, 23, 2, 0, tzinfo=UTC)


def test_the_time_of_day_stays_where_clocks_are_changed() -> None:
    before = datetime(2026, 10, 30, 20, 0, tzinfo=UTC)  # 15:00 CDT; CST from 1 November on
    assert CHICAGO.look(before) == datetime(2026, 11, 2, 21, 0, tzinfo=UTC)


def test_a_pace_plays_days_in_seconds() -> None:
    fast = Timing(pace=86400)
    assert fast.remind("routine", TUESDAY) == TUESDAY + timedelta(seconds=3)
    assert fast.remind("urgent", TUESDAY) - TUESDAY < timedelta(seconds=1)


def test_it_goes_by_the_settings() -> None:
    settings = Settings(
        acknowledge_urgent=60, acknowledge_routine=1, waitlist_look=2, timezone="America/Chicago",
        referral_hops=3, referral_pace=2, navigator="helpline",
    )  # fmt: skip
    timing = Timing.of(settings)
    assert timing == Timing(timedelta(minutes=1), 1, 2, 2, "America/Chicago", 3, "helpline")
    with pytest.raises(ValueError, match="timezone"):
        Settings(timezone="Iowa/Nowhere")
