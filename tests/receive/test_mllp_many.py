"""Many senders at once, slow ones among them, and ones that vanish."""

from __future__ import annotations

import asyncio
import resource
import socket
import tracemalloc
from collections.abc import Awaitable, Callable

import pytest

from gateway.receive import keepalive
from gateway.receive.framing import frame
from gateway.receive.keepalive import PROBES
from gateway.receive.mllp import Listener
from tests.receive.test_mllp import Held, Sender, message, play

Connect = Callable[[], Awaitable[Sender]]
TCP_REPAIR = 19
"""Linux's: a socket closed in repair goes without a word, as a machine does that loses power."""
THOUSANDS = 2000


def vanish(sender: Sender) -> None:
    """The sender's end is gone, and nobody told the listener."""
    sock = sender.writer.get_extra_info("socket")
    try:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError:
        pytest.skip("only Linux's root can make a connection half open")
    sender.writer.transport.abort()


async def down_to(listener: Listener, count: int) -> None:
    while listener.connections > count:
        await asyncio.sleep(0.01)


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


def test_the_kernel_s_probes_find_a_peer_that_vanished(monkeypatch: pytest.MonkeyPatch) -> None:
    quick = {"TCP_KEEPIDLE": 1, "TCP_KEEPINTVL": 1, "TCP_KEEPCNT": 1}
    monkeypatch.setattr(keepalive, "PROBES", quick)

    async def scene(listener: Listener, connect: Connect) -> None:
        gone, here = await connect(), await connect()
        gone.writer.write(b"\x0bMSH|half a message")
        while listener.connections < 2:
            await asyncio.sleep(0.01)
        vanish(gone)
        await down_to(listener, 1)
        here.send(message("1"))
        assert await here.answer() == b"answer to 1"

    play(scene)


def test_a_peer_that_vanished_is_reaped_when_it_is_idle_for_too_long() -> None:
    async def scene(listener: Listener, connect: Connect) -> None:
        gone = [await connect() for _ in range(20)]
        for sender in gone:
            sender.writer.write(b"\x0bMSH|half a message")
            await sender.writer.drain()
            vanish(sender)
        await down_to(listener, 0)

    play(scene, idle_timeout=0.3)


def test_a_peer_that_vanished_while_its_message_was_under_way_is_reaped_with_its_answer() -> None:
    held = Held()

    async def scene(listener: Listener, connect: Connect) -> None:
        gone = await connect()
        gone.send(message("1"))
        await held.until(1)
        vanish(gone)
        held.answer(0)
        await down_to(listener, 0)

    play(scene, held)


def test_senders_of_a_byte_now_and_then_delay_nobody_and_are_answered() -> None:
    async def trickle(sender: Sender, number: int, enough: asyncio.Event) -> bytes:
        raw = frame(message(str(number)))
        sender.writer.write(raw[:-2])
        while not enough.is_set():
            sender.writer.write(b"x")
            await asyncio.sleep(0.01)
        sender.writer.write(raw[-2:])
        return await sender.answer()

    async def scene(listener: Listener, connect: Connect) -> None:
        enough = asyncio.Event()
        slow = [await connect() for _ in range(100)]
        trickling = asyncio.gather(*(trickle(each, n, enough) for n, each in enumerate(slow)))
        quick = await connect()
        for number in range(20):
            quick.send(message(str(number)))
            assert await quick.answer() == b"answer to %d" % number
        assert not trickling.done()
        enough.set()
        assert await trickling == [b"answer to %d" % n for n in range(100)]

    play(scene)


def test_thousands_of_connections_are_held_and_each_is_answered() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard < 2 * THOUSANDS + 200:
        pytest.skip("this machine lets a process open too few sockets")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2 * THOUSANDS + 200), hard))

    async def scene(listener: Listener, connect: Connect) -> None:
        tracemalloc.start()
        sockets = [socket.create_connection(("127.0.0.1", listener.port))]
        try:
            for _ in range(THOUSANDS - 1):
                sockets.append(socket.create_connection(("127.0.0.1", listener.port)))
                if len(sockets) % 500 == 0:  # a backlog's worth
                    await held(listener, len(sockets))
            each = tracemalloc.get_traced_memory()[0] / THOUSANDS
            assert each < 20_000, f"{each:.0f} bytes a connection"
            newcomer = await connect()
            newcomer.send(message("new"))
            assert await newcomer.answer() == b"answer to new"
            for number, sock in enumerate(sockets):
                sock.sendall(frame(message(str(number))))
            for number, sock in enumerate(sockets):
                sock.setblocking(False)
                answer = await asyncio.get_running_loop().sock_recv(sock, 100)
                assert answer == frame(b"answer to %d" % number)
        finally:
            tracemalloc.stop()
            for sock in sockets:
                sock.close()
        await down_to(listener, 1)

    play(scene)
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def held(listener: Listener, count: int) -> None:
    while listener.connections < count:
        await asyncio.sleep(0.001)


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
