"""A job that was accepted is on disk: its input, its state, and the folders that lead there."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.model import Context
from gateway.operations.jobs import PREFIX, File, Jobs


def test_an_accepted_job_and_its_input_are_on_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: set[int] = set()
    real = os.fsync

    def fsync(number: int) -> None:
        real(number)
        synced.add(os.fstat(number).st_ino)

    monkeypatch.setattr(os, "fsync", fsync)
    jobs = Jobs(tmp_path, 1000, lambda key: None)
    body = jobs.incoming()
    body.write_bytes(b"{}\n")
    job = jobs.start(Context("clinic", "test"), "import", "/fhir/$import", {}, {"input": body})
    folder = jobs.folder(job.id)
    wanted = (folder / "input", folder / "job.json", folder, folder.parent, tmp_path)
    assert [path.name for path in wanted if path.stat().st_ino not in synced] == []


@pytest.mark.parametrize("content", [b"", b"\xff", b"[]", b"{}", b'{"id": "x", "files": 3}'])
def test_one_that_nobody_can_read_holds_up_no_other(tmp_path: Path, content: bytes) -> None:
    jobs = Jobs(tmp_path, 1000, lambda key: None)
    job = jobs.start(Context("clinic", "test"), "export", "/fhir/$export", {}, {})
    broken = jobs.folder("a" * 32)
    broken.mkdir()
    (broken / "job.json").write_bytes(content)
    assert jobs.undone() == [PREFIX + job.id]
    assert jobs.find("a" * 32) is None
    assert (broken / "job.json").exists()


def test_of_a_newer_release_s_job_what_is_known_counts(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, 1000, lambda key: None)
    job = jobs.start(Context("clinic", "test"), "export", "/fhir/$export", {}, {})
    job = jobs.end(replace(job, files=(File("Task", "Task-1.ndjson", 2),)), "completed")
    path = jobs.folder(job.id) / "job.json"
    said = json.loads(path.read_bytes())
    said["files"][0]["size"] = said["priority"] = 1
    path.write_text(json.dumps(said))
    assert jobs.find(job.id) == job
