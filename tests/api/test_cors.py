"""Browsers call from the pages that the keeper names, and from no others (R4 http, 3.1.0; CORS)."""

from __future__ import annotations

import asyncio

from gateway.api import build_api
from gateway.pipeline import Pipeline
from gateway.receive.arrival import take_in
from gateway.settings import Settings
from tests.api.calls import Caller

OURS, THEIRS = "https://app.example", "https://elsewhere.example"


def test_a_page_calls_where_its_origin_is_named(
    pipeline: Pipeline, settings: Settings, runner: asyncio.Runner
) -> None:
    named = settings.model_copy(update={"cors_origins": (OURS,)})
    app = build_api(pipeline, named, take_in=take_in, ready=lambda: True)
    secret = pipeline.members.add_key("", admin=True, granted=frozenset())
    call = Caller(app, runner, secret)
    asked = {
        "access-control-request-method": "PUT",
        "access-control-request-headers": "authorization,content-type,if-match",
    }
    before = call("OPTIONS", "/fhir/Patient/a", headers={"origin": OURS} | asked)
    assert before.status_code == 200
    assert before.headers["access-control-allow-origin"] == OURS
    assert "if-match" in before.headers["access-control-allow-headers"]
    assert "PUT" in before.headers["access-control-allow-methods"]
    read = call.get("/fhir/Patient?_count=1", origin=OURS)
    assert read.headers["access-control-allow-origin"] == OURS
    assert "ETag" in read.headers["access-control-expose-headers"]
    assert "access-control-allow-credentials" not in read.headers
    other = call.get("/fhir/Patient?_count=1", origin=THEIRS)
    assert "access-control-allow-origin" not in other.headers
    assert call("OPTIONS", "/fhir/Patient", headers={"origin": THEIRS} | asked).status_code == 400


def test_no_page_calls_where_none_is_named(clinic: Caller) -> None:
    assert "access-control-allow-origin" not in clinic.get("/fhir/metadata", origin=OURS).headers
    assert clinic("OPTIONS", "/fhir/metadata").status_code == 405


def test_origins_come_with_commas_between() -> None:
    found = Settings(cors_origins=f"{OURS}, {THEIRS}")
    assert found.cors_origins == (OURS, THEIRS)
