"""Bulk jobs keep no more in memory for more resources."""

from __future__ import annotations

import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

from gateway.fhir.gates import check
from gateway.model import Context
from gateway.operations import exporting
from gateway.operations.exporting import Exporting
from gateway.operations.jobs import Jobs
from gateway.store import open_hub

CLINIC = Context("clinic", "key-1")


def peak(steps: Iterator[None]) -> int:
    """The most bytes that were held at once."""
    tracemalloc.start()
    for _ in steps:
        pass
    most = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return most


def exported(folder: Path, count: int) -> int:
    hub = open_hub(f"sqlite:///{folder / 'gateway.sqlite'}")
    made = [
        check({"resourceType": "Basic", "id": str(uuid4()), "code": {"text": "x" * 300}})
        for _ in range(count)
    ]
    hub.write(lambda tx: [tx.put(CLINIC, one, interaction="create") for one in made])
    jobs = Jobs(folder, 1000, lambda key: None)
    export = Exporting(hub, jobs, lambda context, action, seen: None)
    job = export.start(CLINIC, exporting.Asked(types=("Basic",)), "http://gateway/fhir/$export")
    most = peak(export.run(job))
    (file,) = jobs.get(CLINIC, job.id, "export").files
    with (jobs.folder(job.id) / file.name).open() as lines:
        assert sum(json.loads(line)["resourceType"] == "Basic" for line in lines) == count
    hub.close()
    return most


def test_an_exports_memory_is_flat(tmp_path: Path) -> None:
    sizes = []
    for count in (1000, 5000):
        folder = tmp_path / str(count)
        folder.mkdir()
        sizes.append(exported(folder, count))
    print(sizes)
    assert sizes[1] < sizes[0] * 1.5
