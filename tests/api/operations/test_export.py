from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.fhir.gates import check
from gateway.operations import exporting
from gateway.operations.jobs import MOST, PREFIX
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings
from gateway.store import open_hub
from gateway.work import Work
from tests.api.calls import Caller, issue
from tests.api.operations.referrals import SSN, created, observation, patient, referred
from tests.shipped import library


@pytest.fixture
def agency(caller: Callable[..., Caller], request: pytest.FixtureRequest) -> Caller:
    """An agency of the test's own, so that it has no other jobs or resources."""
    return caller(f"a-{abs(hash(request.node.name)) % 10**9}")


def started(caller: Caller, path: str) -> str:
    """The status URL of a new job."""
    response = caller.get(path, prefer="respond-async")
    assert response.status_code == 202, response.text
    assert issue(response)["severity"] == "information"
    return response.headers["content-location"]


def ran(pipeline: Pipeline, url: str) -> None:
    asyncio.run(pipeline.drain(PREFIX + url.rpartition("/")[2]))


def lines(caller: Caller, url: str) -> list[dict[str, Any]]:
    """All that a done job made, after its manifest."""
    manifest = caller.get(url)
    assert manifest.status_code == 200, manifest.text
    found = []
    for one in manifest.json()["output"]:
        file = caller.get(one["url"])
        assert file.headers["content-type"] == "application/fhir+ndjson"
        here = [json.loads(line) for line in file.text.splitlines()]
        assert len(here) == one["count"]
        assert {each["resourceType"] for each in here} == {one["type"]}
        found += here
    return found


def exported(caller: Caller, pipeline: Pipeline, path: str) -> list[dict[str, Any]]:
    url = started(caller, path)
    ran(pipeline, url)
    return lines(caller, url)


def ids(resources: list[dict[str, Any]], type: str) -> set[str]:
    return {one["id"] for one in resources if one["resourceType"] == type}


def test_a_job_is_accepted_done_and_deleted(agency: Caller, pipeline: Pipeline) -> None:
    made = created(agency, patient())
    url = started(agency, "/fhir/$export?_type=Patient")
    waiting = agency.get(url)
    assert (waiting.status_code, waiting.headers["x-progress"]) == (202, "waiting")
    ran(pipeline, url)
    manifest = agency.get(url)
    assert manifest.json()["requiresAccessToken"] is True
    assert manifest.json()["request"].endswith("/fhir/$export?_type=Patient")
    assert manifest.headers["expires"].endswith("GMT")
    assert lines(agency, url) == [made]
    assert agency("DELETE", url).status_code == 202
    assert agency.get(url).status_code == 404
    assert agency.get(manifest.json()["output"][0]["url"]).status_code == 404


def test_numbers_keep_their_digits(agency: Caller, pipeline: Pipeline) -> None:
    raw = (
        '{"resourceType":"Observation","status":"final","code":{"text":"\\n"},'
        '"valueQuantity":{\n"value":72.50}}'
    )
    headers = {"content-type": "application/fhir+json"}
    assert agency("POST", "/fhir/Observation", content=raw, headers=headers).status_code == 201
    url = started(agency, "/fhir/$export?_type=Observation")
    ran(pipeline, url)
    file = agency.get(agency.get(url).json()["output"][0]["url"])
    assert "72.50" in file.text
    assert len(file.text.splitlines()) == 1


def test_it_holds_what_the_asker_may_see_and_as_it_may(
    clinic: Caller, agency: Caller, caller: Callable[..., Caller], pipeline: Pipeline
) -> None:
    shared, kept = created(clinic, patient()), created(clinic, patient())
    caller("pantry")
    referred(clinic, shared, "pantry")
    found = exported(caller("pantry"), pipeline, "/fhir/$export?_type=Patient,Task")
    assert shared["id"] in ids(found, "Patient")
    assert kept["id"] not in ids(found, "Patient")
    assert SSN not in str([one for one in found if one["id"] == shared["id"]])
    own = exported(clinic, pipeline, "/fhir/$export?_type=Patient")
    assert ids(own, "Patient") >= {shared["id"], kept["id"]}
    assert exported(agency, pipeline, "/fhir/$export?_type=Patient,Task") == []


def test_a_job_is_its_askers_alone(
    agency: Caller, clinic: Caller, admin: Caller, pipeline: Pipeline
) -> None:
    created(agency, patient())
    url = started(agency, "/fhir/$export?_type=Patient")
    ran(pipeline, url)
    file = agency.get(url).json()["output"][0]["url"]
    for other in (clinic, admin):
        assert other.get(url).status_code == 404
        assert other.get(file).status_code == 404
        assert other("DELETE", url).status_code == 404
    assert agency.get(file).status_code == 200
    for name in ("job.json", "..%2Fjob.json", "Patient-9.ndjson"):
        assert agency.get(f"{url}/{name}").status_code == 404


