"""FHIR over HTTP, durable: ``python tests/bench/fhir.py``, one run, the budgets beside.

First what a search costs in the store over 10,000 resources (``--large``: 1,000,000), with the
index that its plan goes by; then create, read, search and a transaction of 10 over HTTP on the same
file, with 1 connection and with 32, beside ``floor.py`` on a file as full. Budgets are DESIGN's,
section 10; "of it" is figure over budget: 1 and more is met. ``--keep FOLDER`` leaves what was
filled there and uses it again, with what was written over HTTP, of which the other agency sees
much. The gateway's processor time of a request stands below each figure: it says the same on a
machine that has other things to do.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))
sys.path.pop(1)  # this folder, whose fhir.py would hide the library

from gateway.store import open_hub  # noqa: E402
from tests.bench import searches  # noqa: E402
from tests.bench.floor import INSERT, opened  # noqa: E402
from tests.bench.floor import row as floor_row  # noqa: E402
from tests.bench.scripts import figures, server  # noqa: E402
from tests.bench.searches import AGENCY, CLINIC, OTHER, SYSTEM, keeper, patient, task  # noqa: E402
from tests.bench.table import head, row  # noqa: E402
from tests.process import SERVE, Process  # noqa: E402

CONNECTIONS = (1, 32)
WARM_UP = 200
BUDGETS = {
    "create, POST Patient": "≥ 1000",
    "read by id": "≥ 2000",
    "search, a page of 20": "≥ 500",
    "transaction of 10": "≥ 150",
}
SLOWER = {"transaction of 10": 8}
"""A kind of request that takes so many times as long is sent so many times less often."""

Make = Callable[[int], str]


def request(key: str, method: str, path: str, body: Any = None) -> str:
    """A request as HTTP/1.1 writes it."""
    sent = "" if body is None else json.dumps(body)
    head = [
        f"{method} /fhir{path} HTTP/1.1",
        "Host: 127.0.0.1",
        f"Authorization: Bearer {key}",
        "Accept: application/fhir+json",
    ]
    if sent:
        head += ["Content-Type: application/fhir+json", f"Content-Length: {len(sent.encode())}"]
    return "\r\n".join((*head, "", sent))


def transaction(number: int) -> dict[str, Any]:
    """Five patients, each with a Task that refers to it."""
    entries = []
    for n in range(number * 5, number * 5 + 5):
        urn = f"urn:uuid:{uuid4()}"
        for full_url, resource in ((urn, patient(n)), (f"urn:uuid:{uuid4()}", task(n))):
            if resource["resourceType"] == "Task":
                resource |= {"for": {"reference": urn}, "status": "requested"}
                del resource["focus"]
            del resource["id"]
            how = {"method": "POST", "url": resource["resourceType"]}
            entries.append({"fullUrl": full_url, "resource": resource, "request": how})
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def created(number: int) -> dict[str, Any]:
    made = patient(number)
    del made["id"]
    return made


def kinds(key: str, full: int) -> dict[str, Make]:
    """What is asked for, by its ordinal: of what is kept each time something else."""

    def one(number: int) -> int:
        found = number * 7919 % (full // 2)
        return found if keeper(found, full) is CLINIC else found + 1

    return {
        "create, POST Patient": lambda n: request(key, "POST", "/Patient", created(full + n)),
        "read by id": lambda n: request(key, "GET", f"/Patient/{patient(one(n))['id']}"),
        "search by identifier": lambda n: request(
            key, "GET", f"/Patient?identifier={SYSTEM}|{one(n)}"
        ),
        "search, a page of 20": lambda n: request(
            key, "GET", f"/Patient?family={patient(one(n))['name'][0]['family']}"
        ),
        "transaction of 10": lambda n: request(key, "POST", "", transaction(full + n)),
    }


def spent(pid: int) -> float:
    """Seconds of processor time that a process has taken; 0 where the system doesn't tell."""
    file = Path(f"/proc/{pid}/stat")
    if not file.exists():
        return 0.0
    fields = file.read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def measured(
    port: int, key: str, pid: int, full: int, count: int, folder: Path
) -> dict[tuple[str, int], dict[str, float]]:
    """Each kind at each number of connections: the figures."""
    found = {}
    file = folder / "requests.json"
    at = 0
    for name, make in kinds(key, full).items():
        for connections in (0, *CONNECTIONS):
            some = (count if connections > 1 else count // 4) // SLOWER.get(name, 1)
            some = some if connections else WARM_UP // SLOWER.get(name, 1)
            file.write_text(json.dumps([make(n) for n in range(at, at + some)]), encoding="utf-8")
            at += some
            before = spent(pid)
            told = await figures("http_client.py", port, connections or 4, file)
            told["cpu"] = (spent(pid) - before) / some * 1e6
            assert not told["refused"], f"{name}: an answer wasn't 2xx"
            if connections:
                found[name, connections] = told
    return found


@asynccontextmanager
async def gateway(folder: Path, full: int) -> AsyncIterator[tuple[int, str, int]]:
    """A gateway over so many resources, once the searches of its file were timed.

    Its port, a key and its process.
    """
    process = Process(folder, SERVE, {})
    key, _ = process.join(AGENCY, OTHER)
    hub = open_hub(process.database)
    searches.fill(hub, full)
    searches.show(hub, full)
    hub.close()
    await process.start()
    try:
        yield process.port, key, process.pid
    finally:
        await process.stop()


@asynccontextmanager
async def floor(folder: Path, full: int) -> AsyncIterator[tuple[int, str, int]]:
    """The bare app over a table as full."""
    file = folder / "floor.sqlite"
    table = opened(str(file))
    if not table.execute("SELECT 1 FROM r").fetchone():
        table.execute("BEGIN")
        table.executemany(INSERT, map(floor_row, filled(full)))
        table.execute("COMMIT")
    table.close()
    async with server("floor.py", file) as port:
        yield port, "no", 0


def filled(full: int) -> Iterator[dict[str, Any]]:
    for number in range(full // 2):
        yield patient(number)
        yield task(number)


@contextmanager
def room(kept: Path | None) -> Iterator[Path]:
    """A folder to fill: one for a while, or the one to keep."""
    if kept is None:
        with tempfile.TemporaryDirectory() as folder:
            yield Path(folder)
    else:
        kept.mkdir(parents=True, exist_ok=True)
        yield kept


async def wire(full: int, count: int, keep: Path | None) -> None:
    """Over HTTP, in processes of their own."""
    head()
    serving: tuple[Callable[[Path, int], AbstractAsyncContextManager[tuple[int, str, int]]], ...]
    serving = (floor, gateway)
    results = []
    for one in serving:
        with room(keep) as folder:
            async with one(folder, full) as (port, key, pid):
                results.append(await measured(port, key, pid, full, count, folder))
    bare, ours = results
    for (name, connections), told in ours.items():
        base = bare[name, connections]["rate"]
        beside = f"floor {base:.0f}: {base / told['rate']:.1f} x as fast"
        budget = BUDGETS.get(name, "") if connections > 1 else ""
        row(f"{name}, {connections} connections", told["rate"], "/s", beside, budget)
        row("  p50, p99", told["p50"], "ms", f"{told['p99']:.1f} ms")
        row("  processor time of one", told["cpu"], "µs")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=4000)
    parser.add_argument("--resources", type=int, default=10_000)
    parser.add_argument("--large", action="store_true", help="1,000,000 resources")
    parser.add_argument("--keep", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    full = 1_000_000 if options.large else options.resources
    asyncio.run(wire(full, options.requests, options.keep))


if __name__ == "__main__":
    main()
