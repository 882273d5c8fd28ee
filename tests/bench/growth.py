"""What it costs as there is more: connections from 1 to 64, resources up to a million.

Messages a second and latency over MLLP by the number of connections; processor time of a create, a
read, a match and each kind of search by the number of resources that are there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from functools import partial

from gateway.store import open_hub
from tests.bench import match, mllp, searches, store
from tests.bench.plot import Axis, Plot
from tests.bench.report import Report, Table
from tests.bench.run import Run
from tests.bench.searches import CLINIC, SEARCHES
from tests.bench.table import short

KINDS = (
    "by system|value",
    "by name, a page of 20",
    "by span of birth and gender",
    "by gender alone, a page of half",
    "by status and owner",
    "by patient",
    "sorted by name",
    "the newest",
)
"""Of the searches, those that the plot shows."""

SIXTEENTH, GROUPS = 16, 3
MESSAGES = Axis("connections, one message in flight on each", is_log=True)
RESOURCES = Axis("resources in the hub", is_log=True)


def study(run: Run, report: Report) -> None:
    """Both, with their tables and plots."""
    connections(run, report)
    resources(run, report)


def connections(run: Run, report: Report) -> None:
    """A gateway and the ack-only server, at each number."""
    counts = {each: _count(run, each) for each in run.size.connections}
    found = {
        run.engine.name: asyncio.run(mllp.measured("gateway", run, counts)),
        mllp.CEILING: asyncio.run(mllp.measured("ceiling", run, counts)),
    }
    plots = report.plots
    rate = plots.setdefault(
        "connections-rate",
        Plot("REF^I12 over MLLP to a durable AA", MESSAGES, Axis("messages a second", is_log=True)),
    )
    wait = plots.setdefault(
        "connections-latency",
        Plot("REF^I12: from message to AA", MESSAGES, Axis("milliseconds", is_log=True)),
    )
    for name, told in found.items():
        if name not in rate.lines:
            rate.add(name, [(n, one["rate"]) for n, one in told.items()])
    for part in ("p50", "p99"):
        ours = found[run.engine.name].items()
        wait.add(f"{run.engine.name}, {part}", [(n, one[part]) for n, one in ours])
    columns = ("rate", "p50", "p99", "cpu")
    heads = ("connections", "messages/s", "p50 ms", "p99 ms", "processor µs", "ack-only/s")
    rows = tuple(
        (str(n), *(short(one[key]) for key in columns), short(found[mllp.CEILING][n]["rate"]))
        for n, one in found[run.engine.name].items()
    )
    report.tell(Table(f"Connections, {run.engine.name}", heads, rows))
    report.studies.setdefault("connections", {})[run.engine.name] = found


def _count(run: Run, connections: int) -> int:
    """Few messages where one after the other they take long."""
    return max(1, run.size.messages * min(connections, SIXTEENTH) // SIXTEENTH // 2)


def resources(run: Run, report: Report) -> None:
    """The same work among more and more."""
    found: dict[str, dict[int, float]] = {}
    for full in run.size.growth:
        url = searches.filled(run, full)
        for name, cost in _costs(run, url, full).items():
            found.setdefault(name, {})[full] = cost
    name = run.engine.name
    up = Axis("microseconds of processor time, one reader", is_log=True)
    plot = Plot(f"Cost by what is there, {name}", RESOURCES, up)
    for work, told in found.items():
        plot.add(work, list(told.items()))
    report.plots[f"resources-{name.lower()}"] = plot
    heads = ("µs of processor", *(f"{full:,}" for full in run.size.growth))
    rows = tuple((work, *map(short, told.values())) for work, told in found.items())
    report.tell(Table(f"Resources, {name}", heads, rows))
    report.studies.setdefault("resources", {})[name] = found


def _costs(run: Run, url: str, full: int) -> dict[str, float]:
    """Microseconds of each kind of work among so many."""
    numbers = [match.one(number, full, run.size.resources) for number in range(run.size.people)]
    with closing(open_hub(url)) as hub:
        groups = [store.put(run, hub, store.UNITS, store.UNITS) for _ in range(GROUPS)]
        work: dict[str, Callable[[], float]] = {
            "create, in a group": lambda: store.middle(groups)[1],
            "read by id": partial(match.mean, run, partial(match.read, hub), numbers),
            "match one patient": partial(match.cost, run, hub, match.described, numbers),
        }
        for kind in KINDS:
            work[f"search {kind}"] = partial(searches.cost, run, hub, CLINIC, SEARCHES[kind], full)
        return {name: each() for name, each in work.items()}
