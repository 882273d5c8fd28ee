from __future__ import annotations

import sys
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import InvalidResource
from gateway.fhir.json import MAX_DEPTH, dumps, loads


@pytest.mark.parametrize(
    "number",
    ["72.50", "0.00000001", "-0.0", "1E+2", "100", "12345678901234567890", "0.000", "-1.10"],
)
def test_a_number_keeps_its_digits(number: str) -> None:
    raw = b'{"value":' + number.encode() + b"}"
    assert dumps(loads(raw)) == raw


def test_an_exponent_keeps_its_precision() -> None:
    assert loads(dumps(loads(b'{"v":1.20e3}')))["v"].as_tuple() == Decimal("1.20e3").as_tuple()


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-1e20, max_value=1e20))
def test_any_decimal_comes_back_with_its_digits(number: Decimal) -> None:
    assert loads(dumps({"v": number + Decimal("0.0")}))["v"].as_tuple() == (
        (number + Decimal("0.0")).as_tuple()
    )


TRAILING = "line 1 column 7" if sys.version_info >= (3, 13) else "line 1 column 8"
"""Python points at the comma since 3.13, before that at what follows it."""

REFUSED = {
    "a key that stands twice": (b'{"status":"a","status":"b"}', "status"),
    "a key that stands twice further down": (b'{"a":[{"b":{"c":1,"c":1}}]}', "c"),
    "NaN": (b'{"value":NaN}', None),
    "Infinity": (b'{"value":-Infinity}', None),
    "a list": (b"[1]", None),
    "a text": (b'"secret"', None),
    "nothing": (b"", "line 1 column 1"),
    "a key without quotes": (b'{"a":1,b:2}', "line 1 column 8"),
    "an open brace": (b'{"a":1', "line 1 column 7"),
    "no UTF-8": (b'{"a":"\xe9"}', "byte 6"),
    "a raw control character": (b'{"a":"\x01"}', "line 1 column 7"),
    "an escaped control character": (b'{"a":["\\u0000"]}', None),
    "half a surrogate pair": (b'{"a":"\\ud800"}', None),
    "a number beyond reason": (b'{"a":1e999999999}', None),
    "a number beyond Decimal": (b'{"a":1e99999999999999999999999}', None),
    "a number without end": (b'{"a":' + b"9" * 5000 + b"}", None),
    "a trailing comma": (b'{"a":1,}', TRAILING),
    "too deep": (b'{"a":' * (MAX_DEPTH + 1) + b"1" + b"}" * (MAX_DEPTH + 1), None),
    "far too deep": (b'{"a":' * 100_000, None),
    "lists too deep": (b'{"a":' + b"[" * 100_000, None),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_no_sound_json_is_refused_with_its_place(reason: str) -> None:
    raw, place = REFUSED[reason]
    with pytest.raises(InvalidResource) as caught:
        loads(raw)
    assert caught.value.place == place
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None


def test_the_depth_that_is_allowed_is_taken() -> None:
    deep = b'{"a":' * MAX_DEPTH + b"1" + b"}" * MAX_DEPTH
    assert dumps(loads(deep)) == deep


def test_a_key_that_is_a_senders_text_is_not_told() -> None:
    with pytest.raises(InvalidResource) as caught:
        loads(b'{"John Smith":1,"John Smith":2}')
    assert caught.value.place is None
    assert "Smith" not in str(caught.value)


def test_escapes_and_a_byte_order_mark_are_read() -> None:
    assert loads(b'\xef\xbb\xbf{"a":"\\u00e9\\ud83d\\ude00\\n"}') == {"a": "é😀\n"}
