"""Each event to each subscriber's door. One file a channel, one line in the table.

``Doors`` makes one attempt; ``retry`` says when the next is due; ``subscription`` and
``endpoint`` check where deliveries may go. Fan-out, order and the record of attempts are the
hub's, and ``pipeline`` joins them.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, Protocol

from gateway.deliver.email import Email, Post
from gateway.deliver.endpoint import Guard
from gateway.deliver.failure import Failure
from gateway.deliver.mllp import Mllp
from gateway.deliver.notice import Notice
from gateway.deliver.rest_hook import RestHook
from gateway.deliver.tls import client_tls
from gateway.deliver.websocket import Sockets, Websocket
from gateway.model import Subscriber
from gateway.settings import Settings


class Channel(Protocol):
    """A way to deliver. ``send`` makes one attempt: it returns once the receiver has it."""

    async def send(self, subscriber: Subscriber, notice: Notice, secret: str) -> None:
        """Raises Failure."""

    async def close(self) -> None:
        """Let go of connections."""


@dataclass(frozen=True, slots=True)
class Outfit:
    """What channels are made with: the context of ``mllps://``, the mail server, open sockets."""

    tls: ssl.SSLContext | None = None
    post: Post | None = None
    sockets: Sockets = field(default_factory=Sockets)

    @classmethod
    def of(cls, settings: Settings) -> Outfit:
        """What the settings give. Raises SettingError."""
        return cls(client_tls(settings), Post.of(settings))


CHANNELS: Final[Mapping[str, Callable[[Guard, Outfit], Channel]]] = {
    "rest-hook": lambda guard, _: RestHook(guard),
    "callback": lambda guard, _: RestHook(guard),
    "email": lambda _, outfit: Email(outfit.post),
    "mllp": lambda guard, outfit: Mllp(guard, outfit.tls),
    "websocket": lambda _, outfit: Websocket(outfit.sockets),
}
"""What ``Subscriber.channel`` may name."""


PLAIN: Final = Outfit()
ANYWHERE: Final = ("0.0.0.0/0", "::/0")


class Doors:
    """All channels of one process. Used on one event loop alone; opened by the first delivery.

    ``guard`` holds for what subscribers asked for. Where a closing profile leads, the gateway's
    keeper wrote in agency.yaml: a clinic's listener stands in a private network as a rule.
    """

    def __init__(self, guard: Guard, outfit: Outfit = PLAIN) -> None:
        self._guards = {False: guard, True: Guard(ANYWHERE)}
        self._outfit = outfit
        self._open: dict[tuple[str, bool], Channel] = {}

    async def send(self, subscriber: Subscriber, notice: Notice, *, secret: str) -> None:
        """One attempt by the subscriber's channel; ``secret`` is its own, which signs the notice.

        Raises Failure.
        """
        if subscriber.channel not in CHANNELS:
            raise Failure("there is no such channel", permanent=True)
        door = (subscriber.channel, subscriber.is_closing)
        if door not in self._open:
            made = CHANNELS[subscriber.channel]
            self._open[door] = made(self._guards[subscriber.is_closing], self._outfit)
        await self._open[door].send(subscriber, notice, secret)

    async def close(self) -> None:
        """Close every channel that was opened."""
        for channel in self._open.values():
            await channel.close()
        self._open.clear()
