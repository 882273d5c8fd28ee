from __future__ import annotations

import asyncio
import json
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from gateway.operations import importing
from gateway.operations.jobs import PREFIX, Jobs
from gateway.pipeline import Pipeline
from tests.api.calls import Caller, issue
from tests.api.operations.referrals import created, observation, patient

NDJSON = "application/fhir+ndjson"


def sent(caller: Caller, *lines: Any, media: str = NDJSON) -> httpx.Response:
    raw = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    body = "\n".join(raw) + "\n" if raw else ""
    return caller("POST", "/fhir/$import", content=body, headers={"content-type": media})


def imported(caller: Caller, pipeline: Pipeline, *lines: Any) -> tuple[dict[str, int], list[str]]:
    """How many of each type were written, and what was said of the other lines."""
    response = sent(caller, *lines)
    assert response.status_code == 202, response.text
    url = response.headers["content-location"]
    asyncio.run(pipeline.drain(PREFIX + url.rpartition("/")[2]))
    return manifest(caller, url)


def manifest(caller: Caller, url: str) -> tuple[dict[str, int], list[str]]:
    done = caller.get(url)
    assert done.status_code == 200, done.text
    told = []
    for one in done.json()["error"]:
        lines = [json.loads(line) for line in caller.get(one["url"]).text.splitlines()]
        assert len(lines) == one["count"]
        told += [line["issue"][0]["diagnostics"] for line in lines]
    written: dict[str, int] = done.json()["extension"]["written"]
    return written, told


def named(resource: dict[str, Any]) -> dict[str, Any]:
    return {**resource, "id": str(uuid4())}


def test_lines_are_written_whatever_their_order(clinic: Caller, pipeline: Pipeline) -> None:
    who = named(patient())
    weight = named(observation(who))
    assert imported(clinic, pipeline, weight, who) == ({"Observation": 1, "Patient": 1}, [])
    assert clinic.get(f"/fhir/Patient/{who['id']}").json()["name"] == who["name"]
    assert clinic.get(f"/fhir/Observation/{weight['id']}").status_code == 200


def test_bad_lines_are_told_of_and_leave_the_others(clinic: Caller, pipeline: Pipeline) -> None:
    who = named(patient())
    lost = named(observation({"id": "nobody"}))
    bad = {"resourceType": "Patient", "gender": "x"}
    written, told = imported(clinic, pipeline, "{", bad, who, "", lost)
    assert written == {"Patient": 1}
    assert [re.findall(r"line \d+: ", line)[-1] for line in told] == [
        "line 1: ",
        "line 2: ",
        "line 5: ",
    ]


def test_references_across_batches_wait_for_another_round(
    clinic: Caller, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 2)
    who = named(patient())
    seen = [named(observation(who)) for _ in range(5)]
    member = {
        **named(observation(who)),
        "hasMember": [{"reference": f"Observation/{seen[4]['id']}"}],
    }
    assert imported(clinic, pipeline, member, *seen, who) == ({"Observation": 6, "Patient": 1}, [])


def test_the_same_lines_again_make_no_new_versions(clinic: Caller, pipeline: Pipeline) -> None:
    who = named(patient())
    imported(clinic, pipeline, who)
    imported(clinic, pipeline, who)
    assert clinic.get(f"/fhir/Patient/{who['id']}").json()["meta"]["versionId"] == "1"


def test_a_batch_that_a_crash_repeats_writes_nothing_twice(
    clinic: Caller, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importing, "BATCH", 1)
    family = uuid4().hex
    lines = [{"resourceType": "Patient", "name": [{"family": family}]} for _ in range(3)]
    url = sent(clinic, lines[0], "{", *lines[1:]).headers["content-location"]
    job = pipeline.operations.jobs.find(url.rpartition("/")[2])
    assert job is not None
    steps = pipeline.operations.import_.run(job)
    next(steps)
    next(steps)
    steps.close()
    pipeline.operations.jobs.save(job)  # what the second batch left was never noted
    asyncio.run(pipeline.drain(PREFIX + job.id))
    written, told = manifest(clinic, url)
    assert (written, len(told)) == ({"Patient": 3}, 1)
    found = clinic.get(f"/fhir/Patient?family={family}&_total=accurate").json()
    assert found["total"] == 3


def test_anothers_resource_stays_as_it_is(
    clinic: Caller, pantry: Caller, pipeline: Pipeline
) -> None:
    theirs = created(clinic, patient())
    stolen = {**patient(), "id": theirs["id"]}
    written, told = imported(pantry, pipeline, stolen)
    assert (written, len(told)) == ({}, 1)
    assert clinic.get(f"/fhir/Patient/{theirs['id']}").json() == theirs


def test_scopes_bound_the_lines(caller: Callable[..., Caller], pipeline: Pipeline) -> None:
    few = caller("clinic", scopes=("system/Patient.cruds",))
    written, told = imported(few, pipeline, patient(), {"resourceType": "Practitioner"})
    assert (written, len(told)) == ({"Patient": 1}, 1)
    assert "line 2" in told[0]


def test_too_long_a_line_is_told_of(clinic: Caller, pipeline: Pipeline) -> None:
    long = {**patient(), "name": [{"family": "x" * 250_000}]}
    who = named(patient())
    written, told = imported(clinic, pipeline, long, who)
    assert written == {"Patient": 1}
    assert told == ["line 1: the line is too long"]


def test_what_isnt_lines_is_refused(clinic: Caller, admin: Caller) -> None:
    assert sent(clinic, patient(), media="application/fhir+json").status_code == 415
    urls = {"inputFormat": NDJSON, "input": [{"type": "Patient", "url": "http://10.0.0.1/x"}]}
    refused = sent(clinic, urls, media="application/json")
    assert (refused.status_code, issue(refused)["code"]) == (415, "not-supported")
    assert sent(clinic).status_code == 400
    assert sent(admin, patient()).status_code == 403
    assert clinic.get("/fhir/$import").status_code in (404, 405)


def test_what_a_crash_left_of_a_body_is_swept(tmp_path: Path) -> None:
    jobs = Jobs(tmp_path, 0.001, lambda key: None)
    left = jobs.incoming()
    left.write_bytes(b"{")
    time.sleep(0.01)
    assert jobs.undone() == []
    assert not left.exists()


def test_a_jobs_kind_is_part_of_its_name(clinic: Caller, pipeline: Pipeline) -> None:
    url = sent(clinic, patient()).headers["content-location"]
    assert clinic.get(url.replace("/import/", "/export/")).status_code == 404
    assert clinic.get(url).status_code == 202
    assert clinic("DELETE", url).status_code == 202
