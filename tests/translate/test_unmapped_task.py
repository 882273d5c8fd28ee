"""``unmapped: task``, and what an agency itself says about codes that a table lacks."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from gateway.errors import MapError, TranslateError
from gateway.model import Agency
from gateway.translate import Library
from tests.translate.maps import elements, library, run
from tests.translate.test_tables import TABLES, pid

CODE = "gender: {from: PID-8, table: sex, unmapped: task}"
CONCEPT = "maritalStatus: {from: PID-16, table: state, unmapped: task}"
STRING = "name: {from: PID-5, text: {from: '.1', table: state, unmapped: task}}"


def agency(
    folder: Path, said: str, rules: str = "gender: {from: PID-8, table: sex}"
) -> tuple[Library, Agency]:
    """A library with one agency, which says so of its tables."""
    files = {
        **TABLES,
        "own/agency.yaml": f"agency: own\nname: Own\n{said}",
        "own/sex.csv": "code,target\n1,male\n",
    }
    loaded = library(folder, rules, files).with_agency("own", folder / "own")
    return loaded, loaded.agencies["own"]


def test_a_code_goes_in_without_it_and_is_asked_for(tmp_path: Path) -> None:
    result = run(library(tmp_path, CODE, TABLES), pid(f8="Q7 "))
    assert "gender" not in result.entries[0].resource
    (lack,) = result.lacks
    assert (lack.table, lack.code, lack.place) == ("sex", "Q7", "PID-8")
    (warning,) = result.warnings
    assert (warning.place, warning.condition) == ("PID-8", "103")


def test_the_code_is_in_no_text(tmp_path: Path) -> None:
    result = run(library(tmp_path, CODE, TABLES), pid(f8="SECRET^^SECRET"))
    assert result.lacks[0].system == "SECRET"
    assert "SECRET" not in repr(result.lacks) + repr(result.warnings)


@pytest.mark.parametrize(
    ("rules", "field", "sent", "made"),
    [
        (CONCEPT, "f16", "Q^Queer^L", {"maritalStatus": {"text": "Q"}}),
        (STRING, "f5", "Q", {"name": [{"text": "Q"}]}),
    ],
)
def test_where_text_may_stand_it_goes_in_as_text(
    tmp_path: Path, rules: str, field: str, sent: str, made: object
) -> None:
    result = run(library(tmp_path, rules, TABLES), pid(**{field: sent}))
    assert elements(result.entries[0]) == made
    assert [each.table for each in result.lacks] == ["state"]


def test_the_system_is_what_the_field_says(tmp_path: Path) -> None:
    result = run(library(tmp_path, CONCEPT, TABLES), pid(f16="Q^Queer^L"))
    assert result.lacks[0].system == "L"


def test_a_code_is_asked_for_once_a_message(tmp_path: Path) -> None:
    rules = f"{CODE}\nmaritalStatus: {{from: PID-8, table: sex, unmapped: task}}"
    assert len(run(library(tmp_path, rules, TABLES), pid(f8="Q7")).lacks) == 1


@pytest.mark.parametrize("sent", ["x" * 65, "a\\X07\\b"])
def test_what_is_no_code_is_not_asked_for(tmp_path: Path, sent: str) -> None:
    result = run(library(tmp_path, CODE, TABLES), pid(f8=sent))
    assert result.lacks == ()
    assert len(result.warnings) == 1


def test_a_record_that_is_refused_bears_what_it_lacked(tmp_path: Path) -> None:
    rules = f"{CODE}\nmaritalStatus: {{from: PID-16, table: state, unmapped: reject}}"
    with pytest.raises(TranslateError) as raised:
        run(library(tmp_path, rules, TABLES), pid(f8="Q7", f16="Q"))
    assert [each.code for each in raised.value.lacks] == ["Q7"]
    assert "Q7" not in str(raised.value) + repr(raised.value)
    copy = pickle.loads(pickle.dumps(raised.value))  # it comes from another process
    assert copy.lacks == raised.value.lacks


def test_what_is_remembered_lacks_no_less(tmp_path: Path) -> None:
    """The same text again, for the same agency, is asked for again: its message waits too."""
    files = {
        **TABLES,
        "hl7v2/datatypes/XPN.yaml": "map: XPN\nto: HumanName\n"
        "text: {from: XPN.1, table: state, unmapped: task}\n",
    }
    agency(tmp_path, "")
    loaded = library(tmp_path, "name: {each: PID-5, as: XPN}", files).with_agency(
        "own", tmp_path / "own"
    )
    own = loaded.agencies["own"]
    for _ in range(3):
        assert len(run(loaded, pid(f5="Q"), agency=own).lacks) == 1


# --- an agency's own say --------------------------------------------------------------------------


def test_an_agency_says_what_is_done_about_its_codes(tmp_path: Path) -> None:
    loaded, own = agency(tmp_path, "tables: {sex: {file: sex.csv, unmapped: task}}\n")
    assert run(loaded, pid(f8="1"), agency=own).entries[0].resource["gender"] == "male"
    assert [each.code for each in run(loaded, pid(f8="Q7"), agency=own).lacks] == ["Q7"]
    assert run(loaded, pid(f8="Q7")).lacks == ()


def test_it_needs_no_table_of_its_own_for_that(tmp_path: Path) -> None:
    loaded, own = agency(tmp_path, "tables: {sex: {unmapped: reject}}\n")
    assert run(loaded, pid(f8="F"), agency=own).entries[0].resource["gender"] == "female"
    with pytest.raises(TranslateError):
        run(loaded, pid(f8="Q7"), agency=own)


def test_its_say_goes_before_the_map_s(tmp_path: Path) -> None:
    loaded, own = agency(tmp_path, "tables: {sex: {unmapped: warn}}\n", CODE)
    assert run(loaded, pid(f8="Q7"), agency=own).lacks == ()


@pytest.mark.parametrize(
    ("said", "line"),
    [
        ("tables: {sex: {unmapped: ask}}\n", 3),
        ("tables: {sex: {unmapped: text}}\n", 3),
        ("tables: {sex: {}}\n", 3),
        ("tables: {sex: {file: none.csv}}\n", 3),
        ("tables: {sex: {file: sex.csv, policy: task}}\n", 3),
        ("tables: {nosuch: {unmapped: task}}\n", 3),
        ("tables-kept-by: Not An Id\n", 3),
    ],
)
def test_what_it_cannot_say_is_told_at_load(tmp_path: Path, said: str, line: int) -> None:
    with pytest.raises(MapError) as raised:
        agency(tmp_path, said)
    assert str(raised.value.place).endswith(f"own/agency.yaml:{line}")


def test_who_keeps_its_tables(tmp_path: Path) -> None:
    assert agency(tmp_path, "tables-kept-by: hub\n")[1].tables_kept_by == "hub"
    assert agency(tmp_path, "")[1].tables_kept_by == ""


def test_a_library_tells_whether_a_table_has_a_code(tmp_path: Path) -> None:
    loaded, own = agency(tmp_path, "tables: {sex: sex.csv}\n")
    assert loaded.knows(own, "sex", "1")
    assert loaded.knows(own, "sex", "f")
    assert not loaded.knows(own, "sex", "Q7")
    assert not loaded.knows(own, "nosuch", "F")
    assert not loaded.knows(Agency("other", "Other"), "sex", "1")
