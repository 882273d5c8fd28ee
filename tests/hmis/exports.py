"""Loading and exporting HMIS CSV in tests, and reading what came of it."""

from __future__ import annotations

import csv
import io
import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from gateway.exchange.searching import Search
from gateway.hmis.report import Report
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.rows import lying
from gateway.settings import Settings
from gateway.store import Hub
from tests.shipped import library

HARBOR = Context("harbor-shelter", "test")
HAVEN = Context("family-haven", "test")
SAMPLES = Path(__file__).parents[2] / "mappings" / "hmis" / "samples"


@contextmanager
def gateway(hub: Hub, folder: Path) -> Iterator[Pipeline]:
    """A pipeline with a shelter that sends HMIS CSV and one that takes referrals."""
    pipeline = Pipeline(hub, library(), Settings(data_dir=folder, translators=0), as_message)
    for agency in ("harbor-shelter", "family-haven"):
        pipeline.add_agency(agency, None)
    yield pipeline


def load(pipeline: Pipeline, path: Path) -> Tally:
    """Load a folder of files, or one."""
    spool = pipeline.loading.spool()
    return pipeline.loading(HARBOR, "hmis", list(lying(path)), channel="test", spool=spool)


def fates(tally: Tally) -> dict[str, int]:
    """What became of all rows, by fate."""
    total: dict[str, int] = {}
    for counts in tally.files.values():
        for fate, count in counts.items():
            total[fate] = total.get(fate, 0) + count
    return {fate: count for fate, count in total.items() if count}


def resources(tally: Tally) -> dict[str, dict[str, int]]:
    """How many resources of each type were created, updated …."""
    return {type_: {k: n for k, n in c.items() if n} for type_, c in tally.resources.items()}


def export(pipeline: Pipeline, folder: Path, year: str) -> tuple[dict[str, bytes], Report]:
    """The files of an export, and its report."""
    out = folder / f"out-{year}.zip"
    report = pipeline.exports.hmis("harbor-shelter", year, out)
    with zipfile.ZipFile(out) as archive:
        return {name: archive.read(name) for name in archive.namelist()}, report


def rows(raw: bytes) -> list[dict[str, str]]:
    """The rows of a file, by column."""
    return list(csv.DictReader(io.StringIO(raw.decode(), newline="")))


def found(pipeline: Pipeline, context: Context, type_: str, **query: str) -> list[Any]:
    """What a search finds."""
    pairs = [*query.items(), ("_count", "1000")]
    page = pipeline.search(context, Search(type_, pairs)).page
    return [json.loads(each.body) for each in page.entries]


def move(pipeline: Pipeline, context: Context, task: Any, **changes: Any) -> Any:
    """Change a Task as its caller may."""
    raw = json.dumps({**task, **changes}).encode()
    done = pipeline.update(context, "Task", task["id"], raw).result()
    assert done.stored is not None
    return json.loads(done.stored.body)


def make(pipeline: Pipeline, context: Context, resource: dict[str, Any]) -> Any:
    """Create a resource."""
    raw = json.dumps(resource).encode()
    done = pipeline.create(context, resource["resourceType"], raw).result()
    assert done.stored is not None
    return json.loads(done.stored.body)


def written(folder: Path, name: str, columns: list[str], *told: dict[str, str]) -> Path:
    """A file of some rows."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(told)
    return path
