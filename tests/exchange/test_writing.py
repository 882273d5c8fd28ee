"""Conditional writes, deletions and patches as use cases, on both engines; many at once, too."""

from __future__ import annotations

import json
from concurrent.futures import wait
from typing import Any

import pytest

from gateway.errors import (
    CloseError,
    Conflict,
    Denied,
    GatewayError,
    Gone,
    InvalidResource,
    NotFound,
    PatchError,
    PreconditionFailed,
)
from gateway.exchange.writing import Done
from gateway.fhir.interaction import Pairs
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.store import Hub
from tests.exchanges import (
    BANK,
    BY_NUMBER,
    CLINIC,
    HAVEN,
    JSON_PATCH,
    MANY,
    body,
    create,
    entry,
    opened,
    parts,
    patient,
    raw,
    referral,
    send,
)


@pytest.fixture
def pipeline(hub: Hub) -> Pipeline:
    return opened(hub)


# --- many at once --------------------------------------------------------------------------------


def test_many_conditional_creates_at_once_make_one_resource(pipeline: Pipeline) -> None:
    asked = [
        pipeline.create(CLINIC, "Patient", raw(patient()), criteria=BY_NUMBER) for _ in range(MANY)
    ]
    done = [each.result() for each in asked]
    assert sorted(each.status for each in done) == [200] * (MANY - 1) + [201]
    assert len({body(each)["id"] for each in done}) == 1


def test_many_conditional_updates_at_once_make_one_resource(pipeline: Pipeline) -> None:
    asked = [
        pipeline.update(CLINIC, "Patient", "", raw(patient(active=True)), criteria=BY_NUMBER)
        for _ in range(MANY)
    ]
    done = [each.result() for each in asked]
    assert sorted(each.status for each in done) == [200] * (MANY - 1) + [201]
    assert len({body(each)["id"] for each in done}) == 1
    assert pipeline.history(CLINIC, "Patient", body(done[0])["id"]).total == 1


def test_of_many_updates_of_one_version_one_gets_through(pipeline: Pipeline) -> None:
    type, id = parts(create(pipeline, patient()))
    asked = [
        pipeline.update(CLINIC, type, id, raw(patient(id=id, name=[{"text": f"n{n}"}])), 1)
        for n in range(MANY)
    ]
    wait(asked)
    failed = [each.exception() for each in asked if each.exception() is not None]
    assert len(failed) == MANY - 1
    assert all(isinstance(each, PreconditionFailed) for each in failed)
    assert pipeline.history(CLINIC, type, id).total == 2


def test_many_patches_at_once_all_count(pipeline: Pipeline) -> None:
    type, id = parts(create(pipeline, patient()))
    asked = [
        pipeline.patch(
            CLINIC,
            type,
            id,
            "application/json-patch+json",
            raw([{"op": "add", "path": "/identifier/-", "value": {"value": f"{n}"}}]),
        )
        for n in range(8)
    ]
    wait(asked)
    assert len(json.loads(pipeline.read(CLINIC, type, id).body)["identifier"]) == 9


# --- conditional ---------------------------------------------------------------------------------


def test_a_conditional_update_does_as_the_table_of_r4_says(pipeline: Pipeline) -> None:
    def put(criteria: Pairs, resource: dict[str, Any]) -> Done:
        return pipeline.update(CLINIC, "Patient", "", raw(resource), criteria=criteria).result()

    made = put(BY_NUMBER, patient())
    assert made.status == 201
    again = put(BY_NUMBER, patient(active=True))
    assert (again.status, body(again)["id"]) == (200, body(made)["id"])
    named = put((("identifier", "urn:x|2"),), patient("2", id="second"))
    assert (named.status, body(named)["id"]) == (201, "second")
    with pytest.raises(Conflict):
        put((("identifier", "urn:x|3"),), patient("3", id="second"))
    with pytest.raises(InvalidResource):
        put(BY_NUMBER, patient(id="another"))
    with pytest.raises(PreconditionFailed) as several:
        put((("identifier", "urn:x|"),), patient())
    assert several.value.issues[0].code == "multiple-matches"


def test_conditions_see_what_the_caller_sees_and_no_more(pipeline: Pipeline) -> None:
    create(pipeline, patient())
    done = pipeline.create(HAVEN, "Patient", raw(patient()), criteria=BY_NUMBER).result()
    assert done.status == 201
    change = raw([{"op": "remove", "path": "/identifier"}])
    with pytest.raises(NotFound):
        pipeline.patch(BANK, "Patient", "", JSON_PATCH, change, criteria=BY_NUMBER).result()


