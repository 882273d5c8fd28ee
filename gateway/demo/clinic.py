"""A clinic that speaks nothing but HL7 v2.5.1: MLLP out and MLLP in.

It keeps its own small reading of ER7, as an interface engine would; the gateway's isn't imported,
so that the two check each other.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Final, NamedTuple

from gateway.demo.inbox import DidNotComeError, Inbox, expecting
from gateway.demo.story import Story
from gateway.demo.templates import ACK

START: Final = b"\x0b"
END: Final = b"\x1c\r"
LIMIT: Final = 2**20
APPLICATION: Final = "EHR"
HUB: Final = "Care Gateway"


class Heard(NamedTuple):
    """A message that came in: its segments, each a list of fields with the name first."""

    segments: list[list[str]]

    def field(self, segment: str, number: int) -> str:
        """The field of the first such segment as sent, "" where there is none."""
        for fields in self.segments:
            if fields[0] == segment:
                place = number - 1 if segment == "MSH" else number
                return fields[place] if place < len(fields) else ""
        return ""

    def texts(self, segment: str, number: int) -> list[str]:
        """The field of every such segment, empty ones left out."""
        found = (fields for fields in self.segments if fields[0] == segment)
        return [fields[number] for fields in found if number < len(fields) and fields[number]]

    @property
    def event(self) -> str:
        """``RRI^I12``."""
        return "^".join(self.field("MSH", 9).split("^")[:2])

    def gist(self) -> str:
        """What it says, in one line: RF1-1 and its notes, or its observations."""
        standing = self.field("RF1", 1).split("^")[0]
        findings = (text.split("^")[1] if "^" in text else text for text in self.texts("OBX", 5))
        return "; ".join(filter(None, (standing, *self.texts("NTE", 3), *findings)))


def read(raw: bytes) -> Heard:
    """Take an ER7 message apart at its segments and fields."""
    lines = raw.decode("utf-8").replace("\n", "\r").split("\r")
    return Heard([line.split("|") for line in lines if line])


@dataclass(frozen=True, slots=True)
class Profile:
    """A clinic: ``facility`` is its MSH-4, ``outcome`` how it hears the end ("oru" or "rri").

    Both as its agency.yaml has them (`mappings/agencies/<id>`).
    """

    id: str
    name: str
    facility: str
    outcome: str


class Sent(NamedTuple):
    """A message that went out and what was answered, byte for byte."""

    control_id: str
    raw: bytes
    answer: bytes


class Clinic:
    """One clinic: ``send`` says something to the gateway, ``hear`` waits for what comes back.

    ``gateway`` is the MLLP port that it calls; ``port`` is where it listens itself.
    """

    def __init__(self, profile: Profile, gateway: tuple[str, int], story: Story) -> None:
        self.profile = profile
        self.id, self.name = profile.id, profile.name
        self.port = 0
        self._gateway = gateway
        self._story = story
        self._inbox: Inbox[Heard] = Inbox()
        self._calls: Inbox[datetime] = Inbox()
        self._connections: set[asyncio.StreamWriter] = set()
        self._down = False
        self._server: asyncio.Server | None = None
        self._sent = 0

    async def open(self) -> None:
        """Listen on a free loopback port."""
        self._server = await asyncio.start_server(self._listen, "127.0.0.1", 0, limit=LIMIT)
        self.port = self._server.sockets[0].getsockname()[1]

    async def close(self) -> None:
        """Stop listening and hang up."""
        if self._server is not None:
            self._server.close()
        self._hang_up()

    async def send(self, what: str, template: str, values: Mapping[str, str]) -> Sent:
        """Fill the template and send it; ``DidNotComeError`` where the answer isn't AA."""
        control_id = self._next_control_id()
        text = template.format(control_id=control_id, **self._header(), **values)
        return await self._exchange(what, control_id, _wire(text))

    async def resend(self, what: str, sent: Sent) -> Sent:
        """Send the same bytes again, as an engine does that lost its answer."""
        return await self._exchange(what, sent.control_id, sent.raw)

    async def _exchange(self, what: str, control_id: str, raw: bytes) -> Sent:
        async with expecting(f"the acknowledgement of {what} to {self.name}"):
            reader, writer = await asyncio.open_connection(*self._gateway, limit=LIMIT)
            with contextlib.closing(writer):
                writer.write(START + raw + END)
                answer = (await reader.readuntil(END))[1:-2]
        code = read(answer).field("MSA", 1)
        self._story.tell(self.name, HUB, f"{what} → {code}")
        if code != "AA":
            reasons = "; ".join(read(answer).texts("ERR", 8))
            raise DidNotComeError(f"AA for {what} ({code} came: {reasons})")
        return Sent(control_id, raw, answer)

    async def hear(self, what: str, wanted: Callable[[Heard], bool]) -> Heard:
        """Wait for a message that is ``wanted``."""
        heard = await self._inbox.take(f"{what} to {self.name}", wanted)
        self._story.tell(HUB, self.name, f"{what}: {heard.gist()}")
        return heard

    def go_down(self) -> None:
        """From now on hang up on whoever calls, as an interface engine in restart does."""
        self._down = True
        self._hang_up()

    def come_back(self) -> None:
        """Answer again."""
        self._down = False

    async def was_called(self) -> None:
        """Wait until somebody called while the clinic was down."""
        await self._calls.take(f"a call to {self.name} while it is down", lambda _: True)

    def _hang_up(self) -> None:
        for writer in self._connections:
            writer.close()

    async def _listen(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._connections.add(writer)
        try:
            with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
                await self._converse(reader, writer)
        finally:
            self._connections.discard(writer)
            writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            if self._down:
                await self._calls.put(datetime.now().astimezone())
                return
            heard = read((await reader.readuntil(END))[1:-2])
            writer.write(START + self._acknowledgement(heard) + END)
            await writer.drain()
            await self._inbox.put(heard)

    def _acknowledgement(self, heard: Heard) -> bytes:
        text = ACK.format(
            **self._header(),
            control_id=self._next_control_id(),
            event=heard.field("MSH", 9).split("^")[1],
            acknowledged=heard.field("MSH", 10),
        )
        return _wire(text)

    def _header(self) -> dict[str, str]:
        at = f"{datetime.now().astimezone():%Y%m%d%H%M%S%z}"
        return {"application": APPLICATION, "facility": self.profile.facility, "at": at}

    def _next_control_id(self) -> str:
        self._sent += 1
        return f"{self.profile.facility}-{self._sent:05d}"


def _wire(text: str) -> bytes:
    return text.strip().replace("\n", "\r").encode()
