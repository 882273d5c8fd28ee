"""HL7 v2 from bytes to a durable AA: ``python tests/bench/hl7v2.py``, one run, the budgets beside.

Reading a REF^I12 of 3 kB beside python-hl7, hl7apy and a bare split; translating it; a referral's
whole journey in one process without sockets, one at a time and many in flight; then over MLLP,
beside a server that only acknowledges. Budgets are DESIGN's, section 10; "of it" is budget over
figure for a time and figure over budget for a rate: 1 and more is met. ``--messages N`` go over 32
connections, and a quarter of them over one.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.pop(1)  # this folder, whose fhir.py would hide the library

from gateway.messages.meaning import meant  # noqa: E402
from gateway.model import Agency  # noqa: E402
from gateway.pipeline import Pipeline  # noqa: E402
from gateway.receive.arrival import as_message  # noqa: E402
from gateway.route.directory import Directory  # noqa: E402
from gateway.settings import Settings  # noqa: E402
from gateway.store import open_hub  # noqa: E402
from gateway.translate import Library, load  # noqa: E402
from tests.bench import er7, translate  # noqa: E402
from tests.bench.mllp import AGENCY, MEMBERS, SAMPLE, measured  # noqa: E402
from tests.bench.mllp_client import numbered  # noqa: E402
from tests.bench.table import head, row  # noqa: E402

IN_FLIGHT = 32


def reading() -> None:
    """Parsing, and 25 reads."""
    costs = er7.costs()
    ours, floor = costs["gateway.parse.er7"], costs["bare split"]
    row("er7: parse + 25 reads", ours, "µs", f"{ours / floor:.1f} x a bare split", "≤ 100")
    row("er7: parse only", costs["parse only"], "µs")
    row("bare split: the same reads", floor, "µs")
    for name in ("python-hl7", "hl7apy, tolerant"):
        row(f"{name}: the same reads", costs[name], "µs", f"{costs[name] / ours:.0f} x er7")


def translating(library: Library) -> None:
    """A map over the same message, and what the pipeline makes of a message before it writes."""
    made, parsing, cost = translate.costs(library, er7.REFERRAL)
    beside = f"{made} resources, {cost / parsing:.0f} x parsing"
    row("translate REF^I12", cost, "µs", beside, "≤ 400")
    message, _ = as_message("bench", "mllp", er7.REFERRAL)
    agency = Agency("bench", "Bench", timezone="America/Chicago")
    whole = er7.microseconds(lambda: meant(library, agency, message, Directory(())), 50)
    row(
        "understand: parse, translate, check, index", whole, "µs", f"{whole / cost:.1f} x translate"
    )


def journey(library: Library, count: int) -> None:
    """``Pipeline.accept`` to the receipt, everything in this process, on a SQLite file."""
    text = SAMPLE.read_text(encoding="utf-8")
    with tempfile.TemporaryDirectory() as folder:
        hub = open_hub(f"sqlite:///{folder}/hub.sqlite")
        pipeline = Pipeline(hub, library, Settings(), as_message)
        for id in MEMBERS:
            pipeline.add_agency(id, None)
        alone = 0.0
        for flight in (1, IN_FLIGHT):
            raws = [numbered(text, f"F{flight}-{n:06d}")[1:-2] for n in range(count // 4 * 2)]
            rate = flown(pipeline, raws, flight)
            alone = alone or rate
            beside = f"{rate / alone:.1f} x one at a time" if flight > 1 else ""
            row(f"pipeline in process, {flight} in flight", rate, "/s", beside)
        asyncio.run(pipeline.close())
        hub.close()


def flown(pipeline: Pipeline, raws: list[bytes], flight: int) -> float:
    """Messages a second, so many at a time."""
    began = time.perf_counter()
    for at in range(0, len(raws), flight):
        some = [pipeline.accept(*as_message(AGENCY, "mllp", raw)) for raw in raws[at : at + flight]]
        assert all(each.result().acknowledgement == "AA" for each in some)
    return len(raws) / (time.perf_counter() - began)


async def wire(count: int) -> None:
    """Over MLLP, in processes of their own."""
    ceiling: dict[int, float] = {}
    async for name, connections, figures in measured(count, SAMPLE):
        assert not figures["refused"], "an answer wasn't AA"
        rate = figures["rate"]
        if name == "ack-only":
            ceiling[connections] = rate
            row(f"ACK-only server, {connections} connections", rate, "/s")
            continue
        beside = f"ACK-only is {ceiling[connections] / rate:.1f} x as fast"
        budget = "≥ 1000" if connections > 1 else "≥ 300"
        row(f"gateway over MLLP, {connections} connections", rate, "/s", beside, budget)
        row("  p50", figures["p50"], "ms")
        row("  p99", figures["p99"], "ms", budget="≤ 100")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--messages", type=int, default=4000)
    options = parser.parse_args()
    head()
    reading()
    library = load(Settings().folders)
    translating(library)
    journey(library, options.messages)
    asyncio.run(wire(options.messages))


if __name__ == "__main__":
    main()
