"""``include``: parts of message maps, put in under the message's names and in its groups."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import MapError
from gateway.model import Translation
from gateway.translate import load
from tests.translate.maps import run, write

PART = """\
map: person
resources:
  person:
    to: Patient
    key: {from: PID-3.1}
    set: {gender: {from: PID-8}, language: {from: PID-15}}
  kin:
    to: RelatedPerson
    each: NK1
    key: {join: [{ref: person}, NK1-1]}
    set: {patient: {ref: person}}
"""
FILE = "hl7v2/messages/ADT_A01.yaml"
IN = "hl7v2/parts/person.yaml"


def made(folder: Path, body: str, *segments: str) -> Translation:
    text = f"map: ADT_A01\nevents: [ADT^A01]\n{body}\n"
    return run(load([write(folder, {FILE: text, IN: PART})]), *segments)


def test_a_part_gives_its_resources_before_the_messages_own(tmp_path: Path) -> None:
    own = """\
include: person
resources:
  visit:
    to: Basic
    key: {from: PV1-19}
    set: {code: {const: {text: visit}}, subject: {ref: person}}"""
    result = made(tmp_path, own, "PID|1||7|||||male", "NK1|1", "PV1|1" + "|" * 18 + "V1")
    types = [entry.resource["resourceType"] for entry in result.entries]
    assert types == ["Patient", "RelatedPerson", "Basic"]
    person, kin, visit = (entry.resource for entry in result.entries)
    assert kin["patient"] == visit["subject"] == {"reference": f"Patient/{person['id']}"}


def test_a_message_says_only_what_differs(tmp_path: Path) -> None:
    own = """\
include: [person]
resources:
  kin: drop
  person:
    if: PID-3.1 != '8'
    set: {language: drop, gender: {const: other}, active: {const: true}}"""
    result = made(tmp_path, own, "PID|1||7|||||male|||||||en", "NK1|1")
    (entry,) = result.entries
    assert {key: entry.resource.get(key) for key in ("gender", "language", "active")} == {
        "gender": "other",
        "language": None,
        "active": True,
    }
    assert made(tmp_path, own, "PID|1||8").entries == ()


def test_a_part_serves_twice_in_other_groups_under_other_names(tmp_path: Path) -> None:
    own = """\
groups:
  one: {starts: PID, with: [NK1]}
  two: {starts: PV1, with: [NK1, PID]}
include:
  - {part: person, in: one}
  - {part: person, in: one, prefix: other-}
resources:
  other-person: {key: {join: [{const: other}, PID-3.1]}}"""
    result = made(tmp_path, own, "PID|1||7", "NK1|1", "PV1|1", "NK1|2")
    first, kin, second, other_kin = (entry.resource for entry in result.entries)
    assert first["id"] != second["id"]
    assert kin["patient"] == {"reference": f"Patient/{first['id']}"}
    assert other_kin["patient"] == {"reference": f"Patient/{second['id']}"}


def test_an_agencys_map_that_extends_sees_the_parts_resources(tmp_path: Path) -> None:
    write(tmp_path, {
        FILE: "map: ADT_A01\nevents: [ADT^A01]\ninclude: person\n",
        IN: PART,
        "agencies/a/agency.yaml": "agency: a\nname: A\n",
        f"agencies/a/{FILE[6:]}": "map: ADT_A01\nextends: true\nresources: {kin: drop}\n",
    })  # fmt: skip
    loaded = load([tmp_path])
    result = run(loaded, "PID|1||7", "NK1|1", agency=loaded.agencies["a"])
    assert [entry.resource["resourceType"] for entry in result.entries] == ["Patient"]


def test_an_agencys_own_part_goes_before_the_standard_one(tmp_path: Path) -> None:
    write(tmp_path, {
        FILE: "map: ADT_A01\nevents: [ADT^A01]\ninclude: person\n",
        IN: PART,
        "agencies/a/agency.yaml": "agency: a\nname: A\n",
        "agencies/a/parts/person.yaml": PART.replace("{from: PID-8}", "{const: other}"),
    })  # fmt: skip
    loaded = load([tmp_path])
    assert run(loaded, "PID|1||7").entries[0].resource.get("gender") is None
    mine = run(loaded, "PID|1||7", agency=loaded.agencies["a"])
    assert mine.entries[0].resource["gender"] == "other"


ERRORS = [
    ("include: nobody", "no part map 'nobody'", f"{FILE}:3"),
    ("include: [person, person]", "'person' of 'person' is there already", f"{FILE}:3"),
    ("include: {part: person, at: x}", "no key 'at'", f"{FILE}:3"),
    ("include: {in: x}", "'part' is missing", f"{FILE}:3"),
    ("include: {part: person, in: stay}", "no group 'stay'", f"{FILE}:3"),
    ("include: person\nresources: {friend: drop}", "no 'friend' to drop", f"{FILE}:4"),
    ("include: person\nresources: {person: {set: {size: drop}}}", "no 'size'", f"{FILE}:4"),
    ("include: person\nresources: {person: {who: x}}", "no key 'who'", f"{FILE}:4"),
]


@pytest.mark.parametrize(("body", "says", "place"), ERRORS)
def test_a_wrong_include_is_an_error_at_its_line(
    tmp_path: Path, body: str, says: str, place: str
) -> None:
    with pytest.raises(MapError, match=says) as raised:
        made(tmp_path, body)
    assert raised.value.place == place


def test_a_mistake_in_a_part_is_an_error_at_the_parts_line(tmp_path: Path) -> None:
    text = "map: ADT_A01\nevents: [ADT^A01]\ninclude: person\n"
    with pytest.raises(MapError, match="no element 'sex'") as raised:
        load([write(tmp_path, {FILE: text, IN: PART.replace("gender", "sex")})])
    assert raised.value.place == f"{IN}:6"


def test_a_part_holds_resources_alone(tmp_path: Path) -> None:
    text = "map: ADT_A01\nevents: [ADT^A01]\ninclude: person\n"
    part = PART + "groups: {x: {starts: PV1}}\n"
    with pytest.raises(MapError, match="a part has no key 'groups'"):
        load([write(tmp_path, {FILE: text, IN: part})])
