"""Slow senders harm nobody: not by memory either."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.receive.mllp import Listener
from gateway.receive.room import HALVES
from tests.receive.test_mllp import Sender, message, play

LIMIT = 2000
HALF = b"\x0b" + message("half", LIMIT - 500)


def test_who_holds_the_most_gives_way_and_the_others_are_served() -> None:
    async def scene(listener: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        honest, largest = await connect(), await connect()
        honest.writer.write(b"\x0b" + message("honest")[:-2])
        largest.writer.write(HALF + b"x" * 100)
        others = [await connect() for _ in range(HALVES * LIMIT // len(HALF))]
        for other in others:
            other.writer.write(HALF)
        answer = await largest.answer()
        assert b"MSA|AE|half\r" in answer
        assert b"half received" in answer
        assert await largest.closed()
        honest.writer.write(message("honest")[-2:] + b"\x1c\r")
        assert await honest.answer() == b"answer to honest"
        others[0].writer.write(b"\x1c\r")
        assert await others[0].answer() == b"answer to half"

    play(scene, limit=LIMIT)


@pytest.mark.parametrize("end", ["whole", "gone"])
def test_there_is_room_again_once_a_message_is_whole_or_its_sender_gone(end: str) -> None:
    async def scene(listener: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        for _ in range(3 * HALVES):
            sender = await connect()
            sender.writer.write(HALF)
            await sender.writer.drain()
            if end == "whole":
                sender.writer.write(b"\x1c\r")
                assert await sender.answer() == b"answer to half"
            sender.writer.close()
            await sender.writer.wait_closed()
        while listener.connections:
            await asyncio.sleep(0.01)
        last = await connect()
        last.send(message("last"))
        assert await last.answer() == b"answer to last"

    play(scene, limit=LIMIT)
