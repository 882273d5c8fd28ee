"""What is put together of elements is what a resource as a whole would be."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from uuid import uuid4

import pytest

from gateway.errors import InvalidResource
from gateway.fhir import gates
from gateway.model import Resource, ValidResource
from gateway.rows import lying, read
from gateway.settings import shipped
from gateway.store import Packed, packed, prepare
from gateway.store.readying import REMEMBERED, ready
from tests.shipped import library

SAMPLES = shipped("mappings") / "hmis" / "samples"


@pytest.fixture(scope="module")
def resources() -> list[Resource]:
    harbor = library().agencies["harbor-shelter"]
    made = [
        each
        for year in ("fy2024", "fy2026")
        for each in read(library(), harbor, "hmis", list(lying(SAMPLES / year)))
    ]
    return [entry.resource for each in made for entry in each.entries]


def unordered(parts: Packed) -> tuple[Any, ...]:
    *rest, rows = parts
    return *rest, {kind: sorted(each, key=repr) for kind, each in rows.items()}


def whole(resource: Resource) -> Packed:
    return packed(prepare(ValidResource(resource)))


def test_each_resource_is_what_it_would_be_as_a_whole(resources: list[Resource]) -> None:
    assert len({each["resourceType"] for each in resources}) > 10
    for _ in range(2):  # the second time out of what is remembered
        for each in resources:
            assert unordered(ready(each)) == unordered(whole(each))


@pytest.mark.parametrize(
    "wrong",
    [
        {"status": "done"},
        {"status": None},
        {"valueInteger": Decimal("1.5")},
        {"valueInteger": 1, "valueString": "two values"},
        {"subject": {"reference": 7}},
        {"nonsense": True},
        {"code": {}},
        {"id": "no id"},
        {"contained": [{"resourceType": "Patient", "nonsense": True}]},
    ],
)
def test_what_the_gate_refuses_is_refused_with_its_words(wrong: Resource) -> None:
    good: Resource = {
        "resourceType": "Observation",
        "id": "one",
        "status": "final",
        "code": {"text": "a code"},
        "subject": {"reference": "Patient/one"},
    }
    ready(good)
    bad = {name: value for name, value in {**good, **wrong}.items() if value is not None}
    with pytest.raises(InvalidResource) as expected:
        gates.check(bad, models=False)
    for _ in range(2):
        with pytest.raises(InvalidResource) as told:
            ready(bad)
        assert told.value.issues == expected.value.issues


def test_what_is_contained_is_looked_into() -> None:
    resource: Resource = {
        "resourceType": "Observation",
        "id": "one",
        "contained": [{"resourceType": "Patient", "id": "inside"}],
        "status": "final",
        "code": {"text": "a code"},
        "subject": {"reference": "#inside"},
    }
    assert unordered(ready(resource)) == unordered(whole(resource))


def test_what_is_remembered_has_a_limit(resources: list[Resource]) -> None:
    base = next(each for each in resources if each["resourceType"] == "Condition")
    for number in range(REMEMBERED + 2):
        ready({**base, "recordedDate": f"{1000 + number}"})
    from gateway.store.readying import _type

    assert len(_type("Condition").element("recordedDate").known) <= REMEMBERED


def test_who_is_referred_to_is_who_is_found() -> None:
    def referral(*performers: str) -> Resource:
        return {
            "resourceType": "ServiceRequest",
            "id": "one",
            "status": "active",
            "intent": "order",
            "subject": {"reference": f"Patient/{uuid4()}"},
            "performer": [{"reference": f"Organization/{one}"} for one in performers],
        }

    one, other = str(uuid4()), str(uuid4())
    for performers in ((one, other), (other, one), (one, one), (other, "cedar-general")):
        for _ in range(2):
            each = referral(*performers)
            assert unordered(ready(each)) == unordered(whole(each))


def provenance(targets: list[str]) -> Resource:
    return {
        "resourceType": "Provenance",
        "id": "one",
        "target": [{"reference": each} for each in targets],
        "recorded": "2026-01-01T00:00:00Z",
        "agent": [{"who": {"reference": "Organization/one"}}],
    }


@pytest.mark.parametrize("repeated", [False, True])
@pytest.mark.parametrize("odd", [[], ["#inside"], ["urn:uuid:one"], ["Patient/no-uuid"]])
def test_a_list_of_references_is_what_each_of_them_is(odd: list[str], repeated: bool) -> None:
    types = ("Patient", "Observation", "Patient", "Task")
    for _ in range(2):
        targets = [f"{type}/{uuid4()}" for type in types] + odd
        made = provenance(targets + targets[:2] * repeated)
        assert unordered(ready(made)) == unordered(whole(made))


def test_a_list_with_a_reference_that_is_none_is_refused() -> None:
    ready(provenance([f"Patient/{uuid4()}", f"Task/{uuid4()}"]))
    made = provenance([f"Patient/{uuid4()}", f"Task/{uuid4()}"])
    made["target"].append({"reference": 7})
    with pytest.raises(InvalidResource):
        ready(made)


def test_identifiers_are_what_each_would_be_whatever_their_numbers() -> None:
    typed = {"type": {"coding": [{"system": "urn:t", "code": "MR"}]}}
    numbers = ("1", "2", "a.b-c", "with blanks", "", "x" * 500, "nul\0", "Zoë", "1")
    for number in numbers:
        given = [{"system": "urn:a", "value": number}, {**typed, "value": f"{number}7"}]
        for some in (given, given[:1], [{"system": "urn:a"}, *given], [given[0], given[0]]):
            made = {"resourceType": "Organization", "id": "one", "identifier": some}
            try:
                expected = whole(gates.check(made, models=False))
            except InvalidResource:
                with pytest.raises(InvalidResource):
                    ready(made)
            else:
                assert unordered(ready(made)) == unordered(expected), number
