"""Every operation's documented examples are what it takes and what it gives."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from gateway.api.endpoint import Endpoint
from gateway.api.examples import BOUND, SERVICE_REQUEST
from gateway.api.operation import Operation
from gateway.api.operations import OPERATIONS, ROWS
from gateway.api.requests import FHIR
from gateway.fhir.gates import check
from gateway.pipeline import Pipeline
from gateway.protect.policy import Policy
from tests.api.calls import Caller
from tests.api.operations.referrals import created, patient
from tests.api.terms import TERMS


@pytest.fixture
def cedar(caller: Callable[..., Caller]) -> Caller:
    return caller("cedar-general")


def located(row: Endpoint, caller: Caller) -> str:
    """The row's path with a real type and id."""
    path = row.path
    if "{id}" in path or "/Subscription/" in path:
        made = created(caller, about(path, caller))
        path = path.replace("{id}", made["id"])
    return path.replace("{resource_type}", "Patient")


def about(path: str, caller: Caller) -> dict[str, Any]:
    """What a path is about; a type's own operation on Subscription needs one, too."""
    if "/ServiceRequest/" in path:
        who = created(caller, patient())
        asked = SERVICE_REQUEST | {"subject": {"reference": f"Patient/{who['id']}"}}
        return {name: value for name, value in asked.items() if name != "performer"}
    made: dict[str, dict[str, Any]] = {
        "/Group/": {"resourceType": "Group", "type": "person", "actual": True},
        "/HealthcareService/": {"resourceType": "HealthcareService", "active": True},
        "/Subscription/": BOUND,
        **{f"/{each['resourceType']}/": each for each in TERMS},
    }
    return next((one for part, one in made.items() if part in path), patient())


def well(response: httpx.Response, row: Endpoint) -> None:
    assert response.status_code == row.docs.status, f"{row.name}: {response.text}"


def forget(caller: Caller, response: httpx.Response) -> None:
    """Delete the job that an example began."""
    if "content-location" in response.headers:
        caller("DELETE", response.headers["content-location"])


QUERIED = [
    row
    for row in ROWS
    if row.method == "GET" and row.name not in ("validate_system_get", "validate_type_get")
]
"""What is to be validated comes in a body, or is an instance."""


@pytest.mark.parametrize("row", QUERIED, ids=lambda row: row.name)
def test_the_documented_query_is_answered(row: Endpoint, cedar: Caller) -> None:
    query = [
        (one["name"], one["example"][0] if isinstance(one["example"], list) else one["example"])
        for one in row.docs.own
        if "example" in one
    ]
    given = {name: str(value).lower() if value in (True, False) else value for name, value in query}
    if row.name.startswith("validate_instance"):
        given = {}  # as it is stored: the examples speak of a Task that is yet to be
    response = cedar("GET", located(row, cedar), params=given)
    well(response, row)
    forget(cedar, response)


BODIES = [
    (row, media, name, body)
    for row in ROWS
    for media, named in row.docs.request.items()
    for name, body in named.items()
]


@pytest.mark.parametrize(
    ("row", "media", "name", "body"),
    BODIES,
    ids=[f"{row.name}: {name}" for row, _, name, _ in BODIES],
)
def test_the_documented_body_is_taken(
    row: Endpoint, media: str, name: str, body: Any, cedar: Caller, pipeline: Pipeline
) -> None:
    raw = body if isinstance(body, str) else json.dumps(body)
    path = located(row, cedar)
    if "Task" in raw and "{resource_type}" in row.path:
        path = path.replace("/Patient/", "/Task/") if "{id}" not in row.path else path
    response = cedar("POST", path, content=raw, headers={"content-type": media})
    well(response, row)
    forget(cedar, response)


@pytest.mark.parametrize("one", OPERATIONS, ids=lambda one: one.definition.rpartition("/")[2])
def test_the_documented_answer_is_r4(one: Operation) -> None:
    for example in one.response.values():
        check(json.loads(json.dumps(example)))


def test_every_row_but_which_fhir_is_spoken_needs_a_key(nobody: Caller) -> None:
    open_ = {row.name for row in ROWS if row.policy is Policy.PUBLIC}
    assert open_ == {"versions_system_get", "versions_system_post"}
    for row in ROWS:
        if row.name in open_:
            continue
        path = row.path.replace("{resource_type}", "Patient").replace("{id}", "1")
        assert nobody(row.method, path).status_code == 401


def test_no_answer_is_in_another_format(cedar: Caller) -> None:
    for row in ROWS:
        path = row.path.replace("{resource_type}", "Patient").replace("{id}", "1")
        response = cedar(row.method, path, headers={"accept": "application/fhir+xml"})
        assert response.status_code in (403, 406), row.name
        assert response.headers["content-type"] == FHIR
