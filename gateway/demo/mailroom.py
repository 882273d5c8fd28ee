"""The mail server of Cedar County: SMTP on a loopback socket (RFC 5321), nothing goes further."""

from __future__ import annotations

import asyncio
import contextlib
import socket
from email import message_from_bytes
from email.policy import default
from typing import Final, NamedTuple

from gateway.demo.inbox import Inbox

ADDRESS: Final = "gateway@cedar-county.example"
"""Where the gateway's e-mails come from."""

_ANSWERS: Final = {"DATA": "354 go on", "QUIT": "221 bye"}
_END: Final = b"\r\n.\r\n"


class Mail(NamedTuple):
    """An e-mail as its reader sees it."""

    to: str
    subject: str
    text: str


class Mailroom:
    """Takes e-mails on a socket that is bound already, and gives them to their readers."""

    def __init__(self, bound: socket.socket) -> None:
        self._socket = bound
        self._mails: Inbox[Mail] = Inbox()
        self._server: asyncio.Server | None = None

    async def open(self) -> None:
        """Take e-mails from now on."""
        self._server = await asyncio.start_server(self._serve, sock=self._socket)

    async def close(self) -> None:
        """Take no more."""
        if self._server is not None:
            self._server.close()

    async def read(self, to: str) -> Mail:
        """Wait for the next e-mail to an address."""
        return await self._mails.take(f"an e-mail to {to}", lambda mail: mail.to == to)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.closing(writer), contextlib.suppress(EOFError, ConnectionError):
            await self._talk(reader, writer)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        to, word = "", ""
        _say(writer, "220 mail.cedar-county.example")
        while word != "QUIT" and (line := (await reader.readline()).decode().rstrip()):
            word = line.partition(" ")[0].upper()
            _say(writer, _ANSWERS.get(word, "250 fine"))
            if word == "RCPT":
                to = line.partition("<")[2].partition(">")[0]
            if word == "DATA":
                raw = (await reader.readuntil(_END)).removesuffix(_END)
                await self._mails.put(_read(to, raw.replace(b"\r\n..", b"\r\n.")))
                _say(writer, "250 taken")


def _say(writer: asyncio.StreamWriter, line: str) -> None:
    writer.write(f"{line}\r\n".encode())


def _read(to: str, raw: bytes) -> Mail:
    message = message_from_bytes(raw, policy=default)
    body = message.get_body(("plain",))
    return Mail(to, str(message["subject"]), body.get_content() if body is not None else "")
