"""What stands between a client and PostgreSQL, and cuts a connection at its COMMIT."""

from __future__ import annotations

import contextlib
import shutil
import socket
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import sqlalchemy as sa

COMMIT: Final = b"Q\x00\x00\x00\x0bCOMMIT\x00"
_SOCKET: Final = ".s.PGSQL.5432"

Cut = Callable[["Between", socket.socket, socket.socket], None]
"""Given both ends, the client's and the server's, when the client has said COMMIT."""


class Between:
    """Passes everything on. ``url``: how to come by here; ``cut``: what befalls the next COMMIT.

    ``unsure``: somebody was told that a transaction is still under way. ``kept``: servers whose
    connection lasts longer than the client's.
    """

    def __init__(self, url: str, folder: Path) -> None:
        parsed = sa.make_url(url)
        self._server = str(Path(str(parsed.query["host"])) / _SOCKET)
        here = parsed.update_query_dict({"host": str(folder)})
        self.url = here.render_as_string(hide_password=False)
        self.cut: Cut | None = None
        self.unsure = threading.Event()
        self.kept: set[socket.socket] = set()
        self._door = socket.socket(socket.AF_UNIX)
        self._door.bind(str(folder / _SOCKET))
        self._door.listen()
        threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._door.accept()
                threading.Thread(target=self._pass, args=(client,), daemon=True).start()

    def _pass(self, client: socket.socket) -> None:
        with client, socket.socket(socket.AF_UNIX) as server:
            server.connect(self._server)
            back = threading.Thread(target=self._down, args=(server, client), daemon=True)
            back.start()
            self._up(client, server)
            back.join()

    def _up(self, client: socket.socket, server: socket.socket) -> None:
        for piece in _pieces(client):
            if self.cut is not None and piece == COMMIT:
                cut, self.cut = self.cut, None
                cut(self, client, server)
            else:
                server.sendall(piece)
        if server not in self.kept:
            _hang_up(server)

    def _down(self, server: socket.socket, client: socket.socket) -> None:
        for piece in _pieces(server):
            if b"in progress" in piece:
                self.unsure.set()
            if server in self.kept:
                break
            with contextlib.suppress(OSError):
                client.sendall(piece)
        _hang_up(client)

    def close(self) -> None:
        """Let nobody in any more."""
        _hang_up(self._door)
        self._door.close()


def before(_: Between, client: socket.socket, __: socket.socket) -> None:
    """The server never hears it."""
    _hang_up(client)


def after(between: Between, _: socket.socket, server: socket.socket) -> None:
    """The server does it, and the client never hears so."""
    between.kept.add(server)
    server.sendall(COMMIT)


def meanwhile(between: Between, client: socket.socket, server: socket.socket) -> None:
    """The server does it once somebody has asked whether it did."""
    between.kept.add(server)
    _hang_up(client)
    assert between.unsure.wait(30)
    server.sendall(COMMIT)


def _pieces(end: socket.socket) -> Iterator[bytes]:
    with contextlib.suppress(OSError):
        while piece := end.recv(65536):
            yield piece


def _hang_up(end: socket.socket) -> None:
    with contextlib.suppress(OSError):
        end.shutdown(socket.SHUT_RDWR)


@contextmanager
def between(url: str) -> Iterator[Between]:
    """Something between, as long as one is in here."""
    folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path may have 107 characters
    made = Between(url, folder)
    yield made
    made.close()
    shutil.rmtree(folder)
