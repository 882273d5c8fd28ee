"""The watched folder: what is whole is loaded and moved away, what is still on its way waits."""

from __future__ import annotations

import json
import os
import time
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.receive.dropbox import LOCK, Dropbox
from gateway.settings import Settings
from gateway.sole import sole
from gateway.store import open_hub
from gateway.translate import load
from tests import feeds
from tests.feeds import CLIENTS, VISITS, client, table, visit


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    settings = Settings(data_dir=tmp_path / "data", translators=0)
    settings.data_dir.mkdir()
    hub = open_hub(settings.database)
    made = Pipeline(hub, load([feeds.maps(tmp_path / "maps")]), settings, as_message)
    made.members.add("harbor", None, "Harbor")
    yield made
    made.loading.stop()
    hub.close()


@pytest.fixture
def box(tmp_path: Path) -> Path:
    folder = tmp_path / "box" / "harbor" / "shelter"
    folder.mkdir(parents=True)
    return folder


@pytest.fixture
def watcher(pipeline: Pipeline, tmp_path: Path) -> Dropbox:
    return Dropbox(pipeline.loading, lambda: ["harbor", "nobody"], tmp_path / "box", 0.01)


def only(folder: Path) -> Path:
    (found,) = folder.iterdir()
    return found


def test_files_are_loaded_together_once_they_are_whole(box: Path, watcher: Dropbox) -> None:
    (box / "visits.csv").write_bytes(table(VISITS, visit("1", "1")))
    assert watcher.look() == 0
    (box / "clients.csv").write_bytes(table(CLIENTS, client("1")))
    assert watcher.look() == 0
    assert watcher.look() == 1
    done = only(box / "done")
    told = json.loads((done / "summary.json").read_text())
    assert [file["new"] for file in told["files"]] == [1, 1]
    assert {path.name for path in done.iterdir()} == {"visits.csv", "clients.csv", "summary.json"}
    assert watcher.look() == 0


def test_what_is_still_being_written_is_waited_for(box: Path, watcher: Dropbox) -> None:
    path = box / "clients.csv"
    whole = table(CLIENTS, client("1"), client("2"))
    for end in range(40, len(whole), 40):
        path.write_bytes(whole[:end])
        assert watcher.look() == 0
    path.write_bytes(whole)
    assert watcher.look() == 0
    assert watcher.look() == 1


@pytest.mark.parametrize("name", ["clients.csv.part", "clients.csv.tmp", "clients.csv~"])
def test_a_name_that_says_it_is_on_its_way_holds_up_the_load(
    box: Path, watcher: Dropbox, name: str
) -> None:
    (box / name).write_bytes(table(CLIENTS, client("1")))
    (box / "visits.csv").write_bytes(table(VISITS, visit("1", "1")))
    assert [watcher.look() for _ in range(3)] == [0, 0, 0]
    (box / name).rename(box / "clients.csv")
    assert [watcher.look() for _ in range(2)] == [0, 1]


def test_set_aside_rows_lie_beside_the_summary_and_can_be_put_back(
    box: Path, watcher: Dropbox
) -> None:
    (box / "clients.csv").write_bytes(table(CLIENTS, client("1"), client("2", Sex="x")))
    assert [watcher.look(), watcher.look()] == [0, 1]
    aside = only(box / "done") / "aside-clients.csv"
    raw = aside.read_bytes()
    (box / "clients.csv").write_bytes(raw.replace(b",x,", b",M,"))
    assert [watcher.look(), watcher.look()] == [0, 1]
    last = sorted((box / "done").iterdir())[-1]
    assert json.loads((last / "summary.json").read_text())["files"][0]["new"] == 1


def test_what_cant_be_read_is_refused_with_its_reason(box: Path, watcher: Dropbox) -> None:
    (box / "export.zip").write_bytes(b"PK\x03\x04 no")
    assert [watcher.look(), watcher.look()] == [0, 1]
    told = json.loads((only(box / "refused") / "summary.json").read_text())
    assert told == {"refused": "the zip archive is broken (export.zip)"}


def test_a_folder_of_no_feed_says_so(tmp_path: Path, watcher: Dropbox) -> None:
    folder = tmp_path / "box" / "harbor" / "shelve"
    folder.mkdir(parents=True)
    (folder / "x.csv").write_bytes(b"a\n1\n")
    assert [watcher.look(), watcher.look()] == [0, 1]
    told = json.loads((only(folder / "refused") / "summary.json").read_text())
    assert "no such feed" in told["refused"]


def test_what_a_crash_left_taken_is_loaded_at_the_next_start(box: Path, watcher: Dropbox) -> None:
    (box / ".taken").mkdir()
    (box / ".taken" / "clients.csv").write_bytes(table(CLIENTS, client("1")))
    assert watcher.look() == 1
    assert only(box / "done").joinpath("clients.csv").exists()


