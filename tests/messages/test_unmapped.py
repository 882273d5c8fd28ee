"""``unmapped: task`` over a whole pipeline: who is asked, what waits, and what frees it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import structlog

from gateway.errors import NotFound
from gateway.exchange.searching import Search
from gateway.members import KEEPER
from gateway.messages import unmapped
from gateway.model import Context, Receipt
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub
from tests.agencies import Clinic, admission, parts, small_library

CLINIC = Context("clinic", "test")
PANTRY = Context("pantry", "test")


def opened(hub: Hub) -> Pipeline:
    return Pipeline(hub, small_library(), Settings(), as_message)


@pytest.fixture
def pipeline(hub: Hub) -> Iterator[Pipeline]:
    pipeline = opened(hub)
    pipeline.add_agency("pantry", None)
    yield pipeline
    pipeline.stop()
    asyncio.run(pipeline.close())


@pytest.fixture
def clinic(pipeline: Pipeline, tmp_path: Path) -> Clinic:
    return Clinic(pipeline, tmp_path / "clinic")


def found(pipeline: Pipeline, type: str, context: Context = CLINIC) -> list[Any]:
    page = pipeline.search(context, Search(type, [("_count", "100"), ("_sort", "_id")])).page
    return [json.loads(each.body) for each in page.entries]


def the_task(pipeline: Pipeline, context: Context = CLINIC) -> Any:
    (task,) = found(pipeline, "Task", context)
    return task


def patient(pipeline: Pipeline) -> Any:
    (one,) = found(pipeline, "Patient")
    return one


def status(pipeline: Pipeline, receipt: Receipt) -> str:
    return pipeline.message(KEEPER, receipt.message).status


def put(pipeline: Pipeline, task: Any, context: Context = CLINIC, **changes: Any) -> None:
    raw = json.dumps({**task, **changes}).encode()
    pipeline.update(context, "Task", task["id"], raw, None).result()


# --- who is asked ---------------------------------------------------------------------------------


def test_an_unknown_code_goes_in_and_makes_a_task(pipeline: Pipeline, clinic: Clinic) -> None:
    receipt = clinic.admits("202603011000+0000", sex="Q7")
    assert receipt.acknowledgement == "AA"
    assert [issue.condition for issue in receipt.issues] == ["103"]
    assert "gender" not in patient(pipeline)
    task = the_task(pipeline)
    assert (task["status"], task["owner"]) == ("requested", {"reference": "Organization/clinic"})
    assert parts(task) == {
        "agency": {"reference": "Organization/clinic"},
        "table": "sex",
        "place": "PID-8",
        "code": "Q7",
        "messages": f"/intake/messages?task={task['id']}",
    }
    assert task["reasonReference"]["identifier"]["value"] == receipt.message


def test_a_code_is_asked_for_once(pipeline: Pipeline, clinic: Clinic) -> None:
    receipts = [clinic.admits(f"2026030110{n}0+0000", sex="Q7", number=str(n)) for n in range(3)]
    task = the_task(pipeline)
    waiting = pipeline.replay.waiting(CLINIC, task["id"])
    assert [each.message.id for each in waiting] == [each.message for each in reversed(receipts)]
    assert pipeline.replay.waiting(PANTRY, task["id"]) == []


def test_each_code_and_each_table_has_its_own(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7", marital="Q7^Queer^L")
    clinic.admits("202603011100+0000", sex="Q8")
    asked = {(it["table"], it["code"]): it for it in map(parts, found(pipeline, "Task"))}
    assert set(asked) == {("sex", "Q7"), ("marital", "Q7"), ("sex", "Q8")}
    assert asked["marital", "Q7"]["system"] == "L"
    assert patient(pipeline)["maritalStatus"] == {"text": "Q7"}


@pytest.mark.parametrize(
    ("said", "keeper"),
    [
        ("", CLINIC),
        ("tables-kept-by: pantry\n", PANTRY),
        ("tables-kept-by: nobody-here\n", CLINIC),
        ("tables-kept-by: hub\n", KEEPER),
    ],
)
def test_only_who_keeps_the_tables_sees_it(
    pipeline: Pipeline, tmp_path: Path, said: str, keeper: Context
) -> None:
    Clinic(pipeline, tmp_path / "clinic", said).admits("202603011000+0000", sex="Q7")
    task = the_task(pipeline, keeper)
    for other in {CLINIC, PANTRY} - {keeper}:
        with pytest.raises(NotFound):
            pipeline.read(other, "Task", task["id"])
        assert found(pipeline, "Task", other) == []


def test_the_code_is_in_no_log_answer_or_reason(
    pipeline: Pipeline, clinic: Clinic, capfd: pytest.CaptureFixture[str]
) -> None:
    with structlog.testing.capture_logs() as logs:
        receipts = [
            clinic.admits("202603011000+0000", sex="SECRET"),
            clinic.admits("202603011100+0000", status="SECRET"),
        ]
        clinic.tables(sex="SECRET,other", status="SECRET,planned")
        pipeline.replay.release()
    shown = [repr(logs), *(capfd.readouterr())]
    for receipt in receipts:
        kept = pipeline.message(KEEPER, receipt.message)
        shown += [receipt.answer.decode(), repr(receipt.issues), kept.place, kept.reason]
    assert "SECRET" not in "".join(shown)
    assert logs


def test_a_feed_of_prose_does_not_drown_its_keeper(
    pipeline: Pipeline, clinic: Clinic, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(unmapped, "MOST", 2)
    for n in range(4):
        sent = clinic.admits(f"2026030110{n}0+0000", sex=f"Q{n}", number=str(n))
        assert sent.acknowledgement == "AA"
    assert len(found(pipeline, "Task")) == 2


def test_a_keeper_may_say_no(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7")
    put(pipeline, the_task(pipeline), status="rejected", statusReason={"text": "a slip"})
    clinic.admits("202603011100+0000", sex="Q7", number="8")
    assert the_task(pipeline)["status"] == "rejected"
    clinic.tables(sex="Q7,other")
    assert pipeline.replay.release() == 1
    assert the_task(pipeline)["status"] == "rejected"
    assert {each["gender"] for each in found(pipeline, "Patient")} == {"other"}


def test_a_task_that_is_done_too_soon_is_asked_anew(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7")
    task = the_task(pipeline)
    put(pipeline, task, status="accepted")
    put(pipeline, task, status="completed")
    clinic.admits("202603011100+0000", sex="Q7", number="8")
    assert sorted(each["status"] for each in found(pipeline, "Task")) == ["completed", "requested"]
    clinic.tables(sex="Q7,other")
    assert pipeline.replay.release() == 1
    assert {each["status"] for each in found(pipeline, "Task")} == {"completed"}


# --- what waited ----------------------------------------------------------------------------------


def test_what_waited_is_replayed_once_the_table_has_it(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7")
    assert pipeline.replay.release() == 0
    assert "replay" not in {action for action, _ in trail(pipeline)}
    clinic.tables(sex="Q7,other")
    assert pipeline.replay.release() == 1
    assert patient(pipeline)["gender"] == "other"
    task = the_task(pipeline)
    assert task["status"] == "completed"
    assert parts(task, "output") == {"replayed": 1, "failed": 0}
    assert pipeline.replay.waiting(CLINIC, task["id"]) == []
    assert pipeline.replay.release() == 0


def test_what_must_have_the_code_is_kept_and_comes_in_by_itself(
    pipeline: Pipeline, clinic: Clinic
) -> None:
    failed = clinic.admits("202603011000+0000", status="Q7")
    assert failed.acknowledgement == "AE"
    told = [(issue.place, issue.condition, issue.severity) for issue in failed.issues]
    assert told == [("PV1-2", "101", "error"), ("PV1-2", "103", "warning")]
    assert found(pipeline, "Patient") == []
    assert parts(the_task(pipeline))["table"] == "status"
    assert status(pipeline, failed) == "failed"
    assert clinic.admits("202603011000+0000", status="Q7").message == failed.message
    clinic.tables(status="Q7,planned")
    assert pipeline.replay.release() == 1
    assert [each["status"] for each in found(pipeline, "Encounter")] == ["planned"]
    assert status(pipeline, failed) == "accepted"
    assert clinic.admits("202603011000+0000", status="Q7").acknowledgement == "AA"


def test_it_is_replayed_in_the_order_in_which_it_came(pipeline: Pipeline, clinic: Clinic) -> None:
    """The newer of two wins, though both wait, and though the older one failed before."""
    clinic.admits("202603011000+0000", sex="Q7", status="S", family="First")
    clinic.admits("202603011100+0000", sex="Q8", family="Second")
    clinic.tables(sex="Q7,male\nQ8,other", status="S,planned")
    assert pipeline.replay.release() == 3
    assert (patient(pipeline)["gender"], patient(pipeline)["name"]) == (
        "other",
        [{"family": "Second"}],
    )
    received = [line[1] for line in trail(pipeline) if line[0] == "replay"]
    with pipeline._hub.read() as reader:
        came = [reader.kept(KEEPER, id).message.received for id in received]
    assert came == sorted(came)
    assert len(came) == 2


def trail(pipeline: Pipeline) -> list[tuple[str, str]]:
    with pipeline._hub.read() as reader:
        return [(line.action, line.target) for line in reader.audited()]


def test_newer_facts_stay(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7", family="Old")
    clinic.admits("202603011100+0000", sex="F", family="New")
    clinic.tables(sex="Q7,other\nF,female")
    assert pipeline.replay.release() == 1
    assert (patient(pipeline)["gender"], patient(pipeline)["name"][0]["family"]) == (
        "female",
        "New",
    )


def test_what_still_lacks_another_code_waits_for_that(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7", marital="X")
    clinic.tables(sex="Q7,other")
    assert pipeline.replay.release() == 1
    assert patient(pipeline)["gender"] == "other"
    by_status = {each["status"]: parts(each)["table"] for each in found(pipeline, "Task")}
    assert by_status == {"completed": "sex", "requested": "marital"}
    clinic.tables(sex="Q7,other", marital="X,M")
    assert pipeline.replay.release() == 1
    assert {each["status"] for each in found(pipeline, "Task")} == {"completed"}


def test_a_task_is_not_done_while_something_waits(
    pipeline: Pipeline, clinic: Clinic, hub: Hub
) -> None:
    clinic.admits("202603011000+0000", sex="Q7")
    with hub.read() as reader:
        (lack,) = reader.lacking()
    assert not hub.write(partial(unmapped.settle, lack))
    assert the_task(pipeline)["status"] == "requested"


def test_a_replay_that_fails_is_told_by_the_task(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7", status="S")
    (mine,) = [each for each in found(pipeline, "Task") if parts(each)["table"] == "sex"]
    clinic.tables(sex="Q7,other")
    assert pipeline.replay.release() == 1
    task = json.loads(pipeline.read(CLINIC, "Task", mine["id"]).body)
    assert parts(task, "output") == {"replayed": 0, "failed": 1}


def test_a_code_that_is_lost_again_is_asked_for_again(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7")
    clinic.tables(sex="Q7,other")
    pipeline.replay.release()
    clinic.tables()
    clinic.admits("202603011100+0000", sex="Q7")
    assert len(found(pipeline, "Task")) == 2


def test_the_next_start_goes_on_with_it(pipeline: Pipeline, clinic: Clinic, hub: Hub) -> None:
    for n in range(4):
        clinic.admits(f"2026030110{n}0+0000", sex="Q7", number=str(n))
    clinic.tables(sex="Q7,other")
    task = the_task(pipeline)
    (first, *_) = pipeline.replay.waiting(CLINIC, task["id"])
    pipeline.replay(KEEPER, first.message.id).result()  # where a crash cut it off
    second = opened(hub)
    assert second.replay.release() == 1
    assert parts(the_task(second), "output") == {"replayed": 4, "failed": 0}
    assert {each["gender"] for each in found(second, "Patient")} == {"other"}
    asyncio.run(second.close())


def test_the_reconciler_finds_it(pipeline: Pipeline, clinic: Clinic) -> None:
    clinic.admits("202603011000+0000", sex="Q7")
    clinic.tables(sex="Q7,other")
    pipeline.behind()
    until = time.monotonic() + 30
    while the_task(pipeline)["status"] != "completed":
        assert time.monotonic() < until
        time.sleep(0.02)
    assert patient(pipeline)["gender"] == "other"


def test_a_resend_of_what_waits_makes_nothing_new(pipeline: Pipeline, clinic: Clinic) -> None:
    for _ in range(2):
        clinic.sends(admission("202603011000+0000", sex="Q7"))
    assert len(pipeline.replay.waiting(CLINIC, the_task(pipeline)["id"])) == 1


def test_no_loop_is_closed_over_it(pipeline: Pipeline, clinic: Clinic, hub: Hub) -> None:
    """The Task isn't the agency's referral: its closing profile is told nothing of it."""
    clinic.admits("202603011000+0000", sex="Q7")
    context = Context("clinic", "test")
    asked = pipeline.search(context, Search("Task", [("requester", "Organization/clinic")])).page
    assert asked.entries == ()
