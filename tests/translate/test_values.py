from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from gateway.model import Agency
from gateway.translate.values import offset_of
from tests.translate.maps import AGENCY, HEADER, elements, library, run

CHICAGO = replace(AGENCY, timezone="America/Chicago")
OFFSET = HEADER.replace("20240301101500", "20240301101500-0500")

DATE = "birthDate: {from: PID-7}"
TIME = "deceasedDateTime: {from: PID-7}"
INSTANT = "extension: {url: {const: x}, valueInstant: {from: PID-7}}"

DATES = [
    ("2024", "2024"),
    ("202402", "2024-02"),
    ("20240229", "2024-02-29"),
    ("202402291530", "2024-02-29"),
    ("20240229153000.1234-0600", "2024-02-29"),
    ("2024-02-29", "2024-02-29"),
    ("20230229", None),
    ("2023-02-29", None),
    ("3024-02-29", None),
    ("2024-W09-4", None),
    ("20241301", None),
    ("00000000", None),
    ("\uff12\uff10\uff12\uff14", None),
    ("sometime", None),
    ("24", None),
]


@pytest.mark.parametrize(("sent", "made"), DATES)
def test_a_date_keeps_its_precision(tmp_path: Path, sent: str, made: str | None) -> None:
    result = run(library(tmp_path, DATE), f"PID|1||7||||{sent}")
    assert result.entries[0].resource.get("birthDate") == made
    assert [one.place for one in result.warnings] == ([] if made else ["PID-7"])


TIMES = [
    ("20240229", "2024-02-29", AGENCY, HEADER),
    ("202402291530-0600", "2024-02-29T15:30:00-06:00", CHICAGO, OFFSET),
    ("20240229153001.25+0530", "2024-02-29T15:30:01.25+05:30", AGENCY, HEADER),
    ("2024022915", "2024-02-29T15:00:00-05:00", AGENCY, OFFSET),
    ("202402291530", "2024-02-29T15:30:00-05:00", CHICAGO, OFFSET),
    ("202402291530", "2024-02-29T15:30:00-06:00", CHICAGO, HEADER),
    ("202407041530", "2024-07-04T15:30:00-05:00", CHICAGO, HEADER),
    ("202402291530", "2024-02-29", AGENCY, HEADER),
    ("202402291530-6", "2024-02-29T15:30:00-06:00", AGENCY, HEADER),
    ("202402291530+530", "2024-02-29T15:30:00+05:30", AGENCY, HEADER),
    ("202402291530-0000", "2024-02-29T15:30:00+00:00", AGENCY, HEADER),
    ("2024-02-29T15:30:00Z", "2024-02-29T15:30:00Z", AGENCY, HEADER),
    ("202402292530", None, AGENCY, HEADER),
    ("202402291575", None, AGENCY, HEADER),
]


@pytest.mark.parametrize(("sent", "made", "agency", "header"), TIMES)
def test_a_time_has_the_offset_of_its_value_then_msh_7_then_the_feeds_zone(
    tmp_path: Path, sent: str, made: str | None, agency: Agency, header: str
) -> None:
    loaded = library(tmp_path, TIME)
    result = run(loaded, f"PID|1||7||||{sent}", agency=agency, header=header)
    assert result.entries[0].resource.get("deceasedDateTime") == made


def test_an_instant_needs_an_offset(tmp_path: Path) -> None:
    loaded = library(tmp_path, INSTANT)
    without = run(loaded, "PID|1||7||||202402291530")
    assert "extension" not in without.entries[0].resource
    assert without.warnings[0].place == "PID-7"
    given = run(loaded, "PID|1||7||||202402291530Z").entries[0]
    assert given.resource["extension"][0]["valueInstant"] == "2024-02-29T15:30:00Z"


@pytest.mark.parametrize(
    ("stamp", "offset"),
    [("20240301101500-0600", "-06:00"), ("20240301", ""), ("", ""), ("x", ""), (None, "")],
)
def test_msh_7_gives_its_offset_only_with_a_time(stamp: str | None, offset: str) -> None:
    assert offset_of(stamp) == offset


PRIMITIVES = [
    ("valueDecimal", "72.50", Decimal("72.50")),
    ("valueDecimal", "+.5", Decimal(".5")),
    ("valueDecimal", "1,5", None),
    ("valueInteger", "-3", -3),
    ("valueInteger", "3.00", 3),
    ("valueInteger", "3.5", None),
    ("valueInteger", "99999999999", None),
    ("valuePositiveInt", "0", None),
    ("valueUnsignedInt", "0", 0),
    ("valueBoolean", "Y", True),
    ("valueBoolean", "n", False),
    ("valueBoolean", "maybe", None),
    ("valueTime", "1530", "15:30:00"),
    ("valueTime", "15:30:01", "15:30:01"),
    ("valueTime", "2530", None),
    ("valueCode", " a  b ", "a b"),
    ("valueString", " as sent ", " as sent "),
    ("valueString", "   ", None),
    ("valueId", "a-1", "a-1"),
    ("valueId", "a 1", None),
    ("valueUri", "urn:x", "urn:x"),
    ("valueUri", "a b", None),
    ("valueBase64Binary", "aGFs bG8=", "aGFsbG8="),
    ("valueBase64Binary", "not base64", None),
]


@pytest.mark.parametrize(("name", "sent", "made"), PRIMITIVES)
def test_a_primitive_is_read_as_its_type_or_left_out(
    tmp_path: Path, name: str, sent: str, made: Any
) -> None:
    loaded = library(tmp_path, f"extension: {{url: {{const: x}}, {name}: {{from: PID-7}}}}")
    made_of = run(loaded, f"PID|1||7||||{sent}").entries[0]
    extensions = made_of.resource.get("extension", [{}])
    assert extensions[0].get(name) == made
    assert str(extensions[0].get(name)) == str(made)


def test_default_stands_in_for_nothing_and_fills_objects_up(tmp_path: Path) -> None:
    rules = """
    language: {from: PID-15, default: en}
    telecom: {each: PID-13, as: XTN, default: {use: home, rank: 1}}
    """
    files = {"hl7v2/datatypes/XTN.yaml": "map: XTN\nto: ContactPoint\nvalue: {from: XTN.1}\n"}
    loaded = library(tmp_path, rules, files)
    made = elements(run(loaded, "PID|1||7||||||||||5~6").entries[0])
    assert made["language"] == "en"
    assert made["telecom"] == [{"value": one, "use": "home", "rank": 1} for one in "56"]


def test_nothing_empty_is_ever_made(tmp_path: Path) -> None:
    rules = """
    name: {each: PID-5, family: {from: .1}, period: {start: {from: .7}}, use: {const: official}}
    contact: {name: {text: {from: NK1-2}}, relationship: {const: [{text: kin}]}}
    communication: {preferred: {const: true}, language: {text: {from: PID-15}}}
    """
    assert elements(run(library(tmp_path, rules), "PID|1||7||^~").entries[0]) == {}


def test_an_object_without_what_r4_requires_is_left_out_with_a_warning(tmp_path: Path) -> None:
    rules = "link: {other: {display: {from: PID-4}}, type: {from: PID-5}}"
    result = run(library(tmp_path, rules), "PID|1||7|other")
    assert elements(result.entries[0]) == {}
    assert [one.text for one in result.warnings] == ["left out: Patient.link.type has no value"]
