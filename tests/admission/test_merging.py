"""Merges and late messages through a whole pipeline, on both engines."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import NotFound
from gateway.exchange.searching import Search
from gateway.model import Context, Receipt
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings, shipped
from gateway.store import Hub
from tests.shipped import library

CLINIC = Context("cedar-general", "test")
BANK = Context("food-bank", "test")
REFERRAL = (shipped("mappings") / "agencies" / "cedar-general" / "food-referral.hl7").read_bytes()
LOSER = re.search(rb"\rPID\|1\|\|([^~|]*)", REFERRAL)[1].decode()  # type: ignore[index]
SURVIVOR = "99001^^^CEDARGEN^MR"


@pytest.fixture
def pipeline(hub: Hub) -> Iterator[Pipeline]:
    settings = Settings()
    pipeline = Pipeline(hub, library(), settings, as_message)
    for agency in ("cedar-general", "food-bank"):
        pipeline.add_agency(agency, None)
    yield pipeline
    asyncio.run(pipeline.close())


def send(pipeline: Pipeline, raw: bytes) -> Receipt:
    return pipeline.accept(*as_message("cedar-general", "mllp", raw)).result()


def adt(event: str, at: str, *segments: str) -> bytes:
    """An ADT message of the clinic; ``at`` is the minute, and makes its control id."""
    head = f"MSH|^~\\&|EHR|CEDARGEN|HUB|COUNTY|{at}||ADT^{event}|{event}{at}|P|2.5.1"
    return "\r".join((head, f"EVN||{at}", *segments, "")).encode()


def merged(at: str, survivor: str = SURVIVOR, loser: str = LOSER) -> bytes:
    return adt("A40", at, f"PID|1||{survivor}||Novak^Elena||19870322|F", f"MRG|{loser}")


def found(pipeline: Pipeline, type: str, context: Context = CLINIC, **query: str) -> list[Any]:
    page = pipeline.search(context, Search(type, [*query.items(), ("_count", "200")])).page
    return [json.loads(each.body) for each in page.entries]


def known(pipeline: Pipeline, number: str, context: Context = CLINIC) -> Any:
    (patient,) = found(pipeline, "Patient", context, identifier=number)
    return patient


def both(pipeline: Pipeline) -> tuple[Any, Any]:
    """The retired Patient and its heir."""
    return known(pipeline, LOSER.partition("^")[0]), known(pipeline, "99001")


def test_after_a_merge_all_refers_to_the_heir_and_the_performer_still_sees_whom_it_serves(
    pipeline: Pipeline,
) -> None:
    send(pipeline, REFERRAL)
    before = {each["id"] for each in found(pipeline, "Condition")}
    assert before
    assert send(pipeline, merged("202611200900")).acknowledgement == "AA"
    loser, heir = both(pipeline)
    assert loser["active"] is False
    to = {each["type"]: each["other"]["reference"] for each in loser["link"] + heir["link"]}
    assert to == {
        "replaced-by": f"Patient/{heir['id']}",
        "replaces": f"Patient/{loser['id']}",
    }
    (task,) = found(pipeline, "Task", BANK)
    assert task["for"]["reference"] == f"Patient/{heir['id']}"
    assert pipeline.read(BANK, "Patient", heir["id"])
    for type in ("ServiceRequest", "Condition"):
        assert not found(pipeline, type, subject=f"Patient/{loser['id']}")
    assert {
        c["id"] for c in found(pipeline, "Condition", subject=f"Patient/{heir['id']}")
    } == before


def test_records_that_are_linked_stay_apart_until_they_are_unlinked(pipeline: Pipeline) -> None:
    send(pipeline, REFERRAL)
    pair = (f"PID|1||{SURVIVOR}||Novak^Elena||19870322|F", f"PID|2||{LOSER}")
    assert send(pipeline, adt("A24", "202611200900", *pair)).acknowledgement == "AA"
    loser, other = both(pipeline)
    assert [each["type"] for each in loser["link"] + other["link"]] == ["seealso", "seealso"]
    assert "active" not in loser
    assert send(pipeline, adt("A37", "202611200930", *pair)).acknowledgement == "AA"
    assert not any("link" in each for each in both(pipeline))


def test_what_was_moved_is_on_record_so_that_it_can_be_undone(pipeline: Pipeline) -> None:
    send(pipeline, REFERRAL)
    send(pipeline, merged("202611200900"))
    loser, heir = both(pipeline)
    (task,) = found(pipeline, "Task")
    sources = found(pipeline, "Provenance", target=f"Task/{task['id']}")
    (record,) = [each for each in sources if each["activity"]["text"] == "merge"]
    told = {each["role"]: each["what"]["reference"] for each in record["entity"]}
    assert told == {"removal": f"Patient/{loser['id']}", "source": f"Patient/{heir['id']}"}


def test_a_late_message_does_not_revive_the_retired_and_is_about_the_heir(
    pipeline: Pipeline,
) -> None:
    send(pipeline, REFERRAL)
    send(pipeline, merged("202611200900"))
    loser, heir = both(pipeline)
    late = adt(
        "A08",
        "202611201000",
        f"PID|1||{LOSER}||Other^Name||19870322|F",
        "PV1|1|O|||||||||||||||||V77^^^CEDARGEN^VN",
    )
    receipt = send(pipeline, late)
    assert receipt.acknowledgement == "AA"
    assert "PID-3" in [issue.place for issue in receipt.issues]
    assert both(pipeline)[0] == loser
    (visit,) = found(pipeline, "Encounter", identifier="V77")
    assert visit["subject"]["reference"] == f"Patient/{heir['id']}"


def test_a_merge_said_again_or_the_other_way_round_changes_nothing(pipeline: Pipeline) -> None:
    send(pipeline, REFERRAL)
    send(pipeline, merged("202611200900"))
    before = both(pipeline)
    for again in (
        merged("202611200901"),
        merged("202611200902", survivor=LOSER, loser=SURVIVOR),
    ):
        assert send(pipeline, again).acknowledgement == "AA"
        assert both(pipeline) == before


def test_a_record_merged_into_itself_is_refused_and_changes_nothing(pipeline: Pipeline) -> None:
    receipt = send(pipeline, merged("202611200900", loser=SURVIVOR))
    assert receipt.acknowledgement == "AE"
    assert b"\rERR||MRG^1^1|205^" in receipt.answer
    assert not found(pipeline, "Patient")


def test_an_older_message_only_adds_what_newer_ones_lack(pipeline: Pipeline) -> None:
    send(pipeline, adt("A08", "202611201000", f"PID|1||{LOSER}||New^Name||19870322|F"))
    older = adt("A08", "202611200900", f"PID|1||{LOSER}||Old^Name|||M|||1 Main St^^Amana^IA")
    receipt = send(pipeline, older)
    assert (receipt.acknowledgement, receipt.issues[-1].place) == ("AA", "MSH-7")
    (patient,) = found(pipeline, "Patient")
    assert patient["name"][0]["family"] == "New"
    assert patient["gender"] == "female"
    assert patient["address"][0]["city"] == "Amana"


def test_a_newer_message_that_says_the_same_makes_the_fact_newer(pipeline: Pipeline) -> None:
    pid = f"PID|1||{LOSER}||{{}}^Name||19870322|F"
    send(pipeline, adt("A08", "202611200800", pid.format("True")))
    send(pipeline, adt("A08", "202611201000", pid.format("True")))
    send(pipeline, adt("A08", "202611200900", pid.format("Old")))
    assert found(pipeline, "Patient")[0]["name"][0]["family"] == "True"
    send(pipeline, adt("A08", "202611201100", pid.format("Newer")))
    assert found(pipeline, "Patient")[0]["name"][0]["family"] == "Newer"


def test_a_final_result_is_not_made_preliminary_by_an_older_message(pipeline: Pipeline) -> None:
    def result(at: str, status: str, value: str) -> bytes:
        head = f"MSH|^~\\&|LAB|CEDARGEN|HUB|COUNTY|{at}||ORU^R01^ORU_R01|R{at}|P|2.5.1"
        obr = f"OBR|1|O1^EHR|F1^LAB|24323-8^Panel^LN|||2026112007||||||||||||||||||{status}"
        obx = f"OBX|1|NM|2345-7^Glucose^LN||{value}|mg/dL|||||{status}"
        pid = f"PID|1||{LOSER}||Novak^Elena"
        return "\r".join((head, pid, "ORC|RE|O1^EHR|F1^LAB", obr, obx, "")).encode()

    assert send(pipeline, result("202611201000", "F", "72")).acknowledgement == "AA"
    assert send(pipeline, result("202611200900", "P", "99")).acknowledgement == "AA"
    (observation,) = found(pipeline, "Observation")
    (report,) = found(pipeline, "DiagnosticReport")
    assert (observation["status"], report["status"]) == ("final", "final")
    assert observation["valueQuantity"]["value"] == 72


def reads(pipeline: Pipeline, context: Context, id: str) -> bool:
    try:
        return bool(pipeline.read(context, "Patient", id))
    except NotFound:
        return False


def unlink(pipeline: Pipeline, patient: Any) -> None:
    """The clinic takes a wrong merge back."""
    alone = {name: value for name, value in patient.items() if name != "link"} | {"active": True}
    raw = json.dumps(alone).encode()
    pipeline.update(CLINIC, "Patient", patient["id"], raw).result()


def test_a_merge_that_is_undone_leaves_the_performer_no_right_to_the_other_person(
    pipeline: Pipeline,
) -> None:
    send(pipeline, REFERRAL)
    before = {each["id"] for each in found(pipeline, "Condition")}
    send(pipeline, merged("202611200900"))
    loser, heir = both(pipeline)
    (task,) = found(pipeline, "Task", BANK)
    accepted = json.dumps({**task, "status": "accepted"}).encode()
    pipeline.update(BANK, "Task", task["id"], accepted).result()
    assert reads(pipeline, BANK, heir["id"])
    unlink(pipeline, loser)
    assert not reads(pipeline, BANK, heir["id"])
    assert reads(pipeline, BANK, loser["id"])
    (task,) = found(pipeline, "Task", BANK)
    assert task["for"]["reference"] == f"Patient/{loser['id']}"
    moved = found(pipeline, "Condition", subject=f"Patient/{loser['id']}")
    assert {each["id"] for each in moved} == before
    done = json.dumps({**task, "status": "completed"}).encode()
    pipeline.update(BANK, "Task", task["id"], done).result()
    assert not reads(pipeline, BANK, heir["id"])


def test_an_undone_merge_moves_back_only_what_it_moved(pipeline: Pipeline) -> None:
    send(pipeline, REFERRAL)
    send(pipeline, adt("A08", "202611200800", f"PID|1||{SURVIVOR}||Novak^Elena||19870322|F"))
    loser, heir = (known(pipeline, each) for each in (LOSER.partition("^")[0], "99001"))
    links = [{"entity": {"reference": f"Patient/{each['id']}"}} for each in (loser, heir)]
    group = {"resourceType": "Group", "type": "person", "actual": True, "member": links}
    own = {"resourceType": "Condition", "subject": links[1]["entity"]}
    for type, each in (("Group", group), ("Condition", own)):
        pipeline.create(CLINIC, type, json.dumps(each).encode()).result()
    send(pipeline, merged("202611200900"))
    unlink(pipeline, known(pipeline, LOSER.partition("^")[0]))
    assert len(found(pipeline, "Condition", subject=f"Patient/{heir['id']}")) == 1
    (kept,) = found(pipeline, "Group")
    assert [each["entity"] for each in kept["member"]] == [links[1]["entity"]] * 2
    said = {
        each["activity"]["text"] for each in found(pipeline, "Provenance") if "activity" in each
    }
    assert {"merge", "merge of what named both", "merge undone"} <= said
