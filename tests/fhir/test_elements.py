from __future__ import annotations

import pytest

from gateway.fhir.elements import children, element, refused_types, resource_types

FOUND = {
    "Patient.name": ("HumanName", True),
    "Patient.name.family": ("string", False),
    "Patient.name.given": ("string", True),
    "Patient.id": ("id", False),
    "Patient.contact.name.family": ("string", False),
    "Patient._birthDate": ("Element", False),
    "Patient.birthDate": ("date", False),
    "Patient.extension.valueCodeableConcept.coding.system": ("uri", False),
    "Patient.deceasedBoolean": ("boolean", False),
    "Task.owner": ("Reference", False),
    "Task.input.valueCoding.code": ("code", False),
    "ServiceRequest.occurrencePeriod": ("Period", False),
    "Questionnaire.item.item.item.text": ("string", False),
    "Bundle.entry.link.url": ("uri", False),
    "Bundle.entry.resource": ("Resource", False),
    "CodeableConcept.coding": ("Coding", True),
}


@pytest.mark.parametrize("path", FOUND)
def test_an_element_is_found_by_its_path(path: str) -> None:
    found = element(path)
    assert found is not None
    assert ((found.types[0]), found.is_list) == FOUND[path]


@pytest.mark.parametrize(
    "path",
    [
        "Patient",
        "Patient.bogus",
        "Patient.deceased",
        "Patient.name.family.more",
        "Patient.birthDate.value",
        "Nothing.name",
        "Patient.name[0]",
        "Meta.project",
        "Binary.url",
        "Patient._id",
        "Extension._url",
    ],
)
def test_what_r4_does_not_have_is_not_found(path: str) -> None:
    assert element(path) is None


def test_a_required_binding_lists_its_codes_and_system() -> None:
    status = element("Task.status")
    assert status is not None
    assert status.binding is not None
    assert status.min == 1
    assert status.binding.strength == "required"
    assert status.binding.value_set == "http://hl7.org/fhir/ValueSet/task-status"
    assert status.binding.system == "http://hl7.org/fhir/task-status"
    assert status.binding.codes is not None
    assert "in-progress" in status.binding.codes


def test_a_choice_and_its_targets_are_named() -> None:
    owner, value = element("Task.owner"), element("Task.output.valueReference")
    assert owner is not None
    assert value is not None
    assert "Organization" in owner.targets
    assert (value.choice, value.demanded, value.targets) == ("value", True, ())


def test_every_child_leads_to_a_known_type() -> None:
    for type_ in resource_types():
        for one in children(type_).values():
            assert one.is_primitive or one.types == ("Resource",) or children(one.parent), one.path


def test_medplums_types_are_not_r4() -> None:
    assert len(resource_types()) == 128
    assert len(refused_types()) == 18
    assert not {"Project", "Bot", "User", "SubscriptionStatus"} & resource_types()
