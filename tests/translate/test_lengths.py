"""Lengths of time: added to times, taken from them, counted in minutes."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from gateway.errors import MapError
from tests.translate.maps import AGENCY, library, run

CHICAGO = replace(AGENCY, timezone="America/Chicago")
LATER = "deceasedDateTime: {from: PID-7, plus: {value: PID-24, unit: PID-25.1}}"
EARLIER = LATER.replace("plus", "minus")
MINUTES = "multipleBirthInteger: {minutes: {value: PID-24, unit: [PID-25.1, {const: min}]}}"

ENDS = [
    ("20240229153000-0600", "30", "min", "2024-02-29T16:00:00-06:00"),
    ("20240229153000-0600", "1.5", "Hours", "2024-02-29T17:00:00-06:00"),
    ("20240229233000-0600", "90", "s", "2024-02-29T23:31:30-06:00"),
    ("20240228233000-0600", "1", "d", "2024-02-29T23:30:00-06:00"),
    ("202403100130", "60", "min", "2024-03-10T02:30:00-06:00"),
    ("20240229153000.25-0600", "1", "min", "2024-02-29T15:31:00.250000-06:00"),
    ("20240229", "2", "wk", "2024-03-14"),
    ("20240229", "24", "h", "2024-03-01"),
    ("20240229153000-0600", "0", "min", "2024-02-29T15:30:00-06:00"),
]


@pytest.mark.parametrize(("begin", "number", "unit", "end"), ENDS)
def test_a_length_is_added_to_a_time(
    tmp_path: Path, begin: str, number: str, unit: str, end: str
) -> None:
    made = run(library(tmp_path, LATER), _pid(begin, number, unit), agency=CHICAGO)
    assert made.entries[0].resource["deceasedDateTime"] == end
    assert made.warnings == ()


def test_a_length_is_taken_from_a_time(tmp_path: Path) -> None:
    made = run(library(tmp_path, EARLIER), _pid("20240301001500-0600", "30", "min"))
    assert made.entries[0].resource["deceasedDateTime"] == "2024-02-29T23:45:00-06:00"


NOTHING = [
    ("20240229", "30", "min", "PID-24"),
    ("202402", "1", "d", "PID-24"),
    ("20240229153000-0600", "1", "mo", "PID-24"),
    ("20240229153000-0600", "1", "", "PID-24"),
    ("20240229153000-0600", "soon", "min", "PID-24"),
    ("20240229153000-0600", "-5", "min", "PID-24"),
    ("20240229153000-0600", "99999999999", "wk", "PID-24"),
    ("99991231235900-0600", "1", "wk", "PID-24"),
]


@pytest.mark.parametrize(("begin", "number", "unit", "place"), NOTHING)
def test_what_cannot_be_reckoned_is_left_out_with_a_warning(
    tmp_path: Path, begin: str, number: str, unit: str, place: str
) -> None:
    made = run(library(tmp_path, LATER), _pid(begin, number, unit))
    assert "deceasedDateTime" not in made.entries[0].resource
    assert [one.place for one in made.warnings] == [place]


@pytest.mark.parametrize(("begin", "number"), [("20240229", ""), ("", "30")])
def test_without_time_or_length_there_is_nothing_and_no_warning(
    tmp_path: Path, begin: str, number: str
) -> None:
    made = run(library(tmp_path, LATER), _pid(begin, number, "min"))
    assert "deceasedDateTime" not in made.entries[0].resource
    assert made.warnings == ()


COUNTS = [
    ("30", "min", 30),
    ("30", "", 30),
    ("2", "hr", 120),
    ("120", "s", 2),
    ("90", "s", None),
    ("0", "min", None),
    ("1", "mo", None),
]


@pytest.mark.parametrize(("number", "unit", "minutes"), COUNTS)
def test_whole_minutes_are_counted(
    tmp_path: Path, number: str, unit: str, minutes: int | None
) -> None:
    made = run(library(tmp_path, MINUTES), _pid("", number, unit))
    assert made.entries[0].resource.get("multipleBirthInteger") == minutes
    assert [one.place for one in made.warnings] == ([] if minutes else ["PID-24"])


ERRORS = [
    ("birthDate: {from: PID-7, plus: {value: PID-24}}", "'unit' is missing"),
    ("birthDate: {from: PID-7, plus: {value: PID-24, unit: {const: mo}}}", "no unit of time"),
    ("birthDate: {from: PID-7, plus: {value: PID-24, unit: PID}}", "not a path"),
    ("birthDate: {from: PID-7, plus: {value: PID-24, unit: PID-25, more: 1}}", "no key 'more'"),
    ("language: {from: PID-7, plus: {value: PID-24, unit: PID-25}}", "which is no time"),
    ("birthDate: {minutes: {value: PID-24, unit: PID-25}}", "which is no number"),
    ("name: {each: PID-5, plus: {value: PID-24, unit: PID-25}}", "doesn't go with 'each'"),
]


@pytest.mark.parametrize(("rule", "says"), ERRORS)
def test_a_wrong_length_is_an_error_at_its_line(tmp_path: Path, rule: str, says: str) -> None:
    with pytest.raises(MapError, match=says) as raised:
        library(tmp_path, f"active: {{const: true}}\n{rule}")
    assert raised.value.place == "hl7v2/messages/ADT_A01.yaml:9"


def _pid(begin: str, number: str, unit: str) -> str:
    return f"PID|1||7||||{begin}|||||||||||||||||{number}|{unit}"
