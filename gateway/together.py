"""Calls that come while others are under way are made together, in a thread.

A thousand subscribers that are woken at once are one reader's snapshot, one writer's unit and one
turn of a thread in every ``most``, not a thousand. Whoever comes alone doesn't wait for company.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Final, Generic, TypeVar

A = TypeVar("A")
B = TypeVar("B")

Question = tuple[A, asyncio.Future[B]]
"""A question, and where its answer is waited for."""

LANES: Final = 3
"""How many calls may be under way: one that takes long leaves the others' neighbours a way."""


class Together(Generic[A, B]):
    """``call`` takes up to ``most`` questions and gives as many answers, or errors, in order.

    Used on one event loop alone. What ``call`` raises, all who asked with it are told. It runs in
    ``threads``, else in those of the loop.
    """

    def __init__(
        self,
        call: Callable[[Sequence[A]], Sequence[B | Exception]],
        most: int,
        threads: Executor | None = None,
    ) -> None:
        self._call = call
        self._most = most
        self._threads = threads
        self._asked: deque[Question[A, B]] = deque()
        self._calls: set[asyncio.Future[Sequence[B | Exception]]] = set()
        self._beginning = False

    def __call__(self, question: A) -> asyncio.Future[B]:
        """The answer; it fails with what the call raised, or gave for it."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[B] = loop.create_future()
        self._asked.append((question, answer))
        if len(self._calls) < LANES and not self._beginning:
            self._beginning = True
            loop.call_soon(self._begin, loop)  # who else asks in this turn comes along
        return answer

    async def close(self) -> None:
        """Wait for the calls that are under way, and for those that wait for them."""
        while self._calls or self._asked:
            await asyncio.wait(self._calls) if self._calls else await asyncio.sleep(0)

    def _begin(self, loop: asyncio.AbstractEventLoop) -> None:
        self._beginning = False
        while self._asked and len(self._calls) < LANES:
            some = [self._asked.popleft() for _ in range(min(self._most, len(self._asked)))]
            try:
                questions = [question for question, _ in some]
                call = loop.run_in_executor(self._threads, self._call, questions)
            except RuntimeError as error:  # no more threads at the end
                _tell(some, [error] * len(some))
                continue
            self._calls.add(call)
            call.add_done_callback(partial(self._ended, loop, some))

    def _ended(
        self,
        loop: asyncio.AbstractEventLoop,
        some: Sequence[Question[A, B]],
        call: asyncio.Future[Sequence[B | Exception]],
    ) -> None:
        self._calls.discard(call)
        error = call.exception()
        if isinstance(error, Exception):
            _tell(some, [error] * len(some))
        else:
            _tell(some, call.result())
        self._begin(loop)


def _tell(some: Sequence[Question[A, B]], answers: Sequence[B | Exception]) -> None:
    for (_, future), answer in zip(some, answers, strict=True):
        if future.done():  # whoever asked was cut off
            continue
        if isinstance(answer, Exception):
            future.set_exception(answer)
        else:
            future.set_result(answer)
