"""What was taken, noted together: a unit at a time, of all that came meanwhile.

A note of its own for each would cost as much as making what it is about.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from gateway.errors import Conflict
from gateway.model import Subscriber
from gateway.outgoing.notifying import Made
from gateway.store import Hub, Transaction

Notes = deque[asyncio.Future[None]]
"""Notes of one drain that were begun, in order."""


@dataclass(frozen=True, slots=True)
class Note:
    """An attempt that needs no other, by the lease of that fence."""

    told: Subscriber
    made: Made
    fence: int | None


Begun = tuple[Note, asyncio.Future[None]]

GATHER: Final = 0.005
"""Seconds from one unit to the next: each has its price, however little it holds."""


async def noted(notes: Notes, beyond: int = 0) -> None:
    """Wait until all but so many are on disk. Raises what the first to fail did."""
    while len(notes) > beyond:
        await notes.popleft()


class Noting:
    """Writes notes; ``write`` does those of one subscriber. Used on one event loop alone."""

    def __init__(self, hub: Hub, write: Callable[[Transaction, Sequence[Note]], None]) -> None:
        self._hub = hub
        self._write = write
        self._waiting: list[Begun] = []
        self._writing: asyncio.Task[None] | None = None

    def __call__(self, note: Note) -> asyncio.Future[None]:
        """Begin one; done once it is on disk. Fails with Conflict where the fence has passed on."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[None] = loop.create_future()
        self._waiting.append((note, future))
        if self._writing is None or self._writing.done():
            self._writing = loop.create_task(self._go())
        return future

    async def close(self) -> None:
        """Wait for the unit that is under way."""
        if self._writing is not None:
            await self._writing

    async def _go(self) -> None:
        while self._waiting:
            some, self._waiting = self._waiting, []
            lost = await self._written([note for note, _ in some])
            for note, future in some:
                _tell(future, lost.get(note.told.id))
            await asyncio.sleep(GATHER)

    async def _written(self, notes: Sequence[Note]) -> Mapping[str, Exception]:
        """Why some subscribers' couldn't be written."""
        try:
            return await asyncio.wrap_future(self._hub.submit(lambda tx: self._all(tx, notes)))
        except Exception as error:  # noqa: BLE001 - told to each who waits
            return {note.told.id: error for note in notes}

    def _all(self, tx: Transaction, notes: Sequence[Note]) -> dict[str, Exception]:
        """Each subscriber's apart; those whose lease has passed on.

        That is looked at before anything of theirs is written: there is nothing to undo.
        """
        lost: dict[str, Exception] = {}
        ordered = sorted(notes, key=lambda each: each.told.id)
        for id, some in groupby(ordered, key=lambda each: each.told.id):
            try:
                self._write(tx, list(some))
            except Conflict as error:
                lost[id] = error
        return lost


def _tell(future: asyncio.Future[None], error: Exception | None) -> None:
    if future.done():  # whoever waited was cut off
        return
    if error is None:
        future.set_result(None)
        return
    future.set_exception(error)
    future.exception()  # of many that fail together only the first is waited for
