"""What the checkers themselves take for a fault: early is one, again is none."""

from __future__ import annotations

import pytest

from tests.faults.check import _unheard
from tests.faults.load import Arrival

ABOUT = {f"t{number}": f"S0-{number:05d}" for number in (1, 2, 3)}


@pytest.mark.parametrize(
    ("numbers", "good"),
    [
        ([1, 2, 3], True),
        ([1, 1, 2, 3], True),
        ([1, 2, 3, 1, 2], True),  # what was taken, but not noted before a crash, comes again
        ([1, 3, 2], False),
        ([2, 3, 1, 2, 3], False),
        ([1, 2], False),
    ],
)
def test_deliveries_may_come_again_and_none_early(numbers: list[int], good: bool) -> None:
    arrivals = [Arrival(f"d{number}", f"t{number}", "1", "desk") for number in numbers]
    assert (list(_unheard("desk", arrivals, ABOUT)) == []) is good
