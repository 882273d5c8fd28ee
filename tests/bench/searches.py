"""What a search costs in the store, and the index that its plan goes by.

Half of the resources are patients, twenty of a family, half Tasks, one for each; a second agency
keeps a handful of its own among them. They are filled through the store in bulk. Figures are means
of rounds, processor time of one reader and its database.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import date, timedelta
from urllib.parse import parse_qsl
from uuid import NAMESPACE_OID, uuid5

import sqlalchemy as sa

from gateway.fhir.search import parse_query
from gateway.model import Context, Resource
from gateway.store import Hub, open_hub
from gateway.store.tables import resource
from tests.bench import bulk
from tests.bench.run import Run
from tests.bench.table import Figure
from tests.store import plans

AGENCY, OTHER = "cedar-general", "food-bank"
CLINIC, BANK = Context(AGENCY, "bench"), Context(OTHER, "bench")
SYSTEM = "urn:oid:2.16.840.1.113883.3.9999.1"
NAMESAKES = 20
FEW = 40
WARM_UP = 6
"""Searches before the first that counts: then a statement is prepared on PostgreSQL, too."""

ENOUGH = 0.5
"""No more rounds of a search after so many seconds."""

GIVEN = (
    *("Ana", "Ben", "Cora", "Dan", "Eva", "Finn", "Gia", "Hugo", "Ines", "Jon", "Kira", "Liam"),
    *("Mia", "Nils", "Ola", "Paul", "Rosa", "Sam", "Tara", "Uma", "Vera", "Will", "Yara", "Zoe"),
    *("Abel", "Bea", "Carl", "Dina", "Emil", "Fay", "Gus", "Hana", "Ivan", "Jana", "Kurt", "Lea"),
    *("Max", "Nora", "Otto", "Pia", "Raul", "Sara", "Theo", "Ulla", "Vito", "Wanda", "Xena"),
    *("Yves", "Adam", "Bibi", "Cleo", "Dora", "Eli", "Flora", "Gina", "Hank"),
)
INITIALS, VOWELS = "BDFGHKLMNRST", "aeio"
DAYS = 25_000

STATES = ("requested", "accepted", "in-progress", "completed")

SEARCHES = {
    "by _id": "Patient?_id={id}",
    "by system|value": "Patient?identifier={system}|{n}",
    "by value alone": "Patient?identifier={n}",
    "by name, a page of 20": "Patient?family={family}",
    "by name :exact and birth date": "Patient?family:exact={family}&birthdate={born}",
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
    "by _has": "Patient?family={family}&_has:Task:patient:status=requested",
    "with _include": "Task?patient=Patient/{id}&_include=Task:patient",
    "with _revinclude": "Patient?_id={id}&_revinclude=Task:patient",
    "a count of a name": "Patient?family={family}&_summary=count",
    "a count of half": "Patient?gender=female&_summary=count",
}


def id(kind: str, number: int) -> str:
    return str(uuid5(NAMESPACE_OID, f"{kind}{number}"))


def born(number: int) -> str:
    """A day of 68 years."""
    return (date(1940, 1, 1) + timedelta(days=_mixed(number) % DAYS)).isoformat()


def family(number: int) -> str:
    """A name that twenty in a row have, and whose beginning one in forty-eight families has."""
    beginning = number // NAMESAKES % (len(INITIALS) * len(VOWELS))
    initial, vowel = divmod(beginning, len(VOWELS))
    return f"{INITIALS[initial]}{VOWELS[vowel]}{number // NAMESAKES}"


def _mixed(number: int) -> int:
    """Spread as if by chance, but the same each time."""
    return (number * 2654435761 >> 7) % 2**25


def patient(number: int) -> Resource:
    given = GIVEN[_mixed(number + 1) % len(GIVEN)]
    return {
        "resourceType": "Patient",
        "id": id("Patient", number),
        "identifier": [{"system": SYSTEM, "value": str(number)}],
        "name": [{"use": "official", "family": family(number), "given": [given]}],
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


def filled(run: Run, upto: int) -> str:
    """The URL of the run's own population, with so many resources: more are put beside fewer."""
    url, there = run.shared.get("population", ("", 0))
    url = url or run.engine.database(run.room("population"))
    if there < upto:
        more(url, there, upto, run.size.resources)
        run.shared["population"] = url, upto
    return url


def more(url: str, there: int, upto: int, full: int) -> None:
    """Fill a hub that has so many up to more, of those that will be ``full`` in all."""
    with closing(open_hub(url)) as hub:
        bulk.fill(hub, upto - there, made(there, upto, full))


def made(there: int, upto: int, full: int) -> Iterator[tuple[Context, Resource]]:
    """Each resource with its owner, of those that will be so many in all."""
    for number in range(there // 2, upto // 2):
        whose = keeper(number, full)
        yield whose, patient(number)
        yield whose, task(number)


def figures(run: Run) -> Iterator[Figure]:
    """The cost of each search for who keeps nearly all, and for who keeps a handful."""
    full = run.size.resources
    with closing(open_hub(filled(run, full))) as hub:
        seen = plans.watched(hub)
        for who, context in (("", CLINIC), ("few: ", BANK)):
            floor = cost(run, hub, context, SEARCHES["by _id"], full)
            for name, text in SEARCHES.items():
                took = cost(run, hub, context, text, full)
                seen.clear()
                once(hub, context, asked(text, full, 1))
                by = " ".join(indexes(_plans(hub, seen)))
                work = f"{who}{name}"
                yield Figure(work, took, "µs", floor, "search by _id", "", by, run.engine.name)


def _plans(hub: Hub, seen: plans.Seen) -> list[str]:
    """The plans of all statements, none of which may read a whole table."""
    lines = [
        line
        for statement, values in list(seen)
        if statement.startswith("SELECT")
        for line in plans.plan(hub, statement, values)
    ]
    assert not any(map(plans.is_whole, lines)), "a search reads a whole table"
    return lines


def cost(run: Run, hub: Hub, context: Context, text: str, full: int) -> float:
    """Microseconds of one search among so many resources, each time another."""

    def work(number: int) -> None:
        once(hub, context, asked(text, full, number))

    began = time.perf_counter()
    for number in range(WARM_UP):
        work(number)
    rounds = int(ENOUGH * WARM_UP / (time.perf_counter() - began))
    rounds = max(4, min(rounds, run.size.repeats * 4))
    return run.each(work, range(WARM_UP, WARM_UP + rounds))


def asked(text: str, full: int, round: int) -> str:
    number = round * 7919 % (full // 2)
    return text.format(
        id=id("Patient", number),
        n=number,
        system=SYSTEM,
        family=family(number),
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


def kept(hub: Hub) -> int:
    """The largest key of a resource: about how many there are."""
    with hub._engine.reads.connect() as connection:
        return int(connection.execute(sa.select(sa.func.max(resource.c.key))).scalar() or 0)
