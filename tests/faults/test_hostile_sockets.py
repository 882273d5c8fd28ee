"""Slow, half-open and too many connections: who keeps to the rules is served meanwhile."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import resource
import socket
import ssl
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path

import pytest

from tests.deliver.certificates import Authority
from tests.faults.hostile import MB, PATIENCE, Target, adt, answered, attacked, connected, field
from tests.faults.scene import size
from tests.receive.test_mllp_many import TCP_REPAIR

pytestmark = [pytest.mark.faults, pytest.mark.timeout(300)]

CROWD = size("CROWD", 10_000)
"""How many connections at a time, where the machine lets a process open so many."""

EACH = 20
"""How many of each kind of slow or vanished peer."""

Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@pytest.fixture(scope="module")
def impatient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway with short deadlines, whose MLLP speaks TLS."""
    folder = tmp_path_factory.mktemp("impatient")
    authority = Authority(folder)
    authority.server("127.0.0.1")
    pem = str(folder / "127.0.0.1.pem")
    times = {"header_timeout": "1", "body_timeout": "1.5", "idle_timeout": "2"}
    with attacked(folder, mllp_tls_cert=pem, mllp_tls_key=pem, **times) as target:
        yield target


def secured(folder: Path) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=str(folder / "ca.pem"))


async def drip(stream: Stream, piece: bytes) -> bytes:
    """Send a piece over and over, as one who wants to look alive; what is heard until the end."""
    reader, writer = stream

    async def drop() -> None:
        with contextlib.suppress(OSError, RuntimeError):
            while True:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.1)

    dropping = asyncio.create_task(drop())
    heard = b""
    with contextlib.suppress(OSError):
        async with asyncio.timeout(PATIENCE):
            while more := await reader.read(4096):
                heard += more
    dropping.cancel()
    writer.transport.abort()
    return heard


async def plain(target: Target, start: bytes) -> Stream:
    reader, writer = await asyncio.open_connection("127.0.0.1", target.process.port)
    writer.write(start)
    return reader, writer


async def bare(target: Target, start: bytes) -> Stream:
    """To the MLLP port, without a word of TLS but ``start``."""
    reader, writer = await asyncio.open_connection("127.0.0.1", target.process.mllp_port)
    writer.write(start)
    return reader, writer


async def secure(target: Target, start: bytes) -> Stream:
    context = secured(target.process.log.parent)
    reader, writer = await asyncio.open_connection(
        "127.0.0.1", target.process.mllp_port, ssl=context
    )
    writer.write(start)
    return reader, writer


UPGRADE = (
    b"GET /websocket HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
    b"Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + base64.b64encode(b"x" * 16) + b"\r\n\r\n"
)
HELLO = bytes.fromhex("16030100c8010000c40303")
SLOW: dict[str, tuple[Callable[[Target, bytes], Awaitable[Stream]], bytes, bytes, bytes]] = {
    "headers": (plain, b"GET /livez HTTP/1.1\r\nx-slow: ", b"a", b"HTTP/1.1 408"),
    "a body": (
        plain,
        b"POST /fhir/Patient HTTP/1.1\r\nhost: x\r\ncontent-type: application/fhir+json\r\n"
        b"authorization: Bearer %s\r\ncontent-length: 999\r\n\r\n{",
        b" ",
        b"HTTP/1.1 408",
    ),
    "chunks of a body": (
        plain,
        b"POST /intake/hl7v2 HTTP/1.1\r\nhost: x\r\ncontent-type: application/hl7-v2\r\n"
        b"authorization: Bearer %s\r\ntransfer-encoding: chunked\r\n\r\n",
        b"1\r\nM\r\n",
        b"HTTP/1.1 408",
    ),
    "a websocket's headers": (plain, UPGRADE[:-2], b"x: y\r\n", b"HTTP/1.1 408"),
    "a websocket's word": (plain, UPGRADE + b"\x81\xfe\x10\x00maskabcd", b"x", b"HTTP/1.1 101"),
    "silence on a websocket": (plain, UPGRADE, b"", b"HTTP/1.1 101"),
    "a TLS handshake": (bare, HELLO, b"\x00", b""),
    "silence where TLS is spoken": (bare, b"", b"", b""),
    "an MLLP frame": (secure, b"\x0bMSH|^~\\&|", b"x", b""),
    "noise before a frame": (secure, b"", b"x", b""),
}  # fmt: skip


