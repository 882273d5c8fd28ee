"""Every mistake in a map is a MapError with file and line, when it is loaded."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import MapError
from gateway.translate import load
from tests.translate.maps import library, patient_map, write

CX = "map: CX\nto: Identifier\nvalue: {from: CX.1}\n"
SEX = "code,target\nM,male\nX,alien\n"
MAP = "hl7v2/messages/ADT_A01.yaml"

RULES = [
    ("an unknown element", "colour: {from: PID-1}", "no element 'colour'"),
    ("a bare constant", "gender: female", "for a constant write"),
    ("drop without a base", "gender: drop", "'drop' serves a map that extends another"),
    ("each into a single element", "birthDate: {each: PID-7}", "doesn't repeat"),
    ("no source", "birthDate: {as: date}", "one of from, each"),
    ("two sources", "birthDate: {from: PID-7, const: '2024'}", "one of from, each"),
    ("an unknown verb", "birthDate: {from: PID-7, make: date}", "has no 'make'"),
    ("a verb that doesn't fit", "active: {const: true, table: sex}", "doesn't go with 'const'"),
    ("unmapped without a table", "gender: {from: PID-8, unmapped: warn}", "goes with 'table'"),
    ("an unknown policy", "gender: {from: PID-8, table: sex, unmapped: ask}", "text, warn, rej"),
    ("an unknown table", "gender: {from: PID-8, table: gender}", "no table 'gender'"),
    ("a table outside the binding", "gender: {from: PID-8, table: sex}", "'alien' is no code"),
    ("text for a code", "gender: {from: PID-8, table: good, unmapped: text}", "can't be one"),
    ("an unknown function", "gender: {from: PID-8, fn: guess}", "functions are authority"),
    ("a complex type without a map", "name: {each: PID-5}", "say 'as:'"),
    ("an unknown data type map", "name: {each: PID-5, as: XPN}", "no datatype map 'XPN'"),
    ("a map of another type", "name: {each: PID-5, as: CX}", "makes Identifier"),
    ("an unknown primitive", "birthDate: {from: PID-7, as: day}", "'day' is no primitive"),
    ("a primitive that disagrees", "birthDate: {from: PID-7, as: decimal}", "doesn't make date"),
    ("a constant of another type", "active: {const: 'yes'}", "isn't of type boolean"),
    ("a constant that is no date", "birthDate: {const: tomorrow}", "isn't of type date"),
    ("a constant outside the binding", "gender: {const: alien}", "knows female, male"),
    ("a constant with an unknown part", "name: {const: {nick: X}}", "no element 'nick'"),
    ("a constant without its needs", "link: {const: {type: seealso}}", "other is required"),
    ("a default of another type", "active: {from: PID-1, default: 3}", "isn't of type boolean"),
    ("an unknown resource", "generalPractitioner: {ref: doctor}", "called 'doctor'"),
    ("a reference to another type", "generalPractitioner: {ref: patient}", "of type Patient"),
    ("a reference in no Reference", "birthDate: {ref: agency}", "no Reference"),
    ("no path", "birthDate: {from: PID_7}", "not a path"),
    ("a segment for a value", "birthDate: {from: PID}", "not a path to a field"),
    ("a relative path without a node", "birthDate: {from: .1}", "nothing here"),
    ("a path out of the message", "birthDate: {from: ^PID-7}", "climbs out"),
    ("no condition", "active: {if: PID-1 like 3, const: true}", "not a condition"),
    ("a half condition", "active: {if: PID-1 =, const: true}", "not a condition"),
    ("no regular expression", "active: {if: \"PID-1 matches '('\", const: true}", "regular"),
    ("a missing required element", "link: {type: {const: seealso}}", "link.other is required"),
    ("an unknown choice", "deceased: {deceasedAge: {from: PID-29}}", "no deceased[x]"),
    ("an empty rule", "birthDate: {}", "an empty rule"),
    ("an empty list", "name: []", "an empty list"),
    ("a list in a list", "name: [[{from: PID-5}]]", "a list within a list"),
    ("an object for a primitive", "birthDate: {year: {from: PID-7}}", "has no 'year'"),
    ("a contained resource", "contained: {resourceType: {const: Basic}}", "by name"),
    ("each beside from", "name: {each: PID-5, from: PID-5, text: {from: .1}}", "beside 'from'"),
    ("another's segment", "contact: {each: NK1, name: {text: {from: PID-5}}}", "has no PID"),
    ("join for a date", "birthDate: {join: [PID-7]}", "'join' makes text"),
    ("an id", "id: {from: PID-3}", "isn't a map's to say"),
    ("a duplicate key", "active: {const: true}\nactive: {const: true}", "twice"),
]


@pytest.mark.parametrize(("rules", "says"), [row[1:] for row in RULES], ids=[r[0] for r in RULES])
def test_a_wrong_rule_is_an_error_at_its_line(tmp_path: Path, rules: str, says: str) -> None:
    files = {
        "hl7v2/datatypes/CX.yaml": CX,
        "hl7v2/tables/sex.csv": SEX,
        "hl7v2/tables/good.csv": "code,target\nM,male\n",
    }
    with pytest.raises(MapError) as raised:
        library(tmp_path, f"language: {{const: en}}\n{rules}", files)
    line = 8 + rules.count("\n") + 1
    place = "hl7v2/tables/sex.csv:3" if "alien' is" in says else f"{MAP}:{line}"
    assert raised.value.place == place
    assert says in str(raised.value)
    assert str(raised.value).startswith(f"{place}: ")


RESOURCE = """\
map: ADT_A01
events: [ADT^A01]
groups:
  visit: {starts: PV1, with: [PV2]}
