from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import MapError, TranslateError
from gateway.translate import load
from tests.translate.maps import elements, library, patient, patient_map, run, write

TABLES = {
    "hl7v2/tables/sex.csv": "code,target\nF,female\nM,male\nA,\nx,other\nX,unknown\n",
    "hl7v2/tables/state.csv": "code,system,target,display\nM,urn:s,married,Married\n",
    "hl7v2/datatypes/CWE.yaml": "map: CWE\nto: CodeableConcept\n"
    "coding: {code: {from: CWE.1}, display: {from: CWE.2}}\n",
}
CODE = "gender: {from: PID-8, table: sex}"
CONCEPT = "maritalStatus: {from: PID-16, table: state%s}"
KEPT = "maritalStatus: {from: PID-16, as: CWE, table: state%s}"
CODING = "meta: {tag: {from: PID-16, table: state%s}}"
MARRIED = {"system": "urn:s", "code": "married", "display": "Married"}


def pid(**fields: str) -> str:
    cells = ["PID", "1", "", "7"] + [""] * 14
    for name, value in fields.items():
        cells[int(name[1:])] = value
    return "|".join(cells)


@pytest.mark.parametrize(
    ("sent", "made"),
    [("F", "female"), ("f", "female"), ("A", None), ("x", "other"), ("X", "unknown")],
)
def test_a_code_is_found_exactly_and_then_whatever_its_case(
    tmp_path: Path, sent: str, made: str | None
) -> None:
    result = run(library(tmp_path, CODE, TABLES), pid(f8=sent))
    assert result.entries[0].resource.get("gender") == made
    assert result.warnings == ()


def test_an_unknown_code_is_left_out_with_a_warning_that_holds_no_value(tmp_path: Path) -> None:
    result = run(library(tmp_path, CODE, TABLES), pid(f8="Q7"))
    assert "gender" not in result.entries[0].resource
    (warning,) = result.warnings
    assert (warning.place, warning.condition, warning.code) == ("PID-8", "103", "code-invalid")
    assert "Q7" not in warning.text


def test_an_unknown_code_is_refused_where_the_map_says_so(tmp_path: Path) -> None:
    loaded = library(tmp_path, "gender: {from: PID-8, table: sex, unmapped: reject}", TABLES)
    with pytest.raises(TranslateError) as raised:
        run(loaded, pid(f8="Q7"))
    assert raised.value.place == "PID-8"
    assert raised.value.issues[0].condition == "103"
    assert "Q7" not in str(raised.value)


def test_a_required_binding_lets_only_its_codes_through_without_a_table(tmp_path: Path) -> None:
    loaded = library(tmp_path, "gender: {from: PID-8}")
    assert run(loaded, pid(f8="female")).entries[0].resource["gender"] == "female"
    result = run(loaded, pid(f8="F"))
    assert "gender" not in result.entries[0].resource
    assert result.warnings[0].place == "PID-8"


@pytest.mark.parametrize(
    ("rules", "sent", "made", "warned"),
    [
        (CONCEPT % "", "M", {"coding": [MARRIED]}, False),
        (CONCEPT % "", "Q", {"text": "Q"}, True),
        (CONCEPT % ", unmapped: text", "Q", {"text": "Q"}, False),
        (
            KEPT % "",
            "M^Wed",
            {"coding": [MARRIED, {"code": "M", "display": "Wed"}]},
            False,
        ),
        (KEPT % "", "M^Wed^S", {"coding": [MARRIED, {"code": "M", "display": "Wed"}]}, False),
        (KEPT % "", "Q^Odd", {"coding": [{"code": "Q", "display": "Odd"}]}, True),
        (KEPT % ", unmapped: text", "Q", {"coding": [{"code": "Q"}]}, False),
    ],
)
def test_a_concept_takes_the_tables_coding_or_keeps_the_text(
    tmp_path: Path, rules: str, sent: str, made: Any, *, warned: bool
) -> None:
    result = run(library(tmp_path, rules, TABLES), pid(f16=sent))
    assert result.entries[0].resource.get("maritalStatus") == made
    assert bool(result.warnings) is warned


def test_a_coding_by_a_table_shows_an_unknown_code_as_display(tmp_path: Path) -> None:
    loaded = library(tmp_path, CODING % "", TABLES)
    assert run(loaded, pid(f16="M")).entries[0].resource["meta"] == {"tag": [MARRIED]}
    assert run(loaded, pid(f16="Q")).entries[0].resource["meta"] == {"tag": [{"display": "Q"}]}


def test_the_agencys_own_table_goes_before_the_standard_one(tmp_path: Path) -> None:
    files = {
        **TABLES,
        "agencies/odd/agency.yaml": "agency: odd\nname: Odd\ntables: {sex: tables/sex.csv}\n",
        "agencies/odd/tables/sex.csv": "code,target\n1,male\nF,other\n",
    }
    loaded = library(tmp_path, CODE, files)
    odd = loaded.agencies["odd"]
    genders = [
        run(loaded, pid(f8=code), agency=odd).entries[0].resource["gender"] for code in "1FM"
    ]
    assert genders == ["male", "other", "male"]
    assert "gender" not in run(loaded, pid(f8="1")).entries[0].resource


