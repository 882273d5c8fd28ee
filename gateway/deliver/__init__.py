"""Each event to each subscriber's door. One file a channel, one line in the table.

``Doors`` makes one attempt; ``retry`` says when the next is due; ``subscription`` and
``endpoint`` check where deliveries may go. Fan-out, order and the record of attempts are the
hub's, and ``pipeline`` joins them.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from typing import Final, Protocol

from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from gateway.deliver.mllp import Mllp
from gateway.deliver.rest_hook import RestHook
from gateway.model import Delivery, Subscriber


class Channel(Protocol):
    """A way to deliver. ``send`` makes one attempt: it returns once the receiver has it."""

    async def send(
        self, subscriber: Subscriber, delivery: Delivery, payload: bytes | None, secret: str
    ) -> None:
        """Raises Failure."""

    async def close(self) -> None:
        """Let go of connections."""


CHANNELS: Final[Mapping[str, Callable[[Guard, ssl.SSLContext | None], Channel]]] = {
    "rest-hook": lambda guard, _: RestHook(guard),
    "mllp": Mllp,
}
"""What ``Subscriber.channel`` may name; the context is that of ``mllps://``."""


ANYWHERE: Final = ("0.0.0.0/0", "::/0")


class Doors:
    """All channels of one process. Used on one event loop alone; opened by the first delivery.

    ``guard`` holds for what subscribers asked for. Where a closing profile leads, the gateway's
    keeper wrote in agency.yaml: a clinic's listener stands in a private network as a rule. ``tls``
    is ``tls.client_tls``'s; without it the system's authorities are trusted.
    """

    def __init__(self, guard: Guard, tls: ssl.SSLContext | None = None) -> None:
        self._guards = {False: guard, True: Guard(ANYWHERE)}
        self._tls = tls
        self._open: dict[tuple[str, bool], Channel] = {}

    async def send(
        self, subscriber: Subscriber, delivery: Delivery, payload: bytes | None, *, secret: str
    ) -> None:
        """One attempt by the subscriber's channel.

        ``payload`` is the body (JSON, or an unframed HL7 message; None for none), ``secret`` the
        subscriber's own, which signs it. Raises Failure.
        """
        if subscriber.channel not in CHANNELS:
            raise Failure("there is no such channel", permanent=True)
        door = (subscriber.channel, subscriber.is_closing)
        if door not in self._open:
            made = CHANNELS[subscriber.channel]
            self._open[door] = made(self._guards[subscriber.is_closing], self._tls)
        await self._open[door].send(subscriber, delivery, payload, secret)

    async def close(self) -> None:
        """Close every channel that was opened."""
        for channel in self._open.values():
            await channel.close()
        self._open.clear()
