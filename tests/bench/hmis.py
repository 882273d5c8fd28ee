"""HMIS CSV into the hub and out again: rows a second, processor time a row, memory.

A generated export of all files (``hmis_export``; 100,000 clients are 3.7 million rows) is read by
Python's csv module, loaded into a new hub, loaded again, and exported. ``python -m tests.bench.hmis
FOLDER URL`` loads one that is there, and tells as JSON.
"""

from __future__ import annotations

import csv
import gc
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from gateway.app import opened
from gateway.model import Context
from gateway.rows import lying
from gateway.settings import Settings
from tests.bench.hmis_export import generate
from tests.bench.machine import ROOT
from tests.bench.run import Run
from tests.bench.table import RATE, Figure

AGENCY = "harbor-shelter"
YEAR = "2026"
BUDGET = 4_000
MEGA = 2**20


def figures(run: Run) -> Iterator[Figure]:
    """The floor here, ours in a process of its own, so that memory is its alone."""
    folder, name = run.room("hmis"), run.engine.name
    generate(folder, run.size.clients, YEAR, seed=1)
    count, floor = read(folder)
    before = run.engine.spent()
    ours = _apart(folder, run.engine.database(run.room("hub")))
    server = run.engine.spent() - before
    bare, rate = count / floor, count / ours["first"]
    cpu = [ours["cpu"], ours["beside"], *([server] if server else [])]
    more = " + ".join(f"{each / count * 1e6:.0f}" for each in cpu) + " µs a row"
    work = f"HMIS rows into the hub, {count:,}"
    yield Figure(work, rate, RATE, bare, "csv.reader", f"≥ {BUDGET}", more, name)
    yield Figure(
        "HMIS again, unchanged", count / ours["again"], RATE, bare, "csv.reader", "", "", name
    )
    yield Figure("HMIS export", count / ours["export"], RATE, bare, "csv.reader", "", "", name)
    early, late = ours["early"] / MEGA, ours["late"] / MEGA
    work, more = "HMIS memory, second half", f"a translator {ours['children'] / MEGA:.0f} MB"
    yield Figure(work, late, "MB", early, "first half", "", more, name)


def _apart(folder: Path, url: str) -> dict[str, Any]:
    command = [sys.executable, "-m", "tests.bench.hmis", str(folder), url]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    told: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return told


def read(folder: Path) -> tuple[int, float]:
    """How many rows there are, and how long Python's csv module takes to read them."""
    began, count = time.perf_counter(), 0
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            count += sum(1 for _ in csv.reader(file)) - 1
    return count, time.perf_counter() - began


def loaded(folder: Path, url: str) -> dict[str, Any]:
    """Load twice and export, and tell how long each took and what it needed."""
    with tempfile.TemporaryDirectory(prefix="hub-") as place:
        settings = Settings(data_dir=Path(place), database_url=url)
        with opened(settings) as pipeline:
            pipeline.add_agency(AGENCY, None)
            context = Context(AGENCY, "bench")
            memory = Memory()
            gc.collect()
            gc.freeze()  # as ``gateway load`` does
            gc.set_threshold(500_000, 20, 100)
            seconds, tallies, cpu = [], [], []
            for _ in range(2):
                began, spent = time.perf_counter(), spending()
                found, spool = list(lying(folder)), pipeline.loading.spool()
                tally = pipeline.loading(context, "hmis", found, channel="bench", spool=spool)
                seconds.append(time.perf_counter() - began)
                cpu.append([now - then for now, then in zip(spending(), spent, strict=True)])
                tallies.append(tally)
                memory.stop()
            began = time.perf_counter()
            pipeline.exports.hmis(AGENCY, YEAR, Path(place) / "out.zip")
            export = time.perf_counter() - began
    made = sum(count["created"] for count in tallies[0].resources.values())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    beside = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    return {
        "first": seconds[0], "again": seconds[1], "export": export, "peak": peak,
        "cpu": cpu[0][0], "beside": cpu[0][1], "children": beside,
        "aside": tallies[0].set_aside, "resources": made, **memory.halves(),
    }  # fmt: skip


def spending() -> tuple[float, float]:
    """Seconds of processor time: this process's, and that of those it has seen end."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return time.process_time(), used.ru_utime + used.ru_stime


class Memory:
    """Looks at this process's memory while it loads; ``halves`` are the two halves' peaks."""

    def __init__(self) -> None:
        self._seen: list[int] = []
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._over.wait(0.2):
            pages = int(Path("/proc/self/statm").read_text().split()[1])
            self._seen.append(pages * resource.getpagesize())

    def stop(self) -> None:
        """Look no more."""
        self._over.set()
        self._thread.join()

    def halves(self) -> dict[str, int]:
        """The peak of the first and of the second half of the load."""
        seen = self._seen or [1]
        middle = max(1, len(seen) // 2)
        return {"early": max(seen[:middle]), "late": max(seen[middle:] or seen)}


if __name__ == "__main__":
    print(json.dumps(loaded(Path(sys.argv[1]), sys.argv[2])))
