"""Verbs beyond the first: split, functions of joined text, maps to a primitive, forget."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import MapError
from gateway.translate import load, merge
from tests.translate.maps import elements, library, message, patient, patient_map, run, write

MAP = "hl7v2/messages/ADT_A01.yaml"
TEXT = "map: XPN_Text\nto: string\nvalue: [{from: XPN.9}, {join: [XPN.2, XPN.1]}]\n"
KIN = "map: XCN_Kin\nto: RelatedPerson\nname: {family: {from: XCN.2}}\n"
TIMES = (
    "extension: {url: {const: x}, valueTiming: {repeat: {timeOfDay: {from: PID-9, split: ','}}}}"
)


def test_a_text_is_split_and_each_part_read_for_itself(tmp_path: Path) -> None:
    made = patient(tmp_path, TIMES, "PID|1||7||||||0800, 1200,,noon")
    timing = made.resource["extension"][0]["valueTiming"]
    assert timing == {"repeat": {"timeOfDay": ["08:00:00", "12:00:00"]}}


def test_a_wrong_part_of_a_split_text_is_warned_of(tmp_path: Path) -> None:
    made = run(library(tmp_path, TIMES), "PID|1||7||||||0800,noon")
    assert [one.place for one in made.warnings] == ["PID-9"]


def test_hexadecimal_digits_become_base64(tmp_path: Path) -> None:
    rule = "photo: {data: {from: PID-9, fn: hex-to-base64}}"
    assert elements(patient(tmp_path, rule, "PID|1||7||||||48 65 6c 6C 6f")) == {
        "photo": [{"data": "SGVsbG8="}]
    }
    made = run(library(tmp_path, rule), "PID|1||7||||||48656")
    assert "photo" not in made.entries[0].resource
    assert [one.place for one in made.warnings] == ["PID-9"]


def test_text_becomes_base64_as_utf_8(tmp_path: Path) -> None:
    rule = "photo: {data: {from: PID-9, fn: base64}}"
    made = patient(tmp_path, rule, "PID|1||7||||||Größe")
    assert made.resource["photo"] == [{"data": "R3LDtsOfZQ=="}]


def test_the_lines_of_several_segments_join_one_text_each(tmp_path: Path) -> None:
    rule = "contact: {name: {given: {each: NTE, if: NTE-1 != '9', join: [{each: NTE-3}], by: '/'}}}"
    made = patient(tmp_path, rule, "PID|1||7", "NTE|1||a~b", "NTE|9||no", "NTE|2||c")
    assert made.resource["contact"] == [{"name": {"given": ["a/b", "c"]}}]


def test_a_map_to_a_primitive_gives_its_first_value(tmp_path: Path) -> None:
    files = {"hl7v2/datatypes/XPN_Text.yaml": TEXT}
    rule = "name: {each: PID-5, text: {from: '.', as: XPN_Text}}"
    made = patient(tmp_path, rule, "PID|1||7||B^A~D^C^^^^^^^E", files=files)
    assert made.resource["name"] == [{"text": "A B"}, {"text": "E"}]


def test_a_table_may_follow_a_map_to_a_primitive(tmp_path: Path) -> None:
    files = {
        "hl7v2/datatypes/CWE_Text.yaml": "map: CWE_Text\nto: string\nvalue: {from: CWE.2}\n",
        "hl7v2/tables/sex.csv": "code,target\nman,male\n",
    }
    rule = "gender: {from: PID-8, as: CWE_Text, table: sex}"
    assert patient(tmp_path, rule, "PID|1||7|||||1^man", files=files).resource["gender"] == "male"


def test_a_map_to_a_resource_needs_what_it_lacks_only_where_it_is_used(tmp_path: Path) -> None:
    kin = "  kin:\n    to: RelatedPerson\n    each: PID-9\n    key: {from: .1}\n    use: XCN_Kin\n"
    files = {
        MAP: patient_map("active: {const: true}") + kin + "    set: {patient: {ref: patient}}\n",
        "hl7v2/datatypes/XCN_Kin.yaml": KIN,
    }
    made = run(load([write(tmp_path, files)]), "PID|1||7||||||8^Kin").entries[1].resource
    assert made["name"] == [{"family": "Kin"}]
    with pytest.raises(MapError, match=r"RelatedPerson\.patient is required"):
        load([write(tmp_path, {MAP: patient_map("active: {const: true}") + kin})])


def test_an_unused_map_to_a_resource_is_checked_all_the_same(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="no element 'nick'") as raised:
        library(tmp_path, "active: {const: true}", {
            "hl7v2/datatypes/XCN_Kin.yaml": KIN + "nick: {from: XCN.3}\n"
        })  # fmt: skip
    assert raised.value.place == "hl7v2/datatypes/XCN_Kin.yaml:4"


def test_an_element_is_forgotten_where_the_message_says_nothing_of_it(tmp_path: Path) -> None:
    rules = "birthDate: {from: PID-7}\nlanguage: {from: PID-15}\n"
    text = patient_map(rules) + "    forget: {if: PID-24 = Y, elements: [birthDate, language]}\n"
    loaded = load([write(tmp_path, {MAP: text})])
    before = run(loaded, "PID|1||7||||1961||||||||en").entries[0]
    quiet, forgetting, giving = (
        run(loaded, one).entries[0]
        for one in (
            "PID|1||7",
            "PID|1||7" + "|" * 21 + "Y",
            "PID|1||7||||1962" + "|" * 17 + "Y",
        )
    )
    assert quiet.removes == frozenset()
    assert forgetting.removes == {"birthDate", "language"}
    assert giving.removes == {"language"}
    assert "birthDate" not in merge(before.resource, forgetting)


FORGETS = [
    ("{elements: [size]}", "no element 'size'"),
    ("{elements: id}", "no element 'id'"),
    ("{when: x, elements: gender}", "no key 'when'"),
    ("{if: PID-24 = Y}", "'elements' is missing"),
    ("period", "'forget' is a mapping"),
]


@pytest.mark.parametrize(("rule", "says"), FORGETS)
def test_a_wrong_forget_is_an_error_at_its_line(tmp_path: Path, rule: str, says: str) -> None:
    text = patient_map("active: {const: true}") + f"    forget: {rule}\n"
    with pytest.raises(MapError, match=says) as raised:
        load([write(tmp_path, {MAP: text})])
    assert raised.value.place == f"{MAP}:9"


def test_what_is_required_is_never_forgotten(tmp_path: Path) -> None:
    text = "map: ADT_A01\nevents: [ADT^A01]\nresources:\n  visit:\n    to: Encounter\n"
    text += (
        "    key: {from: PID-3}\n    set: {status: {const: planned}, class: {const: {code: I}}}\n"
    )
    with pytest.raises(MapError, match=r"Encounter\.status is required"):
        load([write(tmp_path, {MAP: text + "    forget: {elements: status}\n"})])


def test_extensions_of_a_primitive_go_with_it(tmp_path: Path) -> None:
    rules = """
        birthDate: {from: PID-7}
        _birthDate:
          if: "PID-7 matches '[0-9]{10}.*'"
          extension: {url: {const: x}, valueDateTime: {from: PID-7}}
    """
    loaded = library(tmp_path, rules)
    header = message().decode().replace("20240301101500", "20240301101500-0500")
    known, without, gone = (
        run(loaded, f"PID|1||7||||{born}", header=header).entries[0]
        for born in ("196106150830", "19610615", '""')
    )
    assert known.resource["_birthDate"]["extension"][0]["valueDateTime"].endswith("-05:00")
    assert "_birthDate" not in merge(known.resource, without)
    assert merge(known.resource, gone).keys().isdisjoint({"birthDate", "_birthDate"})


ERRORS = [
    ("a split of no list", "language: {from: PID-9, split: ','}", "no list of texts"),
    (
        "a split beside a function",
        "name: {given: {from: PID-9, split: ',', fn: upper}}",
        "'fn' does",
    ),
    ("an empty split", "name: {given: {from: PID-9, split: ''}}", "no list of texts"),
    ("joined text into a date", "birthDate: {join: [PID-7], fn: digits}", "'join' makes text"),
    ("a node's function after join", "language: {join: [PID-7], fn: authority}", "of joined text"),
    ("base64 into text", "language: {join: [PID-7], fn: base64}", "'join' makes text"),
    ("a map to text for a date", "birthDate: {from: PID-7, as: XPN_Text}", "makes string"),
    ("a map to an object", "language: {from: PID-7, as: CX}", "no single value"),
    ("a function of a map", "language: {from: PID-7, as: XPN_Text, fn: upper}", "doesn't go with"),
    ("a map for a required code", "gender: {from: PID-8, as: XPN_Text}", "makes string"),
]


@pytest.mark.parametrize(("rule", "says"), [r[1:] for r in ERRORS], ids=[r[0] for r in ERRORS])
def test_a_wrong_use_of_a_verb_is_an_error_at_its_line(
    tmp_path: Path, rule: str, says: str
) -> None:
    files = {
        "hl7v2/datatypes/XPN_Text.yaml": TEXT,
        "hl7v2/datatypes/CX.yaml": "map: CX\nto: Identifier\nvalue: {from: CX.1}\n",
    }
    with pytest.raises(MapError, match=says) as raised:
        library(tmp_path, f"active: {{const: true}}\n{rule}", files)
    assert raised.value.place == f"{MAP}:9"


MAPS = [
    ("value: {from: XPN.1}\nsize: {from: XPN.2}", "no key 'size'", 4),
    ("text: {from: XPN.1}", "no key 'text'", 3),
    ("value: []", "makes nothing", 3),
    ("value: {from: PID-5}", "has no PID", 3),
]


@pytest.mark.parametrize(("body", "says", "line"), MAPS)
def test_a_wrong_map_to_a_primitive_is_an_error_at_its_line(
    tmp_path: Path, body: str, says: str, line: int
) -> None:
    files = {"hl7v2/datatypes/XPN_Text.yaml": f"map: XPN_Text\nto: string\n{body}\n"}
    with pytest.raises(MapError, match=says) as raised:
        library(tmp_path, "active: {const: true}", files)
    assert raised.value.place == f"hl7v2/datatypes/XPN_Text.yaml:{line}"


NOTE = """\
map: ADT_A01
events: [ADT^A01]
resources:
  note:
    to: Basic
    optional: true
    key: {from: PID-3}
    set: {code: {text: {from: PID-5}}}
"""


def test_an_optional_resource_that_is_not_whole_stops_nothing(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, {MAP: NOTE})])
    assert len(run(loaded, "PID|1||7||x").entries) == 1
    made = run(loaded, "PID|1||7")
    assert made.entries == ()
    assert [one.place for one in made.warnings] == ["PID-5"]


def test_nothing_refers_to_an_optional_resource(tmp_path: Path) -> None:
    other = "  other:\n    to: Basic\n    key: {from: PID-4}\n"
    other += "    set: {code: {text: {const: x}}, subject: {ref: note}}\n"
    with pytest.raises(MapError, match="'note' is optional") as raised:
        load([write(tmp_path, {MAP: NOTE + other})])
    assert raised.value.place == f"{MAP}:12"
