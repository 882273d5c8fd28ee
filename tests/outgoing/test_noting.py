"""Notes that are written together."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence

import pytest

from gateway.errors import Conflict
from gateway.model import Delivery, Event, Subscriber
from gateway.outgoing.notifying import Made
from gateway.outgoing.noting import Note, Noting, noted
from gateway.store import Hub, Transaction
from gateway.store.session import moment


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
