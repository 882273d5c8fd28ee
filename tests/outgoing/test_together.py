"""Calls that are made together, and notes that are written together."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import Sequence

import pytest

from gateway.errors import Conflict
from gateway.model import Delivery, Event, Subscriber
from gateway.outgoing.notifying import Made
from gateway.outgoing.noting import Note, Noting, noted
from gateway.outgoing.together import Together
from gateway.store import Hub, Transaction
from gateway.store.session import moment


def test_what_is_asked_meanwhile_is_asked_together_and_each_gets_its_own_answer() -> None:
    calls: list[int] = []

    def double(asked: Sequence[int]) -> list[int | Exception]:
        calls.append(len(asked))
        return [ValueError(number) if number == 7 else 2 * number for number in asked]

    async def story() -> None:
        together = Together(double, 40)
        answers = await asyncio.gather(*map(together, range(100)), return_exceptions=True)
        assert isinstance(answers[7], ValueError)
        assert [it for it in answers if isinstance(it, int)] == [
            2 * number for number in range(100) if number != 7
        ]
        await together.close()

    asyncio.run(story())
    assert max(calls) == 40
    assert len(calls) == 3


def test_one_that_takes_long_leaves_the_others_a_way() -> None:
    held = threading.Event()

    def slow(asked: Sequence[str]) -> list[str | Exception]:
        if "long" in asked:
            held.wait(10)
        return list(asked)

    async def story() -> None:
        together = Together(slow, 10)
        long = asyncio.create_task(together("long"))
        await asyncio.sleep(0.01)
        assert await together("short") == "short"
        held.set()
        assert await long == "long"
        await together.close()

    asyncio.run(story())


def test_what_fails_as_a_whole_is_told_to_each_and_who_was_cut_off_hinders_nobody() -> None:
    held = threading.Event()

    def call(asked: Sequence[str]) -> list[str | Exception]:
        held.wait(10)
        if "bad" in asked:
            raise OSError
        return list(asked)

    async def story() -> None:
        together = Together(call, 10)
        cut = asyncio.create_task(together("cut"))
        good = asyncio.create_task(together("good"))
        await asyncio.sleep(0.01)
        bad = [asyncio.create_task(together("bad")) for _ in range(3)]
        await asyncio.sleep(0.01)
        cut.cancel()
        held.set()
        assert await good == "good"
        failed = await asyncio.gather(*bad, return_exceptions=True)
        assert [type(each) for each in failed] == [OSError] * 3
        await together.close()

    asyncio.run(story())


def note(id: str) -> Note:
    told = Subscriber(id, "clinic", "rest-hook", "https://x.example", "Task?status=requested")
    event = Event(1, "Task", "t", 1, "create", "clinic", moment(0))
    return Note(told, Made((Delivery("d", id, 1, event),), Conflict("x")), None)


def test_notes_that_come_at_once_are_written_together(hub: Hub) -> None:
    """Each subscriber's in order; one whose lease has passed on loses its own alone."""
    written: list[list[str]] = []

    def write(tx: Transaction, notes: Sequence[Note]) -> None:
        written.append([each.told.id for each in notes])
        if notes[0].told.id == "lost":
            raise Conflict("another drain took over")
        if notes[0].told.id == "odd":
            raise RuntimeError

    async def story() -> None:
        noting = Noting(hub, write)
        notes = {id: deque[asyncio.Future[None]]() for id in ("a", "b", "lost")}
        for id in ("a", "b", "lost", "a", "b", "lost"):
            notes[id].append(noting(note(id)))
        await noted(notes["a"], beyond=1)
        assert len(notes["a"]) == 1
        await noted(notes["a"])
        await noted(notes["b"])
        with pytest.raises(Conflict):
            await noted(notes["lost"])
        with pytest.raises(RuntimeError):
            await noting(note("odd"))
        await noting(note("a"))
        await noting.close()

    asyncio.run(story())
    assert written == [["a", "a"], ["b", "b"], ["lost", "lost"], ["odd"], ["a"]]
