"""The schedule of attempts, by property."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from gateway.deliver.retry import Policy, delay, next_attempt
from gateway.settings import Settings

START = datetime(2024, 5, 7, tzinfo=UTC)
seconds = st.floats(0.01, 1e5)
chances = st.floats(0, 1, exclude_max=True)


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    first = draw(st.floats(0.1, 100))
    return Policy(first, first * draw(st.floats(1, 1000)), first * draw(st.floats(1, 1e5)))


@given(policies(), st.integers(1, 10_000), chances)
def test_a_delay_lies_between_half_and_the_whole_of_the_doubled_one(
    policy: Policy, attempts: int, chance: float
) -> None:
    whole = min(policy.limit, policy.first * 2.0 ** min(attempts - 1, 62))
    assert whole / 2 <= delay(policy, attempts, chance) <= whole


@given(policies(), chances)
def test_delays_never_shrink_by_more_than_jitter(policy: Policy, chance: float) -> None:
    delays = [delay(policy, attempts, chance) for attempts in range(1, 80)]
    assert delays == sorted(delays)
    assert delays[-1] <= policy.limit


@given(policies(), st.lists(st.tuples(chances, st.none() | seconds), min_size=1, max_size=50))
def test_attempts_go_forward_and_end_by_the_end(
    policy: Policy, story: list[tuple[float, float | None]]
) -> None:
    end = START + timedelta(seconds=policy.give_up)
    now = START
    for attempts, (chance, retry_after) in enumerate(story, 1):
        due = next_attempt(policy, attempts, START, now, chance, retry_after)
        if due is None:
            planned = now + timedelta(seconds=delay(policy, attempts, chance))
            assert planned > end or now >= end
            return
        assert now < due <= end
        assert due == end or (due - now).total_seconds() >= (retry_after or 0) - 1e-3
        now = due


@given(policies(), st.integers(1, 100), chances, seconds)
def test_a_receiver_can_put_an_attempt_off_and_never_bring_it_forward(
    policy: Policy, attempts: int, chance: float, retry_after: float
) -> None:
    plain = next_attempt(policy, attempts, START, START, chance)
    asked = next_attempt(policy, attempts, START, START, chance, retry_after)
    assert (plain is None) == (asked is None)
    assert plain is None or (asked is not None and asked >= plain)


def test_five_days_of_outage_are_bridged_by_the_settings_as_they_ship() -> None:
    policy = Policy.of(Settings())
    now, attempts = START, 0
    while (due := next_attempt(policy, attempts + 1, START, now, 0.5)) is not None:
        now, attempts = due, attempts + 1
        assert attempts < 1000
    assert now - START > timedelta(days=4, hours=22)
    assert 120 < attempts < 250
