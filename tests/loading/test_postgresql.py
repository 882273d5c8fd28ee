"""The whole of a feed's life on PostgreSQL, where units run side by side."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.loading import Loading
from gateway.pipeline import Pipeline
from tests.feeds import CLIENTS, VISITS, client, table, visit
from tests.loading.conftest import HARBOR, Find, Put
from tests.loading.larder import Larder, guest
from tests.loading.test_loading import counts


@pytest.fixture
def database_url(postgres_url: str) -> str:
    """The other engine."""
    return postgres_url


def test_a_feeds_life(put: Put, find: Find, loading: Loading) -> None:
    many = [client(str(n), Sex="M" if n % 50 else "x") for n in range(120)]
    visits = [visit(f"v{n}", str(n)) for n in range(120)]
    files = {"clients.csv": table(CLIENTS, *many), "visits.csv": table(VISITS, *visits)}
    tally = put(files)
    assert counts(tally, "clients.csv") == {"rows": 120, "new": 117, "aside": 3}
    assert counts(tally, "visits.csv") == {"rows": 120, "new": 117, "aside": 3}
    again = put(files)
    assert counts(again, "clients.csv") == {"rows": 120, "unchanged": 117, "aside": 3}
    assert again.resources == {}
    mended = [client(str(n), Sex="M") for n in range(0, 120, 50)]
    put({"clients.csv": table(CLIENTS, *mended)})
    (tried,) = loading.again(HARBOR, loading.asides.open(HARBOR))
    assert counts(tried, "visits.csv") == {"rows": 3, "new": 3}
    gone = put({"visits.csv": table(VISITS, visit("v1", "1", Gone="1"))})
    assert counts(gone, "visits.csv") == {"rows": 1, "deleted": 1}
    assert loading.asides.open(HARBOR) == []


def test_what_waits_for_a_code(pipeline: Pipeline, tmp_path: Path) -> None:
    larder = Larder(pipeline, tmp_path / "larder")
    assert larder.sends(*(guest(str(n), f"c{n}", "Q7") for n in range(150))).is_whole
    assert larder.sends(guest("x", "x", "Q7", state="odd")).set_aside == 1
    assert len(larder.has("Task")) == 2
    larder.tables(sex="Q7,other", state="odd,cancelled")
    assert pipeline.replay.release() == 2
    assert {each["gender"] for each in larder.has("Patient")} == {"other"}
    assert {each["status"] for each in larder.has("Task")} == {"completed"}
