"""What a message takes for known (``known``), and what it only asks after (``asks``)."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import MapError
from gateway.translate import load
from tests.translate.maps import run, write

MAP = "hl7v2/messages/ADT_A01.yaml"
VISIT = """\
map: ADT_A01
events: [ADT^A01]
asks: visit
groups:
  order: {starts: ORC, with: [OBR]}
resources:
  visit:
    to: Encounter
    known: true
    key: [{from: PV1-19.1}, {each: PV1-50}]
    set: {status: {const: unknown}, class: {code: {const: AMB}}}
  order:
    in: order
    to: Basic
    known: true
    key: [{from: ORC-2}, {join: [OBR-2, ^PV1-19]}]
    set: {code: {text: {const: order}}}
"""


def made(folder: Path, text: str, *segments: str) -> list[str]:
    loaded = load([write(folder, {MAP: text})])
    return [entry.known for entry in run(loaded, *segments).entries]


@pytest.mark.parametrize(
    ("segments", "places"),
    [
        (("PV1" + "|" * 19 + "V1",), ["PV1-19.1"]),
        (("PV1" + "|" * 50 + "V1",), ["PV1-50"]),
        (("PV1" + "|" * 19 + "V1", "ORC|NW|1", "ORC|NW|2"), ["PV1-19.1", "ORC-2", "ORC[2]-2"]),
        (("PV1" + "|" * 19 + "V1", "ORC|NW", "OBR|1|7"), ["PV1-19.1", "OBR-2"]),
        (("PV1" + "|" * 19 + "V1", "ORC|NW"), ["PV1-19.1", "PV1-19"]),
    ],
)
def test_what_must_be_known_says_where_it_is_named(
    tmp_path: Path, segments: tuple[str, ...], places: list[str]
) -> None:
    assert made(tmp_path, VISIT, *segments) == places


def test_a_question_names_what_it_asks_after_and_another_message_nothing(tmp_path: Path) -> None:
    segment = "PV1" + "|" * 19 + "V1"
    asked = run(load([write(tmp_path, {MAP: VISIT})]), segment)
    assert asked.asks == asked.entries[0].reference
    told = run(load([write(tmp_path, {MAP: VISIT.replace("asks: visit\n", "")})]), segment)
    assert told.asks == ""


def test_two_that_are_one_must_be_known_if_either_must(tmp_path: Path) -> None:
    text = VISIT.replace(
        "    known: true\n    key: [{from: PV1-19.1}", "    key: [{from: PV1-19.1}"
    )
    again = (
        "  again:\n    to: Encounter\n    known: true\n    key: {from: PV1-19.1}\n"
        "    set: {status: {const: unknown}, class: {code: {const: AMB}}}\n"
    )
    assert made(tmp_path, text + again, "PV1" + "|" * 19 + "V1") == ["PV1-19.1"]
    assert made(tmp_path, text, "PV1" + "|" * 19 + "V1") == [""]


@pytest.mark.parametrize(
    ("old", "new", "line", "says"),
    [
        ("asks: visit", "asks: stay", 3, "no resource 'stay' to ask after"),
        ("asks: visit", "asks: order", 3, "'order' isn't made once of every message"),
        ("asks: visit", "asks: [visit]", 3, "a resource's name"),
        (
            "known: true\n    key: [{from: PV1",
            "known: PV1\n    key: [{from: PV1",
            9,
            "true or false",
        ),
    ],
)
def test_a_wrong_question_is_an_error_at_its_line(
    tmp_path: Path, old: str, new: str, line: int, says: str
) -> None:
    assert old in VISIT
    with pytest.raises(MapError) as raised:
        load([write(tmp_path, {MAP: VISIT.replace(old, new)})])
    assert raised.value.place == f"{MAP}:{line}"
    assert says in str(raised.value)
