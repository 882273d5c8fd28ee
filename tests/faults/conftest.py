"""Where faults happen."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest


@pytest.fixture
def folder() -> Iterator[Path]:
    """A short path that others may go through: a PostgreSQL's socket stands below it."""
    made = Path(tempfile.mkdtemp(prefix="cut-"))
    made.chmod(0o755)
    yield made
    shutil.rmtree(made, ignore_errors=True)


@pytest.fixture
def url(engine: str, request: pytest.FixtureRequest) -> str:
    """A database of the test's ``engine``; "" is SQLite's own file in the data folder."""
    return str(request.getfixturevalue("postgres_url")) if engine == "postgresql" else ""
