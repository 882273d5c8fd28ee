"""A first load is read in another process as it would be here, and here when that one is gone."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import gateway.loading
from gateway.loading.reading import Dues, Part, Reading, parts, staged, understood
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.rows import Came, Joins, Records, Staging, lying
from gateway.settings import Settings, shipped
from gateway.store import Hub
from gateway.translate import Library, Rows, load
from tests import feeds
from tests.feeds import CLIENTS, VISITS, client, table, visit
from tests.shipped import library as shipped_library

SAMPLE = shipped("mappings") / "hmis" / "samples" / "fy2026"
BARRED = visit("v9", "3", Kind="secret")
FILES = {
    "clients-1.csv": table(
        CLIENTS,
        *(client(str(n), Changed="2024-01-01") for n in range(600)),
        client("7", Last="Again", Changed="2024-01-02"),
        client("8", Gone="yes"),
        client("9", Sex="Q"),
        client(""),
    ),
    "clients-2.csv": table(CLIENTS, client("x")) + b'y,"open\r\n',
    "visits.csv": table(VISITS, visit("v1", "1"), visit("v2", "1"), visit("v3", "none"), BARRED)
    + b"v4,1\r\n",
    "Notes.csv": table(("Note",), {"Note": "kept, and read by nobody"}),
}


@pytest.fixture(scope="module")
def maps(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return feeds.maps(tmp_path_factory.mktemp("maps"))


@pytest.fixture(scope="module")
def library(maps: Path) -> Library:
    return load([maps]).with_agency("harbor", None)


@pytest.fixture
def rows(library: Library) -> Rows:
    return Rows(library, library.agencies["harbor"], "shelter")


@pytest.fixture
def found(rows: Rows, tmp_path: Path) -> list[Records]:
    came = sorted(lying(feeds.put(tmp_path / "came", FILES)), key=lambda one: one.name)
    return [Records(rows, Came(one.name, one.path)) for one in came]


@pytest.fixture
def reading(library: Library, rows: Rows, maps: Path, found: list[Records]) -> Iterator[Reading]:
    source = ("harbor", "", 0, library.map_version("harbor"))
    made = Reading(rows, source, (maps,), found, found[0].came.path.parent / "beside.sqlite")
    yield made
    made.close()


def dues(rows: Rows, staging: Staging) -> Dues:
    return Dues(rows, Joins(rows, staging, lambda *_: ()))


def here(rows: Rows, found: list[Records]) -> list[Part]:
    staging = Staging(None, rows)
    staged(staging, found)
    return [understood(rows, part) for part in parts(dues(rows, staging), found)]


def told(part: Part) -> list[Any]:
    """All that is told of a part's rows, errors by what they say."""
    return [part.file, part.deleted, part.fault] + [
        (
            one.id, one.digest, one.updated, one.deleted, one.by, one.meaning, one.is_barred,
            one.record.place, one.record.raw, one.record.of, one.record.plan,
            one.error and (type(one.error), one.error.issues, str(one.error)),
        )
        for one in part.dues
    ]  # fmt: skip


def test_another_process_reads_what_this_one_would_and_this_one_goes_on_where_it_died(
    rows: Rows, found: list[Records], reading: Reading
) -> None:
    expected = [told(each) for each in here(rows, found)]
    assert {part[1] for part in expected} == {False, True}
    staging = Staging(None, rows)
    ours = dues(rows, staging)
    taken = [reading.take(reading.ask(), staging, ours) for _ in range(len(expected) - 2)]
    assert reading._here is None, "it was the other process's"
    os.kill(reading._child.pid, signal.SIGKILL)
    while (part := reading.take(reading.ask(), staging, ours)) is not None:
        taken.append(part)
    assert [told(each) for each in taken if each is not None] == expected


def test_a_load_comes_to_the_same_wherever_it_is_read(
    hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = Settings(data_dir=tmp_path / "data", translators=1)
    pipeline = Pipeline(hub, shipped_library(), settings, as_message)
    summaries, kept = [], []
    for agency, least in (("harbor-shelter", 1), ("cedar-general", 10**9)):
        monkeypatch.setattr(gateway.loading, "MANY", least)
        pipeline.members.add(agency, None, agency)
        context, spool = Context(agency, "test"), pipeline.loading.spool()
        found = list(lying(SAMPLE))
        tally = pipeline.loading(context, "hmis", found, channel="test", spool=spool)
        summaries.append({**tally.summary(), "load": "", "agency": "", "aside": len(tally.asides)})
        with hub.read() as reader:
            files = reader.sheets(agency, "hmis")
            kept.append([(f, [r.raw for r in reader.rows(context, "hmis", f)]) for f in files])
    pipeline.loading.stop()
    assert summaries[0] == summaries[1]
    assert kept[0] == kept[1]
    assert sum(len(raws) for _, raws in kept[0]) > 24
