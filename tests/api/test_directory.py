"""A path leads to the door that the router would have found, and nowhere where it finds none."""

from __future__ import annotations

from typing import Any

import pytest
from starlette.routing import Match, Route

from gateway.api import build_api
from gateway.api.directory import Directory
from gateway.pipeline import Pipeline
from gateway.receive.arrival import take_in
from gateway.settings import Settings

STAND_INS = {"resource_type": ("Task", "Nothing"), "id": ("1", "x.-9"), "member": ("Task", "*")}
STRANGE = ("/", "", "/fhir//", "/fhir/Patient/a/b/c/d", "/fhir/patient", "/nothing", "//fhir")


@pytest.fixture(scope="module")
def routes(pipeline: Pipeline, settings: Settings) -> list[Route]:
    app = build_api(pipeline, settings, take_in=take_in, ready=lambda: True)
    return [route for route in app.routes if isinstance(route, Route)]


def paths(routes: list[Route]) -> set[str]:
    """Each template with something for its variables; and their ends in other places."""
    found = set(STRANGE)
    for route in routes:
        for n in (0, 1):
            given = {name: STAND_INS.get(name, ("a", "b"))[n] for name in route.param_convertors}
            path = str(route.url_path_for(route.name, **given))
            end = path.rpartition("/")[2]
            found |= {path, f"{path}/", f"/fhir/Task/{end}", f"/fhir/Task/1/{end}"}
    return found


def routed(routes: list[Route], method: str, path: str) -> Any:
    scope = {"type": "http", "method": method, "path": path}
    for route in routes:
        match, more = route.matches(scope)
        if match is Match.FULL:
            return route.endpoint, more["path_params"]
    return None


def test_it_finds_what_the_router_finds(routes: list[Route]) -> None:
    directory = Directory(routes)
    methods = {method for route in routes for method in route.methods or ()}
    asked = [(method, path) for method in methods for path in paths(routes)]
    found = [directory.find(*each) for each in asked]
    assert found == [routed(routes, *each) for each in asked]
    assert len(asked) > 500
    assert sum(each is None for each in found) > 100
