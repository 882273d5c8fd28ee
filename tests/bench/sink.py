"""A receiver in a process of its own: 200 to every request, and when each came.

``python -m tests.bench.sink`` prints its port. ``GET /log`` tells what came since it was last
asked, a line each: the path's last part and the time on the machine's monotonic clock.
"""

from __future__ import annotations

import asyncio
import re
import time
from typing import ClassVar, cast

import uvloop

_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"


class Sink(asyncio.Protocol):
    """One connection; requests have a Content-Length or no body."""

    log: ClassVar[list[str]] = []

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's own has no such base
        self._rest = b""

    def data_received(self, data: bytes) -> None:
        self._rest += data
        while (end := self._rest.find(b"\r\n\r\n")) >= 0:
            head = self._rest[:end]
            said = _LENGTH.search(head)
            size = int(said[1]) if said else 0
            if len(self._rest) < end + 4 + size:
                return
            self._answer(head.split(b" ", 2)[1])
            self._rest = self._rest[end + 4 + size :]

    def _answer(self, target: bytes) -> None:
        if target == b"/log":
            body = "\n".join(self.log).encode()
            self.log.clear()
            head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            self._transport.write(head + body)
            return
        self.log.append(f"{target.rpartition(b'/')[2].decode()} {time.monotonic()}")
        self._transport.write(_OK)


async def main() -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(Sink, "127.0.0.1", 0, backlog=4096)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main())