def test_patients_and_groups_narrow_it(agency: Caller, pipeline: Pipeline) -> None:
    one, two, other = (created(agency, patient()) for _ in range(3))
    seen = [created(agency, observation(who)) for who in (one, two, other)]
    loose = created(agency, {**observation(one), "subject": None} | {"subject": {"display": "x"}})
    nurse = created(agency, {"resourceType": "Practitioner"})
    whole = exported(agency, pipeline, "/fhir/Patient/$export?_type=Patient,Observation")
    assert ids(whole, "Patient") == {one["id"], two["id"], other["id"]}
    assert agency.get("/fhir/Patient/$export?_type=Location").status_code == 400
    both = {**observation(one), "focus": [{"reference": f"Patient/{two['id']}"}]}
    shared = created(agency, {**both, "performer": [{"reference": f"Patient/{two['id']}"}]})
    group = created(
        agency,
        {
            "resourceType": "Group",
            "type": "person",
            "actual": True,
            "member": [{"entity": {"reference": f"Patient/{who['id']}"}} for who in (one, two)],
        },
    )
    found = exported(agency, pipeline, f"/fhir/Group/{group['id']}/$export")
    assert ids(found, "Patient") == {one["id"], two["id"]}
    observed = [each["id"] for each in found if each["resourceType"] == "Observation"]
    assert sorted(observed) == sorted([seen[0]["id"], seen[1]["id"], shared["id"]])
    assert loose["id"] not in observed
    assert nurse["id"] not in ids(found, "Practitioner")


def test_a_group_that_isnt_seen_isnt_there(agency: Caller, clinic: Caller) -> None:
    group = created(clinic, {"resourceType": "Group", "type": "person", "actual": True})
    assert clinic.get(f"/fhir/Group/{group['id']}/$export").status_code == 202
    assert agency.get(f"/fhir/Group/{group['id']}/$export").status_code == 404


def test_since_and_filters_choose(agency: Caller, pipeline: Pipeline) -> None:
    who = created(agency, patient())
    final = created(agency, observation(who))
    created(agency, observation(who) | {"status": "preliminary"})
    path = "/fhir/$export?_type=Observation&_typeFilter=Observation%3Fstatus%3Dfinal"
    assert ids(exported(agency, pipeline, path), "Observation") == {final["id"]}
    texts = "_typeFilter=Observation%3Fcode:text%3D"
    path = f"/fhir/$export?_type=Observation&{texts}"
    text = created(agency, {**observation(who), "code": {"text": "Growth at home"}})
    assert ids(exported(agency, pipeline, f"{path}growth"), "Observation") == {text["id"]}
    late = "/fhir/$export?_type=Observation&_since=2999-01-01T00:00:00Z"
    assert exported(agency, pipeline, late) == []


@pytest.mark.parametrize(
    ("query", "place"),
    [
        ("_type=Bogus", "_type"),
        ("_outputFormat=csv", "_outputFormat"),
        ("_typeFilter=Observation%3Fbogus%3D1", "bogus"),
        ("_typeFilter=Observation%3Fstatus%3Dfinal&_type=Patient", "_typeFilter"),
        ("_since=never", "_since"),
        ("bogus=1", "bogus"),
    ],
)
def test_odd_kick_offs_are_refused(clinic: Caller, query: str, place: str) -> None:
    response = clinic.get(f"/fhir/$export?{query}")
    assert response.status_code == 400, response.text
    assert issue(response)["severity"] == "error"
    assert issue(response)["diagnostics"].partition(":")[0] == place


def test_scopes_narrow_it(caller: Callable[..., Caller], pipeline: Pipeline) -> None:
    created(caller("few"), patient())
    few = caller("few", scopes=("system/Patient.rs",))
    assert {one["resourceType"] for one in exported(few, pipeline, "/fhir/$export")} == {"Patient"}
    assert few.get("/fhir/$export?_type=Task").status_code == 403


def test_an_agency_has_only_so_many_jobs(agency: Caller) -> None:
    urls = [started(agency, "/fhir/$export?_type=Patient") for _ in range(MOST)]
    full = agency.get("/fhir/$export?_type=Patient")
    assert (full.status_code, issue(full)["code"]) == (429, "throttled")
    agency("DELETE", urls[0])
    started(agency, "/fhir/$export?_type=Patient")