def test_a_name_that_is_no_utf_8_is_told_by_its_bytes(box: Path, watcher: Dropbox) -> None:
    Path(os.fsdecode(os.fsencode(box) + b"/B\xe9r.csv")).write_bytes(table(CLIENTS, client("1")))
    assert [watcher.look(), watcher.look()] == [0, 1]
    told = json.loads((only(box / "refused") / "summary.json").read_text())
    assert "B\\xe9r.csv" in json.dumps(told, ensure_ascii=False).replace("\\\\", "\\")


def pipe(path: Path) -> None:
    os.mkfifo(path)


def dangling(path: Path) -> None:
    path.symlink_to("nowhere")


def bzipped(path: Path) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as made:
        made.writestr("clients.csv", table(CLIENTS, client("1")))
    start = path.read_bytes().index(b"clients.csv") + len("clients.csv")
    raw = bytearray(path.read_bytes())
    raw[start] ^= 0x5A
    path.write_bytes(raw)


@pytest.mark.parametrize("made", [pipe, dangling, bzipped])
def test_what_is_no_file_is_refused_and_holds_up_nobody(
    box: Path, pipeline: Pipeline, tmp_path: Path, made: Callable[[Path], None]
) -> None:
    watcher = Dropbox(pipeline.loading, lambda: ["another", "harbor"], tmp_path / "box", 0.01)
    first = tmp_path / "box" / "another" / "shelter"
    first.mkdir(parents=True)
    pipeline.members.add("another", None, "Another")
    made(first / "x.zip")
    (box / "clients.csv").write_bytes(table(CLIENTS, client("1")))
    assert [watcher.look(), watcher.look()] == [0, 2]
    assert (only(first / "refused") / "summary.json").exists()
    assert only(box / "done").joinpath("clients.csv").exists()


def test_a_fault_of_ours_is_on_record_and_holds_up_nobody(
    box: Path, pipeline: Pipeline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("Rivera")

    watcher = Dropbox(pipeline.loading, lambda: ["harbor"], tmp_path / "box", 0.01)
    monkeypatch.setattr(type(pipeline.loading), "__call__", broken)
    (box / "clients.csv").write_bytes(table(CLIENTS, client("1")))
    assert [watcher.look(), watcher.look(), watcher.look()] == [0, 1, 0]
    told = json.loads((only(box / "refused") / "summary.json").read_text())
    assert told == {"refused": "the gateway failed; its log says where"}


def test_a_folder_that_cant_be_moved_now_is_tried_again_and_holds_up_nobody(
    box: Path, watcher: Dropbox
) -> None:
    (box.parent / "other").mkdir()
    (box.parent / "other" / "done").write_bytes(b"")  # no folder: nothing can be moved there
    (box.parent / "other" / "refused").write_bytes(b"")
    (box.parent / "other" / "x.csv").write_bytes(b"a\n1\n")
    (box / "clients.csv").write_bytes(table(CLIENTS, client("1")))
    assert [watcher.look(), watcher.look()] == [0, 1]
    assert only(box / "done").joinpath("clients.csv").exists()
    (box.parent / "other" / "refused").unlink()
    assert watcher.look() == 1


def test_it_watches_by_itself(box: Path, watcher: Dropbox) -> None:
    watcher.start()
    (box / "clients.csv").write_bytes(table(CLIENTS, client("1")))
    for _ in range(1000):
        if (box / "done").exists() and list((box / "done").glob("*/summary.json")):
            break
        watcher._stopping.wait(0.01)
    watcher.stop()
    assert list((box / "done").glob("*/summary.json"))


def test_of_the_processes_that_have_a_folder_one_watches_it_until_it_ends(
    box: Path, pipeline: Pipeline, tmp_path: Path
) -> None:
    first, second = (
        Dropbox(pipeline.loading, lambda: ["harbor"], tmp_path / "box", 0.01) for _ in range(2)
    )
    mine = sole(tmp_path / "box" / LOCK)
    assert mine is not None
    first.start()
    (box / "clients.csv").write_bytes(table(CLIENTS, client("1")))
    time.sleep(0.1)
    assert (box / "clients.csv").exists(), "another watches"
    mine.close()
    until(lambda: (box / "done").is_dir())
    second.start()
    first.stop()
    (box / "visits.csv").write_bytes(table(VISITS, visit("1", "1")))
    until(lambda: len(list((box / "done").iterdir())) == 2)
    second.stop()


def until(condition: Callable[[], object]) -> None:
    end = time.monotonic() + 30
    while not condition():
        assert time.monotonic() < end, "it didn't happen in time"
        time.sleep(0.01)
