"""Calls that come while others are under way are made together, in a thread.

A thousand subscribers that are woken at once are one reader's snapshot, one writer's unit and one
turn of a thread in every ``most``, not a thousand. Whoever comes alone doesn't wait for company.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final, Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")

LANES: Final = 3
"""How many calls may be under way: one that takes long leaves the others' neighbours a way."""


class Together(Generic[A, B]):
    """``call`` takes up to ``most`` questions and gives as many answers, or errors, in order.

    Used on one event loop alone. What ``call`` raises, all who asked with it are told.
    """

    def __init__(self, call: Callable[[Sequence[A]], Sequence[B | Exception]], most: int) -> None:
        self._call = call
        self._most = most
        self._asked: deque[tuple[A, asyncio.Future[B]]] = deque()
        self._lanes: set[asyncio.Task[None]] = set()

    async def __call__(self, question: A) -> B:
        """The answer. Raises what the call did, or gave for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[B] = loop.create_future()
        self._asked.append((question, answer))
        if len(self._lanes) < LANES:
            lane = loop.create_task(self._go())
            self._lanes.add(lane)
            lane.add_done_callback(self._lanes.discard)
        return await answer

    async def close(self) -> None:
        """Wait for the calls that are under way."""
        await asyncio.gather(*self._lanes)

    async def _go(self) -> None:
        while self._asked:
            some = [self._asked.popleft() for _ in range(min(self._most, len(self._asked)))]
            for (_, future), answer in zip(some, await self._answers(some), strict=True):
                if future.done():  # whoever asked was cut off
                    continue
                if isinstance(answer, Exception):
                    future.set_exception(answer)
                else:
                    future.set_result(answer)

    async def _answers(
        self, some: Sequence[tuple[A, asyncio.Future[B]]]
    ) -> Sequence[B | Exception]:
        try:
            return await asyncio.to_thread(self._call, [question for question, _ in some])
        except Exception as error:  # noqa: BLE001 - told to each who asked
            return [error] * len(some)
