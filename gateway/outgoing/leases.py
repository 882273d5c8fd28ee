"""One drain of a subscriber at a time, over all processes that share a hub (``store.leases``).

On SQLite there is one process, and its background work runs one drain of a subscriber at a time
anyhow: nothing is leased and nothing costs a write.
"""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Final

from gateway.errors import Conflict
from gateway.outgoing.together import Together
from gateway.store import Hub, Transaction

KEEP: Final = timedelta(seconds=90)
"""How long a lease is good for without being renewed; an attempt takes 30 seconds at most."""

RENEW: Final = timedelta(seconds=20)
"""After so long it is renewed."""

MOST: Final = 32
"""How many are given, or ended, at a time."""


class Lease:
    """The right to drain a subscriber. ``fence`` is None where nothing is leased."""

    def __init__(self, hub: Hub, subscriber: str, fence: int | None, at: datetime) -> None:
        self._hub = hub
        self._subscriber = subscriber
        self._at = at
        self.fence = fence

    async def renew(self) -> None:
        """Keep it, where that is due. Raises Conflict where another took it."""
        fence, now = self.fence, datetime.now(UTC)
        if fence is None or now - self._at < RENEW:
            return
        id = self._subscriber
        held = self._hub.submit(lambda tx: tx.renew_lease(id, fence, now + KEEP))
        if not await asyncio.wrap_future(held):
            raise Conflict("another process drains it now")
        self._at = now


class Leases:
    """Leases of one process: those that are asked for at once are given in one transaction."""

    def __init__(self, hub: Hub) -> None:
        self._hub = hub
        self._holder = uuid.uuid4().hex
        self._take = Together(self._taken, MOST)
        self._end = Together(self._ended, MOST)

    @asynccontextmanager
    async def of(self, subscriber: str) -> AsyncIterator[Lease | None]:
        """A lease for as long as one drains; None where another process holds it."""
        now = datetime.now(UTC)
        if not self._hub.shared:
            yield Lease(self._hub, subscriber, None, now)
            return
        fence = await self._take(subscriber)
        if fence is None:
            yield None
            return
        try:
            yield Lease(self._hub, subscriber, fence, now)
        finally:
            await self._end((subscriber, fence))

    async def close(self) -> None:
        """Wait for what is being given or ended."""
        await asyncio.gather(self._take.close(), self._end.close())

    def _taken(self, asked: Sequence[str]) -> list[int | Exception | None]:
        now = datetime.now(UTC)

        def unit(tx: Transaction) -> dict[str, int | None]:
            # In one order, or two processes that take the same wait for each other.
            return {each: tx.lease(each, self._holder, now, now + KEEP) for each in sorted(asked)}

        fences = self._hub.write(unit)
        return [fences[each] for each in asked]

    def _ended(self, leases: Sequence[tuple[str, int]]) -> list[Exception | None]:
        def unit(tx: Transaction) -> None:
            for subscriber, fence in sorted(leases):
                tx.release(subscriber, fence)

        self._hub.write(unit)
        return [None] * len(leases)
