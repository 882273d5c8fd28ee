"""Rows and JSON records over HTTP: files in, a summary out, and what was set aside of them.

200 where anything went in, or all was known; 422 where nothing did. The answer comes once all that
went in is on disk. A load that is cut off is sent again: what went in then is known.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response

from gateway.api import answers
from gateway.api.bulk import under_way
from gateway.api.endpoint import PLACE, Call, Docs, Endpoint, parameter
from gateway.api.examples import ID
from gateway.api.refusals import RequestError, WrongMedia
from gateway.api.requests import FHIR, media_type, prefers
from gateway.api.upload import FORM, received
from gateway.errors import Issue, NotFound, Unauthenticated
from gateway.fhir.outcome import outcome
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.operations.jobs import Job
from gateway.protect import scopes
from gateway.protect.policy import Policy
from gateway.protect.signatures import is_signed
from gateway.rows import Came

CSV: Final = "text/csv"
ZIP: Final = "application/zip"
JSON: Final = "application/json"
NDJSON: Final = "application/x-ndjson"
_OCTETS: Final = "application/octet-stream"
_CSV_TYPES: Final = frozenset({"", CSV, "text/plain", _OCTETS, ZIP, FORM})
_JSON_TYPES: Final = frozenset({"", JSON, NDJSON, "application/ndjson", _OCTETS, ZIP, FORM})
_TYPES: Final = {"csv": _CSV_TYPES, "json": _JSON_TYPES}


async def intake_rows(call: Call) -> Response:
    """Load the files of the body into a feed of the agency whose key this is."""
    kind = call.request.url.path.split("/")[2]
    if media_type(call.request) not in _TYPES[kind]:
        wanted = ", ".join(sorted(each for each in _TYPES[kind] if each))
        raise WrongMedia(f"files come as one of {wanted}", place="Content-Type")
    scopes.require(call.context, scopes.ANY, "c")
    loading, feed = call.api.pipeline.loading, call.path("feed")
    behind = prefers(call.request, "respond-async")
    rows = loading.rows(call.context.agency, feed)
    if rows.feed.layout.kind != kind:
        raise NotFound(f"'{rows.feed.name}' is a feed of {rows.feed.layout.kind}", place="feed")
    spool = loading.spool()
    try:
        limit = call.api.settings.import_limit
        files = await received(call.request, spool, limit, f"{feed}.{kind}")
        if behind:
            answer = await _behind(call, feed, files)
            loading.forget(spool)
            return answer
    except BaseException:
        loading.forget(spool)
        raise
    started = loading.start(call.context, feed, files, channel="http", spool=spool)
    tally = await asyncio.wrap_future(started)
    return summary(call, tally)


def summary(call: Call, tally: Tally) -> Response:
    """What became of a load."""
    return _summed(call, tally.summary(), took=tally.took)


def _summed(call: Call, told: dict[str, Any], *, took: bool) -> Response:
    base = f"{call.request.base_url}intake/loads/{told['load']}"
    for file in told["files"]:
        if file["mendable"]:
            file["mend"] = f"{base}/aside/{quote(file['file'])}"
    return Response(answers.as_json(told), 200 if took else 422, media_type=JSON)


async def _behind(call: Call, feed: str, files: Sequence[Came]) -> Response:
    """A load is begun: where to ask after it."""
    pipeline, context = call.api.pipeline, call.context
    url = str(call.request.url)
    job = await call.read(lambda: pipeline.loads_behind.start(context, feed, files, url))
    headers = {
        "content-location": f"{call.request.base_url}intake/jobs/{job.id}",
        "preference-applied": "respond-async",
    }
    told = {"job": job.id, "status": job.status}
    return Response(answers.as_json(told), 202, headers, JSON)


async def job(call: Call) -> Response:
    """202 while a load is under way, then what it would have been answered."""
    found = await call.read(lambda: _job(call))
    if found.status == "accepted":
        return under_way(found)
    if found.status == "failed":
        return _failed(found)
    return _summed(call, found.asked["summary"], took=found.asked["took"])


async def job_drop(call: Call) -> Response:
    """End a load that is under way, or forget what it came to."""
    await call.read(lambda: call.api.pipeline.operations.jobs.delete(_job(call)))
    return Response(b"", 204)


def _failed(job: Job) -> Response:
    """Why nothing could be loaded at all, as its answer would have said it."""
    told = [Issue(*one) for one in job.asked.get("issues", ())] or [Issue(job.reason)]
    return Response(answers.as_json(outcome(told)), job.asked.get("status", 500), {}, FHIR)


def _job(call: Call) -> Job:
    return call.api.pipeline.operations.jobs.get(call.context, call.path("job_id"), "load")


async def load(call: Call) -> Response:
    """A load's summary."""
    found = await call.read(
        lambda: call.api.pipeline.loading.told(call.context, call.path("load_id"))
    )
    if not found.summary:
        begun = {"load": found.id, "feed": found.feed, "status": "under way, or cut off"}
        return Response(answers.as_json(begun), 200, media_type=JSON)
    return Response(found.summary, 200, media_type=JSON)


