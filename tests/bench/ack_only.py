"""An MLLP server that answers AA and does nothing else: the ceiling that the bench compares with.

``python -m tests.bench.ack_only PORT``
"""

from __future__ import annotations

import asyncio
import sys

START, END = b"\x0b", b"\x1c\r"
ACK = b"MSH|^~\\&|HUB|COUNTY|||20240301101500-0600||ACK^I12^ACK|%b|P|2.5.1\rMSA|AA|%b\r"


class AckOnly(asyncio.Protocol):
    """Answers each frame by its control id (MSH-10)."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport
        self._waiting = b""

    def data_received(self, data: bytes) -> None:
        *frames, self._waiting = (self._waiting + data).split(END)
        for frame in frames:
            control_id = frame.split(b"|", 10)[9]
            answer = START + ACK % (control_id, control_id) + END
            self._transport.write(answer)  # type: ignore[attr-defined]


async def serve(port: int) -> None:
    loop = asyncio.get_running_loop()
    server = await loop.create_server(AckOnly, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    try:
        import uvloop as runner
    except ImportError:
        import asyncio as runner  # type: ignore[no-redef]
    runner.run(serve(int(sys.argv[1])))
