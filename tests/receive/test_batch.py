"""Batches: cut at their lines, their counts checked, answered by a batch."""

from __future__ import annotations

import contextlib
from datetime import UTC, datetime

import pytest

from gateway.errors import ReceiveError
from gateway.receive.batch import Batch, answer, divide, is_batch, peek
from tests.corpora import CORPORA

AT = datetime(2026, 3, 2, 3, 4, 5, tzinfo=UTC)
FHS = b"FHS|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302||night|all of it|F1\r"
BHS = b"BHS|^~\\&|EHR|CLINIC|GATEWAY|HUB|20260302||||B1\r"


def message(control_id: str) -> bytes:
    return f"MSH|^~\\&|EHR|CLINIC|GATEWAY|HUB|2026||ADT^A08|{control_id}|P|2.5.1\rPID|1\r".encode()


ONE, TWO = message("1"), message("2")


@pytest.mark.parametrize(
    "raw",
    [
        FHS + BHS + ONE + TWO + b"BTS|2\rFTS|1\r",
        BHS + ONE + TWO + b"BTS|2\r",
        BHS + ONE + TWO,
        BHS + ONE + TWO + b"BTS\r",
        FHS + ONE + TWO + b"FTS||the end",
        FHS + BHS + ONE + b"BTS|1\r" + BHS + TWO + b"BTS|1\rFTS|2\r",
        b"\xef\xbb\xbf\r\n" + BHS + ONE + TWO + b"  BTS|2|x\r\n",
    ],
)
def test_each_message_of_a_batch_comes_out_byte_for_byte(raw: bytes) -> None:
    assert is_batch(raw)
    assert [each.rstrip() for each in divide(raw).messages] == [ONE.rstrip(), TWO.rstrip()]


def test_a_batch_of_none_that_says_so_is_one() -> None:
    assert divide(BHS + b"BTS|0\r").messages == ()
    assert divide(FHS + b"FTS|0\r").messages == ()


@pytest.mark.parametrize(
    ("raw", "place"),
    [
        (BHS + ONE + b"BTS|2\r", "BTS-1"),
        (BHS + ONE + b"BTS|one\r", "BTS-1"),
        (BHS, "BTS-1"),
        (FHS, "BTS-1"),
        (BHS + BHS + ONE, "BTS-1"),
        (FHS + BHS + ONE + b"BTS|1\rFTS|2\r", "FTS-1"),
        (FHS + FHS + BHS + ONE, "FHS[2]"),
        (BHS + ONE + b"BTS|1\rBTS|1\r", "BTS"),
        (FHS + BHS + ONE + b"BTS|1\rFTS|1\r" + TWO, "MSH"),
    ],
)
def test_an_envelope_that_disagrees_with_what_came_is_refused_at_its_place(
    raw: bytes, place: str
) -> None:
    with pytest.raises(ReceiveError) as refused:
        divide(raw)
    assert refused.value.place == place
    assert refused.value.acknowledgement == "AR"


@pytest.mark.parametrize(
    ("raw", "place"),
    [(BHS + b"MSH|\r" * 1001, "MSH"), (FHS + (BHS[:4] + b"\rBTS|0\r") * 1001, "BHS")],
)
def test_a_batch_of_bare_names_is_refused(raw: bytes, place: str) -> None:
    with pytest.raises(ReceiveError) as refused:
        divide(raw)
    assert refused.value.place == place


def test_a_batch_may_be_of_as_many_messages_as_there_are() -> None:
    raw = BHS + (ONE + b"NTE|1||" + b"x" * 40 + b"\r") * 5000 + b"BTS|5000\r"
    assert len(divide(raw).messages) == 5000


def test_the_header_says_whose_it_is() -> None:
    head = peek(FHS + BHS + ONE)
    assert (head.application, head.facility, head.control_id) == ("EHR", "CLINIC", "B1")
    assert peek(FHS + ONE).control_id == "F1"
    assert peek(ONE).control_id == "1"
    assert not peek(BHS).enhanced


def test_the_answer_is_a_batch_of_acknowledgements_and_names_what_it_answers() -> None:
    raw = FHS + BHS + ONE + TWO + b"BTS|2\rFTS|1\r"
    lines = answer(divide(raw), [b"MSH|ack1\r", b"MSH|ack2\r"], at=AT, id="R1").split(b"\r")
    assert lines == [
        b"FHS|^~\\&|GATEWAY|HUB|EHR|CLINIC|20260302030405+0000||||R1|F1",
        b"BHS|^~\\&|GATEWAY|HUB|EHR|CLINIC|20260302030405+0000||||R1|B1",
        b"MSH|ack1",
        b"MSH|ack2",
        b"BTS|2",
        b"FTS|1",
        b"",
    ]


def test_the_answer_to_a_batch_is_a_batch() -> None:
    plain = answer(divide(b"BHS!*~\\&!A!B!!\r" + ONE), [ONE], at=AT, id="R")
    assert isinstance(divide(plain), Batch)
    assert plain.startswith(b"BHS!*~\\&!!!A!B!")


def test_no_other_bytes_are_a_batch() -> None:
    for raw in (ONE, b"", b"BHSX|", b"BHS", b"x" + BHS):
        assert not is_batch(raw)
    with pytest.raises(ReceiveError):
        divide(ONE)


def test_the_corpora_s_batches_are_cut() -> None:
    files = sorted((CORPORA / "cdc-reportstream").rglob("*.hl7"))
    if not files:
        pytest.skip("the corpora aren't here")
    batches = [raw for file in files if is_batch(raw := file.read_bytes())]
    lying = [raw for raw in batches if f"BTS|{count(raw)}" not in raw.decode("latin-1")]
    for raw in batches:
        if raw not in lying:
            assert len(divide(raw).messages) == count(raw)
    for raw in lying:
        with contextlib.suppress(ReceiveError):  # a count may be left out
            assert len(divide(raw).messages) == count(raw)
    assert len(batches) > len(lying)


def count(raw: bytes) -> int:
    """How many messages a file has."""
    return raw.replace(b"\n", b"\r").count(b"\rMSH|")
