"""Loads into a real hub: SQLite, but for the tests that ask for ``postgres_url``."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.fhir.json import loads
from gateway.fhir.search import parse_query
from gateway.loading import Loading
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.rows import lying
from gateway.settings import Settings
from gateway.store import Hub
from gateway.translate import load
from tests import feeds

HARBOR = Context("harbor", "test")


@pytest.fixture
def database_url(sqlite_url: str) -> str:
    """One engine: ``test_postgresql`` goes through it all on the other."""
    return sqlite_url


@pytest.fixture
def pipeline(hub: Hub, tmp_path: Path) -> Iterator[Pipeline]:
    library = load([feeds.maps(tmp_path / "maps")])
    settings = Settings(data_dir=tmp_path / "data", translators=0)
    made = Pipeline(hub, library, settings, as_message)
    made.members.add("harbor", None, "Harbor")
    made.members.add("pantry", None, "Pantry")
    yield made
    made.loading.stop()


@pytest.fixture
def loading(pipeline: Pipeline) -> Loading:
    return pipeline.loading


Put = Callable[..., Tally]


@pytest.fixture
def put(loading: Loading, tmp_path: Path) -> Put:
    """``put({"clients.csv": rows})`` loads files and gives the tally."""
    count = iter(range(100))

    def run(files: Mapping[str, bytes], context: Context = HARBOR, feed: str = "shelter") -> Tally:
        folder = feeds.put(tmp_path / f"load{next(count)}", files)
        return loading(context, feed, list(lying(folder)), channel="test", spool=loading.spool())

    return run


Find = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def find(hub: Hub) -> Find:
    """``find("Patient")`` is what Harbor has of a type."""

    def run(type_: str) -> list[dict[str, Any]]:
        with hub.read() as reader:
            page = reader.search(HARBOR, parse_query(type_, [("_count", "100")]))
        return [loads(each.body) for each in page.entries]

    return run
