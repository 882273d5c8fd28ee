"""Parts of resources: what stays, what goes, and that a part is R4 too."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import InvalidResource, InvalidSearch
from gateway.fhir import gates
from gateway.fhir.json import dumps
from gateway.fhir.locations import without_empty
from gateway.fhir.shape import Shape, shape_of, shaped
from gateway.model import Resource
from tests.corpora import needs_corpora
from tests.fhir.examples import official

WEIGHT: Resource = {
    "resourceType": "Observation",
    "id": "w",
    "meta": {"tag": [{"code": "x"}]},
    "text": {"status": "generated", "div": "<div/>"},
    "modifierExtension": [{"url": "http://e/m", "valueBoolean": True}],
    "status": "final",
    "_status": {"id": "s"},
    "code": {"text": "weight", "id": "c"},
    "valueQuantity": {"value": Decimal("72.50")},
    "note": [{"text": "heavy"}],
}


def test_a_summary_holds_what_r4_marks_as_such_however_deep() -> None:
    made = shaped(WEIGHT, Shape("true"))
    assert list(made)[:3] == ["resourceType", "id", "meta"]
    assert set(made) == {"resourceType", "id", "meta", "status", "code", "valueQuantity"}
    assert made["code"] == {"text": "weight"}
    assert b"72.50" in dumps(made)
    assert [each["code"] for each in made["meta"]["tag"]] == ["x", "SUBSETTED"]
    assert "SUBSETTED" not in str(WEIGHT)


def test_chosen_elements_come_with_those_that_must_be_there_or_modify() -> None:
    made = shaped(WEIGHT, Shape(elements=("value",)))
    assert set(made) == {
        "resourceType",
        "id",
        "meta",
        "status",
        "_status",
        "code",
        "valueQuantity",
        "modifierExtension",
    }
    other = shaped(WEIGHT, Shape(elements=("Patient.note", "Observation.text")))
    assert "text" in other
    assert "note" not in other


def test_the_whole_is_itself() -> None:
    for shape in (Shape(), Shape("false"), Shape("count")):
        assert shaped(WEIGHT, shape) is WEIGHT
    again = shaped(shaped(WEIGHT, Shape("data")), Shape("data"))
    assert [each["code"] for each in again["meta"]["tag"]].count("SUBSETTED") == 1


def test_a_query_says_its_shape_and_the_rest_is_left() -> None:
    shape, rest = shape_of("Task", [("_summary", "count"), ("status", "x"), ("_count", "5")])
    assert (shape.summary, rest) == ("count", [("status", "x"), ("_count", "0")])
    shape, rest = shape_of("Task", [("_elements", "status, owner"), ("a", "b")])
    assert (shape.elements, rest) == (("status", "owner"), [("a", "b")])
    for wrong in (("_summary", "most"), ("_elements", "stauts"), ("_elements", "Task.stauts")):
        with pytest.raises(InvalidSearch) as caught:
            shape_of("Task", [wrong])
        assert caught.value.place == wrong[0]
    assert shape_of("", [("_elements", "anything")])[0].elements == ("anything",)


ODD = {"EvidenceVariable"}
"""Our source of definitions has its characteristic as optional, and its schema as required."""


@needs_corpora
@pytest.mark.corpora
def test_a_part_of_every_official_example_is_r4_too() -> None:
    checked, wrong = 0, []
    for name, resource in official("r4-spec-examples", "us-core"):
        if not _valid(resource) or resource["resourceType"] in ODD:
            continue
        assert without_empty(resource) == resource, name
        for shape in (Shape("true"), Shape("data"), Shape("text"), Shape(elements=("id",))):
            part = shaped(resource, shape)
            if not _valid(part):
                wrong.append((name, shape))
            checked += 1
    assert checked > 1000
    assert wrong == []


def _valid(resource: Any) -> bool:
    try:
        gates.check(resource, models=False)
    except InvalidResource:
        return False
    return True
