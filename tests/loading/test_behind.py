"""Loads behind their answer: told of as they go, ended by who asked, begun again after a stop."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.errors import NotFound
from gateway.loading.behind import Behind
from gateway.model import Context
from gateway.operations.jobs import PREFIX, Job, TooMany
from gateway.pipeline import Pipeline
from gateway.rows import lying
from gateway.store import Hub
from tests import feeds
from tests.feeds import CLIENTS, client, table
from tests.loading.conftest import HARBOR, Find


def asked(
    pipeline: Pipeline, folder: Path, files: Mapping[str, bytes], context: Context = HARBOR
) -> Job:
    found = list(lying(feeds.put(folder, files)))
    return pipeline.loads_behind.start(context, "shelter", found, "/intake/csv/shelter")


def done(pipeline: Pipeline, job: Job) -> Job:
    asyncio.run(pipeline.drain(PREFIX + job.id))
    return pipeline.operations.jobs.get(HARBOR, job.id, "load")


@contextmanager
def held(hub: Hub) -> Iterator[None]:
    """Nothing is written meanwhile."""
    gate = threading.Event()
    hub.submit(lambda tx: gate.wait(60))
    try:
        yield
    finally:
        gate.set()


def two() -> dict[str, bytes]:
    return {"clients.csv": table(CLIENTS, client("1"), client("2", Sex="x"))}


def test_what_it_came_to_is_kept_and_its_files_are_not(
    pipeline: Pipeline, find: Find, tmp_path: Path
) -> None:
    job = asked(pipeline, tmp_path / "in", two())
    folder = pipeline.operations.jobs.folder(job.id)
    assert (folder / "input-0").read_bytes() == two()["clients.csv"]
    over = done(pipeline, job)
    assert (over.status, over.asked["took"]) == ("completed", True)
    (file,) = over.asked["summary"]["files"]
    assert (file["new"], file["aside"]) == (1, 1)
    assert len(find("Patient")) == 1
    assert {path.name for path in folder.iterdir()} == {"job.json", "lock"}
    with pytest.raises(NotFound):
        pipeline.operations.jobs.get(Context("pantry", "test"), job.id, "load")


def test_a_file_that_cant_be_read_at_all_is_told_of(pipeline: Pipeline, tmp_path: Path) -> None:
    over = done(pipeline, asked(pipeline, tmp_path / "in", {"x.zip": b"PK\x03\x04rubbish"}))
    assert (over.status, over.asked["status"]) == ("failed", 400)
    assert over.asked["issues"][0][1] == "x.zip"


def test_a_load_that_a_stop_cuts_off_is_begun_again(
    pipeline: Pipeline, hub: Hub, find: Find, tmp_path: Path
) -> None:
    job = asked(pipeline, tmp_path / "in", two())
    steps = pipeline.loads_behind.run(job)
    with held(hub):
        assert next(steps)
        pipeline.loads_behind.stop()
    assert list(steps)[-1:] in ([], [pytest.approx(0.2)])
    assert find("Patient") == []
    with hub.read() as reader:
        (load,) = reader.link.connection.exec_driver_sql("SELECT summary FROM load").fetchall()
    assert "cut off" in json.loads(load[0])["refused"]
    assert PREFIX + job.id in pipeline.operations.jobs.undone()
    assert list(pipeline.loads_behind.run(job)) == []
    pipeline.operations.bulk.serve("load", Behind(pipeline.loading, pipeline.operations.jobs).run)
    assert done(pipeline, job).asked["took"]
    assert len(find("Patient")) == 1


def test_who_deletes_it_ends_it(pipeline: Pipeline, hub: Hub, find: Find, tmp_path: Path) -> None:
    job = asked(pipeline, tmp_path / "in", two())
    steps = pipeline.loads_behind.run(job)
    with held(hub):
        next(steps)
        pipeline.operations.jobs.delete(job)
        assert list(steps) == []
    pipeline.loading.stop()
    assert find("Patient") == []
    assert pipeline.operations.jobs.find(job.id) is None


def test_an_agency_has_few_at_a_time_and_done_ones_dont_count(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    first = asked(pipeline, tmp_path / "in", two())
    done(pipeline, first)
    for number in range(10):
        asked(pipeline, tmp_path / f"in{number}", two())
    with pytest.raises(TooMany):
        asked(pipeline, tmp_path / "more", two())
    asked(pipeline, tmp_path / "other", two(), Context("pantry", "test"))