def test_a_reference_by_criteria_leads_to_the_one_that_its_writer_sees(pipeline: Pipeline) -> None:
    seen = {"status": "final", "code": {"text": "x"}, "subject": {}}
    by = {"resourceType": "Observation", **seen, "subject": {"reference": "Patient?identifier=1"}}
    with pytest.raises(PreconditionFailed) as none:
        pipeline.create(CLINIC, "Observation", raw(by)).result()
    assert none.value.place == "Observation.subject"
    person = create(pipeline, patient())
    create(pipeline, patient(), BANK)
    made = pipeline.create(CLINIC, "Observation", raw(by)).result()
    assert body(made)["subject"] == {"reference": person}
    again = {**by, "id": body(made)["id"]}
    kept = pipeline.update(CLINIC, "Observation", again["id"], raw(again)).result()
    assert body(kept)["meta"]["versionId"] == "1"
    create(pipeline, patient())
    with pytest.raises(PreconditionFailed):
        pipeline.create(CLINIC, "Observation", raw(by)).result()


def test_a_conditional_delete_takes_one_and_never_several(pipeline: Pipeline) -> None:
    def delete(*criteria: tuple[str, str]) -> int:
        return pipeline.delete(CLINIC, "Patient", "", criteria=criteria).result().status

    first = create(pipeline, patient("1"))
    create(pipeline, patient("2"))
    with pytest.raises(PreconditionFailed):
        delete(("identifier", "urn:x|"))
    assert delete(("identifier", "urn:x|1")) == 204
    with pytest.raises(Gone):
        pipeline.read(CLINIC, *parts(first))
    assert delete(("identifier", "urn:x|1")) == 204
    with pytest.raises(InvalidResource):
        delete(("_count", "1"))


@pytest.mark.parametrize("criteria", [BY_NUMBER, None])
def test_what_must_be_free_is_refused_where_it_is_not(
    pipeline: Pipeline, criteria: Pairs | None
) -> None:
    id = "" if criteria else "p"

    def put() -> Done:
        resource = patient() if criteria else patient(id="p")
        return pipeline.update(
            CLINIC, "Patient", id, raw(resource), criteria=criteria, if_free=True
        ).result()

    assert put().status == 201
    with pytest.raises(PreconditionFailed):
        put()


# --- delete --------------------------------------------------------------------------------------


def test_what_is_deleted_is_gone_but_stays_in_its_history(pipeline: Pipeline) -> None:
    type, id = parts(create(pipeline, patient()))
    done = pipeline.delete(CLINIC, type, id, 1).result()
    assert done.stored is not None
    assert (done.status, done.stored.version) == (204, 2)
    with pytest.raises(Gone):
        pipeline.read(CLINIC, type, id)
    versions = pipeline.history(CLINIC, type, id).entries
    assert [each.deleted for each in versions] == [True, False]
    assert pipeline.delete(CLINIC, type, id).result().status == 204
    assert pipeline.delete(CLINIC, type, "never-was").result().status == 204
    back = pipeline.update(CLINIC, type, id, raw(patient(id=id))).result()
    assert (back.status, body(back)["meta"]["versionId"]) == (201, "3")


def test_what_others_refer_to_stays_and_the_places_are_told(pipeline: Pipeline) -> None:
    who = create(pipeline, patient())
    note = {"resourceType": "Observation", "status": "final", "code": {"text": "x"}}
    seen = create(pipeline, note | {"subject": {"reference": who}})
    with pytest.raises(Conflict) as caught:
        pipeline.delete(CLINIC, *parts(who)).result()
    assert [each.place for each in caught.value.issues] == ["Patient", "Observation.subject"]
    assert seen in caught.value.issues[1].text
    assert pipeline.read(CLINIC, *parts(who)).version == 1
    pipeline.delete(CLINIC, *parts(seen)).result()
    assert pipeline.delete(CLINIC, *parts(who)).result().status == 204


def test_a_referral_is_not_deleted_while_another_agency_has_it(pipeline: Pipeline) -> None:
    who, request, task = referral(pipeline)
    for reference in (task, request, who):
        with pytest.raises(Conflict):
            pipeline.delete(CLINIC, *parts(reference)).result()
    with pytest.raises(Denied):
        pipeline.delete(BANK, *parts(task)).result()
    assert pipeline.delete(HAVEN, *parts(task)).result().status == 204
    assert pipeline.read(CLINIC, *parts(task)).version == 1


