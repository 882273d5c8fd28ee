"""What a message and a search cost among 10,000 to 10,000,000 resources, by the hub's layout.

A simulation whose parameters are measured in the same run on the real hub: ways down its trees and
what a page of one takes, what a partition takes, what a page from memory and from the disk takes.
The model is fitted to all sizes but the last, and its prediction for that one is compared with what
was measured there. What no size was measured at is extrapolated, and marked.
"""

from __future__ import annotations

import os
import tempfile
import time
from pathlib import Path
from typing import Final

import psycopg

from tests.bench import partitions, searches, touches, trees
from tests.bench.model import MONTHS, OPTIONS, SHARDS, TENANTS, UNPARTITIONED, Memory, Model, fitted
from tests.bench.plot import Axis, Plot
from tests.bench.report import Report, Table
from tests.bench.run import Run
from tests.bench.table import short
from tests.bench.touches import MESSAGE, OPERATIONS, Taken

SIZES: Final = (10**4, 10**5, 10**6, 10**7)
NETWORK: Final = 200
"""Microseconds of a trip between machines of one data centre: assumed, not measured."""

BLOCK, BLOCKS = 8192, 2000
Found = dict[int, dict[str, Taken]]


def study(run: Run, report: Report) -> None:
    """Measure, fit, check, and tell."""
    found, model = _measured(run)
    last = max(found)
    _check(run, report, found[last], model, last)
    _tell(run, report, found, model)


def _measured(run: Run) -> tuple[Found, Model]:
    """What was measured at each size, and the model of all but the last."""
    url, there = run.engine.database(run.room("scale")), 0
    found: Found = {}
    here, page, parted = {}, 0.0, partitions.NONE
    final = run.size.scale[-1]
    for full in run.size.scale:
        searches.more(url, there, full, final)
        grown = trees.of(url)
        found[full] = touches.taken(run, url, full, grown)
        if full != final:
            here, page = (
                grown,
                touches.probe(run, url) / grown[touches.KEYED[run.engine.name]].levels,
            )
        there = full
        if full == run.size.scale[-2] and run.engine.name != "SQLite":
            parted = partitions.measured(run, url)
    fit = {full: told for full, told in found.items() if full != final}
    return found, fitted(fit, here, page, _memory(run, url), parted)


def _memory(run: Run, url: str) -> Memory:
    """What the machine has, and what a page takes from its memory and from its disk."""
    size = trees.PAGE[run.engine.name.lower()]
    whole = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    if run.engine.name == "SQLite":
        buffers = 4 * 2**20
    else:
        with psycopg.connect(url) as connection:
            asked = "SELECT setting::bigint * 8192 FROM pg_settings WHERE name = 'shared_buffers'"
            buffers = int((connection.execute(asked).fetchone() or (0,))[0])
    held, away = _reads(run.folder)
    return Memory(buffers / size, whole / 2 / size, held, away)


def _reads(folder: Path) -> tuple[float, float]:
    """Microseconds of a block of a file: one that the system holds, and one that it was told to
    forget. The second is nothing where the disk is memory, too.
    """
    with tempfile.NamedTemporaryFile(dir=folder) as file:
        file.write(os.urandom(BLOCK) * BLOCKS)
        file.flush()
        os.fsync(file.fileno())
        held = _each(file.fileno())
        if hasattr(os, "posix_fadvise"):
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)
            os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        return held, max(0.0, _each(file.fileno()) - held)


def _each(file: int) -> float:
    began = time.perf_counter()
    for number in range(BLOCKS):
        os.pread(file, BLOCK, number * 7919 % BLOCKS * BLOCK)
    return (time.perf_counter() - began) / BLOCKS * 1e6


def _check(run: Run, report: Report, told: dict[str, Taken], model: Model, last: int) -> None:
    """The prediction beside what was measured."""
    rows = []
    for name in OPERATIONS:
        said, took = model.cost(name, last), told[name].cost
        rows.append((name, short(said), short(took), f"{(said / took - 1) * 100:+.0f} %"))
    fit = ", ".join(f"{size:,}" for size in run.size.scale[:-1])
    text = (
        f"Predicted from what was measured at {fit}. A page in the buffers: {model.page:.2f} µs; "
        f"from the machine's memory {model.memory.from_machine:.1f}, from its disk "
        f"{model.memory.from_disk:.0f} more; a partition named {model.partitioned.named:.1f}, "
        f"each gone through {model.partitioned.each:.1f}; statements a message "
        f"{model.statements[MESSAGE]:.0f}.\n"
    )
    heads = (f"µs at {last:,} resources", "predicted", "measured", "error")
    checked = {name: (model.cost(name, last), told[name].cost) for name in OPERATIONS}
    report.studies.setdefault("model", {})[run.engine.name] = {"at": last, "checked": checked}
    report.tell(Table(f"The model checked, {run.engine.name}", heads, tuple(rows), text))


def _tell(run: Run, report: Report, found: Found, model: Model) -> None:
    options = OPTIONS if run.engine.name != "SQLite" else (UNPARTITIONED,)
    name, rows = run.engine.name, []
    plot = Plot(
        f"A message by how the hub is laid out, {name}",
        Axis("resources", is_log=True),
        Axis("microseconds of processor time", is_log=True),
    )
    for option in options:
        costs = {work: [model.cost(work, size, option) for size in SIZES] for work in OPERATIONS}
        for work, told in costs.items():
            waits = model.waits(work, option) * NETWORK / 1000
            waiting = f"{waits:.1f} ms" if waits else ""
            rows.append((option.name, work, *map(short, told), waiting))
        plot.add(option.name, list(zip(SIZES, costs[MESSAGE], strict=True)))
        report.studies.setdefault("scale", {}).setdefault(name, {})[option.name] = costs
    for work in OPERATIONS:
        cells = (short(found[size][work].cost) if size in found else "" for size in SIZES)
        rows.append(("measured", work, *cells, ""))
    report.plots[f"scale-{name.lower()}"] = plot
    heads = ("layout", "µs of processor", *(f"{size:,}" for size in SIZES), "more waiting")
    said = (
        "Measured: the rows of that name, all parameters of the model. Extrapolated: the rest. "
        f"Assumed: {TENANTS} tenants alike, {MONTHS} months, {SHARDS} machines as this one, "
        f"{NETWORK} µs a trip between them, any leaf as likely as another.\n"
    )
    report.tell(Table(f"The hub at scale, {name}", heads, tuple(rows), said))
