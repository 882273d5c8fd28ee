"""Background work, key by key: what each is about, who has something undone, and whose it is.

    a subscriber's id   a drain of it; the hub leases it (``outgoing.leases``)
    bulk:<id>           a job; whoever locks its folder runs it (``operations.jobs``)
    referrals, beds     what is due of referrals, stays to count: a duty of one at a time
    erase               persons who are to be forgotten, and were cut off; a duty, too
    replays, received   looked for here: what waited for a code, and messages of which a crash left
                        nothing but that they were received; duties, too

A process whose roles don't hold ``work`` has only the sockets that are bound to it; of all else it
tells the others.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from datetime import UTC, datetime, timedelta
from typing import Final, Protocol

from gateway.messages.replays import Replays
from gateway.model import Message, Receipt
from gateway.operations.bulk import Bulk
from gateway.operations.jobs import PREFIX, Jobs
from gateway.outgoing.drains import ELSEWHERE, Outgoing
from gateway.peers import Peers, Word
from gateway.store import Hub
from gateway.work import Work

UNFINISHED: Final = timedelta(seconds=10)
"""After so long a message that was only received counts as left by a process that died."""


class Due(Protocol):
    """Does what is due of something."""

    def due(self) -> bool:
        """Whether anything is."""

    def run(self) -> int:
        """Do it. Blocks."""


class Background:
    """Background work of one process; without ``work`` (a command's) nothing is woken."""

    def __init__(
        self,
        hub: Hub,
        peers: Peers,
        outgoing: Outgoing,
        bulk: Bulk,
        jobs: Jobs,
        due: Mapping[str, Due],
        replay: Replays,
        accept: Callable[[Message], Future[Receipt]],
        work: Work | None,
        *,
        works: bool,
    ) -> None:
        self._hub = hub
        self._peers = peers
        self._outgoing = outgoing
        self._bulk = bulk
        self._jobs = jobs
        self._due = due
        self._replay = replay
        self._accept = accept
        self._work = work
        self._works = works

    async def drain(self, key: str) -> None:
        """One pass: a subscriber's, a bulk job's, or what is due."""
        if not (self._works or self._outgoing.sockets.bound(key)):
            await asyncio.to_thread(self._peers.ring, keys=[key])
        elif key in self._due:
            await self._seen_to(key)
        elif key.startswith(PREFIX):
            await self._bulk.drain(key)
        else:
            await self._outgoing.drain(key)

    async def _seen_to(self, key: str) -> None:
        """Do what is due, if nobody is at it; who is may have looked a moment too early."""
        if not await asyncio.to_thread(self._alone, key) and self._work is not None:
            self._work.later(key, datetime.now(UTC) + ELSEWHERE)

    def _alone(self, key: str) -> bool:
        with self._peers.alone(key) as mine:
            if mine:
                self._due[key].run()
        return mine

    def behind(self) -> list[str]:
        """Who has something to read or to send, undone jobs, and what is due; it is looked for
        what waited, too. Of a process that doesn't work, who is bound to it. Blocks."""
        now = datetime.now(UTC)
        if not self._works:
            with self._hub.read() as reader:
                return [id for id in reader.behind(now) if self._outgoing.sockets.bound(id)]
        self._replay.sweep()
        if self._hub.shared:
            self.go_on(now - UNFINISHED)
        with self._hub.read() as reader:
            behind = [*reader.behind(now), *self._jobs.undone()]
        return [*behind, *(key for key, each in self._due.items() if each.due())]

    def heard(self, word: Word) -> None:
        """Another process said something. It mustn't take long."""
        if word.missed:
            self._outgoing.forget()
            if self._work is not None:
                self._work.look()
            return
        self._outgoing.heard(word.types, seen_to=word.works)
        if self._works and self._work is not None:
            for key in word.keys:
                self._work.wake(key)

    def go_on(self, before: datetime) -> None:
        """Take up again what came before and got no further than the disk.

        Where others share the hub, it is waited for: they mustn't begin it as well.
        """
        if self._left(0, before) is None:
            return
        with self._peers.alone("received") as mine:
            after, taken = 0, list[Future[Receipt]]()
            while mine and (left := self._left(after, before)) is not None:
                message, after = left
                taken.append(self._accept(message))
            for each in taken if self._hub.shared else ():
                each.result()

    def _left(self, after: int, before: datetime) -> tuple[Message, int] | None:
        with self._hub.read() as reader:
            left = reader.unfinished_message(after)
        return left if left is not None and left[0].received <= before else None
