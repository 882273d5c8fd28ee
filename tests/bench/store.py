"""What a stored resource costs, by size of group: ``python -m tests.bench.store [URL]``.

Beside two floors of the same run: one fdatasync of 12 kB, and a raw sqlite3 insert of the same
bodies (a current row and 8 rows of an index) without versions, events, access or search rows of
seven kinds. Figures are the medians of rounds, microseconds a resource: wall, and CPU in brackets.
"""

from __future__ import annotations

import os
import sqlite3
import statistics
import sys
import tempfile
import time
import uuid
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

from gateway.fhir.json import dumps
from gateway.fhir.search import parse_query
from gateway.model import Context, ValidResource
from gateway.store import Hub, Transaction, open_hub

GROUPS = (1, 8, 64)
ROUNDS = 15
CLINIC = Context("cedar-general", "bench")


def patient() -> ValidResource:
    """A Patient as a REF^I12 makes it: 1.2 kB, some 20 search rows."""
    id = str(uuid.uuid4())
    return ValidResource(
        {
            "resourceType": "Patient",
            "id": id,
            "identifier": [
                {"system": "urn:oid:2.16.840.1.113883.3.9999.1", "value": id[:8]},
                {"system": "http://hl7.org/fhir/sid/us-ssn", "value": id[-9:]},
            ],
            "name": [{"use": "official", "family": f"Family{id[:4]}", "given": ["Ana", "Luz"]}],
            "telecom": [{"system": "phone", "value": "+1-555-" + id[:4], "use": "home"}],
            "gender": "female",
            "birthDate": "1984-03-02",
            "address": [
                {
                    "line": ["12 Oak Street", "Apt 4"],
                    "city": "Cedar",
                    "state": "IL",
                    "postalCode": "60601",
                }
            ],
            "generalPractitioner": [{"reference": f"Practitioner/{id}"}],
            "managingOrganization": {"reference": "Organization/cedar-general"},
            "text": {"status": "generated", "div": "<div>" + "x" * 400 + "</div>"},
        }
    )


