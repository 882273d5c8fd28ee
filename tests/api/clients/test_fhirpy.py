"""fhirpy, blocking and asyncio: its habits, and a referral from end to end."""

from __future__ import annotations

import asyncio
import warnings
from typing import Any

import pytest

from tests.api.clients import referral
from tests.api.clients.referral import NUMBERS, Place

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    fhirpy = pytest.importorskip("fhirpy", reason="pip install fhirpy")

from fhirpy.base.exceptions import (
    AuthorizationError,
    MultipleResourcesFound,
    OperationOutcome,
    ResourceNotFound,
)


@pytest.fixture
def clinic(place: Place) -> Any:
    return fhirpy.SyncFHIRClient(place.base, authorization=f"Bearer {place.requester}")


@pytest.fixture
def pantry(place: Place) -> Any:
    return fhirpy.SyncFHIRClient(place.base, authorization=f"Bearer {place.performer}")


def created(client: Any, resource: referral.Resource) -> Any:
    return client.resource(resource["resourceType"], **resource).save()


def test_a_referral_from_end_to_end(clinic: Any, pantry: Any) -> None:
    who = created(clinic, referral.patient(referral.number()))
    ask = created(clinic, referral.request(who.to_reference().reference))
    asked = created(clinic, referral.task(who.reference, ask.reference))

    found = pantry.resources("Task").search(owner="Organization/pantry", status="requested")
    (mine,) = [each for each in found.include("Task", "focus") if each.id == asked.id]
    whom, what = (pantry.reference(**mine[name]).to_resource() for name in ("for", "focus"))
    assert whom["name"][0]["family"] == "Rivera"
    assert what["status"] == "active"
    mine["status"] = "accepted"
    mine.save(fields=["status"])
    assert mine["meta"]["versionId"] == "2"
    done = created(pantry, referral.procedure(who.reference, ask.reference))
    mine.patch(status="completed", output=referral.output(done.reference))

    asked.refresh()
    assert asked["status"] == "completed"
    told = clinic.reference(**asked["output"][0]["valueReference"]).to_resource()
    assert (told.resource_type, told.id) == ("Procedure", done.id)


def test_a_referral_with_asyncio(place: Place) -> None:
    async def run() -> None:
        clinic, pantry = (
            fhirpy.AsyncFHIRClient(place.base, authorization=f"Bearer {key}")
            for key in (place.requester, place.performer)
        )
        who = await clinic.resource("Patient", **referral.patient(referral.number())).save()
        ask = await clinic.resource("ServiceRequest", **referral.request(who.reference)).save()
        asked = clinic.resource("Task", **referral.task(who.reference, ask.reference))
        await asked.save()
        found = pantry.resources("Task").search(patient=who, status__not=["completed"])
        mine = await found.get()
        await mine.patch(status="accepted")
        done = pantry.resource("Procedure", **referral.procedure(who.reference, ask.reference))
        await done.save()
        await mine.patch(status="completed", output=referral.output(done.reference))
        await asked.refresh()
        assert asked["status"] == "completed"
        await asked.refresh()  # it has it: 304

    asyncio.run(run())


def test_get_or_create_makes_one(clinic: Any) -> None:
    value = referral.number()
    one = clinic.resource("Patient", **referral.patient(value))
    by_number = clinic.resources("Patient").search(identifier=f"{NUMBERS}|{value}")
    first, made = by_number.get_or_create(one)
    again, made_again = by_number.get_or_create(one)
    assert (made, made_again) == (True, False)
    assert first.id == again.id
    assert by_number.count() == 1


def test_a_search_set_updates_patches_and_deletes_what_it_finds(clinic: Any) -> None:
    value = referral.number()
    by_number = clinic.resources("Patient").search(identifier=f"{NUMBERS}|{value}")
    one = clinic.resource("Patient", **referral.patient(value))
    _, made = by_number.update(one)
    assert made
    changed, made = by_number.update(clinic.resource("Patient", **one, active=True))
    assert (made, changed["active"]) == (False, True)
    assert by_number.patch(gender="other")["gender"] == "other"
    assert by_number.patch(gender=None).get("gender") is None
    assert by_number.delete() == (None, 204)
    assert by_number.first() is None
    with pytest.raises(ResourceNotFound):
        changed.refresh()


def test_pages_are_followed_to_the_end(clinic: Any) -> None:
    family = f"Paged{referral.number()}"
    ids = [created(clinic, referral.patient(referral.number(), family)).id for _ in range(5)]
    found = clinic.resources("Patient").search(family=family).sort("-_lastUpdated").limit(2)
    assert [each.id for each in found.fetch_all()] == ids[::-1]
    assert found.count() == 5
    assert set(found.elements("gender").first()) == {"resourceType", "id", "meta", "gender"}
    with pytest.raises(MultipleResourcesFound):
        found.get()


def test_its_search_builder_is_understood(clinic: Any) -> None:
    who = created(clinic, referral.patient(referral.number()))
    ask = created(clinic, referral.request(who.reference))
    created(clinic, referral.task(who.reference, ask.reference))
    patients, tasks = clinic.resources("Patient"), clinic.resources("Task")
    (_, value) = who["identifier"][0].values()
    for found in (
        patients.search(identifier=value, birthdate__ge="1984", birthdate__lt="1985"),
        patients.search(_id=who.id, family__exact="Rivera", active__missing=True),
        patients.search(_id=who.id).has("Task", "patient", status="requested"),
        patients.search(_id=who.id, _lastUpdated__gt=2020).revinclude("Task", "patient"),
    ):
        assert [each.id for each in found] == [who.id], found
    for found in (
        tasks.search(patient=who),
        tasks.search(patient__identifier=value),
        tasks.search(patient__Patient__birthdate="1984-07-19", patient=who.reference),
        tasks.search(focus__ServiceRequest__status="active", patient=who.id),
        tasks.search(fhirpy.base.searchset.Raw(**{"patient:identifier": f"{NUMBERS}|{value}"})),
    ):
        assert len(found.fetch()) in (0, 1), found
    assert len(tasks.search(patient__identifier=value).fetch()) == 1
    brought = tasks.search(patient=who).include("Task", "*").fetch_raw()
    assert {entry.resource["resourceType"] for entry in brought.entry} >= {"Task", "Patient"}


def test_what_it_calls_by_name(clinic: Any) -> None:
    who = created(clinic, referral.patient(referral.number()))
    assert clinic.resource("Patient", **referral.patient("1")).is_valid()
    assert not clinic.resource("Patient", gender="?").is_valid()
    everything = who.execute("$everything", method="get")
    assert who.id in [entry["resource"]["id"] for entry in everything["entry"]]
    assert clinic.execute("metadata", method="get")["fhirVersion"] == "4.0.1"
    answered = clinic.execute("", data=referral.transaction(referral.number()))
    assert [entry["response"]["status"][:3] for entry in answered["entry"]] == ["201"] * 3


def test_what_goes_wrong_is_one_of_its_own_errors(clinic: Any, place: Place) -> None:
    with pytest.raises(ResourceNotFound):
        clinic.reference("Patient", referral.number()).to_resource()
    with pytest.raises(OperationOutcome, match="gender"):
        created(clinic, {"resourceType": "Patient", "gender": "?"})
    with pytest.raises(OperationOutcome, match="birthdate"):
        clinic.resources("Patient").search(birth_date="1984").fetch()
    with pytest.raises(AuthorizationError):
        fhirpy.SyncFHIRClient(place.base, authorization="Bearer no").resources("Patient").first()
