from __future__ import annotations

import random
from typing import Any

import pytest

from gateway.fhir.search import matches, parse_query
from gateway.model import ValidResource
from gateway.store import Hub
from tests.store.samples import CLINIC, PANTRY, ids, search

URL = "https://x.example/fhir/Patient/9"


def people() -> list[dict[str, Any]]:
    return [
        {
            "id": "a",
            "name": [{"family": "Núñez", "given": ["Ana", "Luz"]}],
            "birthDate": "1980-02-03",
            "gender": "female",
            "active": True,
            "identifier": [{"system": "urn:a", "value": "1"}, {"value": "2"}],
            "generalPractitioner": [{"reference": "Practitioner/g"}],
        },
        {
            "id": "b",
            "name": [{"family": "Nunez"}, {"text": "100% _Bob\\_"}],
            "birthDate": "1980",
            "gender": "male",
            "active": False,
            "identifier": [{"system": "urn:b", "value": "1"}],
            "generalPractitioner": [{"reference": "Organization/g"}],
            "link": [{"other": {"reference": URL}, "type": "seealso"}],
        },
        {
            "id": "c",
            "name": [{"family": "Smith" + "y" * 500, "given": ["Ana"]}],
            "birthDate": "1990-12",
            "deceasedDateTime": "2020-01-01T10:00:00+02:00",
            "identifier": [{"system": "urn:a", "value": "x" * 600 + "1"}],
        },
        {"id": "d", "identifier": [{"system": "urn:a", "value": "x" * 600 + "2"}]},
    ]


QUERIES = [
    "identifier=1",
    "identifier=urn:a|1",
    "identifier=|2",
    "identifier=|1",
    "identifier=urn:a|",
    "identifier=urn:a|,urn:b|1",
    "identifier=" + "x" * 600 + "1",
    "identifier:not=1",
    "gender=female",
    "gender:not=female",
    "gender=female,male&active=false",
    "gender:missing=true",
    "gender:missing=false",
    "active=true",
    "name=nunez",
    "name=NUÑ",
    "name=ana",
    "name:exact=Ana",
    "name:exact=ana",
    "name:exact=Smith" + "y" * 500,
    "name:contains=une",
    "name:contains=0%",
    "name:contains=_bob",
    "family=smith&given=ana",
    "family=smith&given=luz",
    "birthdate=1980",
    "birthdate=1980-02-03",
    "birthdate=ne1980",
    "birthdate=gt1980-02-03",
    "birthdate=lt1980-02-03",
    "birthdate=ge1980-06",
    "birthdate=le1980-06",
    "birthdate=sa1980",
    "birthdate=eb1990-12",
    "birthdate=gt1980&birthdate=lt1991",
    "birthdate=1980,1990-12",
    "birthdate:missing=true",
    "death-date=ge2020-01-01T08:00:00Z",
    "death-date=lt2020-01-01T08:00:00Z",
    "general-practitioner=Practitioner/g",
    "general-practitioner=g",
    "general-practitioner=Practitioner/h",
    f"link={URL}",
    "_id=a",
    "_id=a,c,nobody",
    "_id=a&gender=male",
    "_lastUpdated=gt2020",
    "_lastUpdated=lt2020",
    "_lastUpdated=2020",
    "name=ana&_lastUpdated=ge2020-01-01",
]


@pytest.fixture
def stored(hub: Hub) -> list[ValidResource]:
    """The people, in the hub twice: as the clinic's, and under other ids as the food bank's."""
    mine = [ValidResource({"resourceType": "Patient", **one}) for one in people()]

    def unit(transaction: Any) -> None:
        for resource in mine:
            transaction.put(CLINIC, resource, interaction="create")
            other = ValidResource({**resource, "id": "other-" + resource["id"]})
            transaction.put(PANTRY, other, interaction="create")

    hub.write(unit)
    return mine


