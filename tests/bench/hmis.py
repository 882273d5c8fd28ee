"""HMIS CSV into the hub and out again: ``python tests/bench/hmis.py --clients 100000``, one run.

A generated export of all files (``hmis_export``; 100,000 clients are 3.7 million rows) is read by
Python's csv module, loaded into a new hub on SQLite, loaded again, and exported. Rows a second,
processor time a row, and the peak memory of the loading process and of the translators beside it.
``--folder`` loads an export that is there already.
"""

from __future__ import annotations

import argparse
import csv
import gc
import json
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.pop(1)  # this folder, whose fhir.py would hide the library

from gateway.app import opened  # noqa: E402
from gateway.model import Context  # noqa: E402
from gateway.rows import lying  # noqa: E402
from gateway.settings import Settings  # noqa: E402
from tests.bench.hmis_export import generate  # noqa: E402
from tests.bench.table import head, row  # noqa: E402

AGENCY = "harbor-shelter"
BUDGET = 4_000
MEGA = 2**20


def main() -> None:
    """Make an export, if none is given, and measure."""
    told = argparse.ArgumentParser(description=__doc__)
    told.add_argument("--clients", type=int, default=300)
    told.add_argument("--year", default="2026")
    told.add_argument("--seed", type=int, default=1)
    told.add_argument("--folder", type=Path)
    told.add_argument("--load", type=Path, help="(what this starts itself: load, and tell as JSON)")
    asked = told.parse_args()
    if asked.load:
        print(json.dumps(loaded(asked.load, asked.year)))
        return
    with tempfile.TemporaryDirectory(prefix="hmis-") as made:
        folder = asked.folder or Path(made)
        if asked.folder is None:
            generate(folder, asked.clients, asked.year, asked.seed)
            print(f"{asked.clients:,} clients, FY{asked.year}, seed {asked.seed}")
        measure(folder, asked.year)


def measure(folder: Path, year: str) -> None:
    """The floor here, ours in a process of its own, so that memory is its alone."""
    count, floor = read(folder)
    print(f"{count:,} rows")
    head()
    command = [sys.executable, __file__, "--load", str(folder), "--year", year]
    done = subprocess.run(command, check=True, capture_output=True, text=True, cwd=ROOT)
    ours = json.loads(done.stdout.splitlines()[-1])
    rate = count / ours["first"]
    row("csv.reader: the same files", count / floor, "/s")
    row("into the hub", rate, "/s", f"1/{count / floor / rate:.0f} of csv", f"≥ {BUDGET}")
    row("  processor time, loading", ours["cpu"] / count * 1e6, "µs")
    row("  processor time, translators", ours["beside"] / count * 1e6, "µs")
    row("again, unchanged", count / ours["again"], "/s")
    row("export", count / ours["export"], "/s")
    grown = ours["late"] / ours["early"]
    beside = f"second half {grown:.2f} x the first"
    row("peak memory, loading", ours["peak"] / MEGA, "MB", beside)
    row("peak memory, the largest translator", ours["children"] / MEGA, "MB")
    print(f"set aside {ours['aside']}, resources {ours['resources']:,}")


def read(folder: Path) -> tuple[int, float]:
    """How many rows there are, and how long Python's csv module takes to read them."""
    began, count = time.perf_counter(), 0
    for path in sorted(folder.glob("*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            count += sum(1 for _ in csv.reader(file)) - 1
    return count, time.perf_counter() - began


def loaded(folder: Path, year: str) -> dict[str, Any]:
    """Load twice and export, and tell how long each took and what it needed."""
    with tempfile.TemporaryDirectory(prefix="hub-") as place:
        settings = Settings(data_dir=Path(place))
        with opened(settings) as pipeline:
            pipeline.add_agency(AGENCY, None)
            context = Context(AGENCY, "bench")
            memory = Memory()
            gc.collect()
            gc.freeze()  # as ``gateway load`` does
            gc.set_threshold(50_000, 20, 100)
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
            pipeline.exports.hmis(AGENCY, year, Path(place) / "out.zip")
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
    main()
