"""A listener before a real pipeline and a hub: enhanced mode, batches, crashes."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import Future
from datetime import timedelta
from pathlib import Path
from uuid import uuid4
from weakref import ReferenceType, ref

import pytest

from gateway import background
from gateway.errors import NotFound
from gateway.exchange.searching import Search
from gateway.members import KEEPER
from gateway.model import Acknowledge, Context, Message, Receipt
from gateway.pipeline import Pipeline
from gateway.receive.arrival import accept_from, as_message, window
from gateway.receive.framing import Deframer, frame
from gateway.receive.mllp import listen
from gateway.settings import Settings
from gateway.store import Hub, Transaction, open_hub
from tests.shipped import library

CLINIC = Context("clinic", "test")
Ask = Callable[..., Awaitable[list[str]]]


@pytest.fixture
def pipeline(hub: Hub) -> Iterator[Pipeline]:
    pipeline = made(hub)
    pipeline.add_agency("clinic", None)
    yield pipeline
    asyncio.run(pipeline.close())


def made(hub: Hub) -> Pipeline:
    return Pipeline(hub, library(), Settings(), as_message)


def adt(accept: str = "", application: str = "", *, mrn: str = "M1", id: str = "") -> bytes:
    patient = f"PID|1||{mrn}^^^CLINIC^MR||Rivera^Ana" if mrn else "PID|1||"
    return (
        f"MSH|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302||ADT^A08^ADT_A01|{id or uuid4().hex[:20]}|P"
        f"|2.5.1|||{accept}|{application}\rEVN|A08|20260302\r{patient}\rPV1|1|O\r"
    ).encode()


def asked(
    pipeline: Pipeline, *raws: bytes, limit: int = 10**6, agency: str = "clinic"
) -> list[str]:
    """What a sender hears who sends all of it and then ends its half: whole answers."""

    async def run() -> list[str]:
        accept = accept_from(pipeline, Settings())
        listener = await listen(
            "127.0.0.1", 0, accept=accept, agency=agency, limit=limit, window=window(pipeline)
        )
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(b"".join(map(frame, raws)))
        writer.write_eof()
        heard = Deframer(10**8).feed(await reader.read())
        writer.close()
        await listener.close(5)
        return [each.decode() for each in heard]

    return asyncio.run(run())


def codes(answers: list[str]) -> list[str]:
    return [field(answer, "MSA", 1) for answer in answers]


def field(answer: str, name: str, number: int) -> str:
    line = next(line for line in answer.split("\r") if line.startswith(name))
    return line.split("|")[number]


GOOD, BAD = "M1", ""


@pytest.mark.parametrize(
    ("accept", "application", "mrn", "heard"),
    [
        ("", "", GOOD, ["AA"]),
        ("NE", "", GOOD, ["AA"]),
        ("AL", "AL", GOOD, ["CA", "AA"]),
        ("AL", "AL", BAD, ["CA", "AE"]),
        ("AL", "NE", GOOD, ["CA"]),
        ("AL", "", BAD, ["CA"]),
        ("SU", "ER", GOOD, ["CA"]),
        ("SU", "ER", BAD, ["CA", "AE"]),
        ("ER", "SU", GOOD, ["AA"]),
        ("ER", "SU", BAD, []),
        ("NE", "AL", GOOD, ["AA"]),
        ("", "AL", GOOD, ["AA"]),
        ("NE", "NE", GOOD, []),
    ],
)
def test_the_sender_hears_what_msh_15_and_msh_16_ask_for(
    pipeline: Pipeline, accept: str, application: str, mrn: str, heard: list[str]
) -> None:
    answers = asked(pipeline, adt(accept, application, mrn=mrn, id="E1"))
    assert codes(answers) == heard
    assert {field(answer, "MSA", 2) for answer in answers} <= {"E1"}
    failed = [each.message.control_id for each in pipeline.failed_messages(CLINIC)]
    assert failed == ([] if mrn else ["E1"])


@pytest.mark.parametrize("mode", ["", "AL"])
def test_a_message_without_its_number_hears_what_it_lacks(pipeline: Pipeline, mode: str) -> None:
    raw = adt(mode, mode, id="X1").replace(b"|X1|", b"||")
    (answer,) = asked(pipeline, raw)
    assert (field(answer, "MSA", 1), field(answer, "MSA", 2)) == ("AE", "")
    assert (field(answer, "ERR", 2), field(answer, "ERR", 8)) == ("MSH^1^10", "MSH-10 is required")
    (kept,) = pipeline.failed_messages(CLINIC)
    assert kept.message.raw == raw


def test_answers_keep_the_order_of_the_messages_in_either_mode(pipeline: Pipeline) -> None:
    raws = [adt("AL", "AL", id="1"), adt(id="2"), adt("AL", "NE", id="3"), adt(id="4")]
    answers = asked(pipeline, *raws)
    heard = [(field(each, "MSA", 2), field(each, "MSA", 1)) for each in answers]
    expected = [("1", "CA"), ("1", "AA"), ("2", "AA"), ("3", "CA"), ("4", "AA")]
    assert heard == expected


def test_a_large_message_is_answered_twice_too(pipeline: Pipeline) -> None:
    raw = adt("AL", "AL", id="L") + b"NTE|1||" + b"x" * 100_000 + b"\r"
    assert codes(asked(pipeline, raw, adt(id="2"))) == ["CA", "AA", "AA"]


def test_one_that_is_too_large_is_refused_in_its_own_mode(pipeline: Pipeline) -> None:
    raw = adt("AL", "AL") + b"x" * 10_000
    assert codes(asked(pipeline, raw, limit=5000)) == ["CR"]


@pytest.mark.parametrize(
    ("accept", "application", "heard"),
    [("AL", "AL", ["CE"]), ("ER", "NE", ["CE"]), ("NE", "AL", ["AE"]), ("SU", "SU", [])],
)
def test_what_cannot_be_put_on_disk_is_refused_with_ce_and_may_come_again(
    tmp_path: Path, accept: str, application: str, heard: list[str]
) -> None:
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    pipeline = made(hub)
    pipeline.add_agency("clinic", None)
    raw = adt(accept, application, id="1") + b"NTE|1||" + b"x" * 60_000 + b"\r"
    hub.write(fill)
    answers = asked(pipeline, raw)
    assert codes(answers) == heard
    for answer in answers:
        assert (field(answer, "ERR", 3)[:3], field(answer, "ERR", 4)) == ("207", "E")
    with hub.read() as reader:
        assert reader.unfinished_message(0) is None
    asked(pipeline, raw)
    assert len(pipeline.search(CLINIC, Search("Patient", [])).page.entries) == 1
    asyncio.run(pipeline.close())
    hub.close()


def fill(tx: Transaction) -> None:
    """Let the hub's file grow no more, as on a full disk, until its writer connects anew."""
    connection = tx.link.connection
    (count,) = connection.exec_driver_sql("PRAGMA page_count").one()
    connection.exec_driver_sql(f"PRAGMA max_page_count={count}")


