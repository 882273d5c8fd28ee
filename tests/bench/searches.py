"""What a search costs in the store, and the index that its plan goes by.

``python -m tests.bench.searches RESOURCES [URL]``. Half are patients, twenty of a name, half Tasks,
one for each; a second agency keeps a handful of its own among them. They are filled through the
store in bulk; a database that is as full already is measured as it is. Figures are the medians of
rounds, processor time, one reader.
"""

from __future__ import annotations

import re
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from urllib.parse import parse_qsl
from uuid import NAMESPACE_OID, uuid5

import sqlalchemy as sa

from gateway.fhir.search import parse_query
from gateway.model import Context, Resource
from gateway.store import Hub, open_hub
from gateway.store.tables import resource
from tests.bench import bulk
from tests.bench.table import head, row
from tests.store import plans

AGENCY, OTHER = "cedar-general", "food-bank"
CLINIC, BANK = Context(AGENCY, "bench"), Context(OTHER, "bench")
SYSTEM = "urn:oid:2.16.840.1.113883.3.9999.1"
NAMESAKES = 20
FEW = 40
ROUNDS, ENOUGH = 200, 0.5
"""At most so many rounds of a search, and no more after so many seconds."""

STATES = ("requested", "accepted", "in-progress", "completed")

SEARCHES = {
    "by _id": "Patient?_id={id}",
    "by system|value": "Patient?identifier={system}|{n}",
    "by value alone": "Patient?identifier={n}",
    "by name, a page of 20": "Patient?family=family{family}",
    "by name :exact and birth date": "Patient?family:exact=Family{family}&birthdate={born}",
    "by day of birth": "Patient?birthdate={born}",
    "by span of birth and gender": "Patient?birthdate=ge1980&birthdate=lt1981&gender=female",
    "by gender alone, a page of half": "Patient?gender=female",
    "by one of two states": "Task?status=requested,accepted",
    "by the first letter of a name": "Patient?name=a",
    "by an identifier's system alone": "Patient?identifier={system}|",
    "the newest": "Patient?_sort=-_lastUpdated",
    "sorted by name": "Patient?gender=female&_sort=family",
    "sorted by name and given name": "Patient?gender=female&_sort=family,given",
    "sorted by birth, the youngest first": "Patient?_sort=-birthdate",
    "an agency's, the newest first": "Task?owner=Organization/{other}&_sort=-_lastUpdated",
    "an agency's few of a state": "Task?owner=Organization/{other}&status=failed",
    "since a time": "Task?_lastUpdated=gt2020",
    "by status and owner": "Task?owner=Organization/{other}&status=requested",
    "by patient": "Task?patient=Patient/{id}",
    "by a chain": "Task?patient.identifier={system}|{n}",
    "by a chain alone that meets half": "Task?patient.gender=female",
    "by a chain that meets half": "Task?patient.gender=female&status=requested",
    "by _has": "Patient?family=family{family}&_has:Task:patient:status=requested",
    "with _include": "Task?patient=Patient/{id}&_include=Task:patient",
    "with _revinclude": "Patient?_id={id}&_revinclude=Task:patient",
    "a count of a name": "Patient?family=family{family}&_summary=count",
    "a count of half": "Patient?gender=female&_summary=count",
}


def id(kind: str, number: int) -> str:
    return str(uuid5(NAMESPACE_OID, f"{kind}{number}"))


def born(number: int) -> str:
    return f"{1940 + number % 70}-{1 + number % 12:02}-{1 + number % 28:02}"


def patient(number: int) -> Resource:
    return {
        "resourceType": "Patient",
        "id": id("Patient", number),
        "identifier": [{"system": SYSTEM, "value": str(number)}],
        "name": [
            {"use": "official", "family": f"Family{number // NAMESAKES}", "given": ["Ana", "Luz"]}
        ],
        "telecom": [{"system": "phone", "value": f"+1-555-{number:07}", "use": "home"}],
        "gender": ("female", "male")[number % 2],
        "birthDate": born(number),
        "address": [{"line": ["12 Oak Street"], "city": "Cedar", "postalCode": "60601"}],
        "managingOrganization": {"reference": f"Organization/{AGENCY}"},
    }