async def webhook(call: Call) -> Response:
    """Load the records of a body that is signed by who sends it."""
    loading, request = call.api.pipeline.loading, call.request
    agency, feed = call.path("agency"), call.path("feed")
    raw = await call.body()
    secret = call.api.settings.feed_secrets.get(f"{agency}/{feed}")
    try:
        signed = loading.rows(agency, feed).feed.layout.signed
    except NotFound:
        signed = None
    told = secret.get_secret_value() if secret is not None else ""
    if signed is None or not is_signed(signed, told, raw, request.headers):
        raise Unauthenticated("a webhook is signed as its feed says", place="signature")
    if not raw:
        raise RequestError("the body is empty", place="body")
    request.scope[PLACE] = call.api.limits.enter(agency)
    spool = loading.spool()
    path = spool / "body"
    path.write_bytes(raw)
    context = Context(agency, "webhook")
    came = [Came(f"{feed}.json", path)]
    started = loading.start(context, feed, came, channel="webhook", spool=spool)
    return summary(call, await asyncio.wrap_future(started))


_FEED: Final = parameter("feed", "A feed of the agency's", "hmis", "path")
_JSON_FEED: Final = parameter("feed", "A feed of the agency's", "hsds-json", "path")
_FILE_NAME: Final = parameter("file", "What the file is called", "Client.csv")
LOAD: Final = parameter("load_id", "The load's id", ID, "path")
_COUNTS: Final = {"new": 499, "changed": 0, "unchanged": 0, "older": 0, "deleted": 0, "aside": 1}
SUMMARY: Final = {
    "load": ID,
    "agency": "harbor-shelter",
    "feed": "hmis",
    "files": [
        {"file": "Client.csv", "map": "Client", "rows": 500, **_COUNTS}
        | {"mendable": 1, "mend": f"http://127.0.0.1:8080/intake/loads/{ID}/aside/Client.csv"}
    ],
    "ignored": ["README.txt"],
    "resources": {"Patient": {"created": 499, "updated": 0, "deleted": 0, "unchanged": 0}},
    "aside": [
        {"id": ID, "file": "Client.csv", "row": 12, "column": "PersonalID"}
        | {"reason": "nothing says which row this is", "kept": True}
    ],
    "warnings": [],
}
_ROWS_CSV: Final = "PersonalID,FirstName\n1,Ada\n"
RECORD: Final = '{"id": "1", "name": "County Food Bank"}'
_ALSO: Final = {202: "Begun; `Content-Location` says where to ask", 422: "Nothing went in"}
_ABOUT: Final = (
    "Each row or record goes in by itself, or is set aside with file, row, column and reason, and "
    "can be mended and sent back. What is known already changes nothing, and an older row never "
    "overwrites a newer. The answer comes once all is on disk, with counts by file and by resource "
    "type: 200, or 422 where nothing went in. With `Prefer: respond-async` it comes once the files "
    "are on disk: 202, and `Content-Location` says where the summary will be. "
)


def _rows_in(
    kind: str, what: str, about: str, feed: dict[str, Any], request: dict[str, Any], shown: str
) -> Endpoint:
    """A row that takes files of a kind; ``shown`` names the example of an answer."""
    return Endpoint(
        f"intake_{kind}",
        "POST",
        f"/intake/{kind}/{{feed}}",
        Policy.AGENCY,
        intake_rows,
        Docs(
            "Intake",
            what,
            _ABOUT + about,
            own=(feed, _FILE_NAME),
            request=request,
            response={JSON: {shown: SUMMARY}},
            also=_ALSO,
            errors=(404, 408, 413, 415),
        ),
    )


LOADS: Final = (
    _rows_in(
        "csv",
        "Rows of CSV files in",
        "A file (named by `file` or Content-Disposition), several as a form, or a zip.",
        _FEED,
        {CSV: {"A file": _ROWS_CSV}},
        "One row set aside",
    ),
    _rows_in(
        "json",
        "JSON records in",
        "An object, an array of them, or one a line.",
        _JSON_FEED,
        {JSON: {"A record": RECORD}, NDJSON: {"A line": RECORD}},
        "One set aside",
    ),
    Endpoint(
        "intake_job",
        "GET",
        "/intake/jobs/{job_id}",
        Policy.AGENCY,
        job,
        Docs(
            "Intake",
            "How far a load is that was begun with `Prefer: respond-async`",
            "202 with `X-Progress` while it is under way, then the summary, as it would have been "
            "answered: 200, or 422 where nothing went in. A restart begins a load again that it "
            "cut off: rows that were in by then are told of as unchanged.",
            parameters=("job_id",),
            response={JSON: {"Done": SUMMARY}},
            also={202: "Not done yet", 422: "Nothing went in"},
            errors=(404,),
        ),
    ),
    Endpoint(
        "intake_job_drop",
        "DELETE",
        "/intake/jobs/{job_id}",
        Policy.AGENCY,
        job_drop,
        Docs(
            "Intake",
            "End a load, or forget what it came to",
            "What went in stays.",
            parameters=("job_id",),
            status=204,
            errors=(404,),
        ),
    ),
    Endpoint(
        "hook",
        "POST",
        "/hooks/{agency}/{feed}",
        Policy.PUBLIC,
        webhook,
        Docs(
            "Intake",
            "JSON records of a webhook",
            "As `/intake/json/{feed}`, without a key: the body is signed as the feed says, by "
            "Standard Webhooks or an HMAC in a header.",
            own=(parameter("agency", "Who sends", "st-brigid", "path"), _JSON_FEED),
            request={JSON: {"A record": RECORD}},
            response={JSON: {"In": SUMMARY}},
            also={422: "Nothing went in"},
            errors=(401, 408, 413, 503),
        ),
        None,
    ),
    Endpoint(
        "intake_load",
        "GET",
        "/intake/loads/{load_id}",
        Policy.MEMBER,
        load,
        Docs(
            "Intake",
            "A load's summary",
            own=(LOAD,),
            response={JSON: {"Done": SUMMARY}},
            errors=(404,),
        ),
    ),
)
