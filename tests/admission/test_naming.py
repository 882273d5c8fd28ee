"""Ids that anybody can work out tell nobody who is known here, and can't be taken."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from gateway.errors import GatewayError, InvalidResource
from gateway.exchange.searching import Search
from gateway.fhir.interaction import Pairs
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub
from gateway.translate.ids import identity
from tests.shipped import library

CLINIC, STRANGER = Context("cedar-general", "test"), Context("stranger", "test")
ADMIN = Context("hub", "test", admin=True)
KNOWN, UNKNOWN = (
    identity("cedar-general", "Patient", "urn:oid:2.16.840.1.113883.3.9999.1", each)
    for each in ("77", "78")
)


def adt(number: str, control_id: str) -> bytes:
    head = f"MSH|^~\\&|EHR|CEDARGEN|HUB|COUNTY|202611200900||ADT^A08|{control_id}|P|2.5.1"
    pid = f"PID|1||{number}^^^CEDARGEN^MR||Novak^Elena"
    return f"{head}\rEVN||202611200900\r{pid}\rPV1|1|O\r".encode()


@pytest.fixture
def pipeline(hub: Hub) -> Iterator[Pipeline]:
    pipeline = Pipeline(hub, library(), Settings(), as_message)
    for agency in ("cedar-general", "stranger"):
        pipeline.add_agency(agency, None)
    taken = pipeline.accept(*as_message("cedar-general", "http", adt("77", "1"))).result()
    assert taken.acknowledgement == "AA"
    assert pipeline.read(CLINIC, "Patient", KNOWN)
    yield pipeline
    asyncio.run(pipeline.close())


def body(id: str) -> bytes:
    return json.dumps({"resourceType": "Patient", "id": id}).encode()


def put(hub: Pipeline, id: str) -> Any:
    return hub.update(STRANGER, "Patient", id, body(id)).result()


def put_free(hub: Pipeline, id: str) -> Any:
    return hub.update(STRANGER, "Patient", id, body(id), if_free=True).result()


def put_version(hub: Pipeline, id: str) -> Any:
    return hub.update(STRANGER, "Patient", id, body(id), 1).result()


def put_by_criteria(hub: Pipeline, id: str) -> Any:
    criteria: Pairs = (("identifier", "urn:x|none"),)
    return hub.update(STRANGER, "Patient", "", body(id), criteria=criteria).result()


def patch(hub: Pipeline, id: str) -> Any:
    change = b'[{"op": "add", "path": "/active", "value": true}]'
    return hub.patch(STRANGER, "Patient", id, "application/json-patch+json", change).result()


def bundled(hub: Pipeline, id: str, kind: str) -> Any:
    request = {"method": "PUT", "url": f"Patient/{id}"}
    entry = {"resource": json.loads(body(id)), "request": request}
    asked = {"resourceType": "Bundle", "type": kind, "entry": [entry]}
    (done,) = hub.bundle(STRANGER, json.dumps(asked).encode()).result().entries
    if done.error is not None:
        raise done.error
    return done


def in_batch(hub: Pipeline, id: str) -> Any:
    return bundled(hub, id, "batch")


def in_transaction(hub: Pipeline, id: str) -> Any:
    return bundled(hub, id, "transaction")


WAYS = (put, put_free, put_version, put_by_criteria, patch, in_batch, in_transaction)


def answer(way: Callable[[Pipeline, str], Any], hub: Pipeline, id: str) -> tuple[Any, ...]:
    with pytest.raises(GatewayError) as refused:
        way(hub, id)
    error = refused.value
    return type(error), error.status, str(error), error.place


def test_by_no_way_does_a_stranger_learn_whether_a_computed_id_is_taken_or_take_it(
    pipeline: Pipeline,
) -> None:
    for way in WAYS:
        told = answer(way, pipeline, KNOWN)
        assert told == answer(way, pipeline, UNKNOWN), way.__name__
        assert told[1] == 404
    receipt = pipeline.accept(*as_message("cedar-general", "http", adt("78", "2"))).result()
    assert receipt.acknowledgement == "AA"


def test_who_sees_it_may_write_it_bring_it_back_and_name_its_own_otherwise(
    pipeline: Pipeline,
) -> None:
    assert pipeline.update(CLINIC, "Patient", KNOWN, body(KNOWN)).result().status == 200
    made = pipeline.create(CLINIC, "Basic", b'{"resourceType": "Basic", "code": {"text": "x"}}')
    assert made.result().status == 201
    mine = json.dumps({"resourceType": "Patient", "id": "mine"}).encode()
    assert pipeline.update(STRANGER, "Patient", "mine", mine).result().status == 201
    assert pipeline.update(ADMIN, "Patient", UNKNOWN, body(UNKNOWN)).result().status == 201
    for each in pipeline.search(CLINIC, Search("Encounter", [])).page.entries:
        pipeline.delete(CLINIC, "Encounter", each.id).result()
    pipeline.delete(CLINIC, "Patient", KNOWN).result()
    assert pipeline.update(CLINIC, "Patient", KNOWN, body(KNOWN)).result().status == 201
    with pytest.raises(InvalidResource):
        pipeline.update(STRANGER, "Patient", "other", mine).result()
