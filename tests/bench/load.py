"""Many connections, one request in flight on each: what the benches' light clients share.

A client is a process of its own and imports nothing of the gateway's, so that it takes little of
what it measures.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections.abc import Callable, Sequence

Test = Callable[[bytes], bool]


class Connection:
    """One socket with its request in flight."""

    def __init__(self, port: int, whole: Test) -> None:
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._whole = whole
        self._answer = b""
        self._began = 0.0

    def send(self, request: bytes) -> None:
        self._answer = b""
        self._began = time.perf_counter()
        self.socket.sendall(request)

    def receive(self) -> tuple[float, bytes] | None:
        """Seconds and the answer, once it is whole."""
        data = self.socket.recv(65536)
        if not data:
            raise EOFError("the server hung up")
        self._answer += data
        if not self._whole(self._answer):
            return None
        return time.perf_counter() - self._began, self._answer


def run(
    port: int, connections: int, requests: Sequence[bytes], whole: Test, good: Test
) -> dict[str, float]:
    """Send all; requests a second, p50 and p99 in milliseconds, and how many weren't ``good``."""
    waiting = iter(requests)
    took: list[float] = []
    refused = 0
    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        for _ in range(min(connections, len(requests))):
            connection = Connection(port, whole)
            selector.register(connection.socket, selectors.EVENT_READ, connection)
            connection.send(next(waiting))
        while len(took) < len(requests):
            for key, _ in selector.select():
                done = key.data.receive()
                if done is None:
                    continue
                took.append(done[0])
                refused += not good(done[1])
                request = next(waiting, None)
                if request is not None:
                    key.data.send(request)
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