def task() -> ValidResource:
    """A Task: 0.7 kB, some 10 search rows."""
    id = str(uuid.uuid4())
    return ValidResource(
        {
            "resourceType": "Task",
            "id": id,
            "status": "requested",
            "intent": "order",
            "code": {
                "coding": [
                    {"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}
                ]
            },
            "focus": {"reference": f"ServiceRequest/{id}"},
            "for": {"reference": f"Patient/{id}"},
            "requester": {"reference": "Organization/cedar-general"},
            "owner": {"reference": "Organization/food-bank"},
            "authoredOn": "2026-03-01T10:00:00-06:00",
            "lastModified": "2026-03-01T10:00:00-06:00",
        }
    )


def timed(work: Callable[[], Any], resources: int) -> tuple[float, float]:
    """Wall and CPU microseconds a resource."""
    wall, cpu = time.perf_counter(), time.process_time()
    work()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return wall / resources * 1e6, cpu / resources * 1e6


def row(name: str, figures: list[tuple[float, float]]) -> None:
    wall, cpu = (statistics.median(column) for column in zip(*figures, strict=True))
    print(f"{name:<46} {wall:>8.0f} ({cpu:.0f})")


def sync(folder: Path) -> None:
    with (folder / "floor").open("wb") as file:

        def once() -> None:
            file.seek(0)
            file.write(b"x" * 12288)
            file.flush()
            os.fdatasync(file.fileno())

        once()
        row("one fdatasync of 12 kB", [timed(once, 1) for _ in range(ROUNDS)])


def raw(folder: Path, group: int) -> None:
    file = sqlite3.connect(folder / f"raw{group}.sqlite", isolation_level=None)
    file.execute("PRAGMA journal_mode=WAL")
    file.execute("PRAGMA synchronous=FULL")
    file.execute("CREATE TABLE r (key INTEGER PRIMARY KEY, id TEXT UNIQUE, body BLOB)")
    file.execute("CREATE TABLE i (p INT, v TEXT, r INT, PRIMARY KEY (p, v, r)) WITHOUT ROWID")

    def work() -> None:
        file.execute("BEGIN IMMEDIATE")
        for resource in found:
            insert = "INSERT INTO r (id, body) VALUES (?, ?)"
            key = file.execute(insert, (resource["id"], dumps(resource))).lastrowid
            rows = [(n, resource["id"], key) for n in range(8)]
            file.executemany("INSERT INTO i VALUES (?, ?, ?)", rows)
        file.execute("COMMIT")

    figures = []
    for _ in range(ROUNDS * 2):
        found = [patient() for _ in range(group)]
        figures.append(timed(work, group))
    row(f"raw sqlite3, {group} a transaction", figures)
    file.close()


def grouped(hub: Hub, make: Callable[[], ValidResource], name: str, group: int) -> None:
    """``group`` units of one resource each, all submitted before the first is awaited."""

    def unit(resource: ValidResource) -> Callable[[Transaction], Any]:
        return lambda transaction: transaction.put(CLINIC, resource, interaction="create")

    def work() -> None:
        futures: list[Future[Any]] = [hub.submit(unit(resource)) for resource in found]
        for future in futures:
            future.result()

    figures = []
    for _ in range(ROUNDS * 2):
        found = [make() for _ in range(group)]
        figures.append(timed(work, group))
    row(f"{name}, {group} waiting units", figures)


def together(hub: Hub, group: int) -> None:
    """One unit of ``group`` resources: a message's, or a transaction Bundle's."""

    def unit(transaction: Transaction) -> None:
        for resource in found:
            transaction.put(CLINIC, resource, interaction="create")

    figures = []
    for _ in range(ROUNDS * 2):
        found = [task() if n % 2 else patient() for n in range(group)]
        figures.append(timed(lambda: hub.write(unit), group))
    row(f"mixed, one unit of {group}", figures)


def updates(hub: Hub, group: int) -> None:
    """Tasks that change their status: most search rows stay."""
    tasks = [task() for _ in range(group)]
    states = ["accepted", "in-progress"] * ROUNDS

    def unit(transaction: Transaction) -> None:
        for resource in tasks:
            changed = ValidResource({**resource, "status": state})
            transaction.put(CLINIC, changed, interaction="update")

    state = "requested"
    hub.write(unit)
    figures = []
    for state in states:  # noqa: B007 - the unit reads it
        figures.append(timed(lambda: hub.write(unit), group))
    row(f"Task status update, one unit of {group}", figures)


def reads(hub: Hub) -> None:
    found = [patient() for _ in range(200)]

    def unit(transaction: Transaction) -> None:
        for resource in found:
            transaction.put(CLINIC, resource, interaction="create")

    hub.write(unit)

    def read() -> None:
        for resource in found:
            with hub.read() as reader:
                reader.read(CLINIC, "Patient", resource["id"])

    def search() -> None:
        for resource in found:
            value = "urn:oid:2.16.840.1.113883.3.9999.1|" + resource["id"][:8]
            with hub.read() as reader:
                reader.search(CLINIC, parse_query("Patient", [("identifier", value)]))

    row("read by id", [timed(read, 200) for _ in range(5)])
    row("search by identifier, parsed", [timed(search, 200) for _ in range(5)])


def main() -> None:
    """Print the table."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        url = sys.argv[1] if len(sys.argv) > 1 else f"sqlite:///{folder / 'hub.sqlite'}"
        print(f"{'microseconds a resource':<46} {'wall':>8} (cpu)")
        sync(folder)
        for group in GROUPS:
            raw(folder, group)
        hub = open_hub(url)
        for group in GROUPS:
            grouped(hub, patient, "Patient", group)
        for group in GROUPS:
            grouped(hub, task, "Task", group)
        for group in GROUPS[1:]:
            together(hub, group)
            updates(hub, group)
        reads(hub)
        hub.close()


if __name__ == "__main__":
    main()
