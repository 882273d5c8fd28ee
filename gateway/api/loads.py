"""Rows and JSON records over HTTP: files in, a summary out, and what was set aside of them.

200 where anything went in, or all was known; 422 where nothing did. The answer comes once all that
went in is on disk. A load that is cut off is sent again: what went in then is known.
"""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.examples import ID
from gateway.api.refusals import RequestError, WrongMedia
from gateway.api.requests import media_type
from gateway.api.upload import FORM, received
from gateway.errors import NotFound, Unauthenticated
from gateway.fhir.meta import instant
from gateway.loading.tally import Tally
from gateway.model import Context
from gateway.protect import scopes
from gateway.protect.policy import Policy
from gateway.protect.signatures import is_signed
from gateway.rows import Came
from gateway.store import Aside
from gateway.store.session import moment

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
    rows = loading.rows(call.context.agency, feed)
    if rows.feed.layout.kind != kind:
        raise NotFound(f"'{rows.feed.name}' is a feed of {rows.feed.layout.kind}", place="feed")
    spool = loading.spool()
    try:
        limit = call.api.settings.import_limit
        files = await received(call.request, spool, limit, f"{feed}.{kind}")
    except BaseException:
        loading.forget(spool)
        raise
    started = loading.start(call.context, feed, files, channel="http", spool=spool)
    tally = await asyncio.wrap_future(started)
    return summary(call, tally)


def summary(call: Call, tally: Tally) -> Response:
    """What became of a load."""
    told = tally.summary()
    base = f"{call.request.base_url}intake/loads/{tally.load}"
    for file in told["files"]:
        if file["aside"]:
            file["mend"] = f"{base}/aside/{quote(file['file'])}"
    return Response(answers.as_json(told), 200 if tally.took else 422, media_type=JSON)


async def load(call: Call) -> Response:
    """A load's summary."""
    found = await call.read(
        lambda: call.api.pipeline.loading.told(call.context, call.path("load_id"))
    )
    if not found.summary:
        begun = {"load": found.id, "feed": found.feed, "status": "under way, or cut off"}
        return Response(answers.as_json(begun), 200, media_type=JSON)
    return Response(found.summary, 200, media_type=JSON)


async def aside_file(call: Call) -> Response:
    """The rows of a file that a load set aside, to be mended and sent back."""
    loading, name = call.api.pipeline.loading, call.path("file")
    found = await call.read(lambda: loading.told(call.context, call.path("load_id")))
    kind, pieces = await call.read(lambda: loading.aside_file(call.context, found, name))
    headers = {"content-disposition": f"attachment; filename*=UTF-8''{quote(name)}"}
    return StreamingResponse(pieces, 200, headers, CSV if kind == "csv" else NDJSON)


async def asides(call: Call) -> Response:
    """The rows that are set aside still."""
    found = await call.read(lambda: call.api.pipeline.loading.asides.open(call.context))
    return Response(answers.as_json({"rows": [_line(each) for each in found]}), media_type=JSON)


async def aside_again(call: Call) -> Response:
    """Try one set-aside row again, by the maps as they are now."""
    loading = call.api.pipeline.loading
    aside = await call.read(lambda: loading.asides.one(call.context, call.path("row_id")))
    tallies = await asyncio.wrap_future(loading.start_again(call.context, [aside]))
    if not tallies:
        raise RequestError("the row isn't kept, or is past", place="row_id")
    return Response(answers.as_json(tallies[0].summary()), 200, media_type=JSON)


async def aside_drop(call: Call) -> Response:
    """Give a set-aside row up."""
    await call.read(lambda: call.api.pipeline.loading.drop(call.context, call.path("row_id")))
    return Response(b"", 204)


def _line(aside: Aside) -> dict[str, Any]:
    return {
        "id": aside.id,
        "agency": aside.agency,
        "feed": aside.feed,
        "load": aside.load,
        "at": instant(moment(aside.at)),
        "stage": aside.stage,
        "place": aside.place,
        "reason": aside.reason,
        "kept": bool(aside.raw),
    }


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
    spool = loading.spool()
    path = spool / "body"
    path.write_bytes(raw)
    context = Context(agency, "webhook")
    came = [Came(f"{feed}.json", path)]
    started = loading.start(context, feed, came, channel="webhook", spool=spool)
    return summary(call, await asyncio.wrap_future(started))


def _parameter(name: str, text: str, example: str, where: str = "path") -> dict[str, Any]:
    return {
        "name": name,
        "in": where,
        "required": where == "path",
        "description": text,
        "schema": {"type": "string"},
        "example": example,
    }


