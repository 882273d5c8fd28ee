"""What an HMIS export goes into."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.pipeline import Pipeline
from gateway.store import Hub
from tests.hmis.exports import gateway


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """SQLite alone: rows are read by ``store.rows``, which is tested on both engines."""
    return sqlite_url


@pytest.fixture
def pipeline(hub: Hub, tmp_path: Path) -> Iterator[Pipeline]:
    with gateway(hub, tmp_path / "data") as pipeline:
        yield pipeline
