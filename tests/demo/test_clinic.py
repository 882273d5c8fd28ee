"""Two demo clinics that talk to each other: no gateway, real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncIterator

import pytest
from rich.console import Console

from gateway.demo import templates
from gateway.demo.clinic import Clinic, Profile, Sent
from gateway.demo.inbox import DidNotComeError
from gateway.demo.people import PEOPLE
from gateway.demo.story import Story
from gateway.parse.er7 import parse

EAST = Profile("east", "East", "EASTFAC", "oru")
WEST = Profile("west", "West", "WESTFAC", "rri")
REFERRAL = {
    **PEOPLE[0].values(),
    "referral": "R-1",
    "code": "Z59.41",
    "reason": "Food insecurity",
    "performer": "County Food Bank",
}


def _story() -> Story:
    return Story(Console(file=io.StringIO(), highlight=False))


@contextlib.asynccontextmanager
async def _listening() -> AsyncIterator[Clinic]:
    west = Clinic(WEST, ("127.0.0.1", 1), _story())
    await west.open()
    try:
        yield west
    finally:
        await west.close()


async def _send(west: Clinic) -> Sent:
    east = Clinic(EAST, ("127.0.0.1", west.port), _story())
    return await east.send("a referral", templates.REFER, REFERRAL)


def test_a_clinic_is_acknowledged_by_another_that_hears_what_it_sent() -> None:
    async def scene() -> None:
        async with _listening() as west:
            sent = await _send(west)
            heard = await west.hear("the referral", lambda heard: heard.event == "REF^I12")
            assert heard.field("MSH", 10) == sent.control_id
            assert heard.field("RF1", 6) == "R-1^EASTFAC"
            assert parse(sent.answer).first("MSA").text(2) == sent.control_id

    asyncio.run(scene())


def test_a_clinic_that_is_down_hangs_up_and_notes_the_call() -> None:
    async def scene() -> None:
        async with _listening() as west:
            west.go_down()
            with pytest.raises((asyncio.IncompleteReadError, ConnectionError)):
                await _send(west)
            await west.was_called()
            west.come_back()
            await _send(west)

    asyncio.run(scene())


def test_an_answer_that_is_not_aa_ends_the_scene_and_says_why() -> None:
    refusal = b"\x0bMSH|^~\\&|\rMSA|AE|X\rERR||PID^1^3|101|E||||no identifier\r\x1c\r"

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\x1c\r")
        writer.write(refusal)
        writer.close()

    async def scene() -> None:
        async with await asyncio.start_server(refuse, "127.0.0.1", 0) as server:
            east = Clinic(EAST, server.sockets[0].getsockname(), _story())
            with pytest.raises(DidNotComeError, match="AE came: no identifier"):
                await east.send("a referral", templates.REFER, REFERRAL)

    asyncio.run(scene())


@pytest.mark.parametrize("name", ["REGISTER", "REFER", "CANCEL", "RESULT"])
def test_what_the_clinics_say_can_be_taken_apart(name: str) -> None:
    values = {**REFERRAL, "order": "L1", "value": "8.1", "at": "20240301101500-0600"}
    text = getattr(templates, name).format(
        application="EHR", facility="EASTFAC", control_id="E-1", **values
    )
    message = parse(text.replace("\n", "\r").encode())
    assert not message.warnings
    assert message.version == "2.5.1"
    assert message.first("PID").text(5) == "Quillfeather"
