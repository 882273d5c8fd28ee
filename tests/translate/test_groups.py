from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gateway.errors import TranslateError
from gateway.translate import load
from tests.translate.maps import HEADER, run, write

MAP = """\
map: ADT_A01
events: [ADT^A01]
groups:
  order: {starts: [ORC, OBR], with: [NTE, TQ1]}
  result: {in: order, starts: OBX, with: [NTE]}
resources:
  patient:
    to: Patient
    key: {from: PID-3}
    set: {contact: {name: {text: {join: [{each: ZNT-1}, NTE-3]}}}}
  request:
    in: order
    if: OBR exists
    to: ServiceRequest
    key: {join: [{ref: patient}, OBR-2]}
    set:
      status: {const: active}
      intent: {const: order}
      subject: {ref: patient}
      requisition: {value: {from: ORC-2}}
      note: {each: NTE, text: {from: NTE-3}}
      supportingInfo: [{ref: result}, {ref: patient}]
  result:
    in: result
    to: Observation
    key: {join: [{ref: patient}, ^OBR-2, OBX-3]}
    set:
      status: {const: final}
      code: {text: {from: OBX-3}}
      subject: {ref: patient}
      basedOn: {ref: request}
      effectiveDateTime: {from: ^OBR-7}
      note: {each: NTE, text: {from: NTE-3}}
"""


def translated(folder: Path, *segments: str) -> list[dict[str, Any]]:
    loaded = load([write(folder, {"hl7v2/messages/ADT_A01.yaml": MAP})])
    return [entry.resource for entry in run(loaded, "PID|1||7", *segments).entries]


def kinds(resources: list[dict[str, Any]]) -> list[str]:
    return [one["resourceType"] for one in resources]


def test_a_forerunner_joins_the_segment_that_it_announces(tmp_path: Path) -> None:
    made = translated(tmp_path, "ORC|NW|P1", "OBR|1|A", "OBR|2|B", "ORC|NW|P3", "OBR|3|C")
    requests = [one for one in made if one["resourceType"] == "ServiceRequest"]
    assert [one.get("requisition", {}).get("value") for one in requests] == ["P1", None, "P3"]


def test_a_forerunner_alone_is_an_instance_without_its_segment(tmp_path: Path) -> None:
    assert kinds(translated(tmp_path, "ORC|NW|P1", "ORC|NW|P2")) == ["Patient"]


def test_notes_belong_to_whom_they_follow(tmp_path: Path) -> None:
    made = translated(
        tmp_path,
        "OBR|1|A|||||2024",
        "NTE|1||order",
        "OBX|1||X",
        "NTE|1||x1",
        "NTE|2||x2",
        "OBX|2||Y",
        "PV1|1",
        "NTE|1||message",
    )
    patient, request, first, second = made
    assert request["note"] == [{"text": "order"}]
    assert [note["text"] for note in first["note"]] == ["x1", "x2"]
    assert "note" not in second
    assert patient["contact"][0]["name"]["text"] == "message"
    assert first["effectiveDateTime"] == "2024"


def test_a_reference_means_the_nearest(tmp_path: Path) -> None:
    made = translated(tmp_path, "OBR|1|A", "OBX|1||X", "OBX|1||Y", "OBR|2|B", "OBX|1||X")
    patient, first, second, x, y, other = (f"{one['resourceType']}/{one['id']}" for one in made)
    infos = [[one["reference"] for one in made[n]["supportingInfo"]] for n in (1, 2)]
    assert infos == [[x, y, patient], [other, patient]]
    assert [made[n]["basedOn"] for n in (3, 4, 5)] == [
        [{"reference": one}] for one in (first, first, second)
    ]


def test_a_member_of_an_outer_group_closes_the_inner_one(tmp_path: Path) -> None:
    made = translated(tmp_path, "OBR|1|A", "OBX|1||X", "TQ1|1", "NTE|1||order again")
    assert made[1]["note"] == [{"text": "order again"}]
    assert "note" not in made[2]


def test_z_segments_belong_to_the_message_and_close_nothing(tmp_path: Path) -> None:
    made = translated(tmp_path, "OBR|1|A", "OBX|1||X", "ZNT|z", "NTE|1||still x")
    assert made[0]["contact"][0]["name"]["text"] == "z"
    assert made[2]["note"] == [{"text": "still x"}]


