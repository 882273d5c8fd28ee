"""The ways to a page lead to the same page, and so does a statement that another's was made for."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway.errors import InvalidSearch
from gateway.fhir.moments import YEAR, is_moment
from gateway.fhir.query import Late, Query, Sort
from gateway.fhir.rows import DateRow
from gateway.fhir.search import parse_query
from gateway.fhir.search_parameters import extract, parameters
from gateway.model import Context, Resource
from gateway.store import Hub, Reader
from gateway.store.search import marks, searches, statements
from gateway.store.search.searches import Asked
from gateway.store.search.statements import Way, shaped
from tests.corpora import needs_corpora
from tests.fhir.examples import official
from tests.store import plans
from tests.store.found import found, grant, page, put
from tests.store.samples import ADMIN, CLINIC, PANTRY, STRANGER

WAYS: tuple[Way, ...] = ("start", "seen", "order", "rows", "type")
ASKED = [
    "Patient?gender=female&_sort=family",
    "Patient?gender=female&_sort=-family",
    "Patient?gender=female&_sort=family,-birthdate",
    "Patient?_sort=-birthdate,family",
    "Patient?_sort=-_lastUpdated,family",
    "Patient?gender=female&_sort=birthdate",
    "Patient?gender=female&_sort=-birthdate",
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
    "Patient?name=a",
    "Patient?name:contains=1&gender=female",
    "Patient?gender=male,female",
    "Patient?name=x&birthdate=ge1980",
    "Patient?identifier=urn:n|",
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
        "identifier": [{"system": "urn:n", "value": f"{n}"} for n in range(number % 3)],
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
        some, keys = reader._page(Asked(context, shape, values), way, 7, place)
        rows += [(row[2], *row[-keys:]) for row in some[:7]]
        if len(some) <= 7:
            return rows
        place = marks.Place(None, list(some[6][-keys:]))


def ways(text: str) -> tuple[Way, ...]:
    shape, _ = shaped(parse_query("Patient", parse_qsl(text.partition("?")[2])))
    streams = searches.order.is_streamed(shape.looked, shape.sort)
    parts = (shape.looked, shape.criteria, shape.start)
    has_rows = not shape.sort and statements.ranged(*parts) is not None
    may = {"order": streams, "rows": has_rows, "type": not shape.sort}
    return tuple(way for way in WAYS if may.get(way, True))


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
@pytest.mark.parametrize("context", [CLINIC, PANTRY, STRANGER], ids=lambda one: one.agency)
def test_the_way_back_leads_through_the_same_pages(
    filled: Hub, context: Context, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(statements, "FEW", most)
    monkeypatch.setattr(searches, "FEW", most)
    monkeypatch.setattr(searches, "SORTED", most)
    statements.candidates.known.cache_clear()
    for text in ASKED:
        pages = [page(filled, context, f"{text}&_count=7")]
        while (mark := pages[-1].next) is not None:
            pages.append(page(filled, context, f"{text}&_count=7&_cursor={mark}"))
        there = [[one.id for one in each.entries] for each in pages]
        last, back = pages[-1], [there[-1]]
        while last.previous is not None:
            last = page(filled, context, f"{text}&_count=7&_cursor={last.previous}")
            back.append([one.id for one in last.entries])
            assert (last.next is not None, last.total) == (True, pages[0].total), text
        assert back[::-1] == there, text
    statements.candidates.known.cache_clear()


def test_a_page_back_is_whole_whatever_was_removed(filled: Hub) -> None:
    text = "Patient?_sort=_id&_count=5"
    first = page(filled, CLINIC, text)
    second = page(filled, CLINIC, f"{text}&_cursor={first.next}")
    gone = first.entries[1].id
    filled.write(lambda transaction: transaction.delete(CLINIC, "Patient", gone))
    back = page(filled, CLINIC, f"{text}&_cursor={second.previous}")
    assert back.previous is None
    assert [one.id for one in back.entries] == [
        one.id for one in (*first.entries, *second.entries) if one.id != gone
    ][:5]


@pytest.mark.parametrize("most", [3, 1000])
def test_totals_are_right_or_not_told(
    filled: Hub, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    for module in (statements, searches):
        monkeypatch.setattr(module, "FEW", most)
    kept = (statements.candidates.known, statements.seen)
    for each in kept:
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
    for each in kept:
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


def test_what_finds_few_is_started_from_where_the_guess_finds_many(
    filled: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    """References are usually narrow; here one is everybody's."""
    everybody = [
        {"resourceType": "Task", "id": f"t{n}", "status": "failed" if n % 7 == 0 else "requested"}
        | {"owner": {"reference": "Organization/a"}}
        for n in range(40)
    ]
    put(filled, CLINIC, *everybody)
    monkeypatch.setattr(searches, "FEW", 10)
    text = "owner=Organization/a&status=failed&_count=3"
    shape, values = shaped(parse_query("Task", parse_qsl(text)))
    with filled.read() as reader:
        assert reader._plan(Asked(CLINIC, shape, values)) == ("start", 1, False)
    first = page(filled, CLINIC, f"Task?{text}")
    second = page(filled, CLINIC, f"Task?{text}&_cursor={first.next}")
    ids = [one.id for one in (*first.entries, *second.entries)]
    assert (ids, first.total) == ([f"t{n}" for n in range(0, 40, 7)], 6)


def test_a_mark_is_good_in_every_process() -> None:
    """What makes a custom parameter's rows is another function in each."""
    one, other = (
        Query("Patient", sort=(Sort("x#1", "string", late=Late("x#1", "Patient", rows)),))
        for rows in (lambda _: [], lambda _: [])
    )
    mark = marks.write(b"secret", CLINIC, one, marks.Place(7, ["a", 1], True, "start"))
    found = marks.read(b"secret", CLINIC, replace(other, cursor=mark))
    assert found == (7, ["a", 1], True, "start", -1)
    for context, query in ((PANTRY, one), (CLINIC, replace(one, sort=()))):
        with pytest.raises(InvalidSearch):
            marks.read(b"secret", context, replace(query, cursor=mark))


def test_a_mark_of_another_order_is_refused(filled: Hub) -> None:
    query = parse_query("Patient", [("gender", "female")])
    mark = marks.write(filled.secret, CLINIC, query, marks.Place(None, ["1980", "f", 3]))
    with pytest.raises(InvalidSearch):
        page(filled, CLINIC, f"Patient?gender=female&_cursor={mark}")


def test_what_somebody_sees_is_not_counted_each_time_where_it_is_much(
    filled: Hub, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(searches, "FEW", 3)
    asked = plans.watched(filled)
    counts = []
    for _ in range(2):
        page(filled, CLINIC, "Patient?gender=female&_total=none")
        counts.append(len([text for text, _ in asked if text.startswith("SELECT")]))
        asked.clear()
    assert counts[1] == counts[0] - 1
