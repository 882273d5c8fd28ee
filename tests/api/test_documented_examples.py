"""Each request that the specification gives as an example is sent to a running demo, and works.

Every example has a referral of its own behind it: the documented ids and identifiers are replaced
by fresh ones, and what the example speaks of is put there first, by documented requests too.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import signal
import subprocess
import time
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import httpx
import pytest

from gateway import app
from gateway.api import examples
from gateway.api.requests import FHIR
from gateway.settings import shipped
from tests.api.terms import TERMS
from tests.process import ROOT, SERVE

Json = dict[str, Any]

SPECIFICATION: Json = json.loads(app.openapi())
PERFORMERS = {"update", "patch", "conditional_update", "conditional_patch"}
REFUSED = {
    ("update", "If-None-Match"): 412,  # there is one already
    ("conditional_update", "If-None-Match"): 412,
    ("hook", ""): 401,  # no example bears a signature of today
    ("admin_messages", "task"): 400,  # it isn't asked for with what else a message may be
    ("admin_subscriber_resume", ""): 409,  # nobody is in error
    ("purge_instance_Patient_post", ""): 409,  # the person's referral is in hand
    ("purge_instance_Patient_post", "_format"): 409,
}
"""What is there to be refused."""


class Example(NamedTuple):
    """One request; ``parameters`` are (where, name, value), ``body`` is of the type ``media``."""

    operation: str
    method: str
    path: str
    parameters: tuple[tuple[str, str, Any], ...]
    media: str = ""
    body: Any = None
    alone: str = ""

    def __str__(self) -> str:
        return f"{self.operation} {self.alone or self.media}"


def every_example() -> list[Example]:
    return [
        one
        for path, item in SPECIFICATION["paths"].items()
        for method, operation in item.items()
        for one in of_operation(path, method.upper(), operation)
    ]


def of_operation(path: str, method: str, operation: Json) -> Iterator[Example]:
    """With each of its bodies, and then with each of its further parameters alone."""
    needed, further = [], []
    for given in operation.get("parameters", ()):
        one = resolved(given)
        if "example" not in one:
            continue
        triple = (one["in"], one["name"], one["example"])
        inline = "$ref" not in given or one["name"] == "search"
        (needed if one.get("required") or inline else further).append(triple)
    name = operation["operationId"]
    bodies = [
        (media, example["value"])
        for media, content in operation.get("requestBody", {}).get("content", {}).items()
        for example in content["examples"].values()
    ] or [("", None)]
    for media, body in bodies:
        yield Example(name, method, path, tuple(needed), media, body)
    for triple in further:
        yield Example(name, method, path, (*needed, triple), *bodies[0], alone=triple[1])


def resolved(given: Json) -> Json:
    if "$ref" not in given:
        return given
    found: Json = SPECIFICATION["components"]["parameters"][given["$ref"].rpartition("/")[2]]
    return found


class Demo:
    """A demo that runs, its agencies' keys, and a keeper's."""

    def __init__(self, folder: Path) -> None:
        environment = {k: v for k, v in os.environ.items() if not k.startswith("GATEWAY_")}
        environment |= {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1", "TMPDIR": str(folder)}
        self.process = subprocess.Popen(
            [*SERVE[:3], "demo"],
            env=environment | {"GATEWAY_PORT": "0", "GATEWAY_MLLP_PORT": "0", "COLUMNS": "300"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        told = self._until("loops closed.")
        self.root = re.search(r"(http://127\.0\.0\.1:\d+)/fhir", told)[1]  # type: ignore[index]
        self.keys = dict(re.findall(r"key of (\S+)\s+(cg_\w+)", told))
        (data,) = folder.glob("cedar-county-*")
        self.keys["admin"] = subprocess.run(
            [*SERVE[:3], "key", "create", "--admin"],
            env=environment | {"GATEWAY_DATA_DIR": str(data)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.split()[-1]
        self.started: list[httpx.Response] = []
        self.client = httpx.Client(base_url=self.root, trust_env=False, timeout=30)

    def _until(self, text: str) -> str:
        assert self.process.stdout is not None
        told = ""
        for line in self.process.stdout:
            told += line
            if text in told:
                return told
        raise AssertionError(told)

    def send(self, one: Example, agency: str) -> httpx.Response:
        path, query, headers = one.path, [], {"authorization": f"Bearer {self.keys[agency]}"}
        for where, name, value in one.parameters:
            if where == "path":
                path = path.replace(f"{{{name}}}", str(value))
            elif where == "header":
                headers[name] = value
            elif isinstance(value, dict):
                query += [(key, str(each)) for key, each in value.items()]
            else:
                query += [
                    (name, text(each)) for each in (value if isinstance(value, list) else [value])
                ]
        content = (
            one.body if isinstance(one.body, str) or one.body is None else json.dumps(one.body)
        )
        if one.media:
            headers["content-type"] = one.media
        return self.client.request(one.method, path, params=query, headers=headers, content=content)

    def forget(self, answer: httpx.Response) -> None:
        """End a job that an example started: an agency may have but a few."""
        if "content-location" in answer.headers:
            headers = {"authorization": f"Bearer {self.keys['cedar-general']}"}
            self.client.delete(answer.headers["content-location"], headers=headers)

    def put(self, agency: str, resource: Json) -> None:
        where = f"/fhir/{resource['resourceType']}/{resource['id']}"
        headers = {"authorization": f"Bearer {self.keys[agency]}", "content-type": FHIR}
        made = self.client.put(where, json=resource, headers=headers)
        assert made.status_code == 201, made.text


def text(value: Any) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Demo]:
    running = Demo(tmp_path_factory.mktemp("demo"))
    yield running
    running.client.close()
    running.process.send_signal(signal.SIGINT)
    with contextlib.suppress(ValueError):
        running.process.communicate(timeout=30)


def fresh(value: Any, id: str) -> Any:
    """The same with ids and identifiers of its own."""
    changed = json.dumps(value).replace(examples.ID, id)
    return json.loads(re.sub(r"(MRN|R)-1001", rf"\1-{id[:8]}", changed))


def prepare(demo: Demo, one: Example, id: str) -> None:
    """What the example speaks of: the documented referral."""
    made = [examples.stored(each) for each in (examples.PATIENT, examples.SERVICE_REQUEST)]
    task = examples.stored(examples.TASK)
    if one.method == "DELETE":  # what was sent to another agency isn't deleted
        task = task | {"status": "draft"}
        del task["owner"]
    if not one.path or one.path.startswith("/fhir/Subscription"):
        made.append(examples.BOUND | {"id": examples.ID})
    if not one.path or one.path.startswith("/fhir/HealthcareService"):
        made.append({"resourceType": "HealthcareService", "id": examples.ID, "active": True})
    if not one.path or one.path.startswith("/fhir/Group"):
        member = {"entity": {"reference": f"Patient/{examples.ID}"}}
        group = {"resourceType": "Group", "id": examples.ID, "type": "person", "actual": True}
        made.append(group | {"member": [member]})
    terms = [each for each in TERMS if not one.path or one.path.startswith(f"/fhir/{kind(each)}/")]
    made += [{**each, "id": examples.ID} for each in terms]
    for resource in (*made, task):
        demo.put("cedar-general", fresh(without_meta(resource), id))


def kind(resource: Json) -> str:
    return str(resource["resourceType"])


def without_meta(resource: Json) -> Json:
    return {key: value for key, value in resource.items() if key != "meta"}


@pytest.mark.timeout(240)
def test_every_documented_example_works_against_the_demo(demo: Demo) -> None:
    wrong, sent = [], 0
    to_read = str(uuid.uuid4())
    prepare(demo, Example("", "GET", "", ()), to_read)
    for given in every_example():
        id = to_read if given.method == "GET" else str(uuid.uuid4())
        if given.method != "GET":
            prepare(demo, given, id)
        parameters, body = fresh([given.parameters, given.body], id)
        one = given._replace(parameters=fitting(given, parameters, demo), body=body)
        answer = demo.send(one, agency(one))
        sent += 1
        for each in (answer, *demo.started):
            demo.forget(each)
        demo.started.clear()
        documented = SPECIFICATION["paths"][one.path][one.method.lower()]["responses"]
        good = {int(each) for each in documented if int(each) < 400}
        if answer.status_code not in {REFUSED.get((one.operation, one.alone)), *good}:
            wrong.append(f"{one}: {answer.status_code} {answer.text[:300]}")
    print("\n".join(wrong))
    print(f"{sent} examples of {len(SPECIFICATION['paths'])} paths sent")
    assert wrong == []


def agency(one: Example) -> str:
    if one.path.startswith(("/admin", "/metrics")) or one.operation.startswith("reindex"):
        return "admin"
    return "food-bank" if one.operation in PERFORMERS else "cedar-general"


def fitting(one: Example, parameters: list[Any], demo: Demo) -> tuple[Any, ...]:
    """The type in the path is the body's; a message or a job is one that there is."""
    own = {}
    if isinstance(one.body, dict) and one.body.get("resourceType", "Parameters") != "Parameters":
        own["resource_type"] = one.body["resourceType"]
    if "{message_id}" in one.path:
        own["message_id"] = failed_message(demo)
    if "{job_id}" in one.path:
        own |= job(demo, one)
    if "{load_id}" in one.path or "{row_id}" in one.path:
        own |= set_aside(demo)
    if "{delivery_id}" in one.path:
        own["delivery_id"] = oldest(demo, "deliveries")
    if "{subscriber_id}" in one.path:
        own["subscriber_id"] = oldest(demo, "subscribers")
    if one.operation == "maps_explain":
        own["path"] = f"{admitted(demo)}.name.family"
    if one.media == "application/hl7-v2":  # of which feed's rows is said of rows alone
        parameters = [each for each in parameters if each[1] not in ("feed", "file")]
    return tuple((where, name, own.get(name, value)) for where, name, value in parameters)


