"""A Binary read and written as what it holds (R4 binary, 2.43.4)."""

from __future__ import annotations

import base64

import pytest

from tests.api.calls import Caller, issue

HELD = b"%PDF-1.7 \x00\xff"


def test_what_is_written_as_itself_is_read_as_itself(clinic: Caller) -> None:
    kind = {"content-type": "application/pdf"}
    made = clinic("POST", "/fhir/Binary", content=HELD, headers=kind)
    assert made.status_code == 201, made.text
    assert made.json()["contentType"] == "application/pdf"
    assert base64.b64decode(made.json()["data"]) == HELD
    url = f"/fhir/Binary/{made.json()['id']}"
    read = clinic.get(url, accept="application/pdf, image/*;q=0")
    assert (read.status_code, read.content) == (200, HELD)
    assert read.headers["content-type"] == "application/pdf"
    image = clinic.get(url, accept="image/webp, image/*, */*;q=0.8")
    assert image.content == HELD
    assert read.headers["etag"] == 'W/"1"'
    assert "sandbox" in read.headers["content-security-policy"]
    assert clinic.get(f"{url}/_history/1", accept="application/pdf").content == HELD
    known = clinic.get(url, accept="application/pdf", if_none_match='W/"1"')
    assert known.status_code == 304
    changed = clinic("PUT", url, content=b"", headers={"content-type": "text/plain; charset=utf-8"})
    assert changed.status_code == 200, changed.text
    assert clinic.get(url, accept="text/plain").content == b""


@pytest.mark.parametrize("accept", ["application/fhir+json", "*/*", "text/plain, application/json"])
def test_who_accepts_a_resource_gets_the_resource(clinic: Caller, accept: str) -> None:
    binary = {"resourceType": "Binary", "contentType": "text/plain", "data": "aGk="}
    made = clinic.post("/fhir/Binary", binary).json()
    assert clinic.get(f"/fhir/Binary/{made['id']}", accept=accept).json() == made
    named = clinic.get(f"/fhir/Binary/{made['id']}?_format=json", accept="text/plain")
    assert named.json() == made


@pytest.mark.parametrize("kind", ["application/fhir+xml", "text/turtle", "nonsense"])
def test_what_is_no_content_is_refused(clinic: Caller, kind: str) -> None:
    made = clinic("POST", "/fhir/Binary", content=b"<Binary/>", headers={"content-type": kind})
    assert made.status_code in (400, 415)
    assert issue(made)["severity"] == "error"


def test_whose_secret_it_is_comes_and_goes_in_a_header(clinic: Caller) -> None:
    who = clinic.post("/fhir/Patient", {"resourceType": "Patient"}).json()["id"]
    headers = {"content-type": "text/plain", "x-security-context": f"Patient/{who}"}
    made = clinic("POST", "/fhir/Binary", content=b"a", headers=headers).json()
    assert made["securityContext"] == {"reference": f"Patient/{who}"}
    read = clinic.get(f"/fhir/Binary/{made['id']}", accept="text/plain")
    assert read.headers["x-security-context"] == f"Patient/{who}"


def test_a_binary_cannot_write_headers(clinic: Caller) -> None:
    binary = {
        "resourceType": "Binary",
        "contentType": "text/plain\r\nx: y",
        "securityContext": {"reference": "http://a.example/\r\nset-cookie: a=b"},
        "data": "aGk=",
    }
    made = clinic.post("/fhir/Binary", binary)
    if made.status_code == 201:
        read = clinic.get(f"/fhir/Binary/{made.json()['id']}", accept="text/plain")
        assert read.headers["content-type"] == "application/octet-stream"
        assert "x-security-context" not in read.headers
