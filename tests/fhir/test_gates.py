"""What the gates refuse, and in which words; what they let through stays as it was."""

from __future__ import annotations

import copy
import subprocess
import sys
from decimal import Decimal
from typing import Any

import pytest

from gateway.errors import InvalidResource
from gateway.fhir.gates import check, prepare
from gateway.fhir.json import dumps, loads
from gateway.model import Resource
from tests.corpora import needs_corpora
from tests.fhir.examples import files, official

PATIENT: Resource = {"resourceType": "Patient"}
TASK: Resource = {"resourceType": "Task", "status": "requested", "intent": "order"}
OBSERVATION: Resource = {
    "resourceType": "Observation",
    "status": "final",
    "code": {"text": "weight"},
}


def patient(**elements: Any) -> Resource:
    return PATIENT | elements


def extended(**elements: Any) -> Resource:
    return patient(extension=[{"url": "http://example.org/x"} | elements])


BUNDLE = {"resourceType": "Bundle", "type": "transaction"}
PARAMETERS = {"resourceType": "Parameters"}

REFUSED: dict[str, tuple[Resource, str, str]] = {
    "an unknown code": (patient(gender="secret"), "Patient.gender", "value"),
    "an unknown status": (TASK | {"status": "secret"}, "Task.status", "value"),
    "an unknown priority": (TASK | {"priority": "secret"}, "Task.priority", "value"),
    "a boolean as text": (patient(active="true"), "Patient.active", "value"),
    "null": (patient(active=None), "Patient.active", "value"),
    "null in a list": (patient(name=[None]), "Patient.name[0]", "value"),
    "an empty list": (patient(name=[]), "Patient.name", "value"),
    "an empty object": (patient(name=[{}]), "Patient.name[0]", "value"),
    "an empty text": (patient(birthDate=""), "Patient.birthDate", "value"),
    "a number as text": (patient(name=[{}, {"family": 3}]), "Patient.name[0]", "value"),
    "a text that is a number": (
        patient(name=[{"text": "a"}, {"family": 3}]),
        "Patient.name[1].family",
        "value",
    ),
    "an object for a list": (patient(name={"family": "secret"}), "Patient.name", "value"),
    "a list for an object": (TASK | {"owner": [{"display": "a"}]}, "Task.owner", "value"),
    "an unknown element": (patient(surname="secret"), "Patient.surname", "structure"),
    "a senders text as element": ({**PATIENT, "Jo Smith secret": 1}, "Patient", "structure"),
    "no status": (
        {"resourceType": "Observation", "code": {"text": "a"}},
        "Observation.status",
        "required",
    ),
    "no intent": ({"resourceType": "Task", "status": "draft"}, "Task.intent", "required"),
    "no subject": (
        {"resourceType": "ServiceRequest", "status": "active", "intent": "order"},
        "ServiceRequest.subject",
        "required",
    ),
    "no value of a demanded choice": (
        TASK | {"input": [{"type": {"text": "a"}}]},
        "Task.input[0]",
        "required",
    ),
    "two values of a choice": (
        OBSERVATION | {"valueString": "secret", "valueInteger": 1},
        "Observation",
        "structure",
    ),
    "two values of an extension": (
        extended(valueString="secret", valueCode="b"),
        "Patient.extension[0]",
        "structure",
    ),
    "two values of an identified extension": (
        extended(id="a", valueString="secret", valueCode="b"),
        "Patient.extension[0]",
        "structure",
    ),
    "two demanded values": (
        TASK | {"input": [{"type": {"text": "a"}, "valueString": "a", "valueInteger": 1}]},
        "Task.input[0]",
        "structure",
    ),
    "no url of an extension": (
        patient(extension=[{"valueString": "secret"}]),
        "Patient.extension[0].url",
        "required",
    ),
    "a bad id": (patient(id="secret secret"), "Patient.id", "value"),
    "a bad date": (patient(birthDate="03/01/2024"), "Patient.birthDate", "value"),
    "a date that never was": (patient(birthDate="2023-02-29"), "Patient.birthDate", "invalid"),
    "a time that never was": (
        patient(deceasedDateTime="2023-02-29T10:00:00Z"),
        "Patient.deceasedDateTime",
        "invalid",
    ),
    "a date that never was, further down": (
        patient(contact=[{"period": {"start": "2023-02-29"}}]),
        "Patient.contact[0].period.start",
        "invalid",
    ),
    "a time without a zone": (
        patient(deceasedDateTime="2023-02-28T10:00:00"),
        "Patient.deceasedDateTime",
        "value",
    ),
    "a fraction for a whole number": (
        patient(multipleBirthInteger=Decimal("1.5")),
        "Patient.multipleBirthInteger",
        "value",
    ),
    "a quantity as text": (
        OBSERVATION | {"valueQuantity": {"value": "72.50"}},
        "Observation.valueQuantity.value",
        "value",
    ),
    "a control character": (
        patient(name=[{"family": "secret\x01"}]),
        "Patient.name[0].family",
        "value",
    ),
    "a bad photo": (patient(photo=[{"data": "%secret%"}]), "Patient.photo[0].data", "value"),
    "an invalid contained resource": (
        patient(contained=[{"resourceType": "Task", "status": "secret", "intent": "order"}]),
        "Patient.contained[0].status",
        "value",
    ),
    "an unknown contained type": (
        patient(contained=[{"resourceType": "secret"}]),
        "Patient.contained[0].resourceType",
        "not-supported",
    ),
    "a contained text": (patient(contained=["secret"]), "Patient.contained[0]", "value"),
    "an invalid entry": (
        BUNDLE | {"entry": [{"resource": PATIENT}, {"resource": patient(gender="secret")}]},
        "Bundle.entry[1].resource.gender",
        "value",
    ),
    "an invalid parameter": (
        PARAMETERS
        | {"parameter": [{"name": "a", "part": [{"name": "b", "resource": patient(x=1)}]}]},
        "Parameters.parameter[0].part[0].resource.x",
        "structure",
    ),
    "a date that never was in an entry": (
        BUNDLE | {"entry": [{"resource": patient(birthDate="2023-02-29")}]},
        "Bundle.entry[0].resource.birthDate",
        "invalid",
    ),
    "no type": ({}, "resourceType", "not-supported"),
    "no R4 type": ({"resourceType": "secret"}, "resourceType", "not-supported"),
    "Medplums type": ({"resourceType": "Project"}, "resourceType", "not-supported"),
    "a type that is a list": ({"resourceType": ["Patient"]}, "resourceType", "not-supported"),
    "a type that R4B lacks": (
        {"resourceType": "MedicinalProduct"},
        "resourceType",
        "not-supported",
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_what_is_refused_says_where_and_never_a_value(reason: str) -> None:
    resource, place, code = REFUSED[reason]
    with pytest.raises(InvalidResource) as caught:
        check(resource)
    first = caught.value.issues[0]
    assert (first.place, first.code) == (place, code)
    assert "secret" not in repr(caught.value.issues)
    assert caught.value.__cause__ is None


TAKEN: dict[str, Resource] = {
    "gaps in a list of names": patient(
        name=[{"given": ["A", None], "_given": [None, {"id": "x"}]}]
    ),
    "an extension in place of a value": patient(
        name=[{"_family": {"extension": [{"url": "http://e.org", "valueCode": "masked"}]}}]
    ),
    "a required element that is only extended": {
        "resourceType": "Task",
        "intent": "order",
        "_status": {"extension": [{"url": "http://e.org", "valueCode": "unknown"}]},
    },
    "decimals": OBSERVATION | {"valueQuantity": {"value": Decimal("72.50")}},
    "an unusual space": patient(name=[{"family": "Acme\u202fHealth"}]),
    "a nested extension": extended(extension=[{"url": "a", "valueString": "b"}]),
    "a resource in a resource": patient(contained=[PATIENT | {"id": "a"}]),
    "an extension of a canonical": {
        "resourceType": "PlanDefinition",
        "status": "draft",
        "library": ["http://example.org/a"],
        "_library": [{"id": "x"}],
    },
}


@pytest.mark.parametrize("what", TAKEN)
def test_what_is_valid_is_taken_and_left_alone(what: str) -> None:
    before = copy.deepcopy(TAKEN[what])
    assert check(TAKEN[what]) is TAKEN[what]
    assert TAKEN[what] == before


def test_the_wrong_type_for_its_url_is_refused() -> None:
    with pytest.raises(InvalidResource, match="not a Task"):
        check(PATIENT, type="Task")


def test_many_findings_are_told_together_but_not_all() -> None:
    with pytest.raises(InvalidResource) as caught:
        check(patient(gender="x", active="x", name=[{"family": n} for n in range(100)]))
    places = [issue.place for issue in caught.value.issues]
    assert len(places) == 20
    assert "Patient.gender" in places


def test_an_unknown_code_passes_no_gate_even_without_models() -> None:
    with pytest.raises(InvalidResource):
        check(TASK | {"status": "bogus"}, models=False)


@needs_corpora
@pytest.mark.corpora
@pytest.mark.parametrize(
    "folder", ["r4-spec-examples", "us-core", "sdoh-clinicalcare", "fhir-us-bser", "fhir-ips"]
)
def test_official_examples_pass_and_print_to_the_digit(folder: str) -> None:
    examples = official(folder)
    assert examples
    for name, resource in examples:
        before = dumps(resource)
        assert dumps(check(resource)) == before, name
        assert loads(before) == resource, name


@needs_corpora
@pytest.mark.corpora
def test_every_number_of_the_official_examples_keeps_its_text() -> None:
    import json

    def numbers(raw: bytes) -> list[str]:
        found: list[str] = []
        json.loads(raw, parse_float=lambda text: found.append(text))
        return found

    for file in files():
        raw = file.read_bytes()
        assert numbers(dumps(loads(raw))) == numbers(raw), file.name


def test_gates_can_be_prepared_before_their_first_resource() -> None:
    prepare(["Task", "Patient"])
    assert check(TASK) is TASK


def test_one_check_does_not_import_all_models() -> None:
    code = (
        "import sys; from gateway.fhir.gates import check; "
        "check({'resourceType': 'Patient', 'active': True}); "
        "print(sum(name.startswith('fhir.resources.R4B.') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(done.stdout) < 40