def oldest(demo: Demo, what: str) -> str:
    """The oldest of what the keeper lists: it is over and done with."""
    headers = {"authorization": f"Bearer {demo.keys['admin']}"}
    return str(demo.client.get(f"/admin/{what}", headers=headers).json()[what][-1]["id"])


def set_aside(demo: Demo) -> dict[str, str]:
    """A load of which a row was set aside, and that row."""
    headers = {"authorization": f"Bearer {demo.keys['cedar-general']}", "content-type": "text/csv"}
    rows = f"PersonalID,EnrollmentID,ProjectID\n{uuid.uuid4()},{uuid.uuid4()}\n"
    path = "/intake/csv/hmis?file=Enrollment.csv"
    told = demo.client.post(path, content=rows, headers=headers).json()
    (aside,) = told["aside"]
    return {"load_id": told["load"], "row_id": aside["id"], "file": "Enrollment.csv"}


def admitted(demo: Demo) -> str:
    """A Patient that a message told of."""
    home = shipped("mappings") / "agencies" / "cedar-general"
    headers = {"authorization": f"Bearer {demo.keys['cedar-general']}"}
    raw, kind = (home / "admit.hl7").read_bytes(), {"content-type": "application/hl7-v2"}
    assert demo.client.post("/intake/hl7v2", content=raw, headers=headers | kind).is_success
    made = json.loads((home / "admit.expected.json").read_bytes())
    return next(f"Patient/{one['id']}" for one in made if one["resourceType"] == "Patient")


