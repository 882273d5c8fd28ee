"""The listener on real sockets: what a sender meets."""

from __future__ import annotations

import asyncio
import random
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Any

import pytest
from structlog.testing import capture_logs

from gateway.errors import TranslateError, Unavailable
from gateway.model import Receipt
from gateway.parse.er7 import parse
from gateway.receive import mllp
from gateway.receive.framing import Deframer, frame
from gateway.receive.mllp import INLINE, WINDOW, Listener, listen
from gateway.receive.taking import Accept, Arrival


def message(control_id: str, size: int = 0) -> bytes:
    head = f"MSH|^~\\&|CLINIC|CEDARGEN|HUB|GW|20250301||REF^I12|{control_id}|P|2.5.1\rNTE|1||"
    return (head + "x" * size).encode()


def receipt(text: bytes) -> Receipt:
    return Receipt("m", "AA", (), text)


def done(text: bytes) -> Future[Receipt]:
    future: Future[Receipt] = Future()
    future.set_result(receipt(text))
    return future


def echo(arrival: Arrival) -> Future[Receipt]:
    return done(b"answer to " + control_id(arrival))


def control_id(arrival: Arrival) -> bytes:
    return arrival.header.control_id.encode() if arrival.header else b"nobody"


class Held:
    """Accepts everything and answers when the test says so."""

    def __init__(self) -> None:
        self.taken: list[tuple[bytes, Future[Receipt]]] = []

    def __call__(self, arrival: Arrival) -> Future[Receipt]:
        future: Future[Receipt] = Future()
        self.taken.append((control_id(arrival), future))
        return future

    async def until(self, count: int) -> None:
        while len(self.taken) < count:
            await asyncio.sleep(0.001)

    def answer(self, index: int) -> None:
        name, future = self.taken[index]
        future.set_result(receipt(b"answer to " + name))


