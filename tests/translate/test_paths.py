from __future__ import annotations

from pathlib import Path

import pytest

from tests.translate.maps import elements, library, patient, run

PID = "PID|1||77^^^CLINIC&1.2.3&ISO^MR~88^^^X^PI~99^^^Y^MR||Ever^Ann^B~Other^Ann||19800101"
NOTES = ("NTE|1||first", "NTE|2||second", "PV1|1|I|W1^2")

PATHS = [
    ("PID-3", "77"),
    ("PID-3.1", "77"),
    ("PID-3.4.2", "1.2.3"),
    ("PID-3[2]", "88"),
    ("PID-3[4]", None),
    ("PID-3[5=PI].1", "88"),
    ("PID-3[5=MR and 4.1 != CLINIC].1", "99"),
    ("PID-3[5 in (PI, XX) or 1=99].4", "88^X"),
    ("PID-3[4.2 exists].5", "MR"),
    ("PID-5[2].2", "Ann"),
    ("PID-5.1.1", "Ever"),
    ("PID-5.9", None),
    ("PID-99", None),
    ("NTE-3", "first"),
    ("NTE[2]-3", "second"),
    ("NTE[3]-3", None),
    ("ZZZ-1", None),
    ("MSH-9.2", "A01"),
    ("MSH-3", "EHR"),
]


@pytest.mark.parametrize(("path", "found"), PATHS)
def test_a_path_finds_its_text(tmp_path: Path, path: str, found: str | None) -> None:
    made = elements(patient(tmp_path, f'language: {{from: "{path}"}}', PID, *NOTES))
    expected = found.split("^")[-1] if found else None
    assert made.get("language") == expected


def test_each_gives_every_repetition_that_has_a_text(tmp_path: Path) -> None:
    rules = "name: {given: {each: PID-5.1}, text: {join: [{each: PID-3.1}], by: ','}}"
    made = elements(patient(tmp_path, rules, "PID|1||1~~2~^x||A~~^B~C"))
    assert made == {"name": [{"given": ["A", "C"], "text": "1,2"}]}


def test_each_of_one_segment_among_several_is_that_one(tmp_path: Path) -> None:
    rules = """name: {each: "NTE[2]", text: {from: NTE-3}}"""
    assert patient(tmp_path, rules, PID, *NOTES).resource["name"] == [{"text": "second"}]


def test_each_goes_over_segments_and_sees_what_is_around_by_a_hat(tmp_path: Path) -> None:
    rules = "contact: {each: NTE, name: {text: {join: [NTE-3, ^PID-5.1]}}}"
    made = elements(patient(tmp_path, rules, PID, *NOTES))
    assert [one["name"]["text"] for one in made["contact"]] == ["first Ever", "second Ever"]


def test_an_if_beside_each_is_asked_for_each(tmp_path: Path) -> None:
    rules = """
    contact: {each: NTE, if: NTE-1 = 2, name: {text: {from: NTE-3}}}
    name: {given: {each: PID-3, if: .5 = MR}}
    address: {each: PID-3, if: .5 != MR, city: {from: .4}}
    """
    made = elements(patient(tmp_path, rules, PID, *NOTES))
    assert made["contact"] == [{"name": {"text": "second"}}]
    assert made["name"] == [{"given": ["77", "99"]}]
    assert made["address"] == [{"city": "X"}]


def test_from_moves_where_relative_paths_start(tmp_path: Path) -> None:
    rules = "address: {from: PID-3.4, city: {from: .1}, state: {from: '.2'}, text: {from: .}}"
    made = elements(patient(tmp_path, rules, PID))
    assert made["address"] == [{"city": "CLINIC", "state": "1.2.3", "text": "CLINIC"}]


CONDITIONS = [
    ("PID-5.1 = Ever", True),
    ("PID-5.1 = 'Other'", True),
    ('PID-5[1].1 = "Other"', False),
    ("PID-5.1 != Other", False),
    ("PID-5.1 != Nobody", True),
    ("PID-3.5 in (XX, PI)", True),
    ("PID-3.5 in (XX)", False),
    ("PID-7 matches '19[0-9]{6}'", True),
    ("PID-7 matches '19'", False),
    ("PID-7 exists", True),
    ("PID-8 exists", False),
    ("PID-8 = ''", True),
    ("PID-8 in ('', M)", True),
    ("PID exists", True),
    ("PV2 exists", False),
    ("not PV2 exists and PV1-2 = I", True),
    ("PV2 exists or PV1-2 = I", True),
    ("PV2 exists or PV1-2 = O or PV1-2 = I", True),
    ("PV1-2 = I and PID-7 exists and NTE exists", True),
    ("not (PV1-2 = I and PID-7 exists)", False),
    ("not PV1-2 = I or PID-7 exists", True),
    ("PID-3[5=PI] exists", True),
    ("PID-3[5=ZZ] exists", False),
    ("PID-3.4.2 = '1.2.3'", True),
    ("PV1-3.2 exists", True),
    ("NTE[2] exists", True),
    ("NTE[3] exists", False),
    ("PID[2] exists", False),
]


@pytest.mark.parametrize(("condition", "holds"), CONDITIONS)
def test_a_condition_holds_or_not(tmp_path: Path, condition: str, *, holds: bool) -> None:
    quoted = condition.replace('"', '\\"')
    rules = f'active: {{if: "{quoted}", const: true}}'
    assert ("active" in patient(tmp_path, rules, PID, *NOTES).resource) is holds


def test_a_field_whose_first_component_is_empty_exists_all_the_same(tmp_path: Path) -> None:
    rules = "active: {if: PID-5 exists, const: true}"
    assert patient(tmp_path, rules, "PID|1||77||^Ann").resource["active"] is True


def test_null_is_no_text_to_a_condition(tmp_path: Path) -> None:
    rules = "active: {if: \"PID-5 exists or PID-5 != ''\", const: true}"
    assert "active" not in patient(tmp_path, rules, 'PID|1||77||""').resource


def test_what_holds_blanks_alone_does_not_exist(tmp_path: Path) -> None:
    rules = """
        active: {if: PID-5 exists, const: true}
        deceasedBoolean: {if: PID-5.2 exists, const: true}
        multipleBirthBoolean: {if: "PID-5[2 exists] exists", const: true}
    """
    loaded = library(tmp_path, rules)
    assert elements(run(loaded, "PID|1||7|| ^ ~  ").entries[0]) == {}
    assert len(elements(run(loaded, "PID|1||7|| ^x~ ").entries[0])) == 3
