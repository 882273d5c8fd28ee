"""``python -m tests.bench``: every budget of DESIGN, section 10, in one table, on both engines.

Each figure stands beside its floor or a peer of the same run: "x" is how many times better that is.
"of it" is how far the budget is met: 1 and more is. Then how costs grow with connections and with
resources, and what a model that is measured here says of ten million. ``--out`` gets the table as
Markdown, all figures as JSON, and the plots as SVG.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.bench import (
    deliver,
    engines,
    er7,
    fhir,
    growth,
    hmis,
    machine,
    match,
    mllp,
    scale,
    searches,
    starting,
    store,
    translate,
)
from tests.bench.report import Report
from tests.bench.run import FULL, LARGE, QUICK, SIZES, TINY, Run, Size, of_a_server
from tests.bench.table import Figure, show

PURE: dict[str, Callable[[Size], Iterator[Figure]]] = {
    "er7": er7.figures,
    "translate": translate.figures,
    "check": translate.checking,
}
"""What needs no hub: once, whatever the engines."""

OF_A_HUB: dict[str, Callable[[Run], Iterator[Figure]]] = {
    "store": store.figures,
    "start": starting.figures,
    "mllp": mllp.figures,
    "deliver": deliver.figures,
    "hmis": hmis.figures,
    "memory": starting.memory,
    "match": match.figures,
    "searches": searches.figures,
    "fhir": fhir.figures,
}
"""What each engine is measured by; the last ones share a hub that is filled once, and ``fhir``
writes to it."""

STUDIES: dict[str, Callable[[Run, Report], None]] = {
    "growth": growth.study,
    "scale": scale.study,
}
"""What makes tables and plots of its own. ``growth`` fills the shared hub, step by step."""

UNASKED = {"searches"}
"""Only where it is asked for: a line for each kind of search."""


def main(arguments: Sequence[str] | None = None) -> Report:
    """Run what is asked for; all that was found."""
    asked = _asked(arguments)
    size = SIZES[asked.size]
    names = engines.NAMES if asked.engine == "both" else (asked.engine,)
    wanted = set(asked.only or {*PURE, *OF_A_HUB, *STUDIES} - UNASKED)
    report = Report(size.name, machine.described())
    for name, part in PURE.items():
        if name in wanted:
            with _watched(name, report):
                report.add(show(part(size)))
    for name in names:
        with engines.opened(name) as engine, tempfile.TemporaryDirectory(prefix="bench-") as folder:
            report.machine[engine.name] = engine.version
            much = size if name == "sqlite" else of_a_server(size)
            _measure(Run(engine, much, Path(folder)), wanted, report)
    report.show()
    if asked.out:
        report.write(asked.out)
    return report


def _asked(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tests.bench", description=__doc__)
    parser.add_argument("--engine", choices=(*engines.NAMES, "both"), default="both")
    parser.add_argument("--only", nargs="+", choices=(*PURE, *OF_A_HUB, *STUDIES), metavar="NAME",
                        help=", ".join((*PURE, *OF_A_HUB, *STUDIES)))  # fmt: skip
    parser.add_argument("--out", type=Path, metavar="FOLDER")
    sizes = parser.add_mutually_exclusive_group()
    for size, text in SIZES_SAY.items():
        sizes.add_argument(f"--{size}", dest="size", action="store_const", const=size, help=text)
    parser.set_defaults(size=FULL.name)
    return parser.parse_args(arguments)


SIZES_SAY = {
    TINY.name: "whether all of it runs; figures that mean nothing",
    QUICK.name: "ten thousand resources, some minutes",
    FULL.name: "a million resources on SQLite, a tenth on PostgreSQL, some twenty minutes",
    LARGE.name: "a million on both, and the model is checked there",
}


def _measure(run: Run, wanted: set[str], report: Report) -> None:
    """The studies first: what they fill is there for the rest."""
    for name, study in STUDIES.items():
        if name in wanted:
            with _watched(f"{name}, {run.engine.name}", report):
                study(run, report)
    for name, part in OF_A_HUB.items():
        if name in wanted:
            with _watched(f"{name}, {run.engine.name}", report):
                report.add(show(part(run)))


@contextmanager
def _watched(name: str, report: Report) -> Iterator[None]:
    """How long it took; one that fails is told at the end, and costs none of the others."""
    began = time.perf_counter()
    try:
        yield
    except Exception:  # noqa: BLE001 - on record: the run ends with it
        report.failed[name] = traceback.format_exc()
    took = time.perf_counter() - began
    print(f"-- {name}: {took:.1f} s", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(1 if main().failed else 0)
