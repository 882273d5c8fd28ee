from __future__ import annotations

import json
import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import Conflict, SettingError, StoreError
from gateway.store import Hub, open_hub
from gateway.store.backup import back_up, restore
from gateway.store.engine import open_engine
from tests.store.samples import CLINIC, create, ids, patient, search


@pytest.fixture
def data(tmp_path: Path) -> Path:
    folder = tmp_path / "data"
    folder.mkdir()
    return folder


@pytest.fixture
def url(data: Path) -> str:
    return f"sqlite:///{data / 'gateway.sqlite'}"


@pytest.fixture
def running(url: str) -> Iterator[Hub]:
    hub = open_hub(url)
    create(hub, CLINIC, patient("a"))
    yield hub
    hub.close()


def patients(url: str) -> list[str]:
    hub = open_hub(url)
    found = ids(search(hub, CLINIC, "Patient", ("_sort", "_id")))
    hub.close()
    return found


def job(data: Path, id: str, state: str = "{}") -> Path:
    folder = data / "bulk" / id
    folder.mkdir(parents=True)
    (folder / "job.json").write_text(state)
    (folder / "input-1.ndjson").write_text("{}\n")
    (folder / "lock").touch()
    return folder


def test_a_running_hub_is_copied_whole_with_the_jobs_that_were_taken(
    running: Hub, url: str, data: Path, tmp_path: Path
) -> None:
    job(data, "0" * 32)
    made = back_up(url, data, tmp_path / "out")
    create(running, CLINIC, patient("b"))
    elsewhere = tmp_path / "elsewhere"
    place = f"sqlite:///{elsewhere / 'gateway.sqlite'}"
    assert restore(tmp_path / "out", place, elsewhere) == made
    assert patients(place) == ["a"]
    names = sorted(path.name for path in (elsewhere / "bulk").rglob("*") if path.is_file())
    assert names == ["input-1.ndjson", "job.json"]
    assert sorted(made.files) == [
        f"bulk/{'0' * 32}/input-1.ndjson",
        f"bulk/{'0' * 32}/job.json",
        "gateway.sqlite",
    ]
    assert (tmp_path / "out").stat().st_mode & 0o777 == 0o700


def test_a_job_that_changes_while_it_is_copied_is_copied_again(
    running: Hub, url: str, data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else its state might name a file of which only half was there."""
    folder = job(data, "0" * 32)
    copytree = shutil.copytree
    copies: list[str] = []

    def slow(*arguments: Any, **more: Any) -> Any:
        done = copytree(*arguments, **more)
        if not copies:
            (folder / "input-1.ndjson").write_text("{}\n{}\n")
            (folder / "job.json").write_text('{"done": 1}')
        copies.append("")
        return done

    monkeypatch.setattr(shutil, "copytree", slow)
    back_up(url, data, tmp_path / "out")
    found = tmp_path / "out" / "bulk" / folder.name
    assert len(copies) == 2
    assert (found / "job.json").read_text() == '{"done": 1}'
    assert (found / "input-1.ndjson").read_text() == "{}\n{}\n"


def test_a_hub_that_is_there_stays_unless_it_is_to_be_replaced_and_then_is_put_aside(
    running: Hub, url: str, data: Path, tmp_path: Path
) -> None:
    back_up(url, data, tmp_path / "out")
    create(running, CLINIC, patient("b"))
    job(data, "1" * 32)
    (data / "work.sqlite").touch()
    with pytest.raises(Conflict, match="--replace"):
        restore(tmp_path / "out", url, data)
    with pytest.raises(Conflict, match="stop the gateway"):
        restore(tmp_path / "out", url, data, replace=True)
    running.close()
    assert patients(url) == ["a", "b"]
    restore(tmp_path / "out", url, data, replace=True)
    assert patients(url) == ["a"]
    (aside,) = data.glob("before-*")
    assert sorted(path.name for path in aside.iterdir()) == [
        "bulk",
        "gateway.sqlite",
        "work.sqlite",
    ]
    assert patients(f"sqlite:///{aside / 'gateway.sqlite'}") == ["a", "b"]


def test_a_backup_that_is_not_whole_is_refused_and_leaves_nothing(
    running: Hub, url: str, data: Path, tmp_path: Path
) -> None:
    out, elsewhere = tmp_path / "out", tmp_path / "elsewhere"
    place = f"sqlite:///{elsewhere / 'gateway.sqlite'}"
    back_up(url, data, out)
    content = bytearray((out / "gateway.sqlite").read_bytes())
    content[len(content) // 2] ^= 1
    (out / "gateway.sqlite").write_bytes(content)
    with pytest.raises(StoreError, match="another content"):
        restore(out, place, elsewhere)
    (out / "backup.json").unlink()
    with pytest.raises(StoreError, match="no whole backup"):
        restore(out, place, elsewhere)
    assert list(elsewhere.iterdir()) == []


def test_a_backup_of_what_is_no_sound_hub_fails(tmp_path: Path, data: Path, url: str) -> None:
    with pytest.raises(SettingError, match="no hub yet"):
        back_up(url, data, tmp_path / "out")
    file = sqlite3.connect(data / "gateway.sqlite")
    file.execute("CREATE TABLE other (a)")
    file.close()
    with pytest.raises(StoreError, match="isn't a hub"):
        back_up(url, data, tmp_path / "out")
    (data / "gateway.sqlite").write_bytes(b"no database" * 1000)
    with pytest.raises(StoreError, match="can't be read"):
        back_up(url, data, tmp_path / "out")
    assert not list(tmp_path.glob("out*"))


def test_a_hub_of_a_newer_release_is_not_restored(
    running: Hub, url: str, data: Path, tmp_path: Path
) -> None:
    database = open_engine(url)
    with database.writes.begin() as connection:
        connection.exec_driver_sql("UPDATE alembic_version SET version_num = '9999'")
        connection.exec_driver_sql("UPDATE hub SET value = '9999' WHERE name = 'serves'")
    database.close()
    back_up(url, data, tmp_path / "out")
    said = json.loads((tmp_path / "out" / "backup.json").read_text())
    assert said["revision"] == "9999"
    with pytest.raises(SettingError, match="newer release"):
        restore(tmp_path / "out", f"sqlite:///{tmp_path / 'x' / 'y.sqlite'}", tmp_path / "x")


def test_a_backup_goes_nowhere_where_something_is(
    running: Hub, url: str, data: Path, tmp_path: Path
) -> None:
    with pytest.raises(Conflict, match="there already"):
        back_up(url, data, data)


def test_postgresql_is_left_to_its_own_tools(tmp_path: Path) -> None:
    with pytest.raises(SettingError, match="pg_dump"):
        back_up("postgresql://nobody@localhost/none", tmp_path, tmp_path / "out")