@pytest.mark.parametrize(
    ("tables", "table", "place", "says"),
    [
        ("{sex: tables/sex.csv}", "code,target\n1,alien\n", "tables/sex.csv:2", "no code of"),
        ("{six: tables/sex.csv}", "code,target\n1,male\n", "tables/sex.csv:1", "no rule uses"),
        ("{sex: tables/no.csv}", "code,target\n1,male\n", "agency.yaml:3", "no file"),
        ("{sex: ../../x.csv}", "code,target\n1,male\n", "agency.yaml:3", "no file"),
    ],
)
def test_an_agencys_table_is_checked_at_load(
    tmp_path: Path, tables: str, table: str, place: str, says: str
) -> None:
    files = {
        **TABLES,
        "x.csv": table,
        "hl7v2/messages/ADT_A01.yaml": patient_map(CODE),
        "agencies/odd/agency.yaml": f"agency: odd\nname: Odd\ntables: {tables}\n",
        "agencies/odd/tables/sex.csv": table,
    }
    with pytest.raises(MapError, match=says) as raised:
        load([write(tmp_path, files)])
    assert raised.value.place == f"agencies/odd/{place}"


SYSTEMS = {
    **TABLES,
    "hl7v2/tables/coding-systems.csv": "code,target\nLN,http://loinc.org\nL,\n",
}


@pytest.mark.parametrize(
    ("sent", "made"),
    [
        ("LN", "http://loinc.org"),
        ("ln", "http://loinc.org"),
        ("L", None),
        ("HL70063", "http://terminology.hl7.org/CodeSystem/v2-0063"),
        ("HL7189", "http://terminology.hl7.org/CodeSystem/v2-0189"),
        ("2.16.840.1.113883.6.1", "urn:oid:2.16.840.1.113883.6.1"),
        ("http://x.org/y", "http://x.org/y"),
        ("99 Z/Y", "https://care-gateway.example/fhir/agency/clinic/code-system/99%20Z%2FY"),
    ],
)
def test_a_coding_systems_name_becomes_its_uri(tmp_path: Path, sent: str, made: str | None) -> None:
    coding = "{code: {from: PID-16.1}, system: {from: PID-16.3, fn: coding-system}}"
    rules = f"maritalStatus: {{coding: {coding}}}"
    found = patient(tmp_path, rules, pid(f16=f"M^^{sent}"), files=SYSTEMS)
    assert found.resource["maritalStatus"]["coding"][0].get("system") == made


@pytest.mark.parametrize(
    ("sent", "made", "warned"),
    [
        ("HOSP", "urn:hosp", False),
        ("HOSP&1.2.3&ISO", "urn:hosp", False),
        ("X&1.2.3&ISO", "urn:oid:1.2.3", False),
        ("&1.2.3", "urn:oid:1.2.3", False),
        (
            "&6F9619FF-8B86-D011-B42D-00CF4FC964FF&UUID",
            "urn:uuid:6f9619ff-8b86-d011-b42d-00cf4fc964ff",
            False,
        ),
        ("X&https://x.org/id&URI", "https://x.org/id", False),
        ("&lab.example.org&DNS", "urn:lab", False),
        ("X Y", "https://care-gateway.example/fhir/agency/hosp/authority/X%20Y", True),
        ("", None, False),
    ],
)
def test_an_assigning_authority_becomes_a_system(
    tmp_path: Path, sent: str, made: str | None, *, warned: bool
) -> None:
    files = {
        "agencies/hosp/agency.yaml": "agency: hosp\nname: H\n"
        "authorities: {HOSP: 'urn:hosp', lab.example.org: 'urn:lab'}\n",
        "hl7v2/datatypes/CX.yaml": "map: CX\nto: Identifier\nvalue: {from: CX.1}\n"
        "system: {from: CX.4, fn: authority}\n",
    }
    loaded = library(tmp_path, "identifier: {each: PID-3, as: CX}", files)
    result = run(loaded, f"PID|1||7^^^{sent}", agency=loaded.agencies["hosp"])
    assert elements(result.entries[0])["identifier"][0].get("system") == made
    assert bool(result.warnings) is warned


@pytest.mark.parametrize(
    ("function", "made"), [("upper", "AB-12"), ("lower", "ab-12"), ("digits", "12"), ("uri", None)]
)
def test_the_functions_of_text(tmp_path: Path, function: str, made: str | None) -> None:
    rules = f"language: {{from: PID-15, fn: {function}}}"
    assert patient(tmp_path, rules, pid(f15="aB-12")).resource.get("language") == made
