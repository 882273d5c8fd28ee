"""A victim service provider's clients: a pseudonym may come and go, a person may not."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import InvalidResource, RouteError
from gateway.pipeline import Pipeline
from tests.routing.haven import (
    CLINIC,
    HAVEN,
    NOBODY,
    PANTRY,
    SOMEBODY,
    change,
    create,
    opened,
    read,
    refer,
    request,
)

NAMED = "a victim service provider's client goes under a pseudonym alone"
KEPT = "what a victim service provider does for its clients stays with it"
PLACE = "nothing leads back to a victim service provider's place"
NARRATIVE = {"status": "generated", "div": '<div xmlns="http://www.w3.org/1999/xhtml">Elena</div>'}


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Pipeline]:
    with opened(tmp_path_factory.mktemp("hub")) as pipeline:
        yield pipeline


def test_a_persons_record_does_not_enter(hub: Pipeline) -> None:
    with pytest.raises(RouteError, match=NAMED) as caught:
        create(hub, HAVEN, SOMEBODY)
    assert caught.value.place == "Patient.name"
    assert create(hub, HAVEN, NOBODY)
    assert create(hub, CLINIC, SOMEBODY)


def test_a_relatives_record_does_not_enter(hub: Pipeline) -> None:
    client = {"patient": {"reference": create(hub, HAVEN, NOBODY)}}
    relative = {"resourceType": "RelatedPerson", **client, "name": [{"family": "Novak"}]}
    with pytest.raises(RouteError):
        create(hub, HAVEN, relative)
    assert create(hub, HAVEN, {"resourceType": "RelatedPerson", **client})


@pytest.mark.parametrize(
    "record",
    [
        {"resourceType": "Encounter", "status": "finished", "class": {"code": "AMB"}},
        {"resourceType": "Procedure", "status": "completed"},
        {"resourceType": "QuestionnaireResponse", "status": "completed"},
        {"resourceType": "EpisodeOfCare", "status": "active"},
        {"resourceType": "MeasureReport", "status": "complete", "type": "individual"},
    ],
)
def test_what_it_does_for_its_clients_does_not_enter(hub: Pipeline, record: Any) -> None:
    who = {"reference": create(hub, HAVEN, NOBODY)}
    about = {"EpisodeOfCare": "patient"}.get(record["resourceType"], "subject")
    if record["resourceType"] == "MeasureReport":
        record = {**record, "measure": "urn:m", "period": {"start": "2026-01-01"}}
    with pytest.raises(RouteError, match=KEPT) as caught:
        create(hub, HAVEN, {**record, about: who})
    assert caught.value.place == record["resourceType"]


@pytest.mark.parametrize(
    ("wrapped", "place"),
    [
        ({"resourceType": "Bundle", "type": "collection", "entry": [{"resource": SOMEBODY}]},
         "Bundle"),
        ({"resourceType": "Binary", "contentType": "text/plain", "data": "eA=="}, "Binary"),
        ({"resourceType": "Organization", "name": "x", "contained": [{**SOMEBODY, "id": "c"}]},
         "Organization.contained"),
    ],
)  # fmt: skip
def test_nor_does_it_inside_of_something_else(hub: Pipeline, wrapped: Any, place: str) -> None:
    with pytest.raises(RouteError, match=KEPT) as caught:
        create(hub, HAVEN, wrapped)
    assert caught.value.place == place


def test_how_many_it_served_may_enter(hub: Pipeline) -> None:
    counted = {"resourceType": "MeasureReport", "status": "complete", "type": "summary"}
    assert create(hub, HAVEN, {**counted, "measure": "urn:m", "period": {"start": "2026-01-01"}})


@pytest.mark.parametrize(
    ("resource", "place"),
    [
        ({"resourceType": "Location", "name": "x"}, "Location"),
        ({"resourceType": "Organization", "name": "x", "address": [{"city": "x"}]}, "address"),
        ({"resourceType": "Organization", "name": "x", "contact": [{"address": {"city": "x"}}]},
         "address"),
        ({"resourceType": "Practitioner", "address": [{"city": "x"}]}, "address"),
        ({"resourceType": "Basic", "code": {"text": "x"},
          "extension": [{"url": "urn:x", "valueAddress": {"city": "x"}}]}, "valueAddress"),
        ({"resourceType": "Schedule", "actor": [{"reference": "Location/l"}]}, "Schedule.actor[0]"),
    ],
)  # fmt: skip
def test_its_place_does_not_enter(hub: Pipeline, resource: Any, place: str) -> None:
    with pytest.raises(RouteError, match=PLACE) as caught:
        create(hub, HAVEN, resource)
    assert str(caught.value.place).endswith(place)


def test_its_services_name_no_place(hub: Pipeline) -> None:
    told = {"resourceType": "HealthcareService", "active": True, "name": "Shelter"}
    with pytest.raises(InvalidResource):
        create(hub, HAVEN, {**told, "location": [{"reference": "Location/l"}]})
    service = create(hub, HAVEN, told)
    assert read(hub, CLINIC, service)


def test_a_referral_to_it_is_for_a_pseudonym(hub: Pipeline) -> None:
    with pytest.raises(RouteError, match=NAMED) as caught:
        refer(hub, CLINIC, "haven", SOMEBODY)
    assert caught.value.place == "Task.for"
    with pytest.raises(RouteError):
        refer(hub, CLINIC, "haven", NOBODY, display="Elena Novak")
    with pytest.raises(RouteError):
        refer(hub, CLINIC, "haven", SOMEBODY, version="/_history/1")
    task = refer(hub, CLINIC, "haven", NOBODY)
    assert read(hub, HAVEN, task)
    assert refer(hub, CLINIC, "pantry", SOMEBODY)


def test_a_referral_from_it_is_for_a_pseudonym(hub: Pipeline) -> None:
    task = refer(hub, HAVEN, "pantry", NOBODY)
    assert read(hub, PANTRY, task)
    with pytest.raises(RouteError):
        refer(hub, HAVEN, "pantry", NOBODY, display="Elena Novak")


@pytest.mark.parametrize(
    "along",
    [
        {"text": NARRATIVE},
        {"contained": [{**SOMEBODY, "id": "c"}]},
        {"insurance": "Coverage"},
        {"supportingInfo": "Condition"},
        {"reasonReference": "Condition"},
    ],
)
def test_nothing_goes_along_that_tells_who_it_is(hub: Pipeline, along: Any) -> None:
    (element, said), *_ = along.items()
    if isinstance(said, str):
        link = {"reference": create(hub, CLINIC, SOMEBODY)}
        about = {"subject": link} if said == "Condition" else {"beneficiary": link}
        held = {"payor": [link], "status": "active"} if said == "Coverage" else {}
        named = create(hub, CLINIC, {"resourceType": said, **about, **held})
        along = {element: [{"reference": named}]}
    with pytest.raises(RouteError, match=NAMED):
        refer(hub, CLINIC, "haven", NOBODY, request=along)


def test_the_reason_for_it_may_go_along(hub: Pipeline) -> None:
    who = create(hub, CLINIC, NOBODY)
    why = {"resourceType": "Condition", "subject": {"reference": who}, "code": {"text": "harm"}}
    reason = create(hub, CLINIC, why)
    asked = request(subject={"reference": who}, reasonReference=[{"reference": reason}])
    task = refer(hub, CLINIC, "haven", who, request=asked)
    assert read(hub, HAVEN, task)
    assert read(hub, HAVEN, reason)["code"] == {"text": "harm"}


def test_what_it_was_sent_tells_no_more_later(hub: Pipeline) -> None:
    task = read(hub, CLINIC, refer(hub, CLINIC, "haven", NOBODY))
    who, asked = task["for"]["reference"], task["focus"]["reference"]
    named = create(hub, CLINIC, SOMEBODY)
    for reference, more in (
        (who, {"birthDate": "1987-03-22"}),
        (asked, {"text": NARRATIVE}),
        (asked, {"subject": {"reference": named}}),
    ):
        with pytest.raises(RouteError, match=NAMED):
            change(hub, CLINIC, reference, **more)
    change(hub, CLINIC, who, active=True)
    change(hub, CLINIC, asked, note=[{"text": "tonight, if you can"}])


def test_a_pseudonym_becomes_nobody_by_a_merge(hub: Pipeline) -> None:
    task = read(hub, CLINIC, refer(hub, CLINIC, "haven", NOBODY))
    named = create(hub, CLINIC, SOMEBODY)
    link = [{"other": {"reference": named}, "type": "replaced-by"}]
    with pytest.raises(RouteError, match=NAMED):
        change(hub, CLINIC, task["for"]["reference"], active=False, link=link)
    assert read(hub, HAVEN, f"Task/{task['id']}")["for"] == task["for"]


def test_a_referral_is_redirected_to_it_for_a_pseudonym_alone(hub: Pipeline) -> None:
    task = refer(hub, CLINIC, "pantry", SOMEBODY)
    with pytest.raises(RouteError, match=NAMED):
        change(hub, CLINIC, task, owner={"reference": "Organization/haven"})
    change(
        hub, CLINIC, refer(hub, CLINIC, "pantry", NOBODY), owner={"reference": "Organization/haven"}
    )


def test_it_answers_what_a_careless_asker_sent(hub: Pipeline) -> None:
    """A place that the asker named is the asker's word; the answer isn't held up by it."""
    place = create(hub, CLINIC, {"resourceType": "Location", "name": "the clinic"})
    task = refer(hub, CLINIC, "haven", NOBODY, task={"location": {"reference": place}})
    change(hub, HAVEN, task, status="accepted")
    output = [{"type": {"text": "where"}, "valueAddress": {"city": "x"}}]
    with pytest.raises(RouteError, match=PLACE):
        change(hub, HAVEN, task, status="completed", output=output)
    change(hub, HAVEN, task, status="completed")
