from __future__ import annotations

import socket

from gateway.receive.keepalive import PROBES, keep_alive


def test_what_a_listening_socket_is_told_each_connection_that_it_accepts_does() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        keep_alive(listening)
        with (
            socket.create_connection(listening.getsockname()),
            listening.accept()[0] as accepted,
        ):
            assert accepted.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
            for name, value in PROBES.items():
                option = getattr(socket, name, None)
                assert option is None or accepted.getsockopt(socket.IPPROTO_TCP, option) == value
