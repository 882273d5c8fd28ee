"""MLLP out: HL7 v2 messages to an agency's listener, delivered when they are acknowledged.

HL7 v2 transport specification (MLLP release 1): 0x0B, the message, 0x1C 0x0D. One connection a
receiver, kept and used in turn, so that what is sent keeps its order; where it died it is made
anew, and a receiver that can't tell the messages of one connection apart gets one for each.
Which acknowledgement counts, MSH-15 and MSH-16 of the message say (v2.8.2 §2.9.3).
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
import ssl
from dataclasses import dataclass, field
from typing import Final

from gateway.deliver.endpoint import PLACE, Endpoint, Guard
from gateway.deliver.failure import Failure
from gateway.deliver.notice import Notice
from gateway.model import Subscriber

CONNECT: Final = 10.0
TOTAL: Final = 30.0
"""Seconds: to connect (TLS included), and for one message, its acknowledgements included."""

IDLE: Final = 60.0
"""Seconds after which an unused connection isn't trusted: firewalls forget without a word."""

_START: Final = b"\x0b"
_END: Final = b"\x1c"
_LIMIT: Final = 64 * 1024
_SCHEMES: Final = ("mllp", "mllps")
_NEXT: Final = re.compile(rb"(?<=\r)(?=MSH\|)")
_ACCEPTED: Final = ("AA", "CA")
_CODES: Final = ("AA", "AE", "AR", "CA", "CE", "CR")


