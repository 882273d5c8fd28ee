"""Every official R4 and US Core example that is valid goes in by HTTP and comes back as it was.

Most refer to resources that aren't among them: relative references are made absolute, which the
gateway keeps and doesn't follow. What a referral's rules refuse is listed. A Subscription's status
is the gateway's answer, and it gets a secret.
"""

from __future__ import annotations

import json
from collections import Counter

import pytest
from httpx import Response

from gateway.errors import InvalidResource
from gateway.fhir import json as digits
from gateway.fhir.elements import refused_types
from gateway.fhir.gates import check
from gateway.fhir.references import references, rewrite
from gateway.model import Resource
from tests.api.calls import FHIR, Caller
from tests.corpora import needs_corpora
from tests.fhir.examples import files

ELSEWHERE = "http://example.org/fhir/"


MADE = ("versionId", "lastUpdated")
REFUSED = {
    "task-example2.json": (403, "Task.status"),
    "task-example3.json": (403, "Task.status"),
    "task-example-fm-poll.json": (403, "Task.status"),
    "task-example-fm-status.json": (403, "Task.status"),
    "task-example-fm-status-resp.json": (403, "Task.status"),
}
"""Tasks in a state that only their performer brings about."""


def valid(resource: Resource) -> bool:
    """Whether it is R4, of a type that is kept here."""
    if resource["resourceType"] in refused_types():
        return False
    try:
        check(resource)
    except InvalidResource:
        return False
    return True


def apart(resource: Resource) -> Resource:
    """The resource with its relative references made absolute."""
    names = {text for _, text in references(resource) if text[:1].isupper() and "/" in text}
    return rewrite(resource, {text: ELSEWHERE + text for text in names})


def read(raw: bytes) -> Resource:
    """JSON by another reader than the gateway's, its numbers as they are written."""
    found: Resource = json.loads(raw, parse_float=str)
    meta = {key: value for key, value in found.pop("meta", {}).items() if key not in MADE}
    return found | ({"meta": meta} if meta else {})


@needs_corpora
@pytest.mark.corpora
def test_every_valid_example_goes_in_and_comes_back_identical(clinic: Caller) -> None:
    counts: Counter[str] = Counter()
    refused = {}
    for file in files("r4-spec-examples", "us-core"):
        raw = file.read_bytes()
        resource = digits.loads(raw)
        if not valid(resource):
            counts["not R4, or of a type that isn't kept"] += 1
            continue
        written = write(clinic, digits.dumps(apart(resource)))
        counts[str(written.status_code)] += 1
        if written.status_code >= 400:
            (found,) = written.json()["issue"]
            refused[file.name] = (written.status_code, found["expression"][0])
            continue
        type, id = resource["resourceType"], written.json()["id"]
        back = clinic.get(f"/fhir/{type}/{id}")
        sent, got = apart(read(raw)) | {"id": id}, read(back.content)
        if type == "Subscription":
            sent |= {"status": got["status"], "extension": got["extension"]}
        assert got == sent, file.name
    print(f"{counts.total()} examples: {dict(counts)}")
    assert refused == REFUSED


def write(caller: Caller, sent: bytes) -> Response:
    resource = json.loads(sent)
    type, id = resource["resourceType"], resource.get("id")
    method, path = ("PUT", f"/fhir/{type}/{id}") if id else ("POST", f"/fhir/{type}")
    return caller(method, path, content=sent, headers={"content-type": FHIR})
