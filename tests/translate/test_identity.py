from __future__ import annotations

import random
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import TranslateError
from gateway.model import Entry
from gateway.record import NULL
from gateway.translate import Library, identity, load, merge
from gateway.translate.ids import SPACE
from tests.translate.maps import AGENCY, library, patient, run, write

CX = "map: CX\nto: Identifier\nvalue: {from: CX.1}\nsystem: {from: CX.4.2, fn: uri}\n"
MAP = """\
map: ADT_A01
events: [ADT^A01]
resources:
  patient:
    to: Patient
    key:
      - {each: "PID-3[5=MR]", as: CX}
      - {each: PID-3, as: CX}
    set: {identifier: {each: PID-3, as: CX}}
"""
FILES = {"hl7v2/datatypes/CX.yaml": CX, "hl7v2/messages/ADT_A01.yaml": MAP}


def patient_id(loaded: Library, *numbers: str) -> str:
    made: str = run(loaded, f"PID|1||{'~'.join(numbers)}").entries[0].resource["id"]
    return made


def test_an_id_is_the_uuid5_of_agency_type_system_and_value() -> None:
    expected = uuid.uuid5(SPACE, "clinic\nPatient\nurn:oid:1.2\n77")
    assert identity("clinic", "Patient", "urn:oid:1.2", "77") == str(expected)


def test_the_order_of_repetitions_changes_no_id(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, FILES)])
    numbers = ["7^^^&1.2&ISO^MR", "9^^^&1.3&ISO^MR", "5^^^&1.1&ISO^PI", "3"]
    first = patient_id(loaded, *numbers)
    seed = random.randrange(2**32)
    print("seed", seed)
    for _ in range(20):
        random.Random(seed).shuffle(numbers)
        assert patient_id(loaded, *numbers) == first
        seed += 1


def test_the_first_key_that_finds_something_counts(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, FILES)])
    alone = patient_id(loaded, "7^^^&1.2&ISO^MR")
    assert patient_id(loaded, "1^^^&1.1&ISO^PI", "7^^^&1.2&ISO^MR") == alone
    assert patient_id(loaded, "1^^^&1.1&ISO^PI") != alone


def test_agencies_never_share_an_id(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, FILES)])
    ids = {
        run(loaded, "PID|1||7", agency=replace(AGENCY, id=name)).entries[0].resource["id"]
        for name in ("one", "two")
    }
    assert len(ids) == 2


@pytest.mark.parametrize("pid", ["PID|1", "PID|1||", "PID|1||^^^X^MR", f"PID|1||{NULL}"])
def test_a_missing_key_is_an_error_at_its_place(tmp_path: Path, pid: str) -> None:
    loaded = load([write(tmp_path, FILES)])
    with pytest.raises(TranslateError) as raised:
        run(loaded, pid)
    assert raised.value.place == "PID-3"
    assert raised.value.issues[0].condition == "101"


def test_what_no_key_names_is_known_by_its_message_alone_where_the_map_says_so(
    tmp_path: Path,
) -> None:
    text = MAP.replace("    set:", "    else: message\n    set:")
    loaded = load([write(tmp_path, {**FILES, "hl7v2/messages/ADT_A01.yaml": text})])
    one, again, other = (run(loaded, pid) for pid in ("PID|1", "PID|1", "PID|1||||A"))
    ids = [each.entries[0].resource["id"] for each in (one, again, other)]
    assert ids[0] == ids[1] != ids[2]
    assert [(issue.place, issue.condition) for issue in one.warnings] == [("PID-3", "101")]
    assert patient_id(loaded, "7^^^&1.2&ISO^MR") not in ids
    with pytest.raises(TranslateError, match="nothing says which"):
        run(loaded, "PV1|1")


@pytest.mark.parametrize(("apart", "count"), [("apart: true", 3), ("apart: false", 1), ("", 1)])
def test_several_of_one_key_are_one_unless_they_are_kept_apart(
    tmp_path: Path, apart: str, count: int
) -> None:
    text = f"""\
    map: ADT_A01
    events: [ADT^A01]
    resources:
      note:
        {apart}
        each: OBX
        to: Observation
        key: {{from: OBX-3}}
        set:
          status: {{const: final}}
          code: {{text: {{from: OBX-3}}}}
          valueString: {{from: OBX-5}}
    """
    loaded = load([write(tmp_path, {"hl7v2/messages/ADT_A01.yaml": text})])
    lines = [f"OBX|||A||{said}" for said in ("one", "two", "one", "three")]
    made = [each.resource for each in run(loaded, *lines).entries]
    assert [each["valueString"] for each in made] == ["one", "two", "three"][:count]
    assert made[0]["id"] == run(loaded, lines[0]).entries[0].resource["id"]


def test_a_missing_required_value_is_an_error_at_its_place(tmp_path: Path) -> None:
    text = """\
    map: ADT_A01
    events: [ADT^A01]
    resources:
      note:
        each: OBX
        to: Observation
        key: {from: OBX-3}
        set: {status: {from: OBX-11}, code: {text: {from: OBX-3}}}
    """
    loaded = load([write(tmp_path, {"hl7v2/messages/ADT_A01.yaml": text})])
    with pytest.raises(TranslateError) as raised:
        run(loaded, "OBX|1||A||||||||final", "OBX|2||B")
    assert raised.value.place == "OBX[2]-11"