class Sender:
    """A client that reads whole answers."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._deframer = Deframer(10**8)
        self._answers: list[bytes] = []

    def send(self, *messages: bytes) -> None:
        self.writer.write(b"".join(map(frame, messages)))

    async def answer(self) -> bytes:
        while not self._answers:
            data = await self.reader.read(65536)
            if not data:
                raise EOFError
            self._answers += self._deframer.feed(data)
        return self._answers.pop(0)

    async def trickle(self, piece: bytes) -> None:
        """Write a piece every now and then, for ever."""
        while True:
            self.writer.write(piece)
            await self.writer.drain()
            await asyncio.sleep(0.01)

    async def closed(self) -> bool:
        return await self.reader.read() == b""


Scene = Callable[[Listener, Callable[[], Awaitable[Sender]]], Awaitable[None]]


def play(scene: Scene, accept: Accept = echo, **options: Any) -> None:
    """Run a scene against a listener on a free port of loopback, and close all of it."""

    async def run() -> None:
        listener = await listen("127.0.0.1", 0, accept=accept, **options)
        senders: list[Sender] = []

        async def connect() -> Sender:
            reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
            senders.append(Sender(reader, writer))
            return senders[-1]

        try:
            async with asyncio.timeout(30):
                await scene(listener, connect)
        finally:
            for sender in senders:
                sender.writer.close()
            await listener.close(5)

    asyncio.run(run())


def test_a_message_is_answered_on_its_connection() -> None:
    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        for name in ("1", "2"):
            sender.send(message(name))
            assert await sender.answer() == b"answer to " + name.encode()

    play(scene)


def test_an_arrival_holds_the_bytes_as_sent_its_header_and_where_it_came_from() -> None:
    arrivals: list[Arrival] = []

    def accept(arrival: Arrival) -> Future[Receipt]:
        arrivals.append(arrival)
        return echo(arrival)

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("1"), b"no message")
        await sender.answer()
        assert await sender.answer() == b"answer to nobody"

    play(scene, accept)
    assert [arrival.raw for arrival in arrivals] == [message("1"), b"no message"]
    assert arrivals[0].header is not None
    assert arrivals[0].header.facility == "CEDARGEN"
    assert arrivals[1].header is None
    assert (arrivals[0].agency, arrivals[0].loopback) == (None, True)
    play(scene, accept, agency="cedar")
    assert arrivals[2].agency == "cedar"


def test_a_numbered_message_is_answered_before_the_next_is_taken_up() -> None:
    """On PostgreSQL units run beside each other, and the second could come to its turn first."""
    held = Held()
    raws = [message(name).replace(b"|2.5.1", b"|2.5.1|" + name.encode()) for name in "12"]

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(*raws)
        for number in (0, 1):
            await held.until(number + 1)
            await asyncio.sleep(0.05)
            assert len(held.taken) == number + 1
            held.answer(number)
            assert await sender.answer() == b"answer to %d" % (number + 1)

    play(scene, held)


def test_a_stream_split_anywhere_is_answered_in_order() -> None:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    chance = random.Random(seed)
    names = [str(n) for n in range(200)]

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        stream = b"".join(frame(message(name)) for name in names)
        while stream:
            size = chance.choice([1, 2, 7, 100, 5000])
            sender.writer.write(stream[:size])
            stream = stream[size:]
            await asyncio.sleep(0)
        assert [await sender.answer() for _ in names] == [f"answer to {n}".encode() for n in names]

    play(scene)


def test_answers_keep_their_order_when_the_work_does_not() -> None:
    held = Held()

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("1"), message("2"), message("3"))
        await held.until(3)
        for index in (2, 0, 1):
            held.answer(index)
        assert [await sender.answer() for _ in range(3)] == [
            b"answer to 1",
            b"answer to 2",
            b"answer to 3",
        ]

    play(scene, held)


def test_no_more_than_a_window_is_under_way_and_reading_stops_meanwhile() -> None:
    held = Held()
    flood = [message(str(n), size=1000) for n in range(5000)]

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(*flood)
        await held.until(WINDOW)
        await asyncio.sleep(0.1)
        assert len(held.taken) == WINDOW
        # Most of the flood still waits on the sender's side.
        assert sender.writer.transport.get_write_buffer_size() > 0
        for index in range(len(flood)):
            await held.until(index + 1)
            held.answer(index)
        for index in range(len(flood)):
            assert await sender.answer() == f"answer to {index}".encode()

    play(scene, held)


def test_a_sender_that_reads_no_answers_is_not_read_either() -> None:
    taken = 0

    def accept(arrival: Arrival) -> Future[Receipt]:
        nonlocal taken
        taken += 1
        return done(b"x" * 100_000)

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.writer.transport.pause_reading()  # type: ignore[attr-defined]
        sender.send(*[message(str(n)) for n in range(2000)])
        before = -1
        while before != taken:
            before = taken
            await asyncio.sleep(0.2)
        assert taken < 500
        sender.writer.transport.resume_reading()  # type: ignore[attr-defined]
        for _answer in range(2000):
            assert len(await sender.answer()) == 100_000

    play(scene, accept)


def test_a_large_message_is_computed_off_the_loop_and_later_ones_wait_for_it() -> None:
    threads: list[tuple[bytes, bool]] = []
    loop_thread = threading.get_ident()

    def accept(arrival: Arrival) -> Future[Receipt]:
        threads.append((control_id(arrival), threading.get_ident() == loop_thread))
        return echo(arrival)

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("small"), message("large", INLINE), message("later"))
        assert [await sender.answer() for _ in range(3)] == [
            b"answer to small",
            b"answer to large",
            b"answer to later",
        ]

    play(scene, accept)
    assert threads == [(b"small", True), (b"large", False), (b"later", True)]


def test_an_error_of_ours_is_worded_with_its_place_and_code() -> None:
    def accept(arrival: Arrival) -> Future[Receipt]:
        future: Future[Receipt] = Future()
        if control_id(arrival) == b"1":
            future.set_exception(Unavailable("the disk is full"))
            return future
        raise TranslateError("a key is missing", place="PID-3", condition="101")

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("1"), message("2"))
        first, second = parse(await sender.answer()), parse(await sender.answer())
        assert [first.segments[1].text(n) for n in (1, 2)] == ["AE", "1"]
        assert first.segments[2].text(3) == "207"
        assert [second.segments[1].text(n) for n in (1, 2)] == ["AE", "2"]
        assert second.segments[2].raw.startswith("ERR||PID^1^3|101^")

    play(scene, accept)


@pytest.mark.parametrize("raises", ["at once", "later", "cancelled"])
def test_an_unexpected_error_is_answered_and_logged_without_detail(raises: str) -> None:
    def accept(arrival: Arrival) -> Future[Receipt]:
        future: Future[Receipt] = Future()
        if raises == "at once":
            raise ZeroDivisionError("SECRET")
        if raises == "later":
            future.set_exception(ZeroDivisionError("SECRET"))
        else:
            future.cancel()
        return future

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("1"))
        answer = await sender.answer()
        assert b"SECRET" not in answer
        record = parse(answer)
        assert [record.segments[1].text(n) for n in (1, 2)] == ["AE", "1"]
        assert record.segments[2].text(3) == "207"

    with capture_logs() as logs:
        play(scene, accept)
    assert "SECRET" not in str(logs)
    assert logs[0]["error"] == ("Unavailable" if raises == "cancelled" else "ZeroDivisionError")


def test_an_oversize_message_is_refused_after_earlier_answers_and_the_connection_closed() -> None:
    held = Held()

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("1"), message("2", size=3_000_000), message("3"))
        await held.until(1)
        await asyncio.sleep(0.1)
        held.answer(0)
        assert await sender.answer() == b"answer to 1"
        refusal = parse(await sender.answer())
        assert [refusal.segments[1].text(n) for n in (1, 2)] == ["AR", "2"]
        assert await sender.closed()
        assert len(held.taken) == 1

    play(scene, held, limit=100_000)


def test_a_refused_sender_that_keeps_writing_is_cut_off(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(mllp, "LINGER", 0.2)

    async def scene(listener: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("1", size=2000))
        with pytest.raises(ConnectionError):
            await sender.trickle(b"x" * 1000)
        assert listener.connections == 0

    play(scene, limit=1000)


def test_a_connection_that_brings_no_whole_message_is_closed() -> None:
    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        silent, trickling = await connect(), await connect()
        assert await silent.closed()
        trickling.writer.write(b"\x0b")
        with pytest.raises(ConnectionError):
            await trickling.trickle(b"x")

    play(scene, idle_timeout=0.3)


def test_a_connection_that_waits_for_its_answer_is_not_idle() -> None:
    held = Held()

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("1"))
        await held.until(1)
        await asyncio.sleep(0.5)
        held.answer(0)
        assert await sender.answer() == b"answer to 1"
        assert await sender.closed()

    play(scene, held, idle_timeout=0.1)


def test_a_sender_that_half_closes_still_gets_its_answers() -> None:
    held = Held()

    async def scene(_: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        count = WINDOW + 5
        sender.send(*[message(str(n)) for n in range(count)])
        sender.writer.write_eof()
        for index in range(count):
            await held.until(index + 1)
            held.answer(index)
        for index in range(count):
            assert await sender.answer() == f"answer to {index}".encode()
        assert await sender.closed()

    play(scene, held)


def test_work_goes_on_when_its_sender_is_gone() -> None:
    held = Held()

    async def scene(listener: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        gone, other = await connect(), await connect()
        gone.send(message("1"), message("2"))
        await held.until(2)
        gone.writer.transport.abort()
        held.answer(0)
        held.answer(1)
        while listener.connections > 1:
            await asyncio.sleep(0.001)
        other.send(message("3"))
        await held.until(3)
        held.answer(2)
        assert await other.answer() == b"answer to 3"

    play(scene, held)


def test_closing_refuses_newcomers_and_answers_what_is_under_way() -> None:
    held = Held()

    async def scene(listener: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        working, idle = await connect(), await connect()
        working.send(*[message(str(n)) for n in range(WINDOW + 1)])
        await held.until(WINDOW)
        closing = asyncio.create_task(listener.close(20))
        assert await idle.closed()
        with pytest.raises(ConnectionError):
            await connect()
        assert not closing.done()
        for index in range(WINDOW):
            held.answer(index)
        for index in range(WINDOW):
            assert await working.answer() == f"answer to {index}".encode()
        assert await working.closed()  # the one that was never taken up is the sender's to repeat
        await closing
        assert len(held.taken) == WINDOW

    play(scene, held)


def test_closing_cuts_off_what_takes_too_long() -> None:
    held = Held()

    async def scene(listener: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sender = await connect()
        sender.send(message("1"))
        await held.until(1)
        await listener.close(0.1)
        with pytest.raises((EOFError, ConnectionError)):
            await sender.answer()
        held.answer(0)
        await asyncio.sleep(0.05)

    play(scene, held)


def test_many_connections_cost_no_task_each() -> None:
    async def scene(listener: Listener, connect: Callable[[], Awaitable[Sender]]) -> None:
        sockets = [socket.create_connection(("127.0.0.1", listener.port)) for _ in range(300)]
        try:
            while listener.connections < len(sockets):
                await asyncio.sleep(0.001)
            while len(asyncio.all_tasks()) > 1:  # asyncio's own, while it accepts
                await asyncio.sleep(0.001)
            newcomer = await connect()
            newcomer.send(message("1"))
            assert await newcomer.answer() == b"answer to 1"
        finally:
            for each in sockets:
                each.close()

    play(scene)
