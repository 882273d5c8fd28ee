"""Load that keeps a journal: what was sent, what was acknowledged, what the subscriber heard."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import httpx
import uvicorn

from gateway.demo import templates
from gateway.demo.people import PEOPLE

PATIENCE = 10.0
PAUSE = 0.1
"""Seconds: before giving up an answer, and between two attempts at a gateway that is down."""

IDENTIFIER = "https://cedar-county.example/walk-in"


Stream = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Arrival(NamedTuple):
    """A notification as it arrived: the delivery's id, the Task and version in it, and to whom."""

    delivery: str
    task: str
    version: str
    subscriber: str = ""


@dataclass
class Journal:
    """What the outside knows. ``sent`` and ``acknowledged`` hold referral numbers (RF1-6) in order;

    ``posted`` the identifiers of Patients, ``created`` those answered 201 with their ids;
    ``arrivals`` what the ``subscribers`` took, told apart by the first part of their endpoints'
    paths; ``refusals`` answers that nobody should have got, ``put_off`` those that may be given
    where the disk or the database can't take it (AE, 503).
    """

    sent: list[str] = field(default_factory=list)
    acknowledged: list[str] = field(default_factory=list)
    posted: list[str] = field(default_factory=list)
    created: dict[str, str] = field(default_factory=dict)
    arrivals: list[Arrival] = field(default_factory=list)
    refusals: list[str] = field(default_factory=list)
    put_off: list[str] = field(default_factory=list)
    subscribers: tuple[str, ...] = ("",)


class Senders:
    """Clinics that send REF^I12, each on one connection, and resend until they hear AA.

    ``again``: an AE is put off, and the message sent again like one that wasn't answered.
    """

    def __init__(self, port: int, count: int, journal: Journal, *, again: bool = False) -> None:
        self._port, self._count, self._journal = port, count, journal
        self._again = again
        self._stopping = False

    async def run(self) -> None:
        """Send until ``stop``; every message that was begun is brought to its AA."""
        await asyncio.gather(*(self._clinic(number) for number in range(self._count)))

    def stop(self) -> None:
        """Begin no new message."""
        self._stopping = True

    async def _clinic(self, clinic: int) -> None:
        stream: Stream | None = None
        try:
            for ordinal in itertools.count(1):
                if self._stopping:
                    break
                number = f"S{clinic}-{ordinal:05d}"
                self._journal.sent.append(number)
                answer = None
                while answer is None:
                    stream, answer = await self._attempt(stream, number)
                self._note(number, answer)
        finally:
            _hang_up(stream)

    async def _attempt(
        self, stream: Stream | None, number: str
    ) -> tuple[Stream | None, bytes | None]:
        """The connection to go on with, and the answer if there is one to go on with."""
        try:
            stream = stream or await asyncio.open_connection("127.0.0.1", self._port)
            answer = await exchange(*stream, referral(number))
        except (OSError, EOFError) as error:
            if isinstance(error, asyncio.IncompleteReadError) and error.partial:
                self._journal.refusals.append(f"half an answer to {number}")
            _hang_up(stream)
            await asyncio.sleep(PAUSE)
            return None, None
        if self._again and f"MSA|AE|{number}".encode() in answer:
            self._journal.put_off.append(number)
            await asyncio.sleep(PAUSE)
            return stream, None
        return stream, answer

    def _note(self, number: str, answer: bytes) -> None:
        if f"MSA|AA|{number}".encode() in answer:
            self._journal.acknowledged.append(number)
        else:
            self._journal.refusals.append(answer.decode())


class Posters:
    """Walk-in desks that POST Patients; what isn't answered isn't sent again.

    ``again``: nor is what is answered 503, which is put off.
    """

    def __init__(
        self, api: str, key: str, count: int, journal: Journal, *, again: bool = False
    ) -> None:
        self._api, self._key, self._count, self._journal = api, key, count, journal
        self._again = again
        self._stopping = False

    async def run(self) -> None:
        """Post until ``stop``."""
        await asyncio.gather(*(self._desk(number) for number in range(self._count)))

    def stop(self) -> None:
        """Begin no new request."""
        self._stopping = True

    async def _desk(self, desk: int) -> None:
        headers = {"Authorization": f"Bearer {self._key}"}
        async with httpx.AsyncClient(headers=headers, trust_env=False, timeout=PATIENCE) as client:
            for ordinal in itertools.count(1):
                if self._stopping:
                    return
                identifier = f"D{desk}-{ordinal:05d}"
                self._journal.posted.append(identifier)
                try:
                    answer = await client.post(f"{self._api}/Patient", json=patient(identifier))
                except httpx.TransportError:
                    await asyncio.sleep(PAUSE)
                    continue
                if answer.status_code == httpx.codes.CREATED:
                    self._journal.created[identifier] = answer.json()["id"]
                elif self._again and answer.status_code == httpx.codes.SERVICE_UNAVAILABLE:
                    self._journal.put_off.append(identifier)
                    await asyncio.sleep(PAUSE)
                else:
                    self._journal.refusals.append(answer.text)


@contextlib.asynccontextmanager
async def receiver(journal: Journal) -> AsyncIterator[str]:
    """A rest-hook endpoint that journals what it takes, and says 503 to every seventh request."""
    requests = itertools.count(1)

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        body, more = b"", True
        while more:
            part = await receive()
            body, more = body + part.get("body", b""), part.get("more_body", False)
        taken = next(requests) % 7 != 0
        if taken:
            headers = dict(scope["headers"])
            task = json.loads(body)
            delivery = headers[b"webhook-id"].decode()
            version, whose = task["meta"]["versionId"], scope["path"].split("/")[1]
            whose = whose if whose in journal.subscribers else ""
            journal.arrivals.append(Arrival(delivery, task["id"], version, whose))
        await send({"type": "http.response.start", "status": 204 if taken else 503, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    door = _Door(uvicorn.Config(answer, log_config=None, lifespan="off", interface="asgi3"))
    bound = socket.create_server(("127.0.0.1", 0))
    serving = asyncio.create_task(door.serve(sockets=[bound]))
    try:
        yield f"http://127.0.0.1:{bound.getsockname()[1]}"
    finally:
        door.should_exit = True
        await serving


class _Door(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Any:
        yield


def referral(number: str) -> bytes:
    """A REF^I12 whose control id (MSH-10) and referral number (RF1-6) are ``number``."""
    text = templates.REFER.format(
        application="EHR",
        facility="NORTH",
        at="20240301101500-0600",
        control_id=number,
        referral=number,
        code="Z59.41",
        reason="Food insecurity",
        performer="County Food Bank",
        **{**PEOPLE[0].values(), "mrn": f"M{number}"},
    )
    return text.strip().replace("\n", "\r").encode()


def patient(identifier: str) -> dict[str, Any]:
    """A Patient that walked in."""
    return {
        "resourceType": "Patient",
        "identifier": [{"system": IDENTIFIER, "value": identifier}],
        "name": [{"family": "Walkin", "given": ["Sam"]}],
    }


async def exchange(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, message: bytes
) -> bytes:
    """Send a message and wait for its answer, framed."""
    writer.write(b"\x0b" + message + b"\x1c\r")
    async with asyncio.timeout(PATIENCE):
        return await reader.readuntil(b"\x1c\r")


def _hang_up(stream: Stream | None) -> None:
    if stream is not None:
        stream[1].close()
