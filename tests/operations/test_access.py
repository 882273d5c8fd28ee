"""What operations show another agency, on each engine: what it was sent, and nothing else."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from gateway.errors import GatewayError, NotFound
from gateway.fhir.gates import check
from gateway.model import Context, Grant, Resource
from gateway.operations import everything, exporting
from gateway.operations.jobs import PREFIX
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import Hub, open_hub
from tests.shipped import library

CLINIC = Context("clinic", "key-1")
PANTRY = Context("pantry", "key-2")
SSN = "http://hl7.org/fhir/sid/us-ssn"
BASE = "http://gateway/fhir"


@pytest.fixture
def hub(database_url: str) -> Iterator[Hub]:
    hub = open_hub(database_url)
    yield hub
    hub.close()


@pytest.fixture
def pipeline(hub: Hub, tmp_path: Path, database_url: str) -> Pipeline:
    settings = Settings(data_dir=tmp_path, database_url=database_url)
    return Pipeline(hub, library(), settings, as_message)


@pytest.fixture
def record(hub: Hub) -> dict[str, Resource]:
    """The clinic's patient with two observations, of which the pantry was given one."""
    who: Resource = {
        "resourceType": "Patient",
        "id": str(uuid4()),
        "identifier": [{"system": SSN, "value": "123"}, {"system": "urn:mrn", "value": "7"}],
        "name": [{"family": "Rivera", "given": ["Ana"]}],
        "birthDate": "1984-07-19",
    }
    seen = [
        {
            "resourceType": "Observation",
            "id": str(uuid4()),
            "status": "final",
            "code": {"text": text},
            "subject": {"reference": f"Patient/{who['id']}"},
        }
        for text in ("open", "secret")
    ]
    for one in (who, *seen):
        hub.write(lambda tx, one=one: tx.put(CLINIC, check(one), interaction="create"))
    return {"who": who, "open": seen[0], "secret": seen[1]}


def give(hub: Hub, *resources: Resource) -> None:
    for one in resources:
        reference = f"{one['resourceType']}/{one['id']}"
        hub.write(lambda tx, ref=reference: tx.grant(Grant(ref, "pantry", "Task/1")))


def told(pipeline: Pipeline, context: Context, who: Resource) -> str:
    """All that every operation says of a patient, as text; "" for what isn't there."""
    operations, id = pipeline.operations, who["id"]
    found: list[Any] = []
    asked = everything.Asked()
    for ask in (
        lambda: operations.everything(context, id, asked, BASE),
        lambda: operations.summary(context, id, BASE),
        lambda: operations.meta(context, "Patient", id),
        lambda: operations.match(context, check(who), only_certain=False, count=10),
    ):
        try:
            found.append(ask())
        except NotFound:
            found.append("")
    return f"{found} {exported(pipeline, context)}"


def exported(pipeline: Pipeline, context: Context) -> str:
    operations = pipeline.operations
    asked = exporting.Asked(types=("Patient", "Observation"))
    job = operations.export.start(context, asked, f"{BASE}/$export")
    asyncio.run(pipeline.drain(PREFIX + job.id))
    done = operations.jobs.get(context, job.id, "export")
    assert done.status == "completed"
    return "".join(operations.jobs.file(done, one.name).read_text() for one in done.files)


def test_what_wasnt_given_isnt_there(
    hub: Hub, pipeline: Pipeline, record: dict[str, Resource]
) -> None:
    whole = told(pipeline, CLINIC, record["who"])
    for one in record.values():
        assert one["id"] in whole
    nothing = told(pipeline, PANTRY, record["who"])
    for one in record.values():
        assert one["id"] not in nothing


def test_what_was_given_is_there_at_its_least_and_gone_when_revoked(
    hub: Hub, pipeline: Pipeline, record: dict[str, Resource]
) -> None:
    give(hub, record["who"], record["open"])
    some = told(pipeline, PANTRY, record["who"])
    assert record["who"]["id"] in some
    assert record["open"]["id"] in some
    assert record["secret"]["id"] not in some
    assert SSN not in some
    hub.write(lambda tx: tx.revoke("Task/1"))
    nothing = told(pipeline, PANTRY, record["who"])
    for one in record.values():
        assert one["id"] not in nothing


def test_a_running_export_stops_showing_what_is_revoked(
    hub: Hub, pipeline: Pipeline, record: dict[str, Resource]
) -> None:
    give(hub, record["who"], record["open"])
    asked = exporting.Asked(types=("Observation", "Patient"))
    job = pipeline.operations.export.start(PANTRY, asked, BASE)
    steps = pipeline.operations.export.run(job)
    next(steps)  # the observations
    hub.write(lambda tx: tx.revoke("Task/1"))
    list(steps)
    done = pipeline.operations.jobs.get(PANTRY, job.id, "export")
    assert [one.type for one in done.files] == ["Observation"]


def test_reading_what_is_anothers_is_noted(
    hub: Hub, pipeline: Pipeline, record: dict[str, Resource]
) -> None:
    give(hub, record["who"])
    told(pipeline, PANTRY, record["who"])
    told(pipeline, CLINIC, record["who"])
    wanted = {"everything", "summary", "meta", "match", "export"}
    end = time.monotonic() + 10
    while not wanted <= noted(hub, f"Patient/{record['who']['id']}"):
        assert time.monotonic() < end, "it wasn't noted"
        time.sleep(0.01)


def noted(hub: Hub, reference: str) -> set[str]:
    """What the pantry is noted to have done to a resource."""
    with hub.read() as reader:
        lines = [one for one in reader.audited() if one.target == reference]
    assert {one.agency for one in lines} <= {"pantry"}
    return {one.action for one in lines}


def test_a_trial_leaves_nothing_on_either_engine(
    hub: Hub, pipeline: Pipeline, record: dict[str, Resource]
) -> None:
    new = {"resourceType": "Patient", "name": [{"family": "Trial"}]}
    run = pipeline.operations.validate
    assert run(CLINIC, "Patient", None, new, "create", []) == []
    changed = {**record["who"], "gender": "female"}
    assert run(CLINIC, "Patient", changed["id"], changed, "update", []) == []
    assert run(PANTRY, "Patient", changed["id"], changed, "update", [])[0].code == "not-found"
    with hub.read() as reader:
        kept = json.loads(reader.read(CLINIC, "Patient", changed["id"]).body)
    assert "gender" not in kept
    with pytest.raises(GatewayError):
        run(PANTRY, "Patient", changed["id"], None, "delete", [])
    assert "Trial" not in exported(pipeline, CLINIC)