def test_a_search_finds_what_the_same_search_in_memory_finds(
    hub: Hub, stored: list[ValidResource]
) -> None:
    for text in QUERIES:
        pairs = [pair.partition("=")[::2] for pair in text.split("&")]
        query = parse_query("Patient", pairs)
        dated = [{**one, "meta": {"lastUpdated": "2026-01-01T00:00:00Z"}} for one in stored]
        expected = [one["id"] for one in dated if matches(query, one)]
        page = search(hub, CLINIC, "Patient", *pairs)
        assert (ids(page), page.total) == (expected, len(expected)), text


def test_last_updated_finds_by_the_time_that_is_shown(
    hub: Hub, stored: list[ValidResource]
) -> None:
    with hub.read() as reader:
        at = reader.read(CLINIC, "Patient", "a").updated
    shown = at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03}Z"
    for prefix, found in (("", True), ("ge", True), ("le", True), ("gt", False), ("lt", False)):
        page = search(hub, CLINIC, "Patient", ("_id", "a"), ("_lastUpdated", prefix + shown))
        assert bool(page.entries) is found, prefix


@pytest.mark.parametrize(
    ("sort", "expected"),
    [
        ("_id", "abcd"),
        ("-_id", "dcba"),
        ("_lastUpdated", "abcd"),
        ("-_lastUpdated", "dcba"),
        ("birthdate", "bacd"),
        ("-birthdate", "cabd"),
        ("gender", "abcd"),
        ("-gender", "badc"),
        ("family,-_id", "bacd"),
        ("general-practitioner", "bacd"),
    ],
)
def test_results_come_in_the_order_asked_for_and_what_lacks_it_last(
    hub: Hub, stored: list[ValidResource], sort: str, expected: str
) -> None:
    assert ids(search(hub, CLINIC, "Patient", ("_sort", sort))) == list(expected)


@pytest.mark.parametrize("sort", ["", "code", "-code", "-_lastUpdated", "status,-code"])
def test_pages_give_each_resource_once_in_order_with_the_same_total(hub: Hub, sort: str) -> None:
    rng = random.Random(7)

    def unit(transaction: Any) -> None:
        for number in range(23):
            resource: dict[str, Any] = {
                "resourceType": "Task",
                "id": f"t{number}",
                "status": rng.choice(["requested", "accepted"]),
                "intent": "order",
            }
            if rng.random() < 0.7:
                resource["code"] = {"coding": [{"code": rng.choice("abc")}]}
            transaction.put(CLINIC, ValidResource(resource), interaction="create")

    hub.write(unit)
    order = [("_sort", sort)] if sort else []
    whole = ids(search(hub, CLINIC, "Task", *order, ("_count", "100")))
    assert len(set(whole)) == 23
    seen: list[str] = []
    cursor = None
    while True:
        page = search(hub, CLINIC, "Task", *order, ("_count", "4"), cursor=cursor)
        assert page.total == 23
        seen += ids(page)
        cursor = page.next
        if cursor is None:
            break
    assert seen == whole


def test_count_zero_gives_the_total_alone_and_total_none_no_total(
    hub: Hub, stored: list[ValidResource]
) -> None:
    page = search(hub, CLINIC, "Patient", ("_count", "0"))
    assert (page.entries, page.total, page.next) == ((), 4, None)
    page = search(hub, CLINIC, "Patient", ("_total", "none"), ("_count", "2"))
    assert (len(page.entries), page.total) == (2, None)


def test_a_percent_or_quote_in_a_value_is_only_a_character(
    hub: Hub, stored: list[ValidResource]
) -> None:
    for text in ("%", "'", '"', "a' OR '1'='1", "\\", "a\x00b", "\U0001f600", "_"):
        names = ("family:exact", "identifier", *(["family:contains"] * ("a" in text)))
        for name in names:
            query = parse_query("Patient", [(name, text)])
            expected = [one["id"] for one in stored if matches(query, one)]
            assert ids(search(hub, CLINIC, "Patient", (name, text))) == expected, (name, text)
