from __future__ import annotations

from typing import Any

import pytest

from gateway.fhir import codes
from gateway.identify.scoring import COMPARED, phone, score
from gateway.identify.ways import ways

ANA: dict[str, Any] = {
    "resourceType": "Patient",
    "identifier": [{"system": "urn:mrn", "value": "1001"}],
    "name": [{"family": "Rivera", "given": ["Ana", "Maria"]}],
    "gender": "female",
    "birthDate": "1984-07-19",
    "telecom": [{"system": "phone", "value": "(555) 010-4477"}],
    "address": [{"line": ["12 Elm Street"], "postalCode": "97301"}],
}


def changed(**elements: Any) -> dict[str, Any]:
    return {name: value for name, value in {**ANA, **elements}.items() if value is not None}


def named(family: str, *given: str) -> list[dict[str, Any]]:
    return [{"family": family, "given": list(given)}]


@pytest.mark.parametrize(
    ("other", "grade"),
    [
        (ANA, "certain"),
        (changed(identifier=None), "certain"),  # name, birth date and phone
        (changed(name=named("RIVERA", "ana"), telecom=None), "certain"),  # number and name
        (changed(birthDate="1984-07-18", identifier=None), "probable"),  # a typing error
        (changed(name=named("Riviera", "Anna"), identifier=None), "probable"),
        (changed(name=named("Riverra", "Ana"), telecom=None, address=None), "certain"),
    ],
)
def test_records_of_one_person_are_found(other: dict[str, Any], grade: str) -> None:
    found = score(ANA, other)
    assert found.grade == grade, found
    assert score(other, ANA) == found


@pytest.mark.parametrize(
    "other",
    [
        # a twin: everything but the given name and number
        changed(name=named("Rivera", "Luisa"), identifier=[{"system": "urn:mrn", "value": "1002"}]),
        # a father of the same name
        changed(birthDate="1951-01-02", gender="male", identifier=None),
        changed(name=named("Okafor", "Ben"), birthDate="1990-01-01", identifier=None),
    ],
)
def test_others_are_never_certain_nor_probable(other: dict[str, Any]) -> None:
    assert score(ANA, other).grade in ("possible", "certainly-not")


def test_a_number_alone_makes_nobody_certain() -> None:
    stranger = changed(name=named("Okafor", "Ben"), birthDate="1990-01-01")
    assert score(ANA, stranger).grade != "certain"
    only_number = {"resourceType": "Patient", "identifier": ANA["identifier"]}
    assert score(only_number, ANA).grade == "probable"


def test_a_name_alone_makes_nobody_probable() -> None:
    only_name = {"resourceType": "Patient", "name": ANA["name"]}
    assert score(only_name, ANA).grade in ("possible", "certainly-not")


def test_what_one_lacks_says_nothing() -> None:
    empty = {"resourceType": "Patient"}
    for compare in COMPARED.values():
        assert compare(ANA, empty).weight == compare(empty, ANA).weight == 0


def test_phones_are_compared_by_their_digits() -> None:
    assert phone("+1 (555) 010-4477") == phone("555.010.4477") == "5550104477"
    assert phone("4477") == ""


def test_a_hashed_number_matches_nobody() -> None:
    hashed = [{"system": codes.SSN_HASH, "value": "8665fe03681cf0c07eda9cf76fa800f2"}]
    one = {"resourceType": "Patient", "identifier": hashed, "birthDate": "1984-07-19"}
    assert score(one, one).grade == score({**one, "identifier": []}, one).grade != "certain"
    assert [pairs for pairs in ways(one) if "identifier" in dict(pairs)] == []


def test_an_approximate_birth_date_makes_nothing_certain() -> None:
    rough = {"extension": [{"url": codes.DATA_QUALITY, "valueCodeableConcept": {"text": "2"}}]}
    sure = changed(identifier=None)
    assert score(sure, sure).grade == "certain"
    assert score(sure, {**sure, "_birthDate": rough}).grade == "probable"


def test_a_stroke_for_a_name_is_looked_for_as_no_name() -> None:
    person = changed(
        identifier=None, telecom=None, name=[*named("-", "..."), *named("O'Neil", "'")]
    )
    assert list(ways(person)) == [[("birthdate", "1984-07-19"), ("family", "on")]]