def test_who_trickles_is_cut_off_and_who_does_not_is_served(impatient: Target) -> None:
    async def slow(name: str) -> list[bytes]:
        connect, start, piece, _ = SLOW[name]
        if b"%s" in start:
            start = start % impatient.clinic.encode()
        streams = [await connect(impatient, start) for _ in range(EACH // 4)]
        return await asyncio.gather(*(drip(each, piece) for each in streams))

    async def run() -> None:
        attacks = asyncio.gather(*map(slow, SLOW))
        reader, writer = await secure(impatient, b"")
        for number in range(20):
            await impatient.served()
            answer = await answered(reader, writer, adt(f"slow-{number}").encode())
            assert b"MSA|AA|" in answer
        writer.close()
        for name, heard in zip(SLOW, await attacks, strict=True):
            assert all(each.startswith(SLOW[name][3]) for each in heard), (name, heard)
        await impatient.alone()

    impatient.runner.run(run())


def vanish(sock: socket.socket) -> None:
    """The peer's end is gone, and nobody told the gateway."""
    try:
        sock.setsockopt(socket.IPPROTO_TCP, TCP_REPAIR, 1)
    except OSError:
        pytest.skip("only Linux's root can make a connection half open")
    sock.close()


def test_peers_that_vanished_are_reaped_wherever_they_were(impatient: Target) -> None:
    starts = [
        b"",
        b"GET /livez HTT",
        b"GET /livez HTTP/1.1\r\nhost: x\r\n\r\n",
        SLOW["a body"][1] % impatient.clinic.encode(),
        UPGRADE,
        UPGRADE + b"\x81\xfe\x10\x00maskabcd",
    ]
    for start in starts * (EACH // 4):
        sock = connected(impatient.process.port)
        sock.sendall(start)
        if start.endswith(b"\r\n\r\n"):
            sock.recv(12)
        vanish(sock)
    for start in (b"", HELLO):
        sock = connected(impatient.process.mllp_port)
        sock.sendall(start)
        vanish(sock)
    impatient.runner.run(impatient.alone())
    impatient.runner.run(impatient.served())


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Target]:
    """A gateway that lets everybody stay, and takes large messages."""
    settings = {"header_timeout": "250", "message_limit": str(128 * MB)}
    with attacked(tmp_path_factory.mktemp("patient"), **settings) as target:
        yield target


@pytest.mark.parametrize("channel", ["MLLP", "HTTP"])
def test_ten_thousand_connections_are_held_and_a_newcomer_is_served(
    patient: Target, channel: str
) -> None:
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    crowd = min(CROWD, hard - 500)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    port = patient.process.mllp_port if channel == "MLLP" else patient.process.port
    half = b"\x0bMSH|^~\\&|" if channel == "MLLP" else b"GET /livez HTTP/1.1\r\nhost: x\r\n"
    rest = adt("crowd").encode()[9:] + b"\x1c\r" if channel == "MLLP" else b"\r\n"
    before = patient.resident
    crowded: list[socket.socket] = []
    try:
        for _ in range(crowd):
            crowded.append(connected(port))
            crowded[-1].sendall(half)
        patient.runner.run(patient.served())
        each = (patient.resident - before) / crowd
        print(f"{crowd} connections, {each:.0f} bytes each")
        assert each < 30_000
        for sock in crowded[:: max(1, crowd // 100)]:
            sock.sendall(rest)
            heard = sock.recv(4096)
            assert b"MSA|AA|crowd" in heard or heard.startswith(b"HTTP/1.1 200"), heard
    finally:
        for sock in crowded:
            sock.close()
    patient.runner.run(patient.alone())
    assert patient.peak - before < 400 * MB


def test_with_its_limit_raised_100_mb_are_taken_within_a_few_times_that(patient: Target) -> None:
    whole = 100 * MB

    async def run() -> bytes:
        reader, writer = await asyncio.open_connection("127.0.0.1", patient.process.mllp_port)
        raw = adt("huge").encode() + b"NTE|1||" + b"x" * whole + b"\r"
        answer = await answered(reader, writer, raw)
        writer.close()
        return answer

    patient.forget_peak()
    before, began = patient.resident, patient.ticks
    assert field(patient.runner.run(run()), "MSA", 1) == "AA"
    print(f"{(patient.peak - before) / MB:.0f} MB more, {patient.ticks - began:.1f} s")
    assert patient.peak - before < 9 * whole
