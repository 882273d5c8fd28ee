"""The bench's client: many connections, one message in flight on each, in one light process.

``python tests/bench/mllp_client.py PORT CONNECTIONS MESSAGES PREFIX SAMPLE`` prints a line of
JSON: messages a second, p50 and p99 in milliseconds, and how many answers weren't AA.
"""

from __future__ import annotations

import json
import selectors
import socket
import sys
import time
from pathlib import Path

START, END = b"\x0b", b"\x1c\r"
NUMBERED = {"RF1": 6, "PID": 3, "PV1": 19, "OBR": 3}
"""What must be another's with another patient: the field that identifies, by segment."""


def numbered(sample: str, number: str) -> bytes:
    """The sample as another message, referral, patient, visit and laboratory order, framed."""
    segments = [line.split("|") for line in sample.replace("\n", "\r").split("\r") if line]
    for fields in segments:
        if fields[0] == "MSH":
            fields[9] = number
        elif fields[0] in NUMBERED:
            field = NUMBERED[fields[0]]
            fields[field] = "^".join([number, *fields[field].split("~")[0].split("^")[1:]])
    return START + "\r".join("|".join(fields) for fields in segments).encode() + b"\r" + END


class Connection:
    """One socket with its message in flight."""

    def __init__(self, port: int) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._answer = b""
        self._began = 0.0

    def send(self, message: bytes) -> None:
        self._answer = b""
        self._began = time.perf_counter()
        self.socket.sendall(message)

    def receive(self) -> tuple[float, bytes] | None:
        """Seconds and the answer, once it is whole."""
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server hung up")
        self._answer += data
        if not self._answer.endswith(END):
            return None
        return time.perf_counter() - self._began, self._answer


def run(port: int, connections: int, messages: list[bytes]) -> dict[str, float]:
    """Send all messages; the figures."""
    waiting = iter(messages)
    took: list[float] = []
    refused = 0
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        for _ in range(min(connections, len(messages))):
            connection = Connection(port)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(next(waiting))
        while len(took) < len(messages):
            for key, _ in selector.select():
                done = key.data.receive()
                if done is None:
                    continue
                took.append(done[0])
                refused += b"MSA|AA|" not in done[1]
                message = next(waiting, None)
                if message is not None:
                    key.data.send(message)
        seconds = time.perf_counter() - began
        for key in list(selector.get_map().values()):
            key.data.socket.close()
    took.sort()
    return {
        "rate": len(took) / seconds,
        "p50": took[len(took) // 2] * 1000,
        "p99": took[len(took) * 99 // 100] * 1000,
        "refused": refused,
    }


if __name__ == "__main__":
    port, connections, count, prefix, sample = sys.argv[1:]
    text = Path(sample).read_text(encoding="utf-8")
    made = [numbered(text, f"{prefix}{ordinal:07d}") for ordinal in range(int(count))]
    print(json.dumps(run(int(port), int(connections), made)))
