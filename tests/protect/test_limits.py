from __future__ import annotations

import random
import time
from collections.abc import Callable

import pytest

from gateway.errors import Full, Throttled
from gateway.model import Allowance
from gateway.protect.limits import PATIENCE, Limits, Place

FREE = Allowance(0, 0, 0)


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def limits(
    usual: Allowance = FREE,
    *,
    most: int = 10**6,
    room: int = 10**9,
    clock: Callable[[], float] = time.monotonic,
    **own: Allowance,
) -> Limits:
    return Limits(own.get, usual, most, room, clock)


def test_a_burst_goes_in_at_once_and_then_so_many_a_second() -> None:
    clock = Clock()
    made = limits(Allowance(rate=10, burst=5, in_hand=0), clock=clock)
    for _ in range(5):
        made.enter("a")
    with pytest.raises(Throttled) as refused:
        made.enter("a")
    assert refused.value.again == pytest.approx(0.1)
    taken = 0
    for _ in range(1000):
        clock.now += 0.01
        try:
            made.enter("a")
        except Throttled:
            continue
        taken += 1
    assert taken == pytest.approx(100, abs=1)


def test_without_a_burst_of_its_own_a_second_s_worth_comes_at_once() -> None:
    made = limits(Allowance(rate=2.5, burst=0, in_hand=0), clock=Clock())
    for _ in range(3):
        made.enter("a")
    with pytest.raises(Throttled):
        made.enter("a")


def test_an_agency_s_own_allowance_goes_first_and_what_it_leaves_open_is_as_usual() -> None:
    usual, own = Allowance(1, 1, 2), Allowance(rate=0)
    made = limits(usual, quick=own)
    for _ in range(2):
        made.enter("quick")
    with pytest.raises(Throttled):
        made.enter("quick")
    made.enter("other").leave()
    with pytest.raises(Throttled):
        made.enter("other")


def test_one_agency_s_flood_is_not_another_s_limit() -> None:
    made = limits(Allowance(0, 0, in_hand=3))
    for _ in range(3):
        made.enter("a")
    with pytest.raises(Throttled):
        made.enter("a")
    made.enter("b")


def test_all_together_find_their_end_too() -> None:
    made = limits(most=4)
    places = [made.enter(name) for name in "abcd"]
    with pytest.raises(Full):
        made.enter("e")
    places[0].leave()
    made.enter("e")


def test_bytes_in_hand_have_an_end_for_one_agency_and_for_all() -> None:
    made = limits(room=100)
    first, second = made.enter("a"), made.enter("a")
    first.hold(40)
    with pytest.raises(Throttled):
        second.hold(20)
    made.enter("b").hold(50)
    with pytest.raises(Full):
        made.enter("c").hold(11)
    first.leave()
    made.enter("c").hold(11)


def test_one_message_however_large_is_taken_where_nothing_else_is_in_hand() -> None:
    made = limits(room=100)
    place = made.seek("a", 1000, lambda: None)
    assert place is not None
    assert made.seek("a", 1, lambda: None) is None


def test_messages_are_given_their_turns_by_the_pace_and_none_that_is_too_far_off() -> None:
    clock = Clock()
    made = limits(Allowance(rate=2, burst=1, in_hand=0), clock=clock)
    assert [made.delay("a") for _ in range(4)] == pytest.approx([0, 0.5, 1, 1.5], abs=1e-3)
    assert max(made.delay("a") for _ in range(17)) == pytest.approx(PATIENCE, abs=1e-3)
    with pytest.raises(Throttled):
        made.delay("a")
    clock.now += 0.5
    assert made.delay("a") == pytest.approx(PATIENCE, abs=1e-3)


def test_who_waits_has_its_turn_when_a_place_is_left_first_come_first_served() -> None:
    made = limits(most=1)
    taken: list[tuple[int, Place]] = []

    def ask(number: int) -> None:
        place = made.seek("a", 1, lambda: ask(number))
        if place is not None:
            taken.append((number, place))

    for number in range(5):
        ask(number)
    while made.in_hand:
        taken[-1][1].leave()
    assert [number for number, _ in taken] == [0, 1, 2, 3, 4]


def test_whatever_comes_and_goes_nobody_waits_for_good_and_no_limit_is_passed() -> None:
    seed = random.randrange(2**32)
    print("seed", seed)
    chance = random.Random(seed)
    for _ in range(30):
        most, own, room = chance.randint(1, 6), chance.randint(1, 4), chance.randint(5, 40)
        made = limits(Allowance(0, 0, own), most=most, room=room)
        inside: list[tuple[str, int, Place]] = []
        came: list[int] = []

        def ask(
            number: int, agency: str, size: int, made: Limits = made,
            inside: list[tuple[str, int, Place]] = inside, came: list[int] = came,
        ) -> None:  # fmt: skip
            place = made.seek(agency, size, lambda: ask(number, agency, size))
            if place is not None:
                came.append(number)
                inside.append((agency, size, place))

        for number in range(60):
            ask(number, chance.choice("abc"), chance.randint(1, 20))
            assert len(inside) == made.in_hand <= most
            assert made.held == sum(size for _, size, _ in inside) <= max(room, 20)
            for name in "abc":
                assert sum(agency == name for agency, _, _ in inside) <= own
            if inside and chance.random() < 0.6:
                inside.pop(chance.randrange(len(inside)))[2].leave()
        while inside:
            inside.pop(chance.randrange(len(inside)))[2].leave()
        assert sorted(came) == list(range(60))
        assert made.held == 0


def test_a_call_s_limits_cost_at_most_a_few_microseconds() -> None:
    made = limits(Allowance(10**9, 10**9, 1000), most=2000)
    best = min(_cost(made) for _ in range(20))
    print(f"{best * 1e6:.2f} µs a call")
    assert best < 10e-6  # 1 µs on an idle machine; a loaded one mustn't fail


def _cost(made: Limits) -> float:
    began = time.process_time()
    for _ in range(2000):
        made.enter("a").leave()
    return (time.process_time() - began) / 2000
