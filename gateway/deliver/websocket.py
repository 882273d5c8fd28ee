"""websocket: notifications to whoever bound a socket to a subscription (R4 Backport 1.1).

A client asks ``$get-ws-binding-token`` for a token, opens a socket and says ``bind-with-token``
and the token. The sockets live on the API's event loop, deliveries are made on another. A
subscription that nobody is bound to waits: its events are kept, and nothing is attempted.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hmac
import json
import threading
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

from gateway.deliver.endpoint import PLACE, Guard
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.model import Context, Subscriber

SLOWEST: Final = 30.0
"""Seconds in which a socket must take a notification; one that doesn't is as good as closed."""

LIFE: Final = 300
"""Seconds for which a binding token is good."""


@dataclass(frozen=True, eq=False, slots=True)
class Socket:
    """An open socket: ``send`` a text on its own ``loop``."""

    loop: asyncio.AbstractEventLoop
    send: Callable[[str], Awaitable[None]]


class Sockets:
    """Which sockets are bound to which subscriptions. Every method may be called by any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._bound: dict[str, list[Socket]] = {}

    def bind(self, subscription: str, socket: Socket) -> None:
        """Send it the subscription's notifications from now on."""
        with self._lock:
            self._bound.setdefault(subscription, []).append(socket)

    def unbind(self, socket: Socket) -> None:
        """It is closed."""
        with self._lock:
            for subscription, sockets in list(self._bound.items()):
                left = [each for each in sockets if each is not socket]
                if left:
                    self._bound[subscription] = left
                else:
                    del self._bound[subscription]

    def bound(self, subscription: str) -> list[Socket]:
        """The sockets of a subscription."""
        with self._lock:
            return list(self._bound.get(subscription, ()))


class Websocket:
    """The channel: sends to every socket of the subscription; one that took it is enough."""

    def __init__(self, sockets: Sockets) -> None:
        self._sockets = sockets

    async def send(self, subscriber: Subscriber, notice: Notice, secret: str) -> None:
        """Send the body as one text. Raises Failure where no socket takes it."""
        text = (notice.body or b"").decode()
        sent = [await _taken(each, text) for each in self._sockets.bound(subscriber.id)]
        if not any(sent):
            raise Failure("nobody is bound to the subscription", place=PLACE)

    async def close(self) -> None:
        """The sockets are the API's to close."""


async def _taken(socket: Socket, text: str) -> bool:
    async def send() -> None:
        await socket.send(text)

    try:
        sending = asyncio.run_coroutine_threadsafe(send(), socket.loop)
        await asyncio.wait_for(asyncio.wrap_future(sending), SLOWEST)
    except (OSError, RuntimeError, TimeoutError):  # it was closed, or its loop was
        return False
    return True


def check_nowhere(url: str, _: Guard) -> None:
    """A websocket's endpoint is told with its token. Raises Failure for any other."""
    if url:
        raise Failure("a websocket has no endpoint: $get-ws-binding-token tells it", place=PLACE)


# --- tokens --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Binding:
    """What a token is good for: whose it is, for which subscriptions, until when (UTC seconds)."""

    agency: str
    client: str
    subscriptions: tuple[str, ...]
    until: int

    @property
    def context(self) -> Context:
        """Who binds."""
        return Context(self.agency, self.client, frozenset({"system/Subscription.r"}))


def token(root: bytes, binding: Binding) -> str:
    """A binding as a signed text; ``root`` is the hub's secret."""
    said = [binding.agency, binding.client, list(binding.subscriptions), binding.until]
    content = json.dumps(said, separators=(",", ":")).encode()
    return base64.urlsafe_b64encode(_tag(root, content) + content).decode().rstrip("=")


def read(root: bytes, text: str, now: float) -> Binding | None:
    """What a token says; None where it isn't ours, or is over."""
    try:
        both = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    tag, content = both[:32], both[32:]
    if not hmac.compare_digest(tag, _tag(root, content)):
        return None
    agency, client, subscriptions, until = json.loads(content)
    return Binding(agency, client, tuple(subscriptions), until) if now < until else None


def _tag(root: bytes, content: bytes) -> bytes:
    return hmac.digest(hmac.digest(root, b"websocket binding", "sha256"), content, "sha256")


def binding(context: Context, subscriptions: Iterable[str], now: float) -> Binding:
    """A binding for the caller's subscriptions, from now on."""
    return Binding(context.agency, context.client, tuple(subscriptions), int(now) + LIFE)
