"""The compiled expressions against fhirpathpy's results on the official examples."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from functools import cache
from typing import Any

import fhirpathpy
import pytest
from fhirpathpy.models import models

from gateway.fhir.elements import resource_types
from gateway.fhir.expressions import (
    UnsupportedExpression,
    compile_expression,
    reference_type,
)
from gateway.fhir.indexing import MAKERS
from gateway.fhir.rows import (
    BEGINNING,
    END,
    DateRow,
    IndexRow,
    NumberRow,
    QuantityRow,
    ReferenceRow,
    StringRow,
    TokenRow,
    UriRow,
)
from gateway.fhir.search_parameters import extract, parameters, unsupported
from gateway.model import Resource
from tests.corpora import needs_corpora
from tests.fhir.examples import official

REASONS = {
    "there are no named queries; $match finds a person",
    "values of different elements",
}

LEFT_OUT = {  # types of a choice that its kind of parameter has no rows for
    ("CarePlan", "activity-date", "string"),
    ("Consent", "source-reference", "Attachment"),
    ("Immunization", "date", "string"),
    ("Observation", "combo-value-quantity", "SampledData"),
    ("Observation", "component-value-quantity", "SampledData"),
    ("Observation", "value-quantity", "SampledData"),
    ("Procedure", "date", "Age"),
    ("Procedure", "date", "Range"),
    ("Procedure", "date", "string"),
}


def test_every_parameter_is_compiled_or_listed_with_its_reason() -> None:
    reasons = {reason for type_ in resource_types() for reason in unsupported(type_).values()}
    assert reasons == REASONS
    assert sum(len(parameters(type_)) for type_ in resource_types()) == 2670


def test_what_a_choice_leaves_out_is_listed() -> None:
    found = {
        (type_, one.code, walk.type)
        for type_ in resource_types()
        for one in parameters(type_).values()
        if one.kind in MAKERS
        for walk in compile_expression(one.expression, type_)
        if walk.type not in MAKERS[one.kind]
    }
    assert found == LEFT_OUT


@needs_corpora
@pytest.mark.corpora
def test_compiled_expressions_find_what_fhirpathpy_finds() -> None:
    compared = found = 0
    different = []
    for name, resource in official("r4-spec-examples", "us-core", "sdoh-clinicalcare"):
        for code, one in parameters(resource["resourceType"]).items():
            if not one.expression:  # full text
                continue
            ours = [
                value
                for walk in compile_expression(one.expression, resource["resourceType"])
                for value in walk.values(resource)
            ]
            theirs = list(oracle(one.expression, resource))
            if printed(ours) != printed(theirs):
                different.append((name, code, ours, theirs))
            compared += 1
            found += bool(ours)
    print(f"{compared} compared, {found} with values")
    assert not different
    assert found > 3000


RESOLVED = re.compile(r"(.*)\.where\(resolve\(\) is (\w+)\)")


def oracle(expression: str, resource: Resource) -> Iterator[Any]:
    """fhirpathpy's answer; ``resolve()``, which it lacks, by the reference's own text."""
    for part in expression.split(" | "):
        resolved = RESOLVED.fullmatch(part)
        if not speaks_of(part, resource["resourceType"]):
            continue
        found = compiled(resolved[1] if resolved else part)(resource)
        for value in found:
            if resolved is None or pointed_at(value, resource) == resolved[2]:
                yield value


def speaks_of(part: str, type_: str) -> bool:
    root = re.match(r"\(?([A-Z]\w+)", part)
    return root is None or root[1] in (type_, "Resource", "DomainResource")


def pointed_at(reference: Resource, resource: Resource) -> str:
    text = str(reference.get("reference", "")).split("/_history/")[0]
    for inner in resource.get("contained", []):
        if text == "#" + inner["id"]:
            return str(inner["resourceType"])
    parts = [part for part in text.split("/") if part]
    return parts[-2] if len(parts) > 1 else str(reference.get("type", ""))


@cache
def compiled(expression: str) -> Any:
    # fhirpathpy knows no Resource at the root of a path; what follows holds for every type.
    # Its "as" takes one value only, as FHIRPath has it; R4's expressions mean ofType.
    relative = re.sub(r"^Resource\.", "", expression)
    relative = re.sub(r"^\((\S+) as (\w+)\)", r"\1.ofType(\2)", relative)
    relative = relative.replace(".as(", ".ofType(")
    return fhirpathpy.compile(relative, models["r4"])


def printed(values: list[Any]) -> list[str]:
    return sorted(json.dumps(value, sort_keys=True, default=str) for value in values)


UNSUPPORTED = [
    "Patient.name.select(family)",
    "Patient.name.where(use = 'official' or use = 'usual')",
    "Patient.surname",
    "Patient.name + 1",
    "Patient.name.where(exists())",
    "Patient.name.exists() and Patient.active",
]


@pytest.mark.parametrize("expression", UNSUPPORTED)
def test_what_is_outside_the_subset_is_refused_not_guessed(expression: str) -> None:
    with pytest.raises(UnsupportedExpression):
        compile_expression(expression, "Patient")


def rows(resource: Resource, *params: str) -> list[IndexRow]:
    return [row for row in extract(resource) if row.param in params]


def test_a_task_is_found_by_who_what_and_when() -> None:
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "owner": {"reference": "Organization/harbor/_history/3"},
        "for": {"reference": "Patient/1"},
        "authoredOn": "2024-03-01",
        "businessStatus": {"coding": [{"system": "http://e.org", "code": "a"}, {"code": "b"}]},
    }
    assert rows(task, "status", "owner", "patient", "subject", "authored-on") == [
        TokenRow("status", "http://hl7.org/fhir/task-status", "requested"),
        ReferenceRow("owner", "Organization", "harbor", ""),
        ReferenceRow("patient", "Patient", "1", ""),
        ReferenceRow("subject", "Patient", "1", ""),
        DateRow("authored-on", 1709251200000000, 1709337600000000),
    ]
    assert rows(task, "business-status") == [
        TokenRow("business-status", "http://e.org", "a"),
        TokenRow("business-status", "", "b"),
    ]


def test_a_patient_is_found_by_each_part_of_a_name() -> None:
    patient = {
        "resourceType": "Patient",
        "name": [{"family": "O'Brien-Müller", "given": ["Zoë", "Zoë"]}],
        "telecom": [{"system": "phone", "value": "555-1"}, {"system": "email", "value": "z@e.org"}],
        "identifier": [{"system": "urn:oid:1", "value": "42"}],
        "deceasedDateTime": "2024",
    }
    names = rows(patient, "name", "family", "given")
    assert len(names) == 4
    assert set(names) == {
        StringRow("name", "obrienmuller", "O'Brien-Müller"),
        StringRow("name", "zoe", "Zoë"),
        StringRow("family", "obrienmuller", "O'Brien-Müller"),
        StringRow("given", "zoe", "Zoë"),
    }
    assert rows(patient, "phone", "email") == [
        TokenRow("email", "", "z@e.org"),
        TokenRow("phone", "", "555-1"),
    ]
    assert rows(patient, "identifier", "deceased") == [
        TokenRow("deceased", "", "true"),
        TokenRow("identifier", "urn:oid:1", "42"),
    ]


def test_periods_numbers_and_quantities_have_open_ends() -> None:
    encounter = {"resourceType": "Encounter", "period": {"start": "2024-03-01T10:00:00+01:00"}}
    assert rows(encounter, "date") == [DateRow("date", 1709283600000000, END)]
    encounter = {"resourceType": "Encounter", "period": {"end": "2024"}}
    assert rows(encounter, "date") == [DateRow("date", BEGINNING, 1735689600000000)]
    observation = {
        "resourceType": "Observation",
        "valueQuantity": {"value": 5, "comparator": "<", "unit": "mg", "code": "mg"},
    }
    assert rows(observation, "value-quantity") == [
        QuantityRow("value-quantity", float("-inf"), 5.0, "", "mg", "mg")
    ]
    risk = {"resourceType": "RiskAssessment", "prediction": [{"probabilityDecimal": 0.5}]}
    assert rows(risk, "probability") == [NumberRow("probability", 0.5, 0.5)]


def test_references_are_relative_absolute_canonical_or_only_an_identifier() -> None:
    task = {
        "resourceType": "Task",
        "basedOn": [
            {"reference": "https://other.example/fhir/ServiceRequest/1"},
            {"reference": "urn:uuid:1"},
            {"type": "CarePlan", "identifier": {"value": "x"}},
            {"display": "nothing"},
        ],
    }
    assert rows(task, "based-on") == [
        ReferenceRow("based-on", "", "", "https://other.example/fhir/ServiceRequest/1"),
        ReferenceRow("based-on", "", "", "urn:uuid:1"),
        ReferenceRow("based-on", "CarePlan", "", ""),
    ]
    plan = {
        "resourceType": "ActivityDefinition",
        "url": "http://e.org/a",
        "library": ["http://e.org/l|1"],
    }
    assert rows(plan, "depends-on", "url") == [
        UriRow("url", "http://e.org/a"),
        ReferenceRow("depends-on", "", "", "http://e.org/l|1"),
        ReferenceRow("depends-on", "", "", "http://e.org/l"),
    ]


def test_a_reference_says_its_type_by_text_contained_resource_or_type() -> None:
    resource = {"contained": [{"resourceType": "Patient", "id": "a"}]}
    assert reference_type({"reference": "#a"}, resource) == "Patient"
    assert reference_type({"reference": "https://e.org/Patient/1"}, resource) == "Patient"
    assert reference_type({"type": "Patient"}, resource) == "Patient"
    assert reference_type({"reference": "urn:uuid:1"}, resource) == ""


@needs_corpora
@pytest.mark.corpora
def test_rows_of_any_official_example_fit_their_parameter() -> None:
    kinds = {
        "token": TokenRow,
        "string": StringRow,
        "reference": ReferenceRow,
        "date": DateRow,
        "number": NumberRow,
        "quantity": QuantityRow,
        "uri": UriRow,
    }
    for name, resource in official():
        offered = parameters(resource["resourceType"])
        for row in extract(resource):
            code, mark, _ = row.param.partition("$")
            code, modified, _ = code.partition(":")
            one = offered[code]
            kind = one.components[-1].kind if one.kind == "composite" else one.kind
            assert type(row) is (TokenRow if modified else kinds[kind]), name
            assert not mark or one.kind == "composite"
            assert code not in ("_id", "_lastUpdated")
            if isinstance(row, DateRow):
                assert BEGINNING <= row.low < row.high <= END, name
