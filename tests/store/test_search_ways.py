"""The ways to a page lead to the same page, and so does a statement that another's was made for."""

from __future__ import annotations

import random
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway.fhir.moments import YEAR, is_moment
from gateway.fhir.rows import DateRow
from gateway.fhir.search import parse_query
from gateway.fhir.search_parameters import extract, parameters
from gateway.model import Context, Resource
from gateway.store import Hub, Reader
from gateway.store.search import marks, searches, statements
from gateway.store.search.statements import Way, shaped
from tests.corpora import needs_corpora
from tests.fhir.examples import official
from tests.store.found import found, grant, page, put
from tests.store.samples import ADMIN, CLINIC, PANTRY, STRANGER

WAYS: tuple[Way, ...] = ("start", "seen", "order")
ASKED = [
    "Patient?gender=female&_sort=family",
    "Patient?gender=female&_sort=-family",
    "Patient?gender=female&_sort=birthdate",
    "Patient?birthdate=ge1980&birthdate=lt1990&_sort=family",
    "Patient?_sort=gender",
    "Patient?_sort=-_lastUpdated",
    "Patient?gender=male",
    "Patient?family:contains=a&_sort=birthdate",
    "Patient?birthdate=gt1980-06",
    "Patient?birthdate=le1985&birthdate=ge1984-06-15",
    "Patient?birthdate=eb1985",
    "Patient?birthdate=ap1985",
    "Patient?birthdate=1985",
    "Patient?address-city=cedar&_sort=family",
]


def person(rng: random.Random, number: int) -> Resource:
    """Some lack what they are sorted by, some have it twice."""
    names = [{"family": rng.choice("abcab") + str(rng.randrange(3))} for _ in range(number % 3)]
    made: dict[str, Any] = {
        "resourceType": "Patient",
        "id": f"p{number}",
        "name": [*names, {"text": "x"}],
        "gender": rng.choice(("female", "male", "other")),
        "address": [{"city": "Cedar"}],
    }
    if number % 4:
        made["birthDate"] = rng.choice(("1979-12-31", "1980", "1984-06", "1985-02-03", "1990"))
    return made


@pytest.fixture
def filled(hub: Hub) -> Hub:
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    people = [person(rng, number) for number in range(60)]
    put(hub, CLINIC, *people[:40])
    put(hub, PANTRY, *people[40:])
    grant(hub, PANTRY.agency, "Patient/p1", "Patient/p2", "Patient/p3")
    grant(hub, "*", "Patient/p5")
    return hub


def walked(reader: Reader, context: Context, text: str, way: Way) -> list[tuple[Any, ...]]:
    """A search's pages, by one way: each row's id and what it is sorted by."""
    type, _, asked = text.partition("?")
    shape, values = shaped(parse_query(type, parse_qsl(asked)))
    rows: list[tuple[Any, ...]] = []
    place = None
    while True:
        some, keys = reader._page(context, shape, values, way, 7, place)
        rows += [(row[2], *row[-keys:]) for row in some[:7]]
        if len(some) <= 7:
            return rows
        place = marks.Place(None, list(some[6][-keys:]))


def ways(text: str) -> tuple[Way, ...]:
    shape, _ = shaped(parse_query("Patient", parse_qsl(text.partition("?")[2])))
    streams = searches.order.is_streamed(shape.looked, shape.sort)
    return WAYS if streams else WAYS[:2]


@pytest.mark.parametrize("context", [CLINIC, PANTRY, STRANGER], ids=lambda one: one.agency)
def test_every_way_leads_through_the_same_pages(filled: Hub, context: Context) -> None:
    with filled.read() as reader:
        for text in ASKED:
            by_way = [walked(reader, context, text, way) for way in ways(text)]
            ids = [[row[0] for row in rows] for rows in by_way]
            if "_sort" in text:
                assert all(each == ids[0] for each in ids), text
            assert all(sorted(each) == sorted(ids[0]) for each in ids), text
            assert len(set(ids[0])) == len(ids[0]), text


@pytest.mark.parametrize("most", [3, 1000])
def test_totals_are_right_or_not_told(
    filled: Hub, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    for module in (statements, searches):
        monkeypatch.setattr(module, "FEW", most)
        monkeypatch.setattr(module, "EXAMINED", max(most, 10))
    for each in (statements.some.known, statements.seen):
        each.cache_clear()
    told = 0
    for context in (CLINIC, PANTRY, STRANGER, ADMIN):
        for text in ASKED:
            right = page(filled, context, f"{text}&_total=accurate&_count=2").total
            first = page(filled, context, f"{text}&_count=2")
            assert first.total in (right, None), text
            told += first.total is not None
            walked_ids = [one.id for one in first.entries]
            while first.next is not None:
                first = page(filled, context, f"{text}&_count=2&_cursor={first.next}")
                walked_ids += [one.id for one in first.entries]
            assert len(walked_ids) == right, text
            assert len(set(walked_ids)) == right, text
    assert told > 0
    for each in (statements.some.known, statements.seen):
        each.cache_clear()


def test_searches_that_differ_in_values_alone_share_a_statement(filled: Hub) -> None:
    statements.page.known.cache_clear()
    for gender, born in (("female", "1980"), ("male", "1985"), ("other", "1990")):
        ids = found(filled, ADMIN, f"Patient?gender={gender}&birthdate={born}&_count=100")
        both = set(found(filled, ADMIN, f"Patient?gender={gender}&_count=100"))
        assert set(ids) <= both
    assert statements.page.known.cache_info().misses == 2


@needs_corpora
@pytest.mark.corpora
def test_a_moment_is_one_and_no_longer_than_a_year() -> None:
    moments = 0
    for name, resource in official():
        type = resource["resourceType"]
        for code in parameters(type):
            if is_moment(type, code):
                rows = extract(resource, frozenset({code}))
                assert len(rows) <= 1, (name, code)
                for row in rows:
                    assert isinstance(row, DateRow)
                    assert row.high - row.low <= YEAR, (name, code)
                    moments += 1
    assert moments > 100
