"""A job that was accepted is on disk: its input, its state, and the folders that lead there."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.model import Context
from gateway.operations.jobs import Jobs


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
