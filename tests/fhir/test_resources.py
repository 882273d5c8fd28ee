"""What the server says about resources: times, references, outcome, capability."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest

from gateway.errors import InvalidResource, Issue
from gateway.fhir.capability import capability, placed
from gateway.fhir.elements import resource_types
from gateway.fhir.gates import check
from gateway.fhir.json import dumps
from gateway.fhir.meta import instant
from gateway.fhir.outcome import outcome
from gateway.fhir.references import references, rewrite
from gateway.fhir.search_parameters import parameters
from tests.corpora import needs_corpora
from tests.fhir.examples import official

AT = datetime(2024, 3, 1, 10, 0, 0, 123999, tzinfo=timezone(timedelta(hours=-6)))


def test_an_instant_is_utc_to_the_millisecond() -> None:
    assert instant(datetime(2024, 3, 1, tzinfo=UTC)) == "2024-03-01T00:00:00.000Z"


BUNDLED = {
    "resourceType": "Task",
    "focus": {"reference": "urn:uuid:1"},
    "basedOn": [{"reference": "ServiceRequest/9"}, {"reference": "urn:uuid:2"}],
    "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}],
    "description": "urn:uuid:1",
    "input": [{"type": {"text": "a"}, "valueUri": "urn:uuid:2"}],
    "extension": [{"url": "urn:uuid:1", "valueReference": {"reference": "urn:uuid:1"}}],
    "contained": [{"resourceType": "Task", "for": {"reference": "urn:uuid:1"}}],
}


def test_links_are_rewritten_and_what_only_looks_like_one_is_not() -> None:
    out = rewrite(BUNDLED, {"urn:uuid:1": "ServiceRequest/1", "urn:uuid:2": "CarePlan/2"})
    assert out == {
        "resourceType": "Task",
        "focus": {"reference": "ServiceRequest/1"},
        "basedOn": [{"reference": "ServiceRequest/9"}, {"reference": "CarePlan/2"}],
        "identifier": [{"system": "urn:ietf:rfc:3986", "value": "urn:uuid:1"}],
        "description": "urn:uuid:1",
        "input": [{"type": {"text": "a"}, "valueUri": "CarePlan/2"}],
        "extension": [{"url": "urn:uuid:1", "valueReference": {"reference": "ServiceRequest/1"}}],
        "contained": [{"resourceType": "Task", "for": {"reference": "ServiceRequest/1"}}],
    }
    assert BUNDLED["focus"] == {"reference": "urn:uuid:1"}


def test_references_are_found_with_their_places() -> None:
    assert dict(references(BUNDLED)) == {
        "Task.focus": "urn:uuid:1",
        "Task.basedOn[0]": "ServiceRequest/9",
        "Task.basedOn[1]": "urn:uuid:2",
        "Task.extension[0].valueReference": "urn:uuid:1",
        "Task.contained[0].for": "urn:uuid:1",
    }


def test_a_uri_called_reference_is_no_reference() -> None:
    issue = {"resourceType": "DetectedIssue", "reference": "http://e.org"}
    assert list(references(issue)) == []


@needs_corpora
@pytest.mark.corpora
def test_rewriting_nothing_changes_nothing() -> None:
    for name, resource in official():
        assert dumps(rewrite(resource, {})) == dumps(resource), name


def test_an_outcome_is_valid_and_points_at_the_element() -> None:
    error = InvalidResource("required", place="Task.status", code="required")
    out = outcome(error.issues)
    check(out)
    assert out["issue"] == [
        {
            "severity": "error",
            "code": "required",
            "diagnostics": "required",
            "expression": ["Task.status"],
        }
    ]


@pytest.mark.parametrize("place", ["PID-5[2].1", "owner", "line 3 column 5", "authored-on"])
def test_a_place_that_is_no_fhir_path_stands_before_the_text(place: str) -> None:
    (found,) = outcome([Issue("odd", place)])["issue"]
    assert found["diagnostics"] == f"{place}: odd"
    assert "expression" not in found


def test_all_well_is_an_outcome_too() -> None:
    check(outcome([]))


def test_the_capability_statement_is_valid_and_says_what_search_knows() -> None:
    names = ["read", "vread", "search_type", "search_type_post", "transaction", "capabilities"]
    statement = placed(capability(names, at=AT), "https://here/fhir")
    check(statement)
    rest = statement["rest"][0]
    assert rest["interaction"] == [{"code": "transaction"}]
    assert {one["type"] for one in rest["resource"]} == resource_types()
    task = next(one for one in rest["resource"] if one["type"] == "Task")
    assert [one["code"] for one in task["interaction"]] == ["read", "vread", "search-type"]
    assert {one["name"] for one in task["searchParam"]} == set(parameters("Task"))
    assert statement["date"] == "2024-03-01T16:00:00.123Z"
