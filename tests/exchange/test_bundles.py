"""Batches and transactions as use cases, on both engines."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import (
    Conflict,
    Denied,
    GatewayError,
    InvalidResource,
    NotFound,
    PreconditionFailed,
)
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.store import Hub
from tests.exchanges import CLINIC, body, create, entry, opened, parts, patient, raw, seen, send


@pytest.fixture
def pipeline(hub: Hub) -> Pipeline:
    return opened(hub)


def test_a_transaction_goes_in_the_specifications_order(pipeline: Pipeline) -> None:
    old = create(pipeline, patient("old"))
    other = create(pipeline, patient("other"))
    change = {
        "resourceType": "Parameters",
        "parameter": [
            {
                "name": "operation",
                "part": [
                    {"name": "type", "valueCode": "add"},
                    {"name": "path", "valueString": "Patient"},
                    {"name": "name", "valueString": "active"},
                    {"name": "value", "valueBoolean": True},
                ],
            },
        ],
    }
    done = send(
        pipeline,
        entry("GET", "Patient?active=true"),
        entry("HEAD", other),
        entry("PATCH", other, change),
        entry("PUT", "Patient/mine", patient("mine", id="mine", active=True)),
        entry("POST", "Patient", patient("new"), ifNoneExist="identifier=urn:x|old"),
        entry("DELETE", old),
        entry("GET", f"{other}/_history"),
        entry("GET", other, ifNoneMatch='W/"2"'),
        entry("GET", other, ifNoneMatch='W/"1"'),
    )
    assert [each.status for each in done] == [200, 200, 200, 201, 200, 204, 200, 304, 200]
    listing = done[0].listing
    assert listing is not None
    assert {each.reference for each in listing.page.entries} == {other, "Patient/mine"}
    assert done[6].listing is not None
    assert [each.version for each in done[6].listing.page.entries] == [2, 1]


def test_references_lead_to_entries_and_to_what_criteria_find(pipeline: Pipeline) -> None:
    there = create(pipeline, patient("there"))
    done = send(
        pipeline,
        entry("POST", "Observation", seen("urn:oid:1.2.3")),
        entry("POST", "Observation", seen("Patient?identifier=urn:x|there")),
        entry("POST", "Observation", seen("Patient?identifier=urn:x|new")),
        entry("POST", "Observation", seen("urn:uuid:found")),
        entry("POST", "Patient", patient("new"), name="urn:oid:1.2.3"),
        entry(
            "POST",
            "Patient",
            patient("there"),
            name="urn:uuid:found",
            ifNoneExist="identifier=urn:x|there",
        ),
    )
    led = [body(each)["subject"]["reference"] for each in done[:4]]
    new = f"Patient/{body(done[4])['id']}"
    assert led == [new, there, new, there]
    assert [each.status for each in done[4:]] == [201, 200]


def test_relative_references_lead_to_entries_of_the_same_base(pipeline: Pipeline) -> None:
    base = "http://elsewhere.example/fhir"
    done = send(
        pipeline,
        entry("POST", "Patient", patient(), name=f"{base}/Patient/7"),
        entry("POST", "Observation", seen("Patient/7"), name=f"{base}/Observation/8"),
    )
    assert body(done[1])["subject"]["reference"] == f"Patient/{body(done[0])['id']}"


@pytest.mark.parametrize(
    ("entries", "error", "place"),
    [
        (
            [entry("POST", "Observation", seen("Patient?identifier=urn:x|0"))],
            PreconditionFailed,
            "resource.subject",
        ),
        (
            [entry("POST", "Observation", seen("Patient?identifier=urn:x|"))],
            PreconditionFailed,
            "resource.subject",
        ),
        (
            [entry("POST", "Observation", seen("urn:uuid:nobody"))],
            InvalidResource,
            "resource.subject",
        ),
        (
            [entry("POST", "Observation", seen("Patient/nobody"))],
            InvalidResource,
            "resource.subject",
        ),
        ([entry("POST", "Patient", patient(gender="bogus"))], InvalidResource, "resource.gender"),
        (
            [entry("POST", "Patient", patient(), ifNoneExist="identifier=urn:x|")],
            PreconditionFailed,
            "request.ifNoneExist",
        ),
        (
            [entry("POST", "Patient", patient(), ifNoneExist="")],
            InvalidResource,
            "request.ifNoneExist",
        ),
        ([entry("PUT", "Patient?identifier=urn:x|", patient())], PreconditionFailed, "request.url"),
        (
            [entry("PUT", "Patient/one", patient(id="one"), ifMatch='W/"7"')],
            PreconditionFailed,
            "request.ifMatch",
        ),
        (
            [entry("PUT", "Patient/one", patient(id="one"), ifNoneMatch="*")],
            PreconditionFailed,
            "request.ifNoneMatch",
        ),
        ([entry("PUT", "Patient/one", patient(id="two"))], InvalidResource, "request.url"),
        ([entry("PATCH", "Patient/one", patient())], InvalidResource, "resource"),
        ([entry("DELETE", "Patient/one", ifMatch="nonsense")], InvalidResource, "request.ifMatch"),
        ([entry("GET", "Patient/nobody")], NotFound, "request.url"),
        (
            [entry("DELETE", "Patient/one", ifModifiedSince="2026-03-02T00:00:00Z")],
            InvalidResource,
            "request.ifModifiedSince",
        ),
        (
            [entry("POST", "Patient", patient(), ifMatch='W/"1"')],
            InvalidResource,
            "request.ifMatch",
        ),
        (
            [entry("PUT", "Patient/one", patient(id="one"), ifNoneMatch='W/"1"')],
            InvalidResource,
            "request.ifNoneMatch",
        ),
        (
            [entry("POST", "Observation", seen("Pashent?identifier=x"))],
            InvalidResource,
            "resource.subject",
        ),
        (
            [entry("POST", "Observation", seen("Patient?familly=x"))],
            GatewayError,
            "resource.subject",
        ),
        (
            [entry("POST", "Patient", patient(), ifNoneExist="familly=x")],
            GatewayError,
            "request.ifNoneExist",
        ),
        ([entry("DELETE", "Patient?familly=x")], GatewayError, "request.url"),
        ([entry("GET", "Patient?familly=x")], GatewayError, "request.url"),
        ([entry("GET", "Patient/$everything")], InvalidResource, "request.url"),
        ([entry("POST", "Pashent", {"resourceType": "Patient"})], InvalidResource, "resource"),
        ([entry("POST", "Patient/one", patient())], InvalidResource, "request.url"),
    ],
)
def test_one_wrong_entry_undoes_all_and_is_named(
    pipeline: Pipeline, entries: Any, error: type[GatewayError], place: str
) -> None:
    for n in ("one", "two"):
        pipeline.update(CLINIC, "Patient", n, raw(patient(n, id=n))).result()
    with pytest.raises(error) as caught:
        send(pipeline, entry("POST", "Patient", patient("new")), *entries)
    assert caught.value.place == f"Bundle.entry[1].{place}"
    assert len(pipeline.history(CLINIC, "Patient").entries) == 2


@pytest.mark.parametrize(
    "entries",
    [
        [entry("PUT", "Patient/a", patient(id="a")), entry("DELETE", "Patient/a")],
        [
            entry("PUT", "Patient/one", patient("one", id="one")),
            entry("PUT", "Patient?identifier=urn:x|one", patient("one", active=True)),
        ],
        [entry("POST", "Patient", patient("b"), ifNoneExist="identifier=urn:x|b")] * 2,
        [
            entry("POST", "Patient", patient("b"), name="urn:uuid:1"),
            entry("POST", "Patient", patient("c"), name="urn:uuid:1"),
        ],
    ],
)
def test_two_entries_about_one_resource_are_refused(pipeline: Pipeline, entries: Any) -> None:
    pipeline.update(CLINIC, "Patient", "one", raw(patient("one", id="one"))).result()
    with pytest.raises(InvalidResource) as caught:
        send(pipeline, *entries)
    assert caught.value.issues[0].code == "duplicate"
    assert str(caught.value.place).startswith("Bundle.entry[1]")


def test_a_transaction_may_delete_what_its_own_entries_let_go(pipeline: Pipeline) -> None:
    who, new = create(pipeline, patient("1")), create(pipeline, patient("2"))
    note = create(pipeline, seen(who))
    moved = seen(new) | {"id": parts(note)[1]}
    done = send(pipeline, entry("PUT", note, moved), entry("DELETE", who))
    assert [each.status for each in done] == [200, 204]
    with pytest.raises(Conflict) as caught:
        send(pipeline, entry("DELETE", new))
    assert caught.value.place == "Bundle.entry[0].request.url"


def test_a_batchs_entries_stand_each_alone(pipeline: Pipeline) -> None:
    done = send(
        pipeline,
        entry("POST", "Patient", patient("1")),
        entry("POST", "Patient", patient(gender="bogus")),
        entry("POST", "Observation", seen("Patient/nobody")),
        entry("PUT", "Patient/p", patient("2", id="p")),
        entry("GET", "Patient/p"),
        entry("GET", "Patient?identifier=urn:x|1"),
        entry("DELETE", "Patient/p", ifMatch='W/"9"'),
        entry("SPIN", "Patient/p"),
        entry("GET", "Patient/nobody"),
        kind="batch",
    )
    assert [each.status for each in done] == [201, 400, 400, 201, 200, 200, 412, 400, 404]
    assert pipeline.history(CLINIC, "Observation").entries == ()
    places = {n: each.error.place for n, each in enumerate(done) if each.error is not None}
    assert places == {
        1: "Bundle.entry[1].resource.gender",
        2: "Bundle.entry[2].resource.subject",
        6: "Bundle.entry[6].request.ifMatch",
        7: "Bundle.entry[7].request.method",
        8: "Bundle.entry[8].request.url",
    }


def test_a_long_batch_is_done_in_its_order(pipeline: Pipeline) -> None:
    puts = [entry("PUT", "Patient/p", patient(str(n), id="p")) for n in range(120)]
    done = send(pipeline, *puts, kind="batch")
    assert [each.stored.version for each in done if each.stored] == list(range(1, 121))


def test_a_keys_scopes_bound_each_entry(pipeline: Pipeline) -> None:
    narrow = Context("clinic", "test", frozenset({"system/Patient.cru"}))
    wrong = [
        entry("DELETE", "Patient/p"),
        entry("POST", "Observation", seen("Patient/p")),
        entry("POST", "Patient", patient(), ifNoneExist="identifier=urn:x|1"),
        entry("GET", "Patient?identifier=1"),
        entry("GET", "_history"),
    ]
    for each in wrong:
        with pytest.raises(Denied):
            send(pipeline, entry("POST", "Patient", patient()), each, context=narrow)
    done = send(pipeline, *wrong, entry("POST", "Patient", patient()), kind="batch", context=narrow)
    assert [each.status for each in done] == [403] * 5 + [201]