def test_a_hub_that_is_closed_refuses_in_the_sender_s_mode(tmp_path: Path) -> None:
    hub = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    pipeline = made(hub)
    pipeline.add_agency("clinic", None)
    hub.close()
    heard = codes(asked(pipeline, adt("AL", "AL"), adt(), adt("NE", "AL")))
    assert heard == ["CE", "AE", "AE"]
    asyncio.run(pipeline.close())


def test_a_fault_of_ours_before_the_message_is_on_disk_is_ce_without_its_words(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise ZeroDivisionError("Rivera")

    monkeypatch.setattr(Transaction, "message_received", broken)
    (answer,) = asked(pipeline, adt("AL", "AL"))
    assert (field(answer, "MSA", 1), field(answer, "ERR", 3)[:3]) == ("CE", "207")
    assert "Rivera" not in answer


def test_the_same_message_again_gets_the_stored_answer(pipeline: Pipeline) -> None:
    raw = adt("AL", "AL", id="D")
    first, second = asked(pipeline, raw), asked(pipeline, raw)
    assert codes(second) == ["CA", "AA"]
    assert first[1] == second[1]


def unfinished(hub: Hub, after: int = 0) -> tuple[Message, int] | None:
    with hub.read() as reader:
        return reader.unfinished_message(after)


def test_what_is_received_is_on_disk_before_anybody_understands_it(
    hub: Hub, pipeline: Pipeline
) -> None:
    raw = adt("AL", "AL", id="R")
    pipeline.receive(*as_message("clinic", "mllp", raw)).result()
    message, _ = unfinished(hub) or (None, 0)
    assert message is not None
    assert message.raw == raw
    assert pipeline.message(KEEPER, message.id).status == "received"
    pipeline.receive(*as_message("clinic", "mllp", raw)).result()
    assert codes(asked(pipeline, raw)) == ["CA", "AA"]
    assert pipeline.message(KEEPER, message.id).status == "accepted"
    assert unfinished(hub) is None


def test_what_a_crash_left_received_is_processed_at_the_next_start(
    hub: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(background, "UNFINISHED", timedelta(0))
    first = made(hub)
    first.add_agency("clinic", None)
    raws = [adt("AL", "AL", id="1", mrn="A"), adt("AL", "AL", id="2", mrn=BAD)]
    ids = []
    after = 0
    for raw in raws:
        first.receive(*as_message("clinic", "mllp", raw)).result()
        message, after = unfinished(hub, after) or pytest.fail("nothing was received")
        ids.append(message.id)
    second = made(hub)
    second.start()
    second.behind()  # where processes share the hub, it is the reconciler that finds it
    assert codes(asked(second, raws[0])) == ["CA", "AA"]
    assert [second.message(KEEPER, id).status for id in ids] == ["accepted", "failed"]
    assert field(second.message(KEEPER, ids[0]).answer.decode(), "MSA", 1) == "AA"
    assert len(second.search(CLINIC, Search("Patient", [("identifier", "A")])).page.entries) == 1
    second.stop()
    for pipeline in (first, second):
        asyncio.run(pipeline.close())


# --- batches --------------------------------------------------------------------------------------

BHS = b"BHS|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302||||B1\r"


def test_a_batch_is_answered_by_a_batch_each_message_on_its_own(pipeline: Pipeline) -> None:
    messages = [adt(id="1", mrn="A"), adt(id="2", mrn=BAD), adt(id="3", mrn="C")]
    raw = BHS + b"".join(messages) + b"BTS|3\r"
    (answer,) = asked(pipeline, raw)
    lines = answer.split("\r")
    assert lines[0].startswith("BHS|^~\\&|GATEWAY|HUB|EHR|CLINIC|")
    assert lines[0].endswith("|B1")
    told = [line.split("|")[1:3] for line in lines if line.startswith("MSA")]
    assert told == [["AA", "1"], ["AE", "2"], ["AA", "3"]]
    assert lines[-2:] == ["BTS|3", ""]
    assert len(pipeline.search(CLINIC, Search("Patient", [])).page.entries) == 2
    assert [each.message.control_id for each in pipeline.failed_messages(CLINIC)] == ["2"]
    (again,) = asked(pipeline, raw)
    assert again.split("\r")[1:-2] == lines[1:-2]


def test_a_batch_whose_count_lies_is_refused_whole_and_kept_raw(pipeline: Pipeline) -> None:
    raw = BHS + adt(id="1") + b"BTS|2\r"
    (answer,) = asked(pipeline, raw)
    assert [field(answer, "MSA", 1), field(answer, "MSA", 2)] == ["AR", "B1"]
    assert field(answer, "ERR", 2) == "BTS^1^1"
    (kept,) = pipeline.failed_messages(CLINIC)
    assert (kept.message.raw, kept.place, kept.stage) == (raw, "BTS-1", "receive")
    assert not pipeline.search(CLINIC, Search("Patient", [])).page.entries


def test_a_batch_of_nobody_s_is_refused_and_kept_as_one(pipeline: Pipeline) -> None:
    raw = BHS + adt(id="1") + adt(id="2") + b"BTS|2\r"
    (answer,) = asked(pipeline, raw, agency="nobody")
    assert [field(answer, "MSA", 1), field(answer, "MSA", 2)] == ["AR", "B1"]
    assert field(answer, "ERR", 2) == "MSH^1^4"
    (kept,) = pipeline.failed_messages(KEEPER)
    assert (kept.message.raw, kept.place) == (raw, "MSH-4")


@pytest.mark.parametrize("mrn", [GOOD, BAD])
def test_of_a_batch_no_more_is_in_memory_than_of_a_connection(
    pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch, mrn: str
) -> None:
    receipts: list[ReferenceType[Future[Receipt]]] = []
    real, alive = Pipeline.accept, 0

    def accept(self: Pipeline, message: Message, acknowledge: Acknowledge) -> Future[Receipt]:
        nonlocal alive
        receipt = real(self, message, acknowledge)
        receipts.append(ref(receipt))
        if len(receipts) == 100:
            gc.collect()
            alive = sum(each() is not None for each in receipts)
        return receipt

    monkeypatch.setattr(Pipeline, "accept", accept)
    asked(pipeline, BHS + b"".join(adt(mrn=mrn) for _ in range(100)) + b"BTS|100\r")
    assert len(receipts) == 100
    assert 0 < alive <= 2 * window(pipeline) + 2  # those of the group that was just told, too


def test_a_header_alone_is_refused(pipeline: Pipeline) -> None:
    (answer,) = asked(pipeline, BHS)
    assert field(answer, "ERR", 2) == "BTS^1^1"


def test_a_batch_of_hundreds_is_taken_in_order(pipeline: Pipeline) -> None:
    messages = [adt(id=str(number), mrn="A") for number in range(300)]
    (answer,) = asked(pipeline, BHS + b"".join(messages) + b"BTS|300\r")
    told = [line.split("|")[1:3] for line in answer.split("\r") if line.startswith("MSA")]
    assert told == [["AA", str(number)] for number in range(300)]


def test_another_agency_does_not_see_the_kept_batch(pipeline: Pipeline) -> None:
    asked(pipeline, BHS)
    (kept,) = pipeline.failed_messages(CLINIC)
    with pytest.raises(NotFound):
        pipeline.message(Context("other", "test"), kept.message.id)
