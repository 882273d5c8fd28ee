"""Kept messages tried again, over a whole pipeline, on both engines."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Conflict, NotFound
from gateway.exchange.searching import Search
from gateway.members import KEEPER
from gateway.model import Context, Receipt
from gateway.pipeline import NOBODY, Pipeline
from gateway.receive.arrival import as_message, take_in
from gateway.settings import Settings
from gateway.store import Hub, Kept
from tests.agencies import Clinic, admission, small_library

CLINIC = Context("clinic", "test")
PANTRY = Context("pantry", "test")


@pytest.fixture
def pipeline(hub: Hub) -> Iterator[Pipeline]:
    pipeline = Pipeline(hub, small_library(), Settings(), as_message)
    yield pipeline
    asyncio.run(pipeline.close())


@pytest.fixture
def clinic(pipeline: Pipeline, tmp_path: Path) -> Clinic:
    return Clinic(pipeline, tmp_path / "clinic", unmapped="warn")


def kept(pipeline: Pipeline, receipt: Receipt) -> Kept:
    return pipeline.message(KEEPER, receipt.message)


def found(pipeline: Pipeline, type: str, context: Context = CLINIC) -> list[Any]:
    page = pipeline.search(context, Search(type, [("_count", "100")])).page
    return [json.loads(each.body) for each in page.entries]


def replay(pipeline: Pipeline, receipt: Receipt, **more: Any) -> Receipt:
    return pipeline.replay(KEEPER, receipt.message, **more).result()


def trail(hub: Hub) -> list[tuple[str, str, str]]:
    with hub.read() as reader:
        return [(line.action, line.target, line.outcome) for line in reader.audited()]


def test_a_message_that_failed_goes_in_once_its_map_is_mended(
    pipeline: Pipeline, clinic: Clinic, hub: Hub
) -> None:
    failed = clinic.admits("202603011000+0000", status="Q")
    assert failed.acknowledgement == "AE"
    assert replay(pipeline, failed).acknowledgement == "AE"
    assert found(pipeline, "Patient") == []
    clinic.tables(status="Q,in-progress")
    again = replay(pipeline, failed)
    assert (again.acknowledgement, again.message) == ("AA", failed.message)
    assert [each["status"] for each in found(pipeline, "Encounter")] == ["in-progress"]
    assert (kept(pipeline, failed).status, kept(pipeline, failed).reason) == ("accepted", "")
    outcomes = [line for line in trail(hub) if line[0] == "replay"]
    assert outcomes == [("replay", failed.message, "failed"), ("replay", failed.message, "success")]


def test_a_resend_gets_the_answer_of_the_replay(pipeline: Pipeline, clinic: Clinic) -> None:
    failed = clinic.admits("202603011000+0000", status="Q")
    clinic.tables(status="Q,in-progress")
    again = replay(pipeline, failed)
    resent = clinic.admits("202603011000+0000", status="Q")
    assert (resent.acknowledgement, resent.answer, resent.repeated) == ("AA", again.answer, True)
    assert b"MSA|AA|C202603011000" in again.answer


def test_a_late_replay_overwrites_nothing_newer(pipeline: Pipeline, clinic: Clinic) -> None:
    failed = clinic.admits("202603011000+0000", status="Q", family="Old", marital="M")
    clinic.admits("202603011200+0000", family="New")
    clinic.tables(status="Q,in-progress", marital="M,M")
    assert replay(pipeline, failed).acknowledgement == "AA"
    (patient,) = found(pipeline, "Patient")
    assert patient["name"][0]["family"] == "New"
    assert "maritalStatus" in patient  # what the newer one didn't tell


def test_a_message_without_a_time_is_as_old_as_its_arrival(
    pipeline: Pipeline, clinic: Clinic
) -> None:
    timeless = admission("", status="Q", family="Old")
    failed = clinic.sends(timeless)
    now = datetime.now(UTC).strftime("%Y%m%d%H%M%S.%f+0000")
    clinic.admits(now, family="New")
    clinic.tables(status="Q,in-progress")
    assert replay(pipeline, failed).acknowledgement == "AA"
    assert found(pipeline, "Patient")[0]["name"][0]["family"] == "New"


def test_a_mended_body_is_tried_and_what_came_stays(
    pipeline: Pipeline, clinic: Clinic, hub: Hub
) -> None:
    came = admission("202603011000+0000").replace(b"7^^^CLINIC^MR", b"")
    failed = clinic.sends(came)
    assert failed.acknowledgement == "AE"
    wrong, right = came.replace(b"|P|", b"||"), admission("202603011000+0000")
    assert replay(pipeline, failed, body=wrong).acknowledgement == "AE"
    assert replay(pipeline, failed, body=right).acknowledgement == "AA"
    assert kept(pipeline, failed).message.raw == came
    with hub.read() as reader:
        assert [each.raw for each in reader.mended(failed.message)] == [wrong, right]
    assert replay(pipeline, failed).acknowledgement == "AA"  # the mended one serves from now on
    assert clinic.sends(came).acknowledgement == "AA"
    assert len(found(pipeline, "Patient")) == 1


def test_what_was_accepted_stays_so(pipeline: Pipeline, clinic: Clinic) -> None:
    accepted = clinic.admits("202603011000+0000")
    assert replay(pipeline, accepted, body=b"MSH|^~\\&|EHR").acknowledgement != "AA"
    assert kept(pipeline, accepted).status == "accepted"
    assert kept(pipeline, accepted).answer == accepted.answer


def test_a_replay_that_tells_nothing_new_changes_nothing(
    pipeline: Pipeline, clinic: Clinic
) -> None:
    accepted = clinic.admits("202603011000+0000")
    before = found(pipeline, "Patient")
    assert replay(pipeline, accepted).acknowledgement == "AA"
    assert found(pipeline, "Patient") == before


def test_a_message_of_nobody_becomes_a_member_s(pipeline: Pipeline, clinic: Clinic) -> None:
    raw = admission("202603011000+0000")
    lost = pipeline.accept(*as_message(NOBODY, "mllp", raw)).result()
    assert lost.acknowledgement == "AR"
    assert replay(pipeline, lost).acknowledgement == "AR"
    with pytest.raises(NotFound):
        replay(pipeline, lost, agency="nobody-knows")
    assert replay(pipeline, lost, agency="clinic").acknowledgement == "AA"
    assert kept(pipeline, lost).message.agency == "clinic"
    assert len(found(pipeline, "Patient")) == 1
    with pytest.raises(Conflict):
        replay(pipeline, lost, agency="pantry")


def test_who_may_not_see_a_message_may_not_replay_it(pipeline: Pipeline, clinic: Clinic) -> None:
    accepted = clinic.admits("202603011000+0000")
    for context, id in ((PANTRY, accepted.message), (KEEPER, "no-such")):
        with pytest.raises(NotFound):
            pipeline.replay(context, id)


def test_what_is_under_way_or_a_batch_is_not_replayed(
    pipeline: Pipeline, clinic: Clinic, hub: Hub
) -> None:
    message, word = as_message("clinic", "mllp", admission("202603011000+0000"))
    pipeline.receive(message, word).result()
    with pytest.raises(Conflict):
        pipeline.replay(KEEPER, message.id)
    batch = b"FHS|^~\\&|EHR\rBHS|^~\\&|EHR\r" + admission("202603011100+0000") + b"BTS|1\rFTS|1\r"
    whole = take_in(pipeline, "clinic", "mllp", batch).result()
    assert whole.acknowledgement == "AA"
    with pytest.raises(Conflict):
        replay(pipeline, whole)


def test_what_came_out_of_its_turn_is_its_sender_s_to_send(
    pipeline: Pipeline, clinic: Clinic
) -> None:
    start, third = (
        admission(at).replace(b"|P|2.5.1", b"|P|2.5.1|%d" % number)
        for at, number in (("202603011000+0000", -1), ("202603011100+0000", 3))
    )
    head = start.split(b"\r")[0] + b"\r"
    assert clinic.sends(head).acknowledgement == "AA"
    clinic.sends(admission("202603011030+0000").replace(b"|P|2.5.1", b"|P|2.5.1|1"))
    early = clinic.sends(third)
    assert kept(pipeline, early).place == "MSH-13"
    with pytest.raises(Conflict):
        replay(pipeline, early)


def test_a_replay_that_fails_alike_tells_the_same(pipeline: Pipeline, clinic: Clinic) -> None:
    failed = clinic.admits("202603011000+0000", status="Q")
    was = kept(pipeline, failed)
    replay(pipeline, failed)
    now = kept(pipeline, failed)
    assert (now.stage, now.place, now.reason) == (was.stage, was.place, was.reason)