_FEED: Final = _parameter("feed", "A feed of the agency's", "hmis")
_JSON_FEED: Final = _parameter("feed", "A feed of the agency's", "hsds-json")
_FILE_NAME: Final = _parameter("file", "What the file is called", "Client.csv", "query")
_LOAD: Final = _parameter("load_id", "The load's id", ID)
_ROW: Final = _parameter("row_id", "The set-aside row's id", ID)
_FILE: Final = _parameter("file", "The file's name", "Client.csv")
_COUNTS: Final = {"new": 499, "changed": 0, "unchanged": 0, "older": 0, "deleted": 0, "aside": 1}
_SUMMARY: Final = {
    "load": ID,
    "agency": "harbor-shelter",
    "feed": "hmis",
    "files": [
        {"file": "Client.csv", "map": "Client", "rows": 500, **_COUNTS}
        | {"mend": f"http://127.0.0.1:8080/intake/loads/{ID}/aside/Client.csv"}
    ],
    "ignored": ["README.txt"],
    "resources": {"Patient": {"created": 499, "updated": 0, "deleted": 0, "unchanged": 0}},
    "aside": [
        {"id": ID, "file": "Client.csv", "row": 12, "column": "PersonalID"}
        | {"reason": "nothing says which row this is"}
    ],
    "warnings": [],
}
_ASIDE: Final = {
    "id": ID,
    "agency": "harbor-shelter",
    "feed": "hmis",
    "load": ID,
    "at": "2026-03-02T15:04:05.123Z",
    "stage": "translate",
    "place": "Client.csv:12:PersonalID",
    "reason": "nothing says which row this is",
    "kept": True,
}
_ROWS_CSV: Final = "PersonalID,FirstName\n1,Ada\n"
_MENDED: Final = "PersonalID,#id,#row,#column,#reason\n"
_RECORD: Final = '{"id": "1", "name": "County Food Bank"}'
_ABOUT: Final = (
    "Each row or record goes in by itself, or is set aside with file, row, column and reason, and "
    "can be mended and sent back. What is known already changes nothing, and an older row never "
    "overwrites a newer. The answer comes once all is on disk, with counts by file and by resource "
    "type: 200, or 422 where nothing went in. "
)

LOADS: Final = (
    Endpoint(
        "intake_csv",
        "POST",
        "/intake/csv/{feed}",
        Policy.AGENCY,
        intake_rows,
        Docs(
            "Intake",
            "Rows of CSV files in",
            _ABOUT
            + "A file (named by `file` or Content-Disposition), several as a form, or a zip.",
            own=(_FEED, _FILE_NAME),
            request={CSV: {"A file": _ROWS_CSV}},
            response={JSON: {"One row set aside": _SUMMARY}},
            also={422: "Nothing went in"},
            errors=(400, 404, 408, 413, 415),
        ),
    ),
    Endpoint(
        "intake_json",
        "POST",
        "/intake/json/{feed}",
        Policy.AGENCY,
        intake_rows,
        Docs(
            "Intake",
            "JSON records in",
            _ABOUT + "An object, an array of them, or one a line.",
            own=(_JSON_FEED, _FILE_NAME),
            request={JSON: {"A record": _RECORD}, NDJSON: {"A line": _RECORD}},
            response={JSON: {"One set aside": _SUMMARY}},
            also={422: "Nothing went in"},
            errors=(400, 404, 408, 413, 415),
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
            own=(_parameter("agency", "Who sends", "st-brigid"), _JSON_FEED),
            request={JSON: {"A record": _RECORD}},
            response={JSON: {"In": _SUMMARY}},
            also={422: "Nothing went in"},
            errors=(400, 401, 408, 413),
        ),
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
            own=(_LOAD,),
            response={JSON: {"Done": _SUMMARY}},
            errors=(404,),
        ),
    ),
    Endpoint(
        "intake_aside_file",
        "GET",
        "/intake/loads/{load_id}/aside/{file}",
        Policy.MEMBER,
        aside_file,
        Docs(
            "Intake",
            "The rows of a file that a load set aside",
            "The file's own columns, and `#id`, `#row`, `#column` and `#reason`. Mended and sent "
            "back under the same name, each takes the place of the one that was set aside. Cells "
            "that are never shown are `***`: left so, they stay as they came.",
            own=(_LOAD, _FILE),
            response={CSV: {"Rows": _MENDED}, NDJSON: {"Records": _RECORD}},
            errors=(404,),
        ),
    ),
    Endpoint(
        "intake_asides",
        "GET",
        "/intake/asides",
        Policy.MEMBER,
        asides,
        Docs(
            "Intake",
            "Rows that are set aside",
            "Yours, or all for an administrator: with place and reason, without what they say.",
            response={JSON: {"One": {"rows": [_ASIDE]}}},
        ),
    ),
    Endpoint(
        "intake_aside_again",
        "POST",
        "/intake/asides/{row_id}/replay",
        Policy.MEMBER,
        aside_again,
        Docs(
            "Intake",
            "Try a set-aside row again",
            "As it came, by the maps and tables as they are now.",
            own=(_ROW,),
            needs_body=False,
            response={JSON: {"In": _SUMMARY}},
            errors=(400, 404),
        ),
    ),
    Endpoint(
        "intake_aside_drop",
        "DELETE",
        "/intake/asides/{row_id}",
        Policy.MEMBER,
        aside_drop,
        Docs("Intake", "Give a set-aside row up", own=(_ROW,), status=204, errors=(404,)),
    ),
)
