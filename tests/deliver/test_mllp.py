"""MLLP out, to listeners on real sockets that answer in every way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.deliver import Doors, mllp
from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from tests.deliver import sinks
from tests.deliver.sinks import delivery, subscriber

LOCAL = Guard(["127.0.0.0/8"])
MESSAGE = b"MSH|^~\\&|CAREGW|COUNTY|EHR|CEDARGEN|20240507||RRI^I12|CG0001|P|2.5.1\rMSA|AA|MSG7\r"


def ack(code: str = "AA", control: str = "CG0001", head: str = "MSH|^~\\&|EHR|||") -> bytes:
    mark = head[3]
    return f"\x0b{head}\rMSA{mark}{code}{mark}{control}\r\x1c\r".encode()


def send(reply: Callable[[bytes], bytes | None], payload: bytes | None = MESSAGE) -> list[bytes]:
    async def run() -> list[bytes]:
        doors = Doors(LOCAL)
        async with sinks.mllp(reply) as (address, got):
            to = subscriber(address, channel="mllp")
            await doors.send(to, delivery(), payload, secret="")
            await doors.close()
            return got

    return asyncio.run(run())


def failure(reply: Callable[[bytes], bytes | None], payload: bytes | None = MESSAGE) -> Failure:
    with pytest.raises(Failure) as caught:
        send(reply, payload)
    return caught.value


@pytest.mark.parametrize("code", ["AA", "CA"])
def test_an_acknowledged_message_is_delivered_byte_for_byte(code: str) -> None:
    assert send(lambda _: ack(code)) == [MESSAGE]


@pytest.mark.parametrize("code", ["AE", "AR", "CE", "CR"])
def test_a_refusal_is_tried_again_and_says_which(code: str) -> None:
    failed = failure(lambda _: ack(code))
    assert (failed.place, failed.permanent) == ("MSA-1", False)
    assert code in str(failed)


@pytest.mark.parametrize("code", ["", "XX", "AA Everyman"])
def test_an_answer_that_is_none_is_a_failure_and_its_words_stay_there(code: str) -> None:
    failed = failure(lambda _: ack(code))
    assert failed.place == "MSA-1"
    assert "Everyman" not in str(failed)


def test_the_acknowledgement_of_another_message_is_none_of_this() -> None:
    assert failure(lambda _: ack(control="CG0002")).place == "MSA-2"
    assert failure(lambda _: b"\x0bMSH|^~\\&|\rMSA|AA\r\x1c\r").place == "MSA-2"


def test_a_listener_may_use_other_delimiters_line_feeds_and_noise_before_its_answer() -> None:
    assert send(lambda _: ack(head="MSH#*~\\&#EHR"))
    assert send(lambda _: b"\r\n" + ack().replace(b"\rMSA", b"\nMSA"))


def test_an_answer_without_an_msa_is_a_failure() -> None:
    assert failure(lambda _: b"\x0bMSH|^~\\&|\r\x1c\r").place == "MSA-1"
    assert failure(lambda _: b"\x0b\x1c\r").place == "MSA-1"


def test_a_listener_that_hangs_up_is_tried_again() -> None:
    failed = failure(lambda _: None)
    assert "hung up" in str(failed)
    assert not failed.permanent


def test_an_answer_without_end_is_a_failure() -> None:
    assert not failure(lambda _: b"\x0b" + b"x" * 300_000).permanent


def test_a_silent_listener_ends_with_the_attempt(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp, "TOTAL", 0.3)
    assert "in time" in str(failure(lambda _: b""))


def test_there_must_be_a_message() -> None:
    assert failure(lambda _: ack(), payload=None).permanent


def test_nobody_listening_is_tried_again() -> None:
    async def run() -> None:
        async with sinks.mllp(lambda _: ack()) as (address, _):
            pass
        await Doors(LOCAL).send(subscriber(address, channel="mllp"), delivery(), MESSAGE, secret="")

    with pytest.raises(Failure, match="reached") as caught:
        asyncio.run(run())
    assert not caught.value.permanent


@pytest.mark.parametrize(
    "url", ["mllp://127.0.0.1:2575", "mllp://[::1]:2575", "mllp://localhost:2575", "http://a.org"]
)
def test_the_guard_stands_here_too(url: str) -> None:
    async def run() -> None:
        to = subscriber(url, channel="mllp")
        await Doors(Guard()).send(to, delivery(), MESSAGE, secret="")

    with pytest.raises(Failure) as caught:
        asyncio.run(run())
    assert caught.value.permanent
