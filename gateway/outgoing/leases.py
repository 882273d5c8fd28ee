"""One drain of a subscriber at a time, over all processes that share a hub (``store.leases``).

A lease is made sure of before each attempt: without a question as long as its process has said all
the time that it lives, else by the hub. So one that was paused sends nothing more of its own, and
what it writes its fence refuses. What it was just sending may come late, after others have sent the
same: a repeat, by its id.

On SQLite there is one process, and its background work runs one drain of a subscriber at a time
anyhow: nothing is leased and nothing costs a write.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from typing import Final

from gateway.errors import Conflict
from gateway.peers import Peers
from gateway.store import Hub, Transaction
from gateway.together import Together

KEEP: Final = timedelta(seconds=90)
"""How long a lease is good for without being renewed; an attempt takes 30 seconds at most."""

RENEW: Final = 20.0
"""Seconds after which it is renewed."""

MOST: Final = 32
"""How many are given, or ended, at a time."""


class Lease:
    """The right to drain a subscriber, given at ``at`` (``Peers.now``).

    ``fence`` is None where nothing is leased.
    """

    def __init__(
        self, hub: Hub, peers: Peers, subscriber: str, fence: int | None, at: float
    ) -> None:
        self._hub = hub
        self._peers = peers
        self._subscriber = subscriber
        self._at = at
        self.fence = fence

    async def renew(self) -> None:
        """Make sure of it. Raises Conflict where another took it, Unavailable."""
        fence, now = self.fence, self._peers.now()
        if fence is None or (self._peers.holds(self._at) and now - self._at < RENEW):
            return
        held = self._hub.submit(partial(self._renewed, fence=fence))
        if not await asyncio.wrap_future(held):
            raise Conflict("another process drains it now")
        self._at = now

    def _renewed(self, tx: Transaction, fence: int) -> bool:
        tx.beat(self._peers.id)
        return tx.renew_lease(self._subscriber, fence, KEEP)


class Leases:
    """Leases of one process: those that are asked for at once are given in one transaction."""

    def __init__(self, hub: Hub, peers: Peers) -> None:
        self._hub = hub
        self._peers = peers
        self._take = Together(self._taken, MOST)
        self._end = Together(self._ended, MOST)

    @asynccontextmanager
    async def of(self, subscriber: str) -> AsyncIterator[Lease | None]:
        """A lease for as long as one drains; None where another process holds it."""
        now = self._peers.now()
        if not self._hub.shared:
            yield Lease(self._hub, self._peers, subscriber, None, now)
            return
        fence = await self._take(subscriber)
        if fence is None:
            yield None
            return
        try:
            yield Lease(self._hub, self._peers, subscriber, fence, now)
        finally:
            await self._end((subscriber, fence))

    async def close(self) -> None:
        """Wait for what is being given or ended."""
        await asyncio.gather(self._take.close(), self._end.close())

    def _taken(self, asked: Sequence[str]) -> list[int | Exception | None]:
        began, me = self._peers.now(), self._peers.id

        def unit(tx: Transaction) -> dict[str, int | None]:
            if not self._peers.holds(began):
                tx.beat(me)
            # In one order, or two processes that take the same wait for each other.
            return {each: tx.lease(each, me, KEEP) for each in sorted(asked)}

        fences = self._hub.write(unit)
        return [fences[each] for each in asked]

    def _ended(self, leases: Sequence[tuple[str, int]]) -> list[Exception | None]:
        def unit(tx: Transaction) -> None:
            for subscriber, fence in sorted(leases):
                tx.release(subscriber, fence)

        self._hub.write(unit)
        return [None] * len(leases)
