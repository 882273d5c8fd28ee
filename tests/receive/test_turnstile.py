"""An MLLP sender that sends too much is made to wait: answered in order, with nothing lost."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from gateway.model import Allowance
from gateway.protect.limits import Limits
from gateway.receive.framing import frame
from gateway.receive.mllp import Listener
from gateway.receive.taking import Turnstile
from tests.receive.test_mllp import Held, Sender, message, play

Connect = Callable[[], Awaitable[Sender]]


class Counted(Limits):
    """All senders are one agency, and a clock stands still: what is asked for first is due last,
    whatever the machine does."""

    def __init__(self, allowance: Allowance, *, most: int = 10**6, room: int = 10**9) -> None:
        super().__init__(lambda _: None, allowance, most, room, clock=lambda: 1000.0)
        self.delays: list[float] = []

    def delay(self, agency: str) -> float:
        self.delays.append(super().delay(agency))
        return self.delays[-1]

    @property
    def stile(self) -> Turnstile:
        return Turnstile(lambda _: "clinic", self)


def test_a_sender_beyond_its_pace_is_read_on_when_its_turn_comes() -> None:
    gate = Counted(Allowance(rate=100, burst=3, in_hand=0))

    async def scene(listener: Listener, connect: Connect) -> None:
        sender = await connect()
        sender.send(*(message(str(number)) for number in range(12)))
        answers = [await sender.answer() for _ in range(12)]
        assert answers == [b"answer to %d" % number for number in range(12)]
        assert gate.delays == pytest.approx([0, 0, 0, *(n / 100 for n in range(1, 10))], abs=1e-3)
        assert gate.in_hand == 0

    play(scene, turnstile=gate.stile)


@pytest.mark.parametrize("enhanced", [False, True])
def test_what_would_wait_too_long_is_told_to_come_again_and_is_not_taken(enhanced: bool) -> None:
    gate = Counted(Allowance(rate=0.001, burst=2, in_hand=0))
    taken = Held()

    async def scene(listener: Listener, connect: Connect) -> None:
        sender = await connect()
        mode = "|||AL|AL" if enhanced else ""
        sender.send(*(message(n).replace(b"2.5.1", b"2.5.1" + mode.encode()) for n in ("1", "2")))
        await taken.until(1)
        taken.answer(0)
        await sender.answer()
        await taken.until(2)
        taken.answer(1)
        await sender.answer()
        sender.send(message("3").replace(b"2.5.1", b"2.5.1" + mode.encode()))
        answer = (await sender.answer()).decode()
        assert f"MSA|{'CE' if enhanced else 'AE'}|3" in answer
        assert "send it again" in answer
        assert len(taken.taken) == 2

    play(scene, taken, turnstile=gate.stile)


def test_no_more_is_in_hand_than_may_be_over_all_connections_and_each_has_its_turn() -> None:
    gate = Counted(Allowance(0, 0, in_hand=4))
    held = Held()

    async def scene(listener: Listener, connect: Connect) -> None:
        senders = [await connect() for _ in range(5)]
        for each, sender in enumerate(senders):
            sender.send(*(message(f"{each}-{number}") for number in range(4)))
        for number in range(20):
            await held.until(min(20, number + 4))
            await asyncio.sleep(0)
            assert len(held.taken) - number <= 4
            held.answer(number)
        for each, sender in enumerate(senders):
            got = [await sender.answer() for _ in range(4)]
            assert got == [b"answer to %d-%d" % (each, number) for number in range(4)]

    play(scene, held, turnstile=gate.stile)


def test_one_who_left_while_it_waited_stands_in_nobody_s_way() -> None:
    gate = Counted(Allowance(0, 0, 0), most=1)
    held = Held()

    async def scene(listener: Listener, connect: Connect) -> None:
        first, gone, last = [await connect() for _ in range(3)]
        first.send(message("first"))
        await held.until(1)
        gone.send(message("gone"))
        await gone.writer.drain()
        while not gate._waiting:
            await asyncio.sleep(0.001)
        gone.writer.transport.abort()
        last.send(message("last"))
        while len(gate._waiting) < 2:
            await asyncio.sleep(0.001)
        for number in range(3):  # it is taken all the same: it came whole
            await held.until(number + 1)
            held.answer(number)
        assert await last.answer() == b"answer to last"

    play(scene, held, turnstile=gate.stile)


def test_whole_messages_that_are_held_back_take_no_more_room_than_there_is() -> None:
    gate = Counted(Allowance(0, 0, in_hand=1))
    held = Held()

    async def scene(listener: Listener, connect: Connect) -> None:
        first = await connect()
        first.send(message("first"))
        await held.until(1)
        crowd = [await connect() for _ in range(20)]
        for number, sender in enumerate(crowd):
            sender.writer.write(b"".join(frame(message(f"{number}", 900)) for _ in range(4)))
        told = [asyncio.create_task(sender.reader.read(1000)) for sender in crowd]
        await asyncio.wait(told, return_when=asyncio.FIRST_COMPLETED)
        refused = [each.result().decode() for each in told if each.done()]
        assert refused
        assert all("MSA|AE|" in answer and "send it again" in answer for answer in refused)
        assert len(held.taken) == 1
        for each in told:
            each.cancel()

    play(scene, held, turnstile=gate.stile, limit=2000)
