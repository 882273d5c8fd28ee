from __future__ import annotations

import io
from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import ParseError
from gateway.parse import json


def items(raw: bytes) -> list[json.Item]:
    return list(json.items("x.json", io.BytesIO(raw)))


@pytest.mark.parametrize(
    ("raw", "values"),
    [
        (b'{"a": 1}', [{"a": 1}]),
        (b'[{"a": 1}, {"a": 2}]', [{"a": 1}, {"a": 2}]),
        (b'{"a": 1}\n{"a": 2}\r\n\n{"a": 3}', [{"a": 1}, {"a": 2}, {"a": 3}]),
        (b"\xef\xbb\xbf [ ]", []),
        ('{"a": "é"}'.encode("utf-16"), [{"a": "é"}]),
        (b"", []),
    ],
)
def test_an_object_an_array_and_lines_are_records(raw: bytes, values: list[Any]) -> None:
    found = items(raw)
    assert [item.value for item in found] == values
    assert [item.pointer for item in found] == [f"/{n}" for n in range(len(values))]


def test_digits_stay_as_sent() -> None:
    (item,) = items(b'{"a": 72.50, "b": 7}')
    assert (str(item.value["a"]), item.value["b"]) == ("72.50", 7)
    assert isinstance(item.value["a"], Decimal)


def test_a_long_array_is_read_record_by_record() -> None:
    record = b'{"text": "%s"}' % (b"x" * 1000)
    raw = b"[" + b",\n".join([record] * 5000) + b"]"
    stream = io.BytesIO(raw)
    found = json.items("x.json", stream)
    next(found)
    assert stream.tell() < len(raw) / 10
    assert sum(1 for _ in found) == 4999


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        (b"{bad", "not JSON"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": 1, "a": 2}', "twice"),
        (b'{"a": ' + b"[" * 80 + b"]" * 80 + b"}", "deeper"),
        (b'{"a": ' + b"9" * 5000 + b"}", "digits"),
    ],
)
def test_a_bad_line_is_its_own_fault(line: bytes, fault: str) -> None:
    first, bad, last = items(b'{"n": 1}\n' + line + b'\n{"n": 3}\n')
    assert (first.value, last.value) == ({"n": 1}, {"n": 3})
    assert fault in bad.fault
    assert bad.raw.encode() == line


@pytest.mark.parametrize(
    ("raw", "place"),
    [(b"[1, {bad]", "x.json:/1"), (b"[1 2]", "x.json:/0"), (b'[{"a": 1}', "x.json:/0")],
)
def test_an_array_ends_where_nobody_can_read_on(raw: bytes, place: str) -> None:
    with pytest.raises(ParseError) as raised:
        items(raw)
    assert raised.value.place == place


def test_depth_without_end_is_refused() -> None:
    with pytest.raises(ParseError):
        items(b"[" * 100_000)
    with pytest.raises(ParseError, match="not UTF-8"):
        json.whole("x.json", b'{"a": "\xff"}')


def test_a_whole_body_is_one_value() -> None:
    assert json.whole("x.json", b'{"data": [1]}') == {"data": [1]}
    with pytest.raises(ParseError, match="not JSON"):
        json.whole("x.json", b'{"data": [1]} x')
