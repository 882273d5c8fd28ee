"""Many senders at once, slow ones among them, and ones that vanish."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Awaitable, Callable

from gateway.receive.keepalive import PROBES
from gateway.receive.mllp import Listener
from tests.receive.test_mllp import Sender, message, play

Connect = Callable[[], Awaitable[Sender]]


def test_a_silent_peer_is_probed_so_that_half_a_connection_is_reaped() -> None:
    async def scene(listener: Listener, connect: Connect) -> None:
        sender = await connect()
        sender.send(message("1"))
        await sender.answer()
        (connection,) = listener._connections
        sock = connection._transport.get_extra_info("socket")
        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
        for name, value in PROBES.items():
            option = getattr(socket, name, None)
            assert option is None or sock.getsockopt(socket.IPPROTO_TCP, option) == value

    play(scene)


def test_hundreds_of_slow_senders_harm_nobody() -> None:
    async def scene(listener: Listener, connect: Connect) -> None:
        slow = [await connect() for _ in range(400)]
        for sender in slow:
            sender.writer.write(b"\x0bMSH|^~")
        quick = await connect()
        for number in range(50):
            quick.send(message(str(number)))
            assert await quick.answer() == b"answer to %d" % number
        assert listener.connections == 401
        for sender in slow:
            sender.writer.write(b"\\&|A|B|C|D|||ADT^A01|s|P|2.5.1\x1c\r")
        answers = await asyncio.gather(*(sender.answer() for sender in slow))
        assert answers == [b"answer to s"] * 400

    play(scene)