def task(number: int) -> Resource:
    return {
        "resourceType": "Task",
        "id": id("Task", number),
        "status": STATES[number % 4],
        "intent": "order",
        "code": {
            "coding": [{"system": "http://hl7.org/fhir/CodeSystem/task-code", "code": "fulfill"}]
        },
        "focus": {"reference": f"ServiceRequest/{id('ServiceRequest', number)}"},
        "for": {"reference": f"Patient/{id('Patient', number)}"},
        "requester": {"reference": f"Organization/{AGENCY}"},
        "owner": {"reference": f"Organization/{OTHER if number % 50 else AGENCY}"},
        "authoredOn": "2026-03-01T10:00:00-06:00",
    }


def keeper(number: int, full: int) -> Context:
    """Whose a patient and its Task are, among so many resources."""
    return BANK if number % max(1, full // 2 // FEW) == 0 else CLINIC


def fill(hub: Hub, full: int) -> None:
    """So many resources, unless they are there; the microseconds that one took."""
    if kept(hub) >= full:
        return
    began = time.process_time()
    bulk.fill(hub, full, made(full))
    row(f"fill {full:,} in bulk", (time.process_time() - began) / full * 1e6, "µs")


def kept(hub: Hub) -> int:
    """How many resources there are."""
    with hub._engine.reads.connect() as connection:
        return int(connection.execute(sa.select(sa.func.max(resource.c.key))).scalar() or 0)


def made(full: int) -> Iterator[tuple[Context, Resource]]:
    """Each resource with its owner."""
    for number in range(full // 2):
        whose = keeper(number, full)
        yield whose, patient(number)
        yield whose, task(number)


def show(hub: Hub, full: int) -> None:
    """The cost of each search for who keeps nearly all, and for who keeps a handful."""
    seen = plans.watched(hub)
    for who, context in (("", CLINIC), ("few: ", BANK)):
        for name, text in SEARCHES.items():
            cost = costs(hub, context, text, full)
            seen.clear()
            once(hub, context, asked(text, full, 1))
            lines = [
                line
                for statement, values in list(seen)
                if statement.startswith("SELECT")
                for line in plans.plan(hub, statement, values)
            ]
            assert not any(map(plans.is_whole, lines)), f"{name} reads a whole table"
            row(f"{who}{name}", cost, "µs", " ".join(indexes(lines)))


def costs(hub: Hub, context: Context, text: str, full: int) -> float:
    """The median of one search, each time another."""
    took: list[float] = []
    stop = time.perf_counter() + ENOUGH
    once(hub, context, asked(text, full, 0))
    while len(took) < ROUNDS and (time.perf_counter() < stop or len(took) < 3):
        one = asked(text, full, len(took) + 1)
        began = time.process_time()
        once(hub, context, one)
        took.append(time.process_time() - began)
    return statistics.median(took) * 1e6


def asked(text: str, full: int, round: int) -> str:
    number = round * 7919 % (full // 2)
    return text.format(
        id=id("Patient", number),
        n=number,
        system=SYSTEM,
        family=number // NAMESAKES,
        born=born(number),
        other=OTHER,
    )


def once(hub: Hub, context: Context, text: str) -> int:
    """Parse and search; how many are on the page."""
    type, _, query = text.partition("?")
    with hub.read() as reader:
        found = reader.search(context, parse_query(type, parse_qsl(query)))
    return len(found.entries)


def indexes(lines: list[str]) -> list[str]:
    """The indexes that plans go by, in their order, each once."""
    named = re.findall(r"INDEX (\w+)|(PRIMARY KEY)|Index (?:Only )?Scan using (\w+)", str(lines))
    short = (
        re.sub(r"sqlite_autoindex_(\w+)_1|PRIMARY KEY", _short, "".join(each)) for each in named
    )
    return list(dict.fromkeys(short))


def _short(match: re.Match[str]) -> str:
    return match[1] or "pk"


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        hub = open_hub(sys.argv[2] if sys.argv[2:] else f"sqlite:///{folder}/hub.sqlite")
        head()
        fill(hub, int(sys.argv[1]))
        show(hub, int(sys.argv[1]))
        hub.close()


if __name__ == "__main__":
    main()
