"""Modifiers, composites and full text, by SQL and, where that can be, in memory."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from functools import partial
from threading import Event
from typing import Any
from urllib.parse import parse_qsl

import pytest

from gateway.errors import InvalidSearch, Unavailable
from gateway.fhir.matching import in_memory, matches
from gateway.fhir.search import awaited, parse_query
from gateway.model import ValidResource
from gateway.store import Hub, Transaction, open_hub
from tests.store.found import found, page, put
from tests.store.samples import CLINIC, PANTRY

LOINC = "http://loinc.org"
CLASSES = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"


def quantity(value: float, unit: str = "mg") -> dict[str, Any]:
    return {"value": value, "unit": unit, "system": "http://unitsofmeasure.org", "code": unit}


def coded(code: str, display: str = "", system: str = LOINC) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code, "display": display or code}]}


RESOURCES: list[dict[str, Any]] = [
    {
        "resourceType": "Observation",
        "id": "bp",
        "status": "final",
        "code": {**coded("85354-9", "Blood pressure panel"), "text": "Blutdruck, sitzend"},
        "component": [
            {"code": coded("8480-6"), "valueQuantity": quantity(120, "mm[Hg]")},
            {"code": coded("8462-4"), "valueQuantity": quantity(80, "mm[Hg]")},
            {"code": coded("8478-0"), "valueCodeableConcept": coded("high", system="urn:l")},
        ],
    },
    {
        "resourceType": "Observation",
        "id": "glucose",
        "status": "final",
        "code": coded("2339-0", "Glucose in Blood"),
        "subject": {"identifier": {"system": "urn:mrn", "value": "42"}, "type": "Patient"},
        "valueQuantity": quantity(5.5, "mmol/L"),
        "text": {
            "status": "generated",
            "div": "<div xmlns='http://www.w3.org/1999/xhtml'><p>Glucose &amp; Zucker</p></div>",
        },
    },
    {
        "resourceType": "Observation",
        "id": "text",
        "status": "amended",
        "code": coded("text"),
        "valueString": "Not certain: metastases of the bone",
        "note": [{"text": "Überweisung an die Leberambulanz"}],
    },
    {
        "resourceType": "Patient",
        "id": "p",
        "gender": "female",
        "identifier": [
            {
                "type": coded("MR", "Medical record number", "urn:t"),
                "system": "urn:mrn",
                "value": "42",
            },
            {"type": coded("VN", "Visit number", "urn:t"), "system": "urn:mrn", "value": "43"},
        ],
    },
    {"resourceType": "Patient", "id": "q", "gender": "male"},
    {
        "resourceType": "Encounter",
        "id": "acute",
        "status": "finished",
        "class": {"system": CLASSES, "code": "ACUTE"},
    },
    {
        "resourceType": "Encounter",
        "id": "imp",
        "status": "finished",
        "class": {"system": CLASSES, "code": "IMP"},
    },
    {
        "resourceType": "Encounter",
        "id": "amb",
        "status": "finished",
        "class": {"system": CLASSES, "code": "AMB"},
    },
    *(
        {"resourceType": "ValueSet", "id": id, "url": url, "status": "active", **more}
        for id, url, more in (
            ("one", "http://e.org/fhir/ValueSet/1", {}),
            ("base", "http://e.org/fhir", {}),
            ("other", "http://e.org/fhirs/ValueSet/1", {}),
            ("urn", "urn:oid:1.2", {}),
            (
                "used",
                "http://x.org/v",
                {
                    "useContext": [
                        {
                            "code": {"system": "urn:u", "code": "age"},
                            "valueQuantity": quantity(30, "a"),
                        },
                        {
                            "code": {"system": "urn:u", "code": "focus"},
                            "valueCodeableConcept": coded("x"),
                        },
                    ]
                },
            ),
        )
    ),
    {
        "resourceType": "DocumentReference",
        "id": "later",
        "status": "current",
        "content": [],
        "relatesTo": [
            {"code": "replaces", "target": {"reference": "DocumentReference/earlier"}},
            {"code": "appends", "target": {"reference": "DocumentReference/third"}},
        ],
    },
]

FINDS = {
    # :text
    "Observation?code:text=blutdruck": ["bp"],
    "Observation?code:text=BLOOD": ["bp"],
    "Observation?code:text=pressure": [],
    "Observation?code:text=glucose,blood": ["bp", "glucose"],
    "Patient?identifier:text=visit": ["p"],
    # :of-type and :identifier
    "Patient?identifier:of-type=urn:t|MR|42": ["p"],
    "Patient?identifier:of-type=urn:t|MR|43": [],
    "Observation?subject:identifier=urn:mrn|42": ["glucose"],
    "Observation?subject:identifier=43": [],
    "Observation?patient:identifier=42": ["glucose"],
    "Observation?subject:missing=false": ["glucose"],
    # :in, :not-in, :above, :below
    f"Patient?gender:in={GENDERS}": ["p", "q"],
    f"Patient?gender:not-in={GENDERS}": [],
    f"Observation?status:not-in={GENDERS}": ["bp", "glucose", "text"],
    f"Encounter?class:below={CLASSES}|IMP": ["acute", "imp"],
    f"Encounter?class:above={CLASSES}|ACUTE": ["acute", "imp"],
    f"Encounter?class:below={CLASSES}|AMB": ["amb"],
    "ValueSet?url:below=http://e.org/fhir/": ["one"],
    "ValueSet?url:below=http://e.org/fhir": ["one", "base", "other"],
    "ValueSet?url:above=http://e.org/fhir/ValueSet/1/_history/5": ["one", "base"],
    "ValueSet?url=http://e.org/fhir": ["base"],
    "ValueSet?url=urn:oid:1.2": ["urn"],
    # composites
    "Observation?code-value-quantity=2339-0$5.5": ["glucose"],
    f"Observation?code-value-quantity={LOINC}|2339-0$gt5|http://unitsofmeasure.org|mmol/L": [
        "glucose"
    ],
    "Observation?code-value-quantity=2339-0$lt5": [],
    "Observation?code-value-string=text$not": ["text"],
    "Observation?component-code-value-quantity=8480-6$120": ["bp"],
    f"Observation?component-code-value-quantity={LOINC}|8480-6$gt100": ["bp"],
    f"Observation?component-code-value-quantity={LOINC}|$80": ["bp"],
    "Observation?component-code-value-quantity=8480-6$80": [],
    "Observation?component-code-value-quantity=8480-6$80,8462-4$80": ["bp"],
    "Observation?component-code-value-concept=8478-0$urn:l|high": ["bp"],
    "Observation?component-code-value-concept=8480-6$high": [],
    "Observation?combo-code-value-quantity=8462-4$lt90": ["bp"],
    "Observation?combo-code-value-quantity=2339-0$5.5": ["glucose"],
    "Observation?combo-code-value-quantity=85354-9$120": [],
    "Observation?component-code-value-quantity:missing=false": ["bp"],
    "Observation?component-code-value-quantity:missing=true": ["glucose", "text"],
    "Observation?code-value-quantity:missing=true": ["bp", "text"],
    "Observation?combo-code-value-quantity:missing=true": ["text"],
    # by the rows of others
    "Observation?combo-code=8480-6": ["bp"],
    "Observation?combo-code=85354-9,2339-0": ["bp", "glucose"],
    "Observation?combo-code:not=8480-6": ["glucose", "text"],
    "Observation?combo-code:missing=true": [],
    "Observation?combo-value-concept=urn:l|high": ["bp"],
    "Observation?combo-value-concept:missing=true": ["glucose", "text"],
    "Observation?combo-value-quantity=80,5.5": ["bp", "glucose"],
    "Observation?combo-value-quantity:missing=true": ["text"],
    "Observation?status=final&combo-code=2339-0&_sort=combo-code": ["glucose"],
    "ValueSet?context-type-quantity=age$30": ["used"],
    "ValueSet?context-type-quantity=focus$30": [],
    "ValueSet?context-type-value=urn:u|focus$x": ["used"],
    "ValueSet?context-type-value=age$x": [],
    "DocumentReference?relationship=replaces$DocumentReference/earlier": ["later"],
    "DocumentReference?relationship=appends$DocumentReference/earlier": [],
    # full text
    "Observation?_text=zucker": ["glucose"],
    "Observation?_text=blood": [],
    "Observation?_content=blood": ["bp", "glucose"],
    "Observation?_content=blood pressure": ["bp"],
    "Observation?_content=(bone or liver) and METASTASES": ["text"],
    "Observation?_content=blood not pressure": ["glucose"],
    "Observation?_content=uberweisung": ["text"],
    "Observation?_content=Überweisung,blutdruck": ["bp", "text"],
    "Observation?_content=blood&status=final&_text=glucose": ["glucose"],
    "Observation?_content=metastas": [],
    "Patient?_content=medical": ["p"],
    "Patient?_content=female": ["p"],
    "Patient?_text=female": [],
    # the rest
    "Observation?status:not=final": ["text"],
    "Patient?gender:not=male": ["p"],
}


@pytest.fixture
def filled(hub: Hub) -> Hub:
    put(hub, CLINIC, *RESOURCES)
    put(hub, PANTRY, *({**one, "id": f"other-{one['id']}"} for one in RESOURCES))
    return hub


def test_each_modifier_finds_what_it_should_by_sql_and_in_memory(filled: Hub) -> None:
    for text, expected in FINDS.items():
        assert found(filled, CLINIC, text) == expected, text
        type_, _, asked = text.partition("?")
        query = parse_query(type_, parse_qsl(asked.replace("+", "%2B")))
        if all(map(in_memory, query.criteria)):
            ours = [one["id"] for one in RESOURCES if matches(query, one)]
            assert ours == expected, text


def test_you_find_by_late_rows_what_you_just_wrote_and_not_what_you_changed(hub: Hub) -> None:
    first = {"resourceType": "Basic", "id": "b", "code": {"text": "red"}}
    for _ in range(2):  # the second time after a deletion
        put(hub, CLINIC, first)
        assert found(hub, CLINIC, "Basic?code:text=red") == ["b"]
        assert found(hub, CLINIC, "Basic?_content=red") == ["b"]
        put(hub, CLINIC, {**first, "code": {"text": "blue"}})
        for text in ("Basic?code:text=red", "Basic?_content=red"):
            assert found(hub, CLINIC, text) == []
        for text in ("Basic?code:text=blue", "Basic?_content=blue"):
            assert found(hub, CLINIC, text) == ["b"]
        hub.write(lambda unit: unit.delete(CLINIC, "Basic", "b"))
        assert found(hub, CLINIC, "Basic?code:text=blue") == []
        assert found(hub, CLINIC, "Basic?_content=blue") == []


def test_words_find_what_is_of_the_type_that_is_asked_for(hub: Hub) -> None:
    put(hub, CLINIC, {"resourceType": "Basic", "id": "b", "code": {"text": "red"}})
    put(
        hub,
        CLINIC,
        {
            "resourceType": "Flag",
            "id": "f",
            "status": "active",
            "code": {"text": "red"},
            "subject": {"display": "somebody"},
        },
    )
    for _ in range(2):
        assert found(hub, CLINIC, "Basic?_content=red") == ["b"]
        assert found(hub, CLINIC, "Flag?_content=red") == ["f"]


def test_what_is_very_much_is_made_in_parts_and_the_asker_told_to_ask_again(hub: Hub) -> None:
    put(hub, CLINIC, *({"resourceType": "Basic", "id": f"b{n}", "code": {}} for n in range(600)))
    (late,) = awaited(parse_query("Basic", [("_content", "x")]))
    with pytest.raises(Unavailable):
        hub.catch_up(late, most=300)
    hub.catch_up(late, most=300)


def test_a_search_is_the_same_after_a_reindex(filled: Hub) -> None:
    def broken(transaction: Any) -> None:
        transaction.link.connection.exec_driver_sql("DELETE FROM token")
        transaction.link.connection.exec_driver_sql("UPDATE resource SET kinds = 0")

    filled.write(broken)
    assert found(filled, CLINIC, "Observation?status=final") == []
    assert filled.reindex() == 2 * len(RESOURCES)
    for text, expected in FINDS.items():
        assert found(filled, CLINIC, text) == expected, text
    put(filled, CLINIC, {**RESOURCES[0], "status": "amended"})
    assert found(filled, CLINIC, "Observation?status=final") == ["glucose"]
    assert filled.reindex() == 2 * len(RESOURCES)
    assert found(filled, CLINIC, "Observation?code:text=blutdruck") == ["bp"]


def test_a_text_of_any_script_is_found_by_its_words(hub: Hub) -> None:
    for number, text in enumerate(("山田 太郎", "Ωmega", "x" * 500, "naïve café", 'q\'uote "two"')):
        put(hub, CLINIC, {"resourceType": "Basic", "id": str(number), "code": {"text": text}})
    for text, expected in (
        ("山田", ["0"]),
        ("ωMEGA", ["1"]),
        ("x" * 500, ["2"]),
        ("CAFE", ["3"]),
        ("quote", ["4"]),
        ("two", ["4"]),
        ("NEAR", []),
    ):
        assert found(hub, CLINIC, f"Basic?_content={text}") == expected, text
    for text in ("'", '"', "*", "a OR", "(a", "not a", "a and and b", "()"):
        with pytest.raises(InvalidSearch):
            page(hub, CLINIC, f"Basic?_content={text}")


def test_the_total_is_counted_once_and_goes_with_the_pages(hub: Hub) -> None:
    put(hub, CLINIC, *({"resourceType": "Basic", "id": f"b{n}", "code": {}} for n in range(6)))
    first = page(hub, CLINIC, "Basic?_count=2")
    put(hub, CLINIC, {"resourceType": "Basic", "id": "late", "code": {}})
    second = page(hub, CLINIC, f"Basic?_count=2&_cursor={first.next}")
    assert (first.total, second.total) == (6, 6)
    assert page(hub, CLINIC, "Basic?_count=2&_total=accurate").total == 7
    none = page(hub, CLINIC, "Basic?_count=2&_total=none")
    assert none.total is None
    assert page(hub, CLINIC, f"Basic?_count=2&_total=none&_cursor={none.next}").total is None


def test_many_who_write_and_search_at_once_each_find_their_own(hub: Hub) -> None:
    def work(number: int) -> list[list[str]]:
        seen = []
        for turn in range(6):
            word = f"word{number}x{turn}"
            put(hub, CLINIC, {"resourceType": "Basic", "id": f"w{number}", "code": {"text": word}})
            seen.append(found(hub, CLINIC, f"Basic?_content={word}&_id=w{number}"))
            seen.append(found(hub, CLINIC, f"Basic?code:text={word}"))
        return seen

    with ThreadPoolExecutor(8) as pool:
        for number, seen in enumerate(pool.map(work, range(8))):
            assert seen == [[f"w{number}"]] * 12
    assert found(hub, CLINIC, "Basic?_content=word1x4") == []
    assert len(found(hub, CLINIC, "Basic?code:text=word")) == 8


def test_what_was_made_of_an_older_version_is_not_filed(hub: Hub) -> None:
    put(hub, CLINIC, {"resourceType": "Basic", "id": "b", "code": {"text": "old"}})
    for text in ("Basic?code:text=old", "Basic?_content=old"):
        (late,) = awaited(parse_query("Basic", parse_qsl(text.partition("?")[2])))
        with hub.read() as reader:
            stale = reader.unmade(late)
        assert stale is not None
        put(hub, CLINIC, {"resourceType": "Basic", "id": "b", "code": {"text": "new"}})
        assert found(hub, CLINIC, text.replace("old", "new")) == ["b"]
        hub.write(partial(Transaction.make, batch=stale))
        assert found(hub, CLINIC, text) == []
        assert found(hub, CLINIC, text.replace("old", "new")) == ["b"]
        put(hub, CLINIC, {"resourceType": "Basic", "id": "b", "code": {"text": "old"}})


def test_what_commits_late_is_made_all_the_same(postgres_url: str) -> None:
    hub = open_hub(postgres_url)
    begun, go_on = Event(), Event()

    def slow(transaction: Any) -> None:
        slow_one = ValidResource({"resourceType": "Basic", "id": "slow", "code": {"text": "word"}})
        transaction.put(CLINIC, slow_one, interaction="create")
        transaction.flush()
        begun.set()
        go_on.wait(10)

    waiting = hub.submit(slow)
    assert begun.wait(10)
    put(hub, CLINIC, {"resourceType": "Basic", "id": "fast", "code": {"text": "word"}})
    assert found(hub, CLINIC, "Basic?_content=word") == ["fast"]
    go_on.set()
    waiting.result(10)
    assert sorted(found(hub, CLINIC, "Basic?_content=word")) == ["fast", "slow"]
    hub.close()


def test_a_code_of_several_systems_finds_a_resource_once(hub: Hub) -> None:
    coding = [{"system": f"urn:{n}", "code": "same"} for n in range(4)]
    put(
        hub,
        CLINIC,
        *({"resourceType": "Basic", "id": f"b{n}", "code": {"coding": coding}} for n in range(5)),
    )
    first = page(hub, CLINIC, "Basic?code=same&_count=3")
    rest = page(hub, CLINIC, f"Basic?code=same&_count=3&_cursor={first.next}")
    assert [one.id for one in (*first.entries, *rest.entries)] == [f"b{n}" for n in range(5)]
    assert (first.total, rest.next) == (5, None)
    assert page(hub, CLINIC, "Basic?code=same&_total=accurate&_count=2").total == 5
