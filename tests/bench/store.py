"""What a stored resource costs with its search rows, alone and in a group, on either engine.

Beside it a raw insert by the driver of the same bodies (a current row and 8 rows of an index) in
one transaction: no versions, events, access, nor search rows of seven kinds. Microseconds of wall a
resource, medians of rounds; processor time, the server's too, beside.
"""

from __future__ import annotations

import sqlite3
import statistics
import time
import uuid
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future
from contextlib import closing
from functools import partial
from itertools import chain
from typing import Any

import psycopg
import sqlalchemy as sa

from gateway.fhir.json import dumps
from gateway.model import Context, ValidResource
from gateway.store import Hub, Transaction, open_hub
from tests.bench.run import Run
from tests.bench.table import Figure

CLINIC = Context("cedar-general", "bench")
UNITS = 8
"""Units in a group, and resources in a unit: as many messages at once, each of as many."""

WARM_UP = 4
"""Groups before the first that counts: connections are opened, statements prepared."""

TABLES = (
    "CREATE TABLE r (key INTEGER PRIMARY KEY, id TEXT UNIQUE, body {binary})",
    "CREATE TABLE i (p INT, v TEXT, r INT, PRIMARY KEY (p, v, r)){without}",
)
Took = tuple[float, float]


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


def figures(run: Run) -> Iterator[Figure]:
    """One alone; a group; the change of a status, where most search rows stay."""
    rounds = max(2, run.size.repeats // 2)
    with closing(open_hub(run.engine.database(run.room("store")))) as hub:
        for _ in range(WARM_UP):
            put(run, hub, UNITS * 2, 1)
        for units, each in ((1, 1), (UNITS, UNITS)):
            floor, _ = raw(run, units * each, rounds)
            wall, cpu = middle([put(run, hub, units, each) for _ in range(rounds + 1)][1:])
            group = "alone" if units == 1 else f"in a group of {units} units of {each}"
            budget, more = "≤ 120" if units > 1 else "", f"{cpu:.0f} µs of processor"
            work = f"store a resource, {group}"
            yield Figure(work, wall, "µs", floor, "raw insert", budget, more, run.engine.name)
        wall, cpu = middle(list(updates(run, hub, rounds)))
        work, more = f"a Task's status, {UNITS**2} in a unit", f"{cpu:.0f} µs of processor"
        yield Figure(work, wall, "µs", floor, "raw insert", "", more, run.engine.name)


def some(count: int) -> list[ValidResource]:
    """Patients and Tasks by turns."""
    return [task() if n % 2 else patient() for n in range(count)]


def put(run: Run, hub: Hub, units: int, each: int) -> Took:
    """So many units at once, all submitted before the first is awaited."""
    groups = [some(each) for _ in range(units)]

    def work() -> None:
        futures: list[Future[Any]] = [hub.submit(partial(_create, found=one)) for one in groups]
        for future in futures:
            future.result()

    return timed(run, work, units * each)


def _create(transaction: Transaction, found: Sequence[ValidResource]) -> None:
    for resource in found:
        transaction.put(CLINIC, resource, interaction="create")


def updates(run: Run, hub: Hub, rounds: int) -> Iterator[Took]:
    """Tasks that change their status, back and forth."""
    tasks = [task() for _ in range(UNITS**2)]
    hub.write(partial(_create, found=tasks))
    for number in range(rounds):
        state = ("accepted", "in-progress")[number % 2]
        changed = [ValidResource({**one, "status": state}) for one in tasks]
        yield timed(run, partial(hub.write, partial(_update, found=changed)), len(tasks))


def _update(transaction: Transaction, found: Sequence[ValidResource]) -> None:
    for resource in found:
        transaction.put(CLINIC, resource, interaction="update")


def raw(run: Run, count: int, rounds: int) -> Took:
    """The driver alone, so many resources in a durable transaction."""
    insert = _sqlite if run.engine.name == "SQLite" else _postgresql
    with closing(_connected(run)) as connection:
        took = []
        for number in range(rounds + 1):
            bodies = [(str(one["id"]), dumps(one)) for one in some(count)]
            first = number * count
            rows = [(first + at, *body) for at, body in enumerate(bodies)]
            took.append(timed(run, partial(insert, connection, rows), count))
        return middle(took[1:])


def _connected(run: Run) -> Any:
    url = run.engine.database(run.room("raw"))
    if run.engine.name == "SQLite":
        connection: Any = sqlite3.connect(sa.make_url(url).database or "", isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        words = {"binary": "BLOB", "without": " WITHOUT ROWID"}
    else:
        connection = psycopg.connect(url, autocommit=True)
        words = {"binary": "BYTEA", "without": ""}
    for statement in TABLES:
        connection.execute(statement.format(**words))
    return connection


def _sqlite(connection: sqlite3.Connection, rows: Sequence[tuple[int, str, bytes]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany("INSERT INTO r VALUES (?, ?, ?)", rows)
    connection.executemany("INSERT INTO i VALUES (?, ?, ?)", _indexed(rows))
    connection.execute("COMMIT")


def _postgresql(connection: Any, rows: Sequence[tuple[int, str, bytes]]) -> None:
    with connection.transaction(), connection.cursor() as cursor:
        cursor.executemany("INSERT INTO r VALUES (%s, %s, %s)", rows)
        cursor.executemany("INSERT INTO i VALUES (%s, %s, %s)", _indexed(rows))


def _indexed(rows: Sequence[tuple[int, str, bytes]]) -> list[tuple[int, str, int]]:
    each = ([(n, id, key) for n in range(8)] for key, id, _ in rows)
    return list(chain.from_iterable(each))


def timed(run: Run, work: Callable[[], object], resources: int) -> Took:
    """Wall and processor microseconds a resource."""
    began, wall = run.began(), time.perf_counter()
    work()
    wall, cpu = time.perf_counter() - wall, run.took(began)
    return wall / resources * 1e6, cpu / resources * 1e6


def middle(took: Sequence[Took]) -> Took:
    """The medians."""
    wall, cpu = (statistics.median(column) for column in zip(*took, strict=True))
    return wall, cpu
