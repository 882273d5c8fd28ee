"""Receivers on real sockets: an HTTP sink and an MLLP listener, each doing as a test says."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from gateway.deliver.notice import Notice
from gateway.model import Subscriber

Reader = asyncio.StreamReader
Writer = asyncio.StreamWriter
AT = datetime(2024, 5, 7, tzinfo=UTC)
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"


@dataclass(frozen=True)
class Request:
    """One HTTP request as it came over the wire; header names in lower case."""

    method: str
    target: str
    headers: dict[str, str]
    names: list[str]
    body: bytes
    peer: object


Answer = Callable[[Request, Writer], Awaitable[None]]


def status(line: str, *headers: str, body: bytes = b"") -> Answer:
    """Always that answer."""
    head = [f"HTTP/1.1 {line}", f"Content-Length: {len(body)}", *headers, "", ""]

    async def answer(request: Request, writer: Writer) -> None:
        writer.write("\r\n".join(head).encode() + body)
        await writer.drain()

    return answer


@asynccontextmanager
async def http(answer: Answer) -> AsyncIterator[tuple[str, list[Request]]]:
    """(its address, the requests that it got)."""
    got: list[Request] = []

    async def serve(reader: Reader, writer: Writer) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                first, *lines = head.decode().rstrip("\r\n").split("\r\n")
                pairs = [line.split(": ", 1) for line in lines]
                headers = {name.lower(): value for name, value in pairs}
                body = await reader.readexactly(int(headers.get("content-length", 0)))
                method, target, _ = first.split(" ")
                names = [name.lower() for name, _ in pairs]
                peer = writer.get_extra_info("peername")
                got.append(Request(method, target, headers, names, body, peer))
                await answer(got[-1], writer)
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with listening(serve) as port:
        yield f"http://127.0.0.1:{port}", got


@dataclass
class Inbox:
    """What an MLLP listener got: the messages, and by which connection (from 1) each came."""

    messages: list[bytes]
    by: list[int]
    connections: int = 0


@asynccontextmanager
async def mllp(
    reply: Callable[[bytes], bytes | None], tls: ssl.SSLContext | None = None
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """(its address, the messages that it got); a reply of None hangs up."""
    async with inbox(reply, tls) as (address, got):
        yield address, got.messages


@asynccontextmanager
async def inbox(
    reply: Callable[[bytes], bytes | None], tls: ssl.SSLContext | None = None, limit: int = 1000
) -> AsyncIterator[tuple[str, Inbox]]:
    """(its address, what it got); it hangs up where the reply is None, and after ``limit``."""
    got = Inbox([], [])

    async def serve(reader: Reader, writer: Writer) -> None:
        got.connections += 1
        number = got.connections
        try:
            for _ in range(limit):
                frame = await reader.readuntil(b"\x1c\r")
                got.messages.append(frame[1:-2])
                got.by.append(number)
                answer = reply(got.messages[-1])
                if answer is None:
                    break
                writer.write(answer)
                await writer.drain()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with listening(serve, tls) as port:
        yield f"mllp{'s' if tls else ''}://127.0.0.1:{port}", got


@asynccontextmanager
async def listening(
    serve: Callable[[Reader, Writer], Awaitable[None]], tls: ssl.SSLContext | None = None
) -> AsyncIterator[int]:
    """The port of a server on loopback whose connections end with it."""
    tasks: set[asyncio.Task[None]] = set()

    async def tracked(reader: Reader, writer: Writer) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        await serve(reader, writer)

    server = await asyncio.start_server(tracked, "127.0.0.1", 0, ssl=tls)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def subscriber(
    endpoint: str, *, channel: str = "rest-hook", payload: str = "", headers: tuple[str, ...] = ()
) -> Subscriber:
    return Subscriber("s1", "food-bank", channel, endpoint, "Task?", payload, headers)


def notice(number: int = 1, body: bytes | None = None, *, task: bool = False) -> Notice:
    """A notice with that body, or of a Task whose newest version the body is."""
    if task and body is not None:
        return Notice(f"msg_{number}", body, "application/fhir+json", "Task/t-1")
    return Notice(f"msg_{number}", body)


@dataclass
class Mailbox:
    """What an SMTP server took: (from, to, the message)."""

    mails: list[tuple[str, str, bytes]]


@asynccontextmanager
async def smtp(answers: dict[str, str] | None = None) -> AsyncIterator[tuple[int, Mailbox]]:
    """(its port, what it took); ``answers`` are those to a command that aren't 250."""
    box = Mailbox([])
    said = {"DATA": "354 go on", "QUIT": "221 bye", **(answers or {})}

    async def serve(reader: Reader, writer: Writer) -> None:
        writer.write(b"220 here\r\n")
        ends: dict[str, str] = {}
        try:
            while line := (await reader.readline()).decode().rstrip("\r\n"):
                word = line.partition(" ")[0].upper()
                if word in ("MAIL", "RCPT"):
                    ends[word] = line.partition("<")[2].partition(">")[0]
                writer.write(f"{said.get(word, '250 fine')}\r\n".encode())
                if word == "DATA" and said["DATA"].startswith("354"):
                    raw = await reader.readuntil(b"\r\n.\r\n")
                    box.mails.append((ends["MAIL"], ends["RCPT"], raw[:-5]))
                    writer.write(f"{said.get('.', '250 taken')}\r\n".encode())
                if word == "QUIT":
                    break
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with listening(serve) as port:
        yield port, box
