from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog
from starlette.responses import Response
from starlette.routing import WebSocketRoute

from gateway.api import build_api, openapi_document, openapi_text
from gateway.api.application import ENDPOINTS, WATCHED
from gateway.api.docs import STATIC
from gateway.api.endpoint import Call, check_doors
from gateway.api.openapi import VERSION
from gateway.errors import SettingError
from gateway.pipeline import Pipeline
from gateway.protect.policy import Policy
from gateway.receive.arrival import take_in
from gateway.settings import Settings
from tests.api.calls import Caller, issue

ROOT = Path(__file__).parents[2]
PUBLIC = {
    "/fhir/metadata",
    "/fhir/$versions",
    "/livez",
    "/readyz",
    "/docs",
    "/docs/{file}",
    "/openapi.json",
    "/light/{token}",  # its last word is one
}
SIGNED = {"/hooks/{agency}/{feed}"}  # a body that isn't signed gets 401, too


def test_a_route_without_a_policy_keeps_the_server_from_starting(
    pipeline: Pipeline, settings: Settings
) -> None:
    app = build_api(pipeline, settings, take_in=take_in, ready=lambda: True)

    async def forgotten() -> None:
        """A route that somebody added past the table."""

    app.add_api_route("/fhir/{resource_type}/$forgotten", forgotten)
    with pytest.raises(SettingError) as refused:
        check_doors(app)
    assert refused.value.place == "/fhir/{resource_type}/$forgotten"


def test_only_the_few_public_routes_answer_without_a_key(app: Any, nobody: Caller) -> None:
    answered = set()
    sockets = [route for route in app.routes if isinstance(route, WebSocketRoute)]
    assert [each.path for each in sockets] == ["/websocket"]  # its first word is a token
    for route in app.routes:
        if route in sockets:
            continue
        typed = re.sub(r"\{(resource_type|member)\}", "Task", route.path_format)
        path = re.sub(r"\{\w+\}", "x", typed)
        for method in route.methods:
            if nobody(method, path).status_code != 401:
                answered.add(route.path)
    assert answered == PUBLIC
    assert {row.path for row in ENDPOINTS if row.policy is Policy.PUBLIC} == PUBLIC | SIGNED


def test_the_document_is_whole_and_the_same_each_time(app: Any) -> None:
    document = openapi_document(app)
    assert openapi_text(app) == openapi_text(app)
    routes = {(row.path, row.method.lower()) for row in ENDPOINTS if row.docs.tag}
    described = {(path, method) for path, item in document["paths"].items() for method in item}
    assert described == routes
    for path, item in document["paths"].items():
        for operation in item.values():
            declared = [dereferenced(document, each) for each in operation["parameters"]]
            in_path = {each["name"] for each in declared if each["in"] == "path"}
            assert in_path == set(re.findall(r"\{(\w+)\}", path))
            assert operation["summary"]
            assert operation["responses"]


