from __future__ import annotations

import base64
from pathlib import Path
from typing import Any

import pytest

from gateway.api.examples import REFERRAL
from gateway.fhir.gates import check
from gateway.fhir.json import loads
from gateway.pipeline import Pipeline
from gateway.settings import shipped
from tests.api.calls import Caller, issue

HL7 = "application/hl7-v2"
CEDAR = shipped("mappings") / "agencies" / "cedar-general"


@pytest.fixture(scope="module")
def cedar(caller: Any, pipeline: Pipeline) -> Caller:
    client: Caller = caller("cedar-general")
    return client


def raw(caller: Caller, body: bytes | str, media: str = HL7, query: str = "") -> Any:
    path = f"/fhir/$convert{query}"
    return caller("POST", path, content=body, headers={"content-type": media})


def asked(**given: Any) -> dict[str, Any]:
    kinds = {str: "valueString", bool: "valueBoolean"}
    found = [{"name": name, kinds[type(value)]: value} for name, value in given.items()]
    return {"resourceType": "Parameters", "parameter": found}


def test_a_message_becomes_a_bundle_and_nothing_is_stored(
    cedar: Caller, pipeline: Pipeline
) -> None:
    response = raw(cedar, REFERRAL)
    assert response.status_code == 200, response.text
    bundle = check(loads(response.content), type="Bundle")
    types = {entry["resource"]["resourceType"] for entry in bundle["entry"]}
    assert {"Patient", "ServiceRequest", "Task"} <= types
    for entry in bundle["entry"]:
        made = entry["resource"]
        assert entry["request"] == {"method": "PUT", "url": f"{made['resourceType']}/{made['id']}"}
    patient = next(
        e["request"]["url"] for e in bundle["entry"] if "Patient/" in e["request"]["url"]
    )
    assert cedar.get(f"/fhir/{patient}").status_code == 404


@pytest.mark.parametrize("file", sorted(CEDAR.glob("*.hl7")), ids=lambda path: path.stem)
def test_the_samples_beside_the_maps_convert(cedar: Caller, file: Path) -> None:
    response = raw(cedar, file.read_bytes())
    assert response.status_code == 200, response.text
    check(loads(response.content), type="Bundle")


def test_the_raw_and_the_packed_message_convert_alike(cedar: Caller) -> None:
    plain = raw(cedar, REFERRAL).json()
    body = asked(inputFormat=HL7, input=REFERRAL)
    assert cedar.post("/fhir/$convert", body).json() == plain
    packed = asked(inputFormat=HL7, input=base64.b64encode(REFERRAL.encode()).decode(), base64=True)
    assert cedar.post("/fhir/$convert", packed).json() == plain


def test_findings_come_beside_the_bundle_when_asked_for(cedar: Caller) -> None:
    odd = REFERRAL.replace("|F\r", "|Q\r")
    response = cedar.post("/fhir/$convert", asked(inputFormat=HL7, input=odd, findings=True))
    bundle, outcome = (one["resource"] for one in response.json()["parameter"])
    assert bundle["type"] == "transaction"
    assert outcome["issue"][0]["severity"] == "warning"
    assert "PID-8" in outcome["issue"][0]["diagnostics"]


def test_what_cant_be_read_or_mapped_is_refused_at_its_place(cedar: Caller) -> None:
    garbage = raw(cedar, b"hello")
    assert garbage.status_code == 400
    assert "MSH" in issue(garbage)["diagnostics"]
    unmapped = raw(cedar, REFERRAL.replace("REF^I12^REF_I12", "ZZZ^Z99^ZZZ_Z99"))
    assert unmapped.status_code == 422
    assert issue(unmapped)["code"] == "not-supported"


def test_a_format_without_a_parser_is_said_to_be_unsupported(cedar: Caller) -> None:
    response = raw(cedar, b"a,b\n1,2\n", "text/csv")
    assert response.status_code == 400
    assert issue(response)["code"] == "required"  # the feed that says how rows are read
    response = cedar.post("/fhir/$convert", asked(inputFormat="text/plain", input="x"))
    assert response.status_code == 415
    assert raw(cedar, b"x", "application/pdf").status_code == 415


def test_only_an_admin_converts_by_anothers_maps(
    cedar: Caller, admin: Caller, clinic: Caller
) -> None:
    assert raw(clinic, REFERRAL, query="?agency=cedar-general").status_code == 400
    assert raw(admin, REFERRAL).status_code == 400
    assert raw(admin, REFERRAL, query="?agency=cedar-general").json() == raw(cedar, REFERRAL).json()


def test_get_doesnt_convert(cedar: Caller) -> None:
    assert cedar.get("/fhir/$convert").status_code in (404, 405)
