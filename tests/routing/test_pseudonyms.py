"""A victim service provider's clients: a pseudonym may come and go, a person may not."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import InvalidResource, RouteError
from gateway.fhir import json
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import open_hub
from tests.routing.county import hide, patient, request
from tests.shipped import library

CLINIC, HAVEN = Context("clinic", "test"), Context("haven", "test")
NOBODY = {"resourceType": "Patient", "identifier": [{"system": "urn:haven", "value": "heron"}]}
SOMEBODY = {name: value for name, value in patient().items() if name != "id"}
NAMED = "a victim service provider's client goes under a pseudonym alone"


@pytest.fixture
def hub(tmp_path: Path) -> Iterator[Pipeline]:
    """A pipeline with a clinic, a pantry and a haven that hides."""
    store = open_hub(f"sqlite:///{tmp_path / 'hub.sqlite'}")
    pipeline = Pipeline(store, library(), Settings(data_dir=tmp_path), as_message)
    for agency in ("clinic", "pantry"):
        pipeline.add_agency(agency, None)
    hide(pipeline.members, "haven", tmp_path)
    yield pipeline
    store.close()


def create(hub: Pipeline, context: Context, resource: dict[str, Any]) -> str:
    """The reference to what was made."""
    raw = json.dumps(resource)
    done = hub.create(context, resource["resourceType"], raw).result()
    assert done.stored is not None
    return done.stored.reference


def refer(hub: Pipeline, context: Context, to: str, who: dict[str, Any], **subject: str) -> str:
    """Make a patient, a request and a Task for another agency; the Task."""
    link = {"reference": create(hub, context, who) + subject.pop("version", ""), **subject}
    asked = {name: value for name, value in request(subject=link).items() if name != "id"}
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": create(hub, context, asked)},
        "for": link,
        "requester": {"reference": context.organization},
        "owner": {"reference": f"Organization/{to}"},
    }
    return create(hub, context, task)


def test_a_persons_record_does_not_enter(hub: Pipeline) -> None:
    with pytest.raises(RouteError, match=NAMED) as caught:
        create(hub, HAVEN, SOMEBODY)
    assert caught.value.place == "Patient"
    assert create(hub, HAVEN, NOBODY)
    assert create(hub, CLINIC, SOMEBODY)


def test_a_relatives_record_does_not_enter(hub: Pipeline) -> None:
    client = {"patient": {"reference": create(hub, HAVEN, NOBODY)}}
    relative = {"resourceType": "RelatedPerson", **client, "name": [{"family": "Novak"}]}
    with pytest.raises(RouteError):
        create(hub, HAVEN, relative)
    assert create(hub, HAVEN, {"resourceType": "RelatedPerson", **client})


def test_its_services_name_no_place(hub: Pipeline) -> None:
    place = [{"reference": create(hub, HAVEN, {"resourceType": "Location", "name": "x"})}]
    told = {"resourceType": "HealthcareService", "active": True, "name": "Shelter"}
    with pytest.raises(InvalidResource):
        create(hub, HAVEN, {**told, "location": place})
    service = create(hub, HAVEN, told)
    assert hub.read(CLINIC, *service.split("/"))


def test_a_referral_to_it_is_for_a_pseudonym(hub: Pipeline) -> None:
    with pytest.raises(RouteError, match=NAMED) as caught:
        refer(hub, CLINIC, "haven", SOMEBODY)
    assert caught.value.place == "Task.for"
    with pytest.raises(RouteError):
        refer(hub, CLINIC, "haven", NOBODY, display="Elena Novak")
    with pytest.raises(RouteError):
        refer(hub, CLINIC, "haven", SOMEBODY, version="/_history/1")
    task = refer(hub, CLINIC, "haven", NOBODY)
    assert hub.read(HAVEN, *task.split("/"))
    assert refer(hub, CLINIC, "pantry", SOMEBODY)


def test_a_referral_from_it_is_for_a_pseudonym(hub: Pipeline) -> None:
    task = refer(hub, HAVEN, "pantry", NOBODY)
    assert hub.read(Context("pantry", "test"), *task.split("/"))
    with pytest.raises(RouteError):
        refer(hub, HAVEN, "pantry", NOBODY, display="Elena Novak")
