"""Where what an agency hears is kept until its turn in the story, with a limit to every wait."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Generic, TypeVar

PATIENCE = 20.0
"""How long anything may take to come, in seconds."""

T = TypeVar("T")


class DidNotComeError(Exception):
    """The story can't go on; the text names what did not come, and to whom."""


@contextlib.asynccontextmanager
async def expecting(what: str, patience: float = PATIENCE) -> AsyncIterator[None]:
    """Bound the waiting inside to ``patience`` seconds; ``DidNotComeError`` names ``what``."""
    try:
        async with asyncio.timeout(patience):
            yield
    except TimeoutError:
        raise DidNotComeError(f"{what} (waited {patience:.0f} s)") from None


class Inbox(Generic[T]):
    """Things that arrive in one order and are asked for in another."""

    def __init__(self) -> None:
        self._things: list[T] = []
        self._news = asyncio.Condition()

    async def put(self, thing: T) -> None:
        """Keep it, and wake whoever waits."""
        async with self._news:
            self._things.append(thing)
            self._news.notify_all()

    async def take(self, what: str, wanted: Callable[[T], bool]) -> T:
        """The first thing that is ``wanted``, taken out; ``what`` names it where none comes."""
        async with expecting(what), self._news:
            while True:
                for place, thing in enumerate(self._things):
                    if wanted(thing):
                        return self._things.pop(place)
                await self._news.wait()