def test_pages_and_files_are_cut_and_nothing_is_lost_or_twice(
    agency: Caller, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 3)
    monkeypatch.setattr(exporting, "LINES", 4)
    who = created(agency, patient())
    made = {created(agency, observation(who))["id"] for _ in range(10)}
    url = started(agency, "/fhir/$export?_type=Observation")
    ran(pipeline, url)
    counts = [one["count"] for one in agency.get(url).json()["output"]]
    assert counts == [4, 4, 2]
    assert sorted(one["id"] for one in lines(agency, url)) == sorted(made)


def test_a_deleted_job_stops(
    agency: Caller, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 1)
    who = created(agency, patient())
    for _ in range(3):
        created(agency, observation(who))
    url = started(agency, "/fhir/$export?_type=Observation")
    job = pipeline.operations.jobs.find(url.rpartition("/")[2])
    assert job is not None
    steps = pipeline.operations.export.run(job)
    next(steps)
    agency("DELETE", url)
    assert list(steps) == []
    assert not pipeline.operations.jobs.folder(job.id).exists()


def test_what_a_crash_cut_off_the_next_process_finishes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 2)
    settings = Settings(data_dir=tmp_path, reconcile_every=0.1)
    made, id = _cut_off(settings)
    hub = open_hub(settings.database)
    work = Work(settings)
    pipeline = Pipeline(hub, library(), settings, as_message, work)
    work.start(pipeline.drain, pipeline.behind, pipeline.close)
    try:
        end = time.monotonic() + 30
        while (job := pipeline.operations.jobs.find(id)) is None or job.status == "accepted":
            assert time.monotonic() < end, "it wasn't finished"
            time.sleep(0.02)
    finally:
        work.stop(5)
        hub.close()
    assert job.status == "completed"
    found = []
    for file in job.files:
        raw = (pipeline.operations.jobs.folder(id) / file.name).read_text()
        found += [json.loads(line)["id"] for line in raw.splitlines()]
    assert sorted(found) == sorted(made)


def _cut_off(settings: Settings) -> tuple[list[str], str]:
    """A hub with seven Patients, and an export of them that began and was left."""
    hub = open_hub(settings.database)
    pipeline = Pipeline(hub, library(), settings, as_message)
    pipeline.members.add("clinic", None, "Clinic")
    context = pipeline.authenticate(pipeline.members.add_key("clinic"))
    made = [str(uuid4()) for _ in range(7)]
    for id in made:
        stored = check({**patient(), "id": id})
        hub.write(lambda tx, stored=stored: tx.put(context, stored, interaction="create"))
    asked = exporting.Asked(types=("Patient",))
    job = pipeline.operations.export.start(context, asked, "http://gateway/fhir/$export")
    steps = pipeline.operations.export.run(job)
    next(steps)
    next(steps)
    steps.close()
    hub.close()
    return made, job.id


def test_files_are_deleted_when_their_time_is_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exporting, "PAGE", 2)
    settings = Settings(data_dir=tmp_path, bulk_keep=0.001)
    _, id = _cut_off(settings)
    hub = open_hub(settings.database)
    pipeline = Pipeline(hub, library(), settings, as_message)
    try:
        assert PREFIX + id in pipeline.behind()
        asyncio.run(pipeline.drain(PREFIX + id))
        assert PREFIX + id not in pipeline.behind()
        time.sleep(0.01)
        pipeline.behind()
        assert not pipeline.operations.jobs.folder(id).exists()
    finally:
        hub.close()


def test_the_download_is_streamed(agency: Caller, pipeline: Pipeline) -> None:
    created(agency, patient())
    url = started(agency, "/fhir/$export?_type=Patient")
    ran(pipeline, url)
    response: httpx.Response = agency.get(agency.get(url).json()["output"][0]["url"])
    assert response.headers["cache-control"] == "no-store"
    assert int(response.headers["content-length"]) == len(response.content)


def test_a_job_that_cant_be_done_says_why(
    agency: Caller, pipeline: Pipeline, caller: Callable[..., Caller]
) -> None:
    url = started(agency, "/fhir/$export?_type=Patient")
    jobs = pipeline.operations.jobs
    job = jobs.find(url.rpartition("/")[2])
    assert job is not None
    jobs.save(replace(job, asked={**job.asked, "filters": {"Patient": "bogus=1"}}))
    ran(pipeline, url)
    response = agency.get(url)
    assert response.status_code == 500
    assert "not a search parameter" in issue(response)["diagnostics"]
