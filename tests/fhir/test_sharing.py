"""Parameters that find by the rows of others, since these look at all that they look at."""

from __future__ import annotations

import pytest

from gateway.fhir.elements import resource_types
from gateway.fhir.search_parameters import (
    extract,
    extract_apart,
    filed,
    holds,
    parameters,
    shared,
    twice,
)
from gateway.fhir.sharing import holding, sharing
from gateway.model import Resource
from tests.corpora import needs_corpora
from tests.fhir.examples import official

CODE = {"coding": [{"system": "http://loinc.org", "code": "71802-3"}]}
OBSERVATION: Resource = {
    "resourceType": "Observation",
    "id": "one",
    "status": "final",
    "code": CODE,
    "valueCodeableConcept": CODE,
    "component": [
        {"code": {"coding": [{"code": "a"}]}, "valueCodeableConcept": {"coding": [{"code": "b"}]}},
        {"code": {"coding": [{"code": "c"}]}, "valueQuantity": {"value": 1, "unit": "d"}},
        {"code": {"coding": [{"code": "e"}]}, "dataAbsentReason": CODE},
    ],
}


def test_what_looks_at_the_same_is_found_by_one() -> None:
    looks = {"all": [1, 2, 3], "some": [1, 2], "rest": [3], "same": [3], "other": [4, 1]}
    assert sharing(looks) == {"all": ("some", "same"), "rest": ("same",)}


def test_what_looks_at_more_than_others_together_has_its_own_rows() -> None:
    assert sharing({"all": [1, 2, 3], "some": [1], "rest": [3]}) == {}


def test_an_observations_combos_are_its_own_and_its_components() -> None:
    found = shared("Observation")
    assert set(found["combo-code"]) == {"code", "component-code"}
    assert found["combo-code-value-concept"] == ("component-code-value-concept",)
    assert set(filed("Observation", "combo-code")) == {"code", "component-code"}
    assert filed("Observation", "combo-code:text") == ("combo-code:text",)
    assert filed("Observation", "combo-code-value-concept$|a") == (
        "component-code-value-concept$|a",
    )
    assert filed("Observation", "code") == ("code",)


@pytest.mark.parametrize("code", sorted(shared("Observation")))
def test_the_rows_of_the_others_are_those_that_it_would_have(code: str) -> None:
    def rows(*names: str) -> set[object]:
        found = extract(OBSERVATION, frozenset(names))
        return {row._replace(param=row.param.partition("$")[2]) for row in found}

    assert rows(code) == rows(*shared("Observation")[code]) != set()


def test_no_row_is_filed_for_what_shares_those_of_others() -> None:
    names = {row.param.partition("$")[0] for row in extract_apart(OBSERVATION)}
    assert names == {row.param.partition("$")[0] for row in extract(OBSERVATION)} - set(
        shared("Observation")
    )


def test_who_is_named_has_rows() -> None:
    for type in resource_types():
        named = {other for others in shared(type).values() for other in others}
        assert named <= parameters(type).keys() - shared(type).keys()


def test_what_looks_at_a_part_of_what_another_does_is_held_by_it() -> None:
    looks = {"all": ["a", "b"], "some": ["aa", "ba"], "more": ["aa", "c"]}
    assert holding(looks, lambda part, whole: part[:-1] == whole) == {"all": ("some",)}


def test_a_subject_holds_the_patient_and_an_address_its_parts() -> None:
    assert holds("Condition") == {"subject": ("patient",)}
    assert holds("Patient")["telecom"] == ("email", "phone")
    assert "address-city" in holds("Patient")["address"]
    assert "name" not in holds("Patient")  # by which people are sorted: its rows are in one place
    assert filed("Condition", "subject") == ("subject", "patient")
    assert filed("Condition", "subject:identifier") == ("subject:identifier", "patient:identifier")
    assert filed("Condition", "patient") == ("patient",)
    assert twice("Patient")["!telecom"] == ("!email", "!phone")


def test_who_is_held_holds_nobody() -> None:
    for type in resource_types():
        held = {other for others in holds(type).values() for other in others}
        assert held.isdisjoint(holds(type))
        assert held.isdisjoint(shared(type))


@needs_corpora
def test_whatever_is_held_would_have_had_a_row_of_its_holder() -> None:
    """Over every published example: else a search by the holder would find too much."""
    told = 0
    for name, resource in official():
        for code, others in holds(resource["resourceType"]).items():
            own = {row._replace(param="") for row in extract(resource, frozenset({code}))}
            for row in extract(resource, frozenset(others)):
                plain = not row.param.endswith(":identifier")
                assert not plain or row._replace(param="") in own, (name, code)
                told += 1
    assert told > 400
