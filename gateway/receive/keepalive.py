"""TCP keepalive (RFC 9293 §3.8.4): the kernel asks a silent peer whether it still lives."""

from __future__ import annotations

import socket
from typing import Final

PROBES: Final = {"TCP_KEEPIDLE": 60, "TCP_KEEPINTVL": 15, "TCP_KEEPCNT": 4}
"""A peer that is silent is probed after so many seconds, so often apart, and so many times."""


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel reap a connection whose other half is gone."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for name, value in PROBES.items():
        if hasattr(socket, name):  # not every system has all three
            sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)