resources:
  patient:
"""

SPECS = [
    ("no type", "key: {from: PID-3}", "'to' is missing", 7),
    ("no key", "to: Patient", "'key' is missing", 7),
    ("an unknown type", "to: Person2\nkey: {from: PID-3}", "no resource type", 7),
    ("an unknown key", "to: Patient\nwho: {from: PID-3}", "a resource has no key 'who'", 8),
    ("an unknown group", "to: Patient\nkey: {from: PID-3}\nin: stay", "no group 'stay'", 9),
    ("an unknown map", "to: Patient\nkey: {from: PID-3}\nuse: PID", "no segment map 'PID'", 9),
    ("a map of another type", "to: Patient\nkey: {from: PID-3}\nuse: OBX", "makes Observat", 9),
    ("a constant key", "to: Patient\nkey: {const: me}", "a key must read something", 8),
    ("a key that points down", "to: Patient\nkey: {join: [{ref: patient}]}", "called 'patie", 8),
    ("an unknown kept element", "to: Patient\nkey: {from: PID-3}\nkeep: [size]", "'size'", 9),
    ("another else", "to: Patient\nkey: {from: PID-3}\nelse: chance", "'else' is 'message'", 9),
    ("an odd apart", "to: Patient\nkey: {from: PID-3}\napart: often", "'apart'", 9),
    ("a required element without rule", "to: Task\nkey: {from: PID-3}", "Task.status", 7),
    ("a path outside the group", "to: Patient\nin: visit\nkey: {from: PID-3}", "has no PID", 9),
]


@pytest.mark.parametrize(
    ("spec", "says", "line"), [row[1:] for row in SPECS], ids=[row[0] for row in SPECS]
)
def test_a_wrong_resource_is_an_error_at_its_line(
    tmp_path: Path, spec: str, says: str, line: int
) -> None:
    body = "".join(f"    {one}\n" for one in spec.splitlines())
    files = {
        MAP: RESOURCE + body,
        "hl7v2/segments/OBX.yaml": "map: OBX\nto: Observation\n",
    }
    with pytest.raises(MapError, match=says.replace("[", r"\[")) as raised:
        load([write(tmp_path, files)])
    assert raised.value.place == f"{MAP}:{line}"


FILES = [
    ("no YAML", {MAP: "map: [\n"}, f"{MAP}:2", "node content"),
    ("no mapping", {MAP: "- a\n"}, f"{MAP}:1", "YAML mapping"),
    ("another name", {MAP: "map: ADT\nevents: []\nresources: {}\n"}, f"{MAP}:1", "says 'ADT_A01'"),
    ("no event", {MAP: "map: ADT_A01\nevents: [A01]\nresources: {}\n"}, f"{MAP}:2", "no event"),
    ("no resources", {MAP: "map: ADT_A01\nevents: [ADT^A01]\n"}, f"{MAP}:1", "'resources' is mi"),
    (
        "an unknown key",
        {MAP: "map: ADT_A01\nevents: [ADT^A01]\nextra: 1\nresources: {}\n"},
        f"{MAP}:3",
        "no key 'extra'",
    ),
    (
        "an event served twice",
        {
            "hl7v2/messages/A.yaml": "map: A\nevents: [ADT^A01]\nresources: {}\n",
            "hl7v2/messages/B.yaml": "map: B\nevents: [ADT^A01]\nresources: {}\n",
        },
        "hl7v2/messages/B.yaml:2",
        "already served by 'A'",
    ),
    (
        "a segment that starts two groups",
        {
            MAP: "map: ADT_A01\nevents: [ADT^A01]\ngroups:\n  a: {starts: PV1}\n"
            "  b: {starts: PV1}\nresources: {}\n"
        },
        f"{MAP}:5",
        "PV1 already starts 'a'",
    ),
    (
        "an unknown parent group",
        {
            MAP: "map: ADT_A01\nevents: [ADT^A01]\ngroups:\n  a: {starts: PV1, in: b}\n"
            "resources: {}\n"
        },
        f"{MAP}:4",
        "no group 'b'",
    ),
    (
        "no segment",
        {MAP: "map: ADT_A01\nevents: [ADT^A01]\ngroups:\n  a: {starts: Pv1}\nresources: {}\n"},
        f"{MAP}:4",
        "no segment's name",
    ),
    (
        "nothing to extend",
        {"hl7v2/segments/PID.yaml": "map: PID\n", MAP: patient_map("x: drop")},
        f"{MAP}:8",
        "no element 'x'",
    ),
    (
        "a data type map in a circle",
        {
            "hl7v2/datatypes/A.yaml": "map: A\nto: Period\nextension:\n"
            "  {url: {const: x}, valuePeriod: {from: ., as: A}}\n"
        },
        "hl7v2/datatypes/A.yaml:4",
        "back to itself",
    ),
    (
        "a data type that R4 lacks",
        {"hl7v2/datatypes/A.yaml": "map: A\nto: Thing\n"},
        "hl7v2/datatypes/A.yaml:2",
        "no type 'Thing'",
    ),
    (
        "another type's path",
        {"hl7v2/datatypes/CX.yaml": "map: CX\nto: Identifier\nvalue: {from: EI.1}\n"},
        "hl7v2/datatypes/CX.yaml:3",
        "paths here begin with 'CX.'",
    ),
    (
        "a table without its column",
        {"hl7v2/tables/t.csv": "code,value\n"},
        "hl7v2/tables/t.csv:1",
        "'target' is missing",
    ),
    (
        "a table with a code twice",
        {"hl7v2/tables/t.csv": "code,target\na,b\na,c\n"},
        "hl7v2/tables/t.csv:3",
        "twice",
    ),
    (
        "a table's row without code",
        {"hl7v2/tables/t.csv": "code,target\n,c\n"},
        "hl7v2/tables/t.csv:2",
        "without a code",
    ),
]


@pytest.mark.parametrize(
    ("files", "place", "says"), [row[1:] for row in FILES], ids=[row[0] for row in FILES]
)
def test_a_wrong_file_is_an_error_at_its_line(
    tmp_path: Path, files: dict[str, str], place: str, says: str
) -> None:
    with pytest.raises(MapError) as raised:
        load([write(tmp_path, files)])
    assert raised.value.place == place
    assert says in str(raised.value)


def test_a_folder_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(MapError, match="no such folder"):
        load([tmp_path / "nowhere"])


def test_extending_nothing_is_an_error(tmp_path: Path) -> None:
    files = {
        "hl7v2/messages/A.yaml": "map: A\nevents: [ADT^A01]\nresources:\n"
        "  patient: {to: Patient, key: {from: PID-3}, use: PID}\n",
        "hl7v2/segments/PID.yaml": "map: PID\nextends: true\nto: Patient\n",
    }
    with pytest.raises(MapError, match=r"hl7v2/segments/PID.yaml:2: no other segment map"):
        load([write(tmp_path, files)])