def test_a_draft_that_nobody_has_is_deleted_with_what_it_asks_for(pipeline: Pipeline) -> None:
    _, request, task = referral(pipeline)
    draft = json.loads(pipeline.read(CLINIC, *parts(task)).body) | {"status": "draft", "id": "d"}
    pipeline.update(CLINIC, "Task", "d", raw(draft)).result()
    assert pipeline.delete(CLINIC, "Task", "d").result().status == 204
    with pytest.raises(Conflict):
        pipeline.delete(CLINIC, *parts(request)).result()


def test_if_match_guards_a_deletion(pipeline: Pipeline) -> None:
    type, id = parts(create(pipeline, patient()))
    for reference in ((type, id), (type, "never-was")):
        with pytest.raises(PreconditionFailed):
            pipeline.delete(CLINIC, *reference, 2).result()


def test_a_deleted_subscription_is_told_nothing_more(pipeline: Pipeline, hub: Hub) -> None:
    wanted = {
        "resourceType": "Subscription",
        "status": "requested",
        "reason": "x",
        "criteria": "Task?status=requested",
        "channel": {"type": "rest-hook", "endpoint": "https://example.org/hook"},
    }
    type, id = parts(create(pipeline, wanted))
    pipeline.delete(CLINIC, type, id).result()
    with hub.read() as reader:
        standing = reader.standing(id)
    assert standing is not None
    assert standing.subscriber.status == "off"


# --- patch ---------------------------------------------------------------------------------------


def test_a_patched_task_keeps_to_the_state_machine_and_its_sides(pipeline: Pipeline) -> None:
    *_, task = referral(pipeline)

    def move(context: Context, status: str, **more: Any) -> Done:
        change = raw({"status": status, **more})
        kind = "application/merge-patch+json"
        return pipeline.patch(context, *parts(task), kind, change).result()

    refused: list[tuple[Context, str, type[GatewayError]]] = [
        (CLINIC, "accepted", Denied),
        (BANK, "completed", CloseError),
        (BANK, "bogus", InvalidResource),
        (HAVEN, "accepted", NotFound),
    ]
    for context, status, error in refused:
        with pytest.raises(error):
            move(context, status)
    assert body(move(BANK, "accepted"))["status"] == "accepted"


def test_a_patch_is_no_way_to_ask_what_may_not_be_seen(pipeline: Pipeline) -> None:
    who, *_ = referral(pipeline)
    for value in ("urn:x", "urn:y"):
        test = [{"op": "test", "path": "/identifier/0/system", "value": value}]
        with pytest.raises(Denied):
            pipeline.patch(BANK, *parts(who), JSON_PATCH, raw(test)).result()


def test_a_patch_does_not_make_another_resource_of_it(pipeline: Pipeline) -> None:
    type, id = parts(create(pipeline, patient()))
    for change, error in (
        ([{"op": "replace", "path": "/id", "value": "x"}], InvalidResource),
        ([{"op": "replace", "path": "/resourceType", "value": "Task"}], InvalidResource),
        ([{"op": "add", "path": "/gendre", "value": "x"}], InvalidResource),
        ([{"op": "remove", "path": "/gender"}], PatchError),
    ):
        with pytest.raises(error):
            pipeline.patch(CLINIC, type, id, JSON_PATCH, raw(change)).result()
    assert pipeline.read(CLINIC, type, id).version == 1


def test_a_part_is_not_stored_in_place_of_the_whole(pipeline: Pipeline) -> None:
    type, id = parts(create(pipeline, patient(active=True)))
    part = patient(id=id, meta={"tag": [{"code": "SUBSETTED"}]})
    with pytest.raises(InvalidResource) as caught:
        pipeline.update(CLINIC, type, id, raw(part)).result()
    assert caught.value.place == "Patient.meta.tag"


# --- who read what -------------------------------------------------------------------------------


def test_what_another_agency_reads_is_noted_and_what_is_its_own_is_not(
    pipeline: Pipeline, hub: Hub
) -> None:
    who, _, task = referral(pipeline)
    pipeline.read(BANK, *parts(task))
    pipeline.vread(BANK, *parts(who), 1)
    pipeline.history(BANK, *parts(task))
    pipeline.read(CLINIC, *parts(task))
    pipeline.read(BANK, "Organization", "clinic")
    send(pipeline, entry("GET", who), context=BANK)
    hub.write(lambda tx: None)
    with hub.read() as reader:
        lines = [each for each in reader.audited() if each.agency == "bank"]
    noted = [(each.action, each.target) for each in lines]
    assert sorted(noted) == sorted(
        [("read", task), ("vread", who), ("history", task), ("read", who)]
    )
    assert not any("Organization" in target for _, target in noted)