def dereferenced(document: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    found: Any = document
    if "$ref" not in value:  # a row's own
        return value
    for name in value["$ref"].removeprefix("#/").split("/"):
        found = found[name]
    assert isinstance(found, dict)
    return found


def test_every_reference_in_the_document_leads_somewhere(app: Any) -> None:
    document = openapi_document(app)

    def walk(value: Any) -> None:
        if isinstance(value, dict):
            if "$ref" in value:
                dereferenced(document, value)
            for each in value.values():
                walk(each)
        elif isinstance(value, list):
            for each in value:
                walk(each)

    walk(document)


def test_every_example_that_is_sent_is_taken(app: Any, caller: Callable[..., Caller]) -> None:
    clinic = caller("cedar-general")
    caller("food-bank")
    document = openapi_document(app)
    bundle = example(document, "/fhir", "post", "A referral")
    answer = clinic.post("/fhir", bundle)
    assert answer.status_code == 200, answer.text
    patient = example(document, "/fhir/{resource_type}", "post", "Patient")
    assert clinic.post("/fhir/Patient", patient).status_code == 201
    form = document["paths"]["/fhir/{resource_type}/_search"]["post"]["requestBody"]["content"]
    for media, body in form.items():
        value = body["examples"]["Referrals"]["value"]
        path = "/fhir/Task/_search"
        found = clinic("POST", path, content=value, headers={"content-type": media})
        assert found.json()["entry"]
    message = example(document, "/intake/hl7v2", "post", "A referral")
    headers = {"content-type": "application/hl7-v2"}
    answer = clinic("POST", "/intake/hl7v2", content=message.encode(), headers=headers)
    assert answer.status_code == 200, answer.text


def example(document: dict[str, Any], path: str, method: str, name: str) -> Any:
    (content,) = document["paths"][path][method]["requestBody"]["content"].values()
    return content["examples"][name]["value"]


def test_the_version_is_the_projects() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert project["version"] == VERSION


def test_the_document_is_served_as_it_is_checked_in(app: Any, nobody: Caller) -> None:
    served = nobody.get("/openapi.json")
    assert served.text == openapi_text(app)
    assert json.loads(served.text)["openapi"].startswith("3.1")


def test_the_docs_page_needs_nothing_from_elsewhere(nobody: Caller) -> None:
    page = nobody.get("/docs")
    assert page.status_code == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'self'" in page.headers["content-security-policy"]
    loaded = re.findall(r'(?:src|href)="([^"]+)"', page.text)
    assert loaded
    for path in loaded:
        assert "//" not in path
        assert nobody.get(f"/{path}").status_code == 200
    assert "//" not in (STATIC / "start.js").read_text()


@pytest.mark.parametrize("name", ["LICENSE", "..%2Fdocs.py", "%2e%2e", "docs.html"])
def test_the_docs_page_gives_out_its_own_files_alone(nobody: Caller, name: str) -> None:
    assert nobody.get(f"/docs/{name}").status_code == 404


def test_readiness_follows_the_process(nobody: Caller, ready: list[bool]) -> None:
    assert nobody.get("/livez").status_code == 200
    assert nobody.get("/readyz").status_code == 200
    ready[0] = False
    try:
        refused = nobody.get("/readyz")
        assert refused.status_code == 503
        assert refused.headers["retry-after"]
        assert issue(refused)["code"] == "transient"
        assert nobody.get("/livez").status_code == 200
    finally:
        ready[0] = True


def test_a_process_without_the_api_answers_whoever_watches_over_it_and_nobody_else(
    pipeline: Pipeline, settings: Settings, runner: Any
) -> None:
    app: Any = build_api(pipeline, settings, take_in=take_in, ready=lambda: True, endpoints=WATCHED)
    assert {route.path for route in app.routes} == {"/livez", "/readyz", "/metrics"}
    nobody = Caller(app, runner, None)
    assert nobody.get("/readyz").status_code == 200
    assert nobody.get("/fhir/metadata").status_code == 404


def test_what_nobody_foresaw_tells_the_client_nothing_and_the_log_no_value(
    pipeline: Pipeline, settings: Settings, runner: Any
) -> None:
    async def failing(call: Call) -> Response:
        raise ValueError(f"secret of {call.path('resource_type')}")

    chosen = [row for row in ENDPOINTS if row.name == "search_type"]
    rows = [replace(row, answer=failing, policy=Policy.PUBLIC) for row in chosen]
    app = build_api(pipeline, settings, take_in=take_in, ready=lambda: True, endpoints=rows)
    nobody = Caller(app, runner, None)
    with structlog.testing.capture_logs() as logged:
        answer = nobody.get("/fhir/Rivera?family=Rivera")
    assert answer.status_code == 500
    assert issue(answer)["code"] == "exception"
    assert "Rivera" not in answer.text
    assert [line["event"] for line in logged] == ["unexpected"]
    assert "Rivera" not in repr(logged)
    assert "secret" not in repr(logged)
    assert "test_application.py" in repr(logged)


def test_refusals_are_logged_by_their_route_and_without_a_value(clinic: Caller) -> None:
    with structlog.testing.capture_logs() as logged:
        clinic.get("/fhir/Patient?famly=Rivera")
        clinic.get("/fhir/Patient/Rivera")
    assert [line["route"] for line in logged] == ["search_type", "read"]
    assert "Rivera" not in repr(logged)
