"""SDOH Clinical Care 3.0's CapabilityStatement for the Coordination Platform, held to ours.

Every SHALL and SHOULD of its server side: types, interactions, profiles, search parameters,
includes. What isn't met stands in ``UNMET`` with its reason, and nothing else may be missing.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from gateway.fhir.gates import check
from gateway.fhir.invariants import broken
from tests.api.calls import Caller
from tests.corpora import CORPORA

FILE = (
    CORPORA.parent
    / "profiles/sdoh-clinicalcare/CapabilityStatement-SDOHCC-CoordinationPlatform.json"
)
needs_profile = pytest.mark.skipif(not FILE.is_file(), reason=f"no profile at {FILE}")
EXPECTATION = "http://hl7.org/fhir/StructureDefinition/capabilitystatement-expectation"

UNMET = {
    "security SMART-on-FHIR": "bearer keys with SMART v2 scopes, and no OAuth server",
}

VALUES = {
    "token": "active",
    "date": "ge2026-01-01",
    "string": "food",
    "uri": "http://example.org/a",
    "reference": "Patient/none",
    "composite": "http://loinc.org|88122-7$http://loinc.org|LA28397-0",
}


class Demand(NamedTuple):
    """One thing that is asked for: of a type, of a kind (a list's name), by its name."""

    type: str
    kind: str
    name: str
    says: dict[str, Any]
    expectation: str

    def __str__(self) -> str:
        return f"{self.type} {self.kind} {self.name}"


def expectation(element: dict[str, Any] | None) -> str:
    for extension in (element or {}).get("extension", ()):
        if extension["url"] == EXPECTATION:
            return str(extension["valueCode"])
    return "MAY"


def demands() -> list[Demand]:
    """What is asked of the server, SHALL and SHOULD."""
    if not FILE.is_file():
        return []
    statement = json.loads(FILE.read_bytes())
    server = next(rest for rest in statement["rest"] if rest["mode"] == "server")
    return [one for one in _demands(server) if one.expectation in ("SHALL", "SHOULD")]


def _demands(server: dict[str, Any]) -> Iterator[Demand]:
    for one in server["interaction"]:
        yield Demand("", "interaction", one["code"], one, expectation(one))
    for service in server["security"]["service"]:
        code = service["coding"][0]["code"]
        yield Demand("", "security", code, service, "SHALL")
    for resource in server["resource"]:
        type = resource["type"]
        yield Demand(type, "type", type, resource, expectation(resource))
        for kind, key in (("interaction", "code"), ("searchParam", "name"), ("operation", "name")):
            for one in resource.get(kind, ()):
                yield Demand(type, kind, one[key], one, expectation(one))
        for kind in ("supportedProfile", "searchInclude", "searchRevInclude"):
            for text, says in zip(
                resource.get(kind, ()), resource.get(f"_{kind}", ()), strict=True
            ):
                yield Demand(type, kind, text, {"text": text}, expectation(says))
        for kind in ("versioning", "conditionalRead"):
            if kind in resource:
                yield Demand(type, kind, resource[kind], {}, "SHALL")
        for policy in resource.get("referencePolicy", ()):
            yield Demand(type, "referencePolicy", policy, {}, "SHALL")


@pytest.fixture(scope="module")
def statement(nobody: Caller) -> dict[str, Any]:
    found: dict[str, Any] = nobody.get("/fhir/metadata").json()
    return found


def test_the_statement_is_valid_r4_and_keeps_its_invariants(statement: dict[str, Any]) -> None:
    check(statement)
    assert list(broken(statement)) == []


@needs_profile
def test_it_says_that_it_is_a_coordination_platform(statement: dict[str, Any]) -> None:
    assert json.loads(FILE.read_bytes())["url"] in statement["instantiates"]


@needs_profile
def test_every_shall_and_should_is_met(statement: dict[str, Any]) -> None:
    asked = demands()
    unmet = [str(one).strip() for one in asked if not met(one, statement["rest"][0])]
    print(f"{len(asked)} demands, {len(asked) - len(unmet)} met; not: {UNMET}")
    assert len(asked) > 220
    assert unmet == list(UNMET)


def met(one: Demand, rest: dict[str, Any]) -> bool:
    ours = (
        rest if not one.type else next((r for r in rest["resource"] if r["type"] == one.type), {})
    )
    match one.kind:
        case "type":
            return bool(ours)
        case "interaction":
            return one.name in {each["code"] for each in ours["interaction"]}
        case "security":
            told = [c for s in ours["security"]["service"] for c in s.get("coding", ())]
            return one.name in {each["code"] for each in told}
        case "searchParam":
            return any(same_parameter(one.says, each) for each in ours["searchParam"])
        case "operation":
            found = {(each["name"], each["definition"]) for each in ours.get("operation", ())}
            return (one.name, one.says["definition"]) in found
        case "supportedProfile" | "referencePolicy":
            return one.name in ours.get(one.kind, ())
        case "searchInclude" | "searchRevInclude":
            return included(one.name) in ours[one.kind]
        case "conditionalRead":
            return ours["conditionalRead"] in (one.name, "full-support")
        case _:
            return bool(ours[one.kind] == one.name)


def same_parameter(theirs: dict[str, Any], ours: dict[str, Any]) -> bool:
    return all(theirs[key] == ours[key] for key in ("name", "type", "definition"))


def included(text: str) -> str:
    """Type:parameter, without the target type; the guide has ``HealthCareService`` for R4's."""
    type, param, *_ = text.replace("HealthCareService", "HealthcareService").split(":")
    return f"{type}:{param}"


@needs_profile
def test_each_search_parameter_it_asks_for_is_answered(clinic: Caller) -> None:
    asked = [one for one in demands() if one.kind == "searchParam"]
    for one in asked:
        found = clinic.get(f"/fhir/{one.type}?{one.name}={VALUES[one.says['type']]}")
        assert found.status_code == 200, (str(one), found.text)
    assert len(asked) > 90


@needs_profile
def test_each_include_it_asks_for_is_answered(clinic: Caller) -> None:
    for one in demands():
        if one.kind in ("searchInclude", "searchRevInclude"):
            name = {"searchInclude": "_include", "searchRevInclude": "_revinclude"}[one.kind]
            text = one.name.replace("HealthCareService", "HealthcareService")
            found = clinic.get(f"/fhir/{one.type}?{name}={text}")
            assert found.status_code == 200, (str(one), found.text)


def test_a_task_is_found_and_followed_by_its_output(clinic: Caller) -> None:
    procedure = {
        "resourceType": "Procedure",
        "status": "completed",
        "subject": {"display": "Ana"},
    }
    made = clinic.post("/fhir/Procedure", procedure).json()
    where = f"Procedure/{made['id']}"
    kind = {"text": "resulting activity"}
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "requester": {"reference": "Organization/clinic"},
        "output": [{"type": kind, "valueReference": {"reference": where}}],
    }
    stored = clinic.post("/fhir/Task", task)
    assert stored.status_code == 201, stored.text
    found = clinic.get(f"/fhir/Task?output={where}&_include=Task:output").json()["entry"]
    assert [each["resource"]["id"] for each in found] == [stored.json()["id"], made["id"]]
