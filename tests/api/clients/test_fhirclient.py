"""fhirclient, SMART's own for Python: resources as objects, and a referral from end to end."""

from __future__ import annotations

from typing import Any

import pytest

from tests.api.clients import referral
from tests.api.clients.referral import NUMBERS, Place

fhirclient = pytest.importorskip("fhirclient.client", reason="pip install fhirclient")

from fhirclient.models.bundle import Bundle  # noqa: E402
from fhirclient.models.patient import Patient  # noqa: E402
from fhirclient.models.procedure import Procedure  # noqa: E402
from fhirclient.models.servicerequest import ServiceRequest  # noqa: E402
from fhirclient.models.task import Task, TaskOutput  # noqa: E402
from fhirclient.server import (  # noqa: E402
    FHIRNotFoundException,
    FHIRPermissionDeniedException,
    FHIRUnauthorizedException,
)


def client(place: Place, key: str) -> Any:
    """It reads the CapabilityStatement into its models before anything else."""
    smart = fhirclient.FHIRClient(settings={"app_id": "tests", "api_base": place.base})
    smart.server.session.headers["Authorization"] = f"Bearer {key}"
    smart.prepare()
    assert smart.server.capabilityStatement.fhirVersion == "4.0.1"
    return smart.server


@pytest.fixture
def clinic(place: Place) -> Any:
    return client(place, place.requester)


@pytest.fixture
def pantry(place: Place) -> Any:
    return client(place, place.performer)


def created(kind: Any, resource: referral.Resource, server: Any) -> Any:
    """What came back, as an object again."""
    made = kind(kind(resource).create(server))
    made.origin_server = server
    return made


def test_a_referral_from_end_to_end(clinic: Any, pantry: Any) -> None:
    who = created(Patient, referral.patient(referral.number()), clinic)
    ask = created(ServiceRequest, referral.request(who.relativePath()), clinic)
    asked = created(Task, referral.task(who.relativePath(), ask.relativePath()), clinic)

    mine = Task.where({"owner": "Organization/pantry", "status": "requested", "_id": asked.id})
    (found,) = mine.perform_resources_iter(pantry)
    whom = Patient.read_from(found.for_fhir.reference, pantry)
    assert whom.name[0].family == "Rivera"
    found.status = "accepted"
    assert found.update(pantry)["meta"]["versionId"] == "2"
    found = Task.read(asked.id, pantry)
    sent = referral.procedure(who.relativePath(), ask.relativePath())
    done = created(Procedure, sent, pantry)
    found.status = "completed"
    found.output = [TaskOutput(each) for each in referral.output(done.relativePath())]
    found.update(pantry)

    seen = Task.read(asked.id, clinic)
    assert seen.status == "completed"
    assert seen.lastModified is None or seen.lastModified.as_json()
    told = seen.output[0].valueReference.resolved(Procedure)
    assert (told or Procedure.read_from(done.relativePath(), clinic)).status == "completed"


def test_what_it_reads_can_be_sent_back(clinic: Any) -> None:
    who = created(Patient, referral.patient(referral.number()), clinic)
    read = Patient.read(who.id, clinic)
    read.active = True
    answered = Patient(read.update(clinic))
    assert answered.as_json() | {"meta": None} == read.as_json() | {"meta": None}
    assert answered.meta.versionId == "2"


def test_a_transaction_refers_to_itself(clinic: Any) -> None:
    answered = Bundle(Bundle(referral.transaction(referral.number())).create(clinic))
    assert [entry.response.status[:3] for entry in answered.entry] == ["201"] * 3
    asked = Task.read_from(answered.entry[2].response.location, clinic)
    ask = ServiceRequest.read_from(asked.focus.reference, clinic)
    assert ask.subject.reference == asked.for_fhir.reference


def test_pages_includes_and_constructs_of_its_search(clinic: Any) -> None:
    family = f"Paged{referral.number()}"
    made = [referral.patient(referral.number(), family) for _ in range(5)]
    ids = {created(Patient, each, clinic).id for each in made}
    for struct in (
        {"family": family, "_count": "2"},
        {"family": family, "birthdate": {"$gte": "1984-07-19", "$lt": "1985"}, "_count": "3"},
        {"family": {"$exact": family}, "gender": {"$or": ["female", "male"]}, "_sort": "birthdate"},
    ):
        found = list(Patient.where(struct=struct).perform_resources_iter(clinic))
        assert (len(found), {each.id for each in found}) == (5, ids), struct
    value = made[0]["identifier"][0]["value"]
    (one,) = Patient.where({"identifier": f"{NUMBERS}|{value}"}).perform_resources_iter(clinic)
    created(ServiceRequest, referral.request(one.relativePath()), clinic)
    asked = ServiceRequest.where({"subject": one.relativePath()}).include("subject")
    brought = {each.resource_type for each in asked.perform_resources_iter(clinic)}
    assert brought == {"ServiceRequest", "Patient"}
    asking = Patient.where({"_id": one.id}).include("subject", ServiceRequest, reverse=True)
    brought = {each.resource_type for each in asking.perform_resources_iter(clinic)}
    assert brought == {"ServiceRequest", "Patient"}


def test_what_goes_wrong_is_one_of_its_own_errors(place: Place, clinic: Any, pantry: Any) -> None:
    with pytest.raises(FHIRNotFoundException):
        Patient.read(referral.number(), clinic)
    who = created(Patient, referral.patient(referral.number()), clinic)
    with pytest.raises(FHIRNotFoundException):
        Patient.read(who.id, pantry)
    ask = created(ServiceRequest, referral.request(who.relativePath()), clinic)
    asked = created(Task, referral.task(who.relativePath(), ask.relativePath()), clinic)
    asked.status = "accepted"
    with pytest.raises(FHIRPermissionDeniedException):
        asked.update(clinic)
    with pytest.raises(FHIRUnauthorizedException):
        Patient.read(who.id, client(place, "no"))


def test_it_deletes(clinic: Any) -> None:
    who = created(Patient, referral.patient(referral.number()), clinic)
    assert who.delete() is None
    with pytest.raises(Exception, match="410"):
        Patient.read(who.id, clinic)