TWICE = """\
map: ADT_A01
events: [ADT^A01]
resources:
  doctor:
    each: PV1-7
    to: Practitioner
    key: {from: .1}
    set: {name: {family: {from: .2}}}
  referrer:
    each: PV1-8
    to: Practitioner
    key: {from: .1}
    set: {name: {family: {from: .2}}, gender: {from: .3}}
  visit:
    to: Encounter
    key: {from: PV1-1}
    set:
      status: {const: finished}
      class: {code: {const: AMB}}
      participant: [{individual: {ref: doctor}}, {individual: {ref: referrer}}]
"""


def test_one_thing_told_of_twice_is_one_resource(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, {"hl7v2/messages/ADT_A01.yaml": TWICE})])
    doctor, visit = run(loaded, "PV1|1||||||5^First|5^Second^female~5^First").entries
    assert doctor.resource["name"] == [{"family": "First"}, {"family": "Second"}]
    assert doctor.resource["gender"] == "female"
    one, two = visit.resource["participant"]
    assert one == two == {"individual": {"reference": f"Practitioner/{doctor.resource['id']}"}}


def test_an_empty_repetition_makes_no_resource(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, {"hl7v2/messages/ADT_A01.yaml": TWICE})])
    entries = run(loaded, f"PV1|1||||||~5^First~|{NULL}").entries
    assert [entry.resource["resourceType"] for entry in entries] == ["Practitioner", "Encounter"]


# --- deletes and merges --------------------------------------------------------------------------

RULES = """
birthDate: {from: PID-7}
gender: {from: PID-8}
telecom:
  - {each: PID-13, as: XTN}
  - {each: PID-14, as: XTN}
language: {from: PID-15, default: en}
deceased:
  - {deceasedDateTime: {from: PID-29}}
  - {deceasedBoolean: {from: PID-30}}
"""
XTN = {"hl7v2/datatypes/XTN.yaml": "map: XTN\nto: ContactPoint\nvalue: {from: XTN.1}\n"}


def entry(folder: Path, **fields: str) -> Entry:
    cells = ["PID", "1", "", "7"] + [""] * 28
    for name, value in fields.items():
        cells[int(name[1:])] = value
    return patient(folder, RULES, "|".join(cells), files=XTN)


def test_a_null_removes_and_an_empty_field_says_nothing(tmp_path: Path) -> None:
    made = entry(tmp_path, f7=NULL, f13=NULL, f15=NULL)
    assert made.removes == {"birthDate", "telecom", "language"}
    assert entry(tmp_path).removes == frozenset()


def test_a_null_beside_a_value_removes_nothing(tmp_path: Path) -> None:
    made = entry(tmp_path, f13=NULL, f14="555")
    assert made.removes == frozenset()
    assert made.resource["telecom"] == [{"value": "555"}]


def test_one_choice_removes_the_others(tmp_path: Path) -> None:
    assert entry(tmp_path, f29="2024").removes == {"deceasedBoolean"}
    assert entry(tmp_path, f30="Y").removes == {"deceasedDateTime"}
    assert entry(tmp_path, f29=NULL).removes == {"deceasedDateTime", "deceasedBoolean"}


def test_merge_replaces_keeps_and_removes() -> None:
    current = {"resourceType": "Patient", "id": "1", "gender": "male", "birthDate": "2000"}
    current |= {"_birthDate": {"id": "x"}, "language": "en"}
    update = Entry(
        {"resourceType": "Patient", "id": "1", "language": "es"}, frozenset({"birthDate"})
    )
    assert merge(current, update) == {
        "resourceType": "Patient",
        "id": "1",
        "gender": "male",
        "language": "es",
    }
    assert "birthDate" in current


def test_merge_lets_the_hub_keep_what_it_owns() -> None:
    current = {"resourceType": "Task", "id": "1", "status": "completed"}
    again = Entry(
        {"resourceType": "Task", "id": "1", "status": "requested", "owner": {"display": "x"}},
        removes=frozenset({"status"}),
        keep=frozenset({"status", "owner"}),
    )
    merged: dict[str, Any] = merge(current, again)
    assert merged["status"] == "completed"
    assert merged["owner"] == {"display": "x"}


def test_merge_with_nothing_is_the_entry() -> None:
    resource = {"resourceType": "Patient", "id": "1"}
    assert merge(None, Entry(resource)) == resource


def test_a_replaced_primitive_loses_its_old_extensions() -> None:
    current = {"birthDate": "2000", "_birthDate": {"id": "x"}}
    assert merge(current, Entry({"birthDate": "2001"})) == {"birthDate": "2001"}


def test_translating_twice_gives_the_same(tmp_path: Path) -> None:
    loaded = library(tmp_path, RULES, XTN)
    assert run(loaded, "PID|1||7||||2000") == run(loaded, "PID|1||7||||2000")