@dataclass(slots=True)
class Connection:
    """A connection to a receiver; ``sent`` are the control ids of what went through it."""

    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter
    used: float
    sent: set[str] = field(default_factory=set)

    async def is_ready(self) -> bool:
        """Whether nothing says that it is over. What came late is thrown away."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(0):
                while await self.reader.read(_LIMIT):
                    pass
        fresh = asyncio.get_running_loop().time() - self.used < IDLE
        return fresh and not self.reader.at_eof() and not self.writer.is_closing()


class Mllp:
    """The client. ``tls`` serves ``mllps://``; used on one event loop alone."""

    def __init__(self, guard: Guard, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._tls = tls
        self._turns: dict[str, asyncio.Lock] = {}
        self._open: dict[str, Connection] = {}
        self._confused: set[str] = set()

    async def send(self, subscriber: Subscriber, notice: Notice, secret: str) -> None:
        """Send the body (unframed messages, one after another) and wait for what accepts each.

        Raises Failure for AE, AR, CE and CR, for an acknowledgement of another message, for
        silence and for a listener that can't be reached. MLLP has no place for ``secret``.
        """
        if notice.body is None:
            raise Failure("there is no message to send", place=PLACE, permanent=True)
        endpoint = self._guard.endpoint(subscriber.endpoint, _SCHEMES)
        async with self._turns.setdefault(endpoint.url, asyncio.Lock()):
            for message in _NEXT.split(notice.body):
                await self._deliver(endpoint, message)

    async def close(self) -> None:
        """Hang up on everybody."""
        kept = list(self._open.values())
        for url in list(self._open):
            self._hang_up(url)
        for each in kept:
            with contextlib.suppress(OSError):  # TimeoutError too: it may leave without a word
                async with asyncio.timeout(1):
                    await each.writer.wait_closed()

    async def _deliver(self, endpoint: Endpoint, message: bytes) -> None:
        """One message, by the connection that is kept or a new one; a failure ends it."""
        try:
            async with asyncio.timeout(TOTAL):
                if not await self._again(endpoint, message):
                    await self._exchange(await self._connect(endpoint), message)
        except BaseException as error:
            self._hang_up(endpoint.url)
            if isinstance(error, OSError | EOFError | asyncio.LimitOverrunError):
                raise Failure(_why(error), place=PLACE) from None
            raise

    async def _again(self, endpoint: Endpoint, message: bytes) -> bool:
        """Whether the connection that is kept carried the message; False where it couldn't.

        The message is then sent by a new one: its control id tells the receiver what it may know.
        """
        kept = self._open.get(endpoint.url)
        if kept is not None and endpoint.url not in self._confused and await kept.is_ready():
            try:
                await self._exchange(kept, message)
            except (ConnectionError, asyncio.IncompleteReadError):
                pass
            except Failure as failure:
                if failure.place != "MSA-2":
                    raise
                self._confused.add(endpoint.url)
            else:
                return True
        self._hang_up(endpoint.url)
        return False

    async def _exchange(self, connection: Connection, message: bytes) -> None:
        header = _fields(message, b"MSH")
        number, (accept, application) = header[9], [*header[14:16], "", ""][:2]
        earlier = frozenset(connection.sent) if accept else frozenset()
        connection.sent.add(number)
        connection.writer.write(_START + message + _END + b"\r")
        await connection.writer.drain()
        code = await _answer(connection.reader, number, earlier - {number})
        while code == "CA" and accept == application == "AL":
            code = await _answer(connection.reader, number, earlier - {number})
        connection.used = asyncio.get_running_loop().time()

    async def _connect(self, endpoint: Endpoint) -> Connection:
        addresses = await self._guard.resolve(endpoint)
        async with asyncio.timeout(CONNECT):
            reader, writer = await self._first(endpoint, addresses)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        now = asyncio.get_running_loop().time()
        made = self._open[endpoint.url] = Connection(reader, writer, now)
        return made

    async def _first(
        self, endpoint: Endpoint, addresses: tuple[str, ...]
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """The first of the checked addresses that answers. Raises the last one's OSError."""
        for address in addresses[:-1]:
            try:
                return await self._to(endpoint, address)
            except OSError:
                continue
        return await self._to(endpoint, addresses[-1])

    async def _to(
        self, endpoint: Endpoint, address: str
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        if endpoint.scheme == "mllp":
            return await asyncio.open_connection(address, endpoint.port, limit=_LIMIT)
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return await asyncio.open_connection(
            address, endpoint.port, limit=_LIMIT, ssl=self._tls, server_hostname=endpoint.host
        )

    def _hang_up(self, url: str) -> None:
        kept = self._open.pop(url, None)
        if kept is not None:
            kept.writer.close()


async def _answer(reader: asyncio.StreamReader, sent: str, earlier: frozenset[str]) -> str:
    """The code that accepts the message ``sent``; late answers to ``earlier`` ones are passed by:
    in enhanced mode an application's answer may follow when nobody waits for it any more.

    Raises Failure for a refusal, and for the acknowledgement of a message that we didn't send.
    """
    while True:
        await reader.readuntil(_START)
        msa = _fields((await reader.readuntil(_END))[:-1], b"MSA")
        code, number = [*msa[1:3], "", ""][:2]
        if number in earlier:
            continue
        if code not in _ACCEPTED:
            known = code if code in _CODES else "no acknowledgement"
            raise Failure(f"the listener answered {known}", place="MSA-1", refused=code in _CODES)
        if number != sent:
            raise Failure("the listener acknowledged another message", place="MSA-2")
        return code


def _fields(message: bytes, name: bytes) -> list[str]:
    """The fields of the first segment of that name; the separator is MSH-1."""
    lines = message.replace(b"\n", b"\r").split(b"\r")
    separator = message.lstrip()[3:4] or b"|"
    found = next((line for line in lines if line.lstrip()[:3] == name), b"")
    return [part.decode("ascii", "replace").strip() for part in found.split(separator)]


def _why(error: BaseException) -> str:
    if isinstance(error, ssl.SSLError):
        return "the listener's certificate or ours wasn't accepted"
    if isinstance(error, TimeoutError):
        return "the listener didn't answer in time"
    if isinstance(error, EOFError | ConnectionResetError):
        return "the listener hung up"
    return f"the listener can't be reached ({type(error).__name__})"