def test_a_group_without_its_parent_gets_an_empty_one(tmp_path: Path) -> None:
    made = translated(tmp_path, "OBX|1||X", "OBX|2||Y")
    assert kinds(made) == ["Patient", "Observation", "Observation"]
    assert "basedOn" not in made[1]


@pytest.mark.parametrize(
    ("event", "condition"), [("ADT^A99", "201"), ("XYZ^Z01", "200"), ("ADT", "201")]
)
def test_an_event_without_a_map_is_refused_at_msh_9(
    tmp_path: Path, event: str, condition: str
) -> None:
    loaded = load([write(tmp_path, {"hl7v2/messages/ADT_A01.yaml": MAP})])
    with pytest.raises(TranslateError) as raised:
        run(loaded, "PID|1||7", header=HEADER.replace("ADT^A01^ADT_A01", event))
    issue = raised.value.issues[0]
    assert (issue.place, issue.condition, issue.code) == ("MSH-9", condition, "not-supported")


PAIRS = """\
map: ADT_A01
events: [ADT^A01]
resources:
  doctor:
    each: PV1-7
    if: .2 != Nobody
    to: Practitioner
    key: {from: .1}
  role:
    each: PV1-7
    to: PractitionerRole
    key: {from: .1}
    set: {practitioner: {ref: doctor}}
  problem:
    each: DG1
    to: Condition
    key: {from: DG1-3}
    set: {subject: {reference: {const: Patient/1}}, encounter: {ref: visit}}
  visit:
    to: Encounter
    key: {from: PV1-19}
    set:
      status: {const: finished}
      class: {code: {const: AMB}}
      participant: {each: PV1-7, type: {text: {from: .3}}, individual: {ref: doctor}}
      diagnosis: {each: DG1, condition: {ref: problem}, rank: {from: DG1-15}}
      reasonReference: {ref: problem}
"""


def test_under_the_same_each_a_reference_means_the_one_made_of_it(tmp_path: Path) -> None:
    loaded = load([write(tmp_path, {"hl7v2/messages/ADT_A01.yaml": PAIRS})])
    made = [
        entry.resource
        for entry in run(
            loaded,
            "PV1|1||||||1^A^x~2^Nobody^y~3^C^z||||||||||||V",
            "DG1|1||P||||||||||||2",
            "DG1|2||Q||||||||||||1",
        ).entries
    ]
    one, three, *roles = made[:5]
    p, q, visit = made[5:]
    assert [role.get("practitioner") for role in roles] == [
        {"reference": f"Practitioner/{one['id']}"},
        None,
        {"reference": f"Practitioner/{three['id']}"},
    ]
    assert [(who["type"][0]["text"], "individual" in who) for who in visit["participant"]] == [
        ("x", True),
        ("y", False),
        ("z", True),
    ]
    assert visit["participant"][2]["individual"]["reference"] == f"Practitioner/{three['id']}"
    conditions = [f"Condition/{each['id']}" for each in (p, q)]
    assert [(one["condition"]["reference"], one["rank"]) for one in visit["diagnosis"]] == [
        (conditions[0], 2),
        (conditions[1], 1),
    ]
    assert [one["reference"] for one in visit["reasonReference"]] == conditions
    assert p["encounter"] == {"reference": f"Encounter/{visit['id']}"}


def test_what_stands_between_the_starts_may_repeat(tmp_path: Path) -> None:
    text = MAP.replace("[ORC, OBR], with: [NTE, TQ1]", "[ORC, TQ1, OBR], with: [NTE]")
    loaded = load([write(tmp_path, {"hl7v2/messages/ADT_A01.yaml": text})])
    sent = ("ORC|NW|P1", "TQ1|1", "TQ1|2", "OBR|1|A", "TQ1|3", "NTE|1||x", "TQ1|1", "OBR|2|B")
    made = [entry.resource for entry in run(loaded, "PID|1||7", *sent).entries]
    assert kinds(made) == ["Patient", "ServiceRequest", "ServiceRequest"]
    assert made[1]["requisition"] == {"value": "P1"}
    assert made[1]["note"] == [{"text": "x"}]
