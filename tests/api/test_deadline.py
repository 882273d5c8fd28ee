"""A real uvicorn on a real socket; time passes only as long as a deadline needs."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import uvicorn

from gateway.api.deadline import Outlet, deadline_protocol

GET = b"GET / HTTP/1.1\r\nhost: x\r\n\r\n"
POST = b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n"


async def echo(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Read the body, then answer with its length."""
    size, more = 0, True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            return
        size += len(message.get("body", b""))
        more = message.get("more_body", False)
    text = b"%d" % size
    headers = [(b"content-length", b"%d" % len(text))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": text})


async def refuse(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Answer before the body is in, as 413 does."""
    headers = [(b"content-length", b"0")]
    await send({"type": "http.response.start", "status": 413, "headers": headers})
    await send({"type": "http.response.body"})


@contextlib.asynccontextmanager
async def serving(
    app: Any = echo, header: float = 60, body: float = 60
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A connection to a server with these deadlines."""
    config = uvicorn.Config(
        app, port=0, http=deadline_protocol(header, body), log_level="critical", ws="none"
    )
    server = uvicorn.Server(config)
    with contextlib.ExitStack() as stack:
        stack.enter_context(_unsignalled(server))
        running = asyncio.create_task(server.serve())
        while not server.started:
            await asyncio.sleep(0.005)
        port = server.servers[0].sockets[0].getsockname()[1]
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        yield reader, writer
        writer.close()
        server.should_exit = True
        await running


@contextlib.contextmanager
def _unsignalled(server: uvicorn.Server) -> Any:
    server.capture_signals = contextlib.nullcontext  # type: ignore[method-assign, assignment]
    yield


async def answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    return int(head.split()[1]), await reader.readexactly(length)


async def refused(reader: asyncio.StreamReader) -> tuple[int, str]:
    """The status, and the OperationOutcome's code."""
    status, body = await answer(reader)
    (found,) = json.loads(body)["issue"]
    return status, found["code"]


async def drip(writer: asyncio.StreamWriter, byte: bytes) -> None:
    """Send bytes for ever, as one who wants to look alive."""
    with contextlib.suppress(ConnectionError):
        while True:
            writer.write(byte)
            await writer.drain()
            await asyncio.sleep(0.02)


def test_a_connection_that_says_nothing_is_closed_with_408() -> None:
    async def run() -> None:
        async with serving(header=0.2) as (reader, _):
            assert await refused(reader) == (408, "timeout")
            assert await reader.read() == b""

    asyncio.run(run())


@pytest.mark.parametrize("start", [b"GET / HTTP/1.1\r\nhost: x\r\nx-slow: ", b"\r\n", b"G"])
def test_headers_that_trickle_are_cut_however_alive_they_look(start: bytes) -> None:
    async def run() -> None:
        async with serving(header=0.3) as (reader, writer):
            writer.write(start)
            dripping = asyncio.create_task(drip(writer, b"\n" if start == b"\r\n" else b"a"))
            head = await reader.read(12)
            assert head in (b"HTTP/1.1 408", b"HTTP/1.1 400")
            dripping.cancel()

    asyncio.run(run())


@pytest.mark.parametrize("raw", [b"what?\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nx: \0\r\n\r\n"])
def test_what_is_no_http_is_refused_as_all_else_and_the_connection_closed(raw: bytes) -> None:
    async def run() -> None:
        async with serving() as (reader, writer):
            writer.write(raw)
            assert await refused(reader) == (400, "invalid")
            assert await reader.read() == b""

    asyncio.run(run())


def test_a_body_that_trickles_is_cut() -> None:
    async def run() -> None:
        async with serving(body=0.2) as (reader, writer):
            writer.write(POST + b"12345")
            assert await refused(reader) == (408, "timeout")
            assert await reader.read() == b""

    asyncio.run(run())


def test_a_request_in_time_is_answered_and_the_connection_serves_on() -> None:
    async def run() -> None:
        async with serving(header=0.3, body=0.3) as (reader, writer):
            for _ in range(4):
                writer.write(POST[:20])
                await asyncio.sleep(0.1)
                writer.write(POST[20:] + b"12345")
                await asyncio.sleep(0.1)
                writer.write(b"67890")
                assert await answer(reader) == (200, b"10")

    asyncio.run(run())


def test_the_next_requests_headers_have_their_deadline_too() -> None:
    async def run() -> None:
        async with serving(header=0.2) as (reader, writer):
            writer.write(GET + b"GET / HT")
            assert await answer(reader) == (200, b"0")
            assert await refused(reader) == (408, "timeout")

    asyncio.run(run())


def test_a_refused_body_may_not_trickle_on_and_gets_no_second_answer() -> None:
    async def run() -> None:
        async with serving(refuse, body=0.2) as (reader, writer):
            writer.write(POST + b"1")
            assert await answer(reader) == (413, b"")
            assert await reader.read() == b""

    asyncio.run(run())


class Recorded(asyncio.Transport):
    """Keeps what is written, a packet each."""

    def __init__(self) -> None:
        super().__init__()
        self.sent: list[bytes] = []

    def write(self, data: Any) -> None:
        self.sent.append(bytes(data))

    def close(self) -> None:
        self.sent.append(b"closed")


def test_an_answers_head_goes_out_with_its_body() -> None:
    recorded = Recorded()
    outlet = Outlet(recorded)
    for piece in (b"HTTP/1.1 100 Continue", b"HTTP/1.1 200 OK", b"body", b"more"):
        outlet.write(piece)
    outlet.end()
    outlet.write(b"HTTP/1.1 304 Not Modified")
    outlet.end()
    outlet.write(b"HTTP/1.1 200 OK")
    outlet.close()
    assert recorded.sent == [
        b"HTTP/1.1 100 Continue",
        b"HTTP/1.1 200 OKbody",
        b"more",
        b"HTTP/1.1 304 Not Modified",
        b"HTTP/1.1 200 OK",
        b"closed",
    ]


def test_who_waits_to_be_told_to_continue_is_told_before_the_body_is_in() -> None:
    async def run() -> None:
        async with serving() as (reader, writer):
            for _ in range(2):
                writer.write(POST.replace(b"\r\n\r\n", b"\r\nexpect: 100-continue\r\n\r\n"))
                assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
                writer.write(b"1234567890")
                assert await answer(reader) == (200, b"10")

    asyncio.run(run())


def test_requests_that_come_in_one_piece_are_answered_in_order_and_to_heads_only_heads() -> None:
    async def run() -> None:
        async with serving() as (reader, writer):
            writer.write(GET.replace(b"GET", b"HEAD") + POST + b"1234567890" + GET)
            assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
            assert await answer(reader) == (200, b"10")
            assert await answer(reader) == (200, b"0")

    asyncio.run(run())
