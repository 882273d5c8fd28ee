"""Calls that are made together."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor

import pytest

from gateway.together import Together


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
        long = asyncio.ensure_future(together("long"))
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
        cut = asyncio.ensure_future(together("cut"))
        good = asyncio.ensure_future(together("good"))
        await asyncio.sleep(0.01)
        bad = [asyncio.ensure_future(together("bad")) for _ in range(3)]
        await asyncio.sleep(0.01)
        cut.cancel()
        held.set()
        assert await good == "good"
        failed = await asyncio.gather(*bad, return_exceptions=True)
        assert [type(each) for each in failed] == [OSError] * 3
        await together.close()

    asyncio.run(story())


def test_who_asks_when_there_are_no_more_threads_is_told() -> None:
    threads = ThreadPoolExecutor(1)

    async def story() -> None:
        together = Together(list[int | Exception], 10, threads)
        assert await together(1) == 1
        threads.shutdown()
        with pytest.raises(RuntimeError):
            await together(2)
        await together.close()

    asyncio.run(story())
