"""TCP keepalive (RFC 9293 §3.8.4): the kernel asks a silent peer whether it still lives."""

from __future__ import annotations

import socket
from typing import Final

PROBES: Final = {
    "TCP_KEEPIDLE": 60,
    "TCP_KEEPINTVL": 15,
    "TCP_KEEPCNT": 4,
    "TCP_USER_TIMEOUT": 120_000,
}
"""A peer that is silent is probed after so many seconds, so often apart, and so many times.

It isn't probed while an answer to it is under way: then so many milliseconds count (RFC 5482), or
Linux would try for a quarter of an hour.
"""


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel reap a connection whose other half is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if hasattr(socket, name):  # not every system has all of them
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
