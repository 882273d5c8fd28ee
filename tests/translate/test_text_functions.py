"""Functions that look at a text alone: social security numbers as HMIS has them."""

from __future__ import annotations

import pytest

from gateway.translate.functions import OF_TEXT

HASH = "18ac3e7343f016890c510e93f935261169d9e3f565436429830faf0934f4f8e4"


@pytest.mark.parametrize(
    ("number", "shown"),
    [
        ("900001234", "xxx-xx-1234"),
        ("900-00-1234", "xxx-xx-1234"),
        ("xxxxx4321", "xxx-xx-4321"),
        ("XXX-XX-XXXX", "xxx-xx-xxxx"),
        ("1234", ""),
        ("9000012345", ""),
        ("", ""),
    ],
)
def test_of_a_social_security_number_four_digits_are_shown(number: str, shown: str) -> None:
    assert OF_TEXT["mask-ssn"](number) == shown


@pytest.mark.parametrize(
    ("number", "hashed"),
    [
        (f"6789{HASH}", HASH),
        (HASH.upper(), HASH),
        ("xx89" + HASH[:40], HASH[:40]),
        (HASH[:32], HASH[:32]),
        ("3q2+7wOaHy8m5Zk1Qb0cXg==", "3q2+7wOaHy8m5Zk1Qb0cXg=="),
        ("900001234", ""),
    ],
)
def test_of_a_hashed_one_the_four_digits_go(number: str, hashed: str) -> None:
    assert OF_TEXT["hash"](number) == hashed
