"""What a connection takes up: arrivals, what all connections of a listener have in common, and the
answers that are due."""

from __future__ import annotations

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from gateway.errors import ReceiveError, Unavailable
from gateway.protect.limits import Limits, Place
from gateway.receive.ack import Header
from gateway.receive.room import Room
from gateway.receive.wording import Promise


@dataclass(frozen=True, slots=True)
class Arrival:
    """A message as it came in. ``header`` is None where it doesn't begin with MSH.

    ``agency`` is whom the port or the certificate names; only where it is None and ``loopback``
    is true may the header's own claim (MSH-3, MSH-4) be believed.
    """

    raw: bytes
    header: Header | None
    agency: str | None
    loopback: bool


Accept = Callable[[Arrival], Promise]
"""Takes an arrival in hand; the future resolves once what it led to is on disk.

In enhanced mode that is first the message itself, then what it led to. b"" isn't sent.
"""


@dataclass(frozen=True, slots=True)
class Turnstile:
    """Holds messages back by a process's limits. ``whose`` tells an arrival's agency, "" for none.

    A batch counts as one message.
    """

    whose: Callable[[Arrival], str]
    limits: Limits


TOO_LARGE: Final = ReceiveError(
    "the message is larger than this listener takes", code="too-long", condition="207"
)
NO_ROOM: Final = Unavailable("too many messages are half received here; send it again")


@dataclass(frozen=True, slots=True)
class Rules:
    """What all connections of a listener have in common."""

    accept: Accept
    agency: str | None
    limit: int
    idle_timeout: float
    executor: ThreadPoolExecutor
    room: Room
    turnstile: Turnstile | None
    window: int


class Answer:
    """A message's place in the queue of answers; ``content`` is None until it is answered.

    ``alone``: no later message is taken up before it is answered in full.
    """

    __slots__ = ("alone", "began", "code", "content", "header", "place", "size")

    def __init__(
        self,
        header: Header | None,
        size: int = 0,
        content: bytes | None = None,
        place: Place | None = None,
    ) -> None:
        self.header = header
        self.size = size
        self.content = content
        self.place = place
        self.began = time.perf_counter()
        self.code = ""
        self.alone = header is not None and (header.enhanced or bool(header.sequence))
