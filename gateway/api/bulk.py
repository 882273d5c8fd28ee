"""What follows a bulk kick-off: its status, its files, and its end (FHIR R4 async.html, 3.1.7).

A job is its asker's alone: to anybody else it isn't there.
"""

from __future__ import annotations

from email.utils import format_datetime
from typing import Any, Final

from starlette.responses import FileResponse, Response

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.examples import ID
from gateway.api.requests import FHIR
from gateway.errors import StoreError
from gateway.fhir.meta import instant
from gateway.fhir.outcome import noted
from gateway.operations.jobs import File, Job, Kind
from gateway.protect.policy import Policy

NDJSON: Final = "application/fhir+ndjson"
_JSON: Final = "application/json"
_SOON: Final = "1"
_KINDS: Final[tuple[Kind, ...]] = ("export", "import")

STARTED: Final = {"Accepted": noted("Accepted")}
_FOLDER: Final = ID.replace("-", "")
_MANIFEST: Final[dict[str, Any]] = {
    "transactionTime": "2026-03-02T15:04:05.123Z",
    "request": "http://127.0.0.1:8080/fhir/$export?_type=Task",
    "requiresAccessToken": True,
    "output": [
        {
            "type": "Task",
            "url": f"http://127.0.0.1:8080/bulk/export/{_FOLDER}/Task-1.ndjson",
            "count": 3,
        }
    ],
    "error": [],
}


class Failed(StoreError):
    """A job that couldn't be done: 500, with its reason."""


def started(call: Call, job: Job) -> Response:
    """A job was begun: where to ask after it."""
    headers = {"content-location": _url(call, job)}
    return Response(answers.as_json(STARTED["Accepted"]), 202, headers, FHIR)


def under_way(job: Job) -> Response:
    """How far a job is, and when to ask again."""
    headers = {"x-progress": job.progress or "waiting", "retry-after": _SOON}
    return Response(b"", 202, headers)


async def status(call: Call) -> Response:
    """202 while a job runs, its manifest once it is done, its reason where it failed."""
    job = await call.read(lambda: _job(call))
    if job.status == "accepted":
        return under_way(job)
    if job.status == "failed":
        raise Failed(job.reason, place="job")
    expires = call.api.pipeline.operations.jobs.expires(job)
    headers = {"expires": format_datetime(expires, usegmt=True)} if expires else {}
    return Response(answers.as_json(_manifest(call, job)), 200, headers, _JSON)


async def file(call: Call) -> Response:
    """One of a job's files."""
    path = await call.read(
        lambda: call.api.pipeline.operations.jobs.file(_job(call), call.path("file"))
    )
    return FileResponse(path, media_type=NDJSON)


async def delete(call: Call) -> Response:
    """Cancel a job, or let go of its files before their time."""
    await call.read(lambda: call.api.pipeline.operations.jobs.delete(_job(call)))
    return Response(answers.as_json(STARTED["Accepted"]), 202, {}, FHIR)


def _job(call: Call) -> Job:
    kind: Kind = "import" if call.request.url.path.startswith("/bulk/import/") else "export"
    return call.api.pipeline.operations.jobs.get(call.context, call.path("job_id"), kind)


def _url(call: Call, job: Job) -> str:
    return f"{call.request.base_url}bulk/{job.kind}/{job.id}"


def _manifest(call: Call, job: Job) -> dict[str, Any]:
    def listed(files: tuple[File, ...]) -> list[dict[str, Any]]:
        where = _url(call, job)
        return [
            {"type": one.type, "url": f"{where}/{one.name}", "count": one.count} for one in files
        ]

    return {
        "transactionTime": instant(job.started),
        "request": job.request,
        "requiresAccessToken": True,
        "output": listed(job.files),
        "error": listed(job.errors),
    } | ({"extension": {"written": job.asked["counts"]}} if job.kind == "import" else {})


def _rows(kind: Kind) -> tuple[Endpoint, ...]:
    path, named = f"/bulk/{kind}/{{job_id}}", f"the {kind}"
    return (
        Endpoint(
            f"{kind}_status",
            "GET",
            path,
            Policy.MEMBER,
            status,
            Docs(
                "Bulk",
                f"How far {named} is",
                "202 with `X-Progress` while it runs, then 200 with the manifest.",
                parameters=("job_id",),
                response={_JSON: {"Done": _MANIFEST}},
                also={202: "Not done yet"},
                errors=(404,),
            ),
        ),
        Endpoint(
            f"{kind}_delete",
            "DELETE",
            path,
            Policy.MEMBER,
            delete,
            Docs(
                "Bulk",
                f"Cancel {named}, or delete its files",
                parameters=("job_id",),
                status=202,
                response={FHIR: STARTED},
                errors=(404,),
            ),
        ),
        Endpoint(
            f"{kind}_file",
            "GET",
            f"{path}/{{file}}",
            Policy.MEMBER,
            file,
            Docs(
                "Bulk",
                f"A file of {named}",
                "A resource a line.",
                parameters=("job_id", "file"),
                response={NDJSON: {"A file": '{"resourceType":"Task"}\n'}},
                errors=(404,),
            ),
        ),
    )


BULK: Final = tuple(row for kind in _KINDS for row in _rows(kind))
