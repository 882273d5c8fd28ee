"""MLLP out: an HL7 v2 message to an agency's listener, delivered when it is acknowledged.

HL7 v2 transport specification (MLLP release 1): 0x0B, the message, 0x1C 0x0D. One connection a
message: outcomes are rare, and a listener that was restarted is met anew.
"""

from __future__ import annotations

import asyncio
from typing import Final

from gateway.deliver.endpoint import PLACE, Guard
from gateway.deliver.failure import Failure
from gateway.model import Delivery, Subscriber

CONNECT: Final = 10.0
TOTAL: Final = 30.0
"""Seconds: to connect, and for the whole of one attempt, its acknowledgement included."""

_START: Final = b"\x0b"
_END: Final = b"\x1c"
_LIMIT: Final = 64 * 1024
_SCHEMES: Final = ("mllp",)


class Mllp:
    """The client; keeps no connections."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard

    async def send(
        self, subscriber: Subscriber, delivery: Delivery, payload: bytes | None, secret: str
    ) -> None:
        """Send ``payload`` (one message, unframed) and wait for its AA or CA.

        Raises Failure for AE, AR, CE and CR, for an acknowledgement of another message, for
        silence and for a listener that can't be reached. MLLP has no place for ``secret``.
        """
        if payload is None:
            raise Failure("there is no message to send", place=PLACE, permanent=True)
        try:
            async with asyncio.timeout(TOTAL):
                answer = await self._exchange(subscriber.endpoint, payload)
        except (OSError, EOFError, asyncio.LimitOverrunError) as error:
            raise Failure(_why(error), place=PLACE) from None
        check_answer(answer, control_id(payload))

    async def close(self) -> None:
        """There is nothing to close."""

    async def _exchange(self, url: str, payload: bytes) -> bytes:
        endpoint = self._guard.endpoint(url, _SCHEMES)
        addresses = await self._guard.resolve(endpoint)
        async with asyncio.timeout(CONNECT):
            reader, writer = await _connect(addresses, endpoint.port)
        try:
            writer.write(_START + payload + _END + b"\r")
            await writer.drain()
            await reader.readuntil(_START)
            return (await reader.readuntil(_END))[:-1]
        finally:
            writer.close()


async def _connect(
    addresses: tuple[str, ...], port: int
) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """The first of the checked addresses that answers. Raises the last one's OSError."""
    for address in addresses[:-1]:
        try:
            return await asyncio.open_connection(address, port, limit=_LIMIT)
        except OSError:
            continue
    return await asyncio.open_connection(addresses[-1], port, limit=_LIMIT)


def check_answer(answer: bytes, sent: str) -> None:
    """Pass an acknowledgement that accepts the message of control id ``sent``. Raises Failure."""
    msa = _fields(answer, b"MSA")
    code = msa[1] if len(msa) > 1 else ""
    if code not in ("AA", "CA"):
        known = code if code in ("AE", "AR", "CE", "CR") else "no acknowledgement"
        raise Failure(f"the listener answered {known}", place="MSA-1")
    if len(msa) < 3 or msa[2] != sent:
        raise Failure("the listener acknowledged another message", place="MSA-2")


def control_id(message: bytes) -> str:
    """MSH-10 of a message that we built."""
    return _fields(message, b"MSH")[9]


def _fields(message: bytes, name: bytes) -> list[str]:
    """The fields of the first segment of that name; the separator is MSH-1."""
    lines = message.replace(b"\n", b"\r").split(b"\r")
    separator = message.lstrip()[3:4] or b"|"
    found = next((line for line in lines if line.lstrip()[:3] == name), b"")
    return [part.decode("ascii", "replace").strip() for part in found.split(separator)]


def _why(error: BaseException) -> str:
    if isinstance(error, TimeoutError):
        return "the listener didn't answer in time"
    if isinstance(error, EOFError | ConnectionResetError):
        return "the listener hung up"
    return f"the listener can't be reached ({type(error).__name__})"
