"""What the tests of FHIR's writing use cases share: agencies, resources, requests."""

from __future__ import annotations

import json
from typing import Any

from gateway.exchange.writing import Done
from gateway.fhir.interaction import Pairs
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub
from tests.shipped import library

CLINIC = Context("clinic", "test")
BANK = Context("bank", "test")
HAVEN = Context("haven", "test")
MANY = 32
JSON_PATCH = "application/json-patch+json"
BY_NUMBER: Pairs = (("identifier", "urn:x|1"),)


def opened(hub: Hub) -> Pipeline:
    """The use cases over a hub with three members."""
    pipeline = Pipeline(hub, library(), Settings(), as_message)
    for context in (CLINIC, BANK, HAVEN):
        pipeline.add_agency(context.agency, None)
    return pipeline


def patient(number: str = "1", **more: Any) -> dict[str, Any]:
    identifier = [{"system": "urn:x", "value": number}]
    return {"resourceType": "Patient", "identifier": identifier, **more}


def raw(resource: Any) -> bytes:
    return json.dumps(resource).encode()


def create(pipeline: Pipeline, resource: dict[str, Any], context: Context = CLINIC) -> str:
    """Its reference."""
    done = pipeline.create(context, resource["resourceType"], raw(resource)).result()
    assert done.stored is not None
    return done.stored.reference


def parts(reference: str) -> tuple[str, str]:
    type, _, id = reference.partition("/")
    return type, id


def body(done: Done) -> Any:
    assert done.stored is not None
    return json.loads(done.stored.body)


def referral(pipeline: Pipeline) -> tuple[str, str, str]:
    """Patient, request and Task of a referral from the clinic to the bank."""
    who = create(pipeline, patient())
    ask = {
        "resourceType": "ServiceRequest",
        "status": "active",
        "intent": "order",
        "subject": {"reference": who},
    }
    request = create(pipeline, ask)
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": request},
        "for": {"reference": who},
        "requester": {"reference": "Organization/clinic"},
        "owner": {"reference": "Organization/bank"},
    }
    return who, request, create(pipeline, task)


def entry(method: str, url: str, resource: Any = None, *, name: str = "", **asked: Any) -> Any:
    made: dict[str, Any] = {"request": {"method": method, "url": url, **asked}}
    if resource is not None:
        made["resource"] = resource
    return {"fullUrl": name, **made} if name else made


def send(
    pipeline: Pipeline, *entries: Any, kind: str = "transaction", context: Context = CLINIC
) -> list[Done]:
    whole = {"resourceType": "Bundle", "type": kind, "entry": list(entries)}
    return list(pipeline.bundle(context, raw(whole)).result().entries)


def seen(subject: str) -> dict[str, Any]:
    return {
        "resourceType": "Observation",
        "status": "final",
        "code": {"text": "x"},
        "subject": {"reference": subject},
    }
