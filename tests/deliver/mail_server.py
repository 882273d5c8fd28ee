"""A mail server that asks for TLS and a login (RFC 5321, 3207, 4954, 8314), on a real socket."""

from __future__ import annotations

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from tests.deliver.sinks import Mailbox, Reader, Writer, listening

USER, PASSWORD = "gateway@county.example", "p?ss word"

_TOKEN = base64.b64encode(f"\0{USER}\0{PASSWORD}".encode()).decode()


@dataclass
class Guarded(Mailbox):
    """What the server took, and in which state: each command with whether TLS was on."""

    heard: list[tuple[str, bool]] = field(default_factory=list)


@dataclass
class _Talk:
    """One connection: what it may do now."""

    reader: Reader
    writer: Writer
    box: Guarded
    tls: ssl.SSLContext | None
    inside: bool = False
    ends: dict[str, str] = field(default_factory=dict)

    @property
    def private(self) -> bool:
        return self.writer.get_extra_info("sslcontext") is not None

    def say(self, *lines: str) -> None:
        *first, last = lines
        said = [*(f"{line[:3]}-{line[4:]}" for line in first), last]
        self.writer.write("".join(f"{line}\r\n" for line in said).encode())

    async def go(self) -> None:
        self.say("220 here")
        while line := (await self.reader.readline()).decode().rstrip("\r\n"):
            word, _, rest = line.partition(" ")
            self.box.heard.append((word.upper(), self.private))
            if not await self.answer(word.upper(), rest):
                return

    async def answer(self, word: str, rest: str) -> bool:
        if word == "EHLO":
            able = "250 AUTH PLAIN LOGIN" if self.private else "250 STARTTLS"
            self.say("250 here", able if self.tls else "250 8BITMIME")
        elif word == "STARTTLS" and self.tls:
            self.say("220 go ahead")
            await self.writer.drain()
            await self.writer.start_tls(self.tls)
        elif word == "AUTH":
            self.inside = rest == f"PLAIN {_TOKEN}"
            self.say("235 welcome" if self.inside else "535 no")
        elif word in ("MAIL", "RCPT", "DATA") and not self.inside:
            self.say("530 who are you?")
        else:
            return await self.carry(word, rest)
        return True

    async def carry(self, word: str, rest: str) -> bool:
        if word == "DATA":
            self.say("354 go on")
            raw = await self.reader.readuntil(b"\r\n.\r\n")
            self.box.mails.append((self.ends["MAIL"], self.ends["RCPT"], raw[:-5]))
        elif word in ("MAIL", "RCPT"):
            self.ends[word] = rest.partition("<")[2].partition(">")[0]
        self.say("221 bye" if word == "QUIT" else "250 fine")
        return word != "QUIT"


@asynccontextmanager
async def mail_server(
    tls: ssl.SSLContext | None, *, implicit: bool = False
) -> AsyncIterator[tuple[int, Guarded]]:
    """(its port, what it took). It lets in whoever logs in over TLS alone: ``implicit`` from the
    first byte, else by STARTTLS; without ``tls`` it offers neither."""
    box = Guarded([])

    async def serve(reader: Reader, writer: Writer) -> None:
        try:
            await _Talk(reader, writer, box, tls).go()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    async with listening(serve, tls if implicit else None) as port:
        yield port, box