def failed_message(demo: Demo) -> str:
    bad = f"MSH|^~\\&|EHR|CEDARGEN|GATEWAY|HUB|20260302150405||ZZZ^Z99|{uuid.uuid4()}|P|2.5.1\r"
    headers = {"authorization": f"Bearer {demo.keys['cedar-general']}"}
    kind = {"content-type": "application/hl7-v2"}
    refused = demo.client.post("/intake/hl7v2", content=bad, headers=headers | kind)
    assert refused.status_code >= 400
    kept = demo.client.get("/intake/messages", params={"status": "failed"}, headers=headers).json()
    return str(kept["messages"][0]["id"])


def job(demo: Demo, one: Example) -> dict[str, str]:
    """A job of the kind that the path names, done but where it is to be stopped."""
    headers = {"authorization": f"Bearer {demo.keys['cedar-general']}"}
    if "/export/" in one.path:
        started = demo.client.get("/fhir/$export", headers=headers | {"prefer": "respond-async"})
    elif one.path.startswith("/intake/"):
        rows, kind = "UserID\nu1\n", {"content-type": "text/csv", "prefer": "respond-async"}
        path = "/intake/csv/hmis?file=User.csv"
        started = demo.client.post(path, content=rows, headers=headers | kind)
    else:
        line = json.dumps({"resourceType": "Patient", "id": "broken", "gender": "nonsense"})
        kind = {"content-type": "application/fhir+ndjson", "prefer": "respond-async"}
        started = demo.client.post("/fhir/$import", content=line, headers=headers | kind)
    assert started.status_code == 202, started.text
    where = started.headers["content-location"]
    found = {"job_id": where.rpartition("/")[2]}
    demo.started.append(started)
    until = time.monotonic() + 30
    while (
        one.method == "GET"
        and (answer := demo.client.get(where, headers=headers)).status_code == 202
    ):
        assert time.monotonic() < until
        time.sleep(0.05)
    if "{file}" in one.path:
        manifest = answer.json()
        files = [*manifest.get("output", ()), *manifest.get("error", ())]
        found["file"] = files[0]["url"].rpartition("/")[2]
    return found
