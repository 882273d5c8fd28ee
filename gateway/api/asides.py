"""Rows that a load set aside, and rows that wait for a code: listed, sent back, tried again."""

from __future__ import annotations

import asyncio
from typing import Any, Final
from urllib.parse import quote

from starlette.responses import Response, StreamingResponse

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint, parameter
from gateway.api.examples import ID
from gateway.api.loads import CSV, JSON, LOAD, NDJSON, RECORD, SUMMARY
from gateway.api.refusals import RequestError
from gateway.api.requests import query_pairs
from gateway.fhir.meta import instant
from gateway.protect.policy import Policy
from gateway.store import Aside
from gateway.store.session import moment


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


async def waiting(call: Call) -> Response:
    """The rows that wait for the code that a Task asks for."""
    asked = dict(query_pairs(call.request))
    task = asked.pop("task", "")
    if asked or not task:
        raise RequestError("task=<id> is listed", place="query")
    found = await call.read(lambda: call.api.pipeline.loading.waiting(call.context, task))
    told = [
        {"feed": one.feed, "file": one.file, "row": one.line, "aside": one.aside or None}
        for one in found
    ]
    return Response(answers.as_json({"rows": told}), media_type=JSON)


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


_ROW: Final = parameter("row_id", "The set-aside row's id", ID, "path")
_FILE: Final = parameter("file", "The file's name", "Client.csv", "path")
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
_WAITS: Final = {"feed": "visits", "file": "june.csv", "row": 12, "aside": None}
_TASK: Final = parameter("task", "The id of the Task that asks for a code", ID)
_MENDED: Final = "PersonalID,#id,#row,#column,#reason\n"

ASIDES: Final = (
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
            own=(LOAD, _FILE),
            response={CSV: {"Rows": _MENDED}, NDJSON: {"Records": RECORD}},
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
        "intake_rows_waiting",
        "GET",
        "/intake/rows",
        Policy.MEMBER,
        waiting,
        Docs(
            "Intake",
            "Rows that wait for a code",
            "Those that hold the code that a Task (`complete-table`) asks for: in without it, or "
            "set aside for it. Once its table has it they are taken again by themselves.",
            own=(_TASK,),
            response={JSON: {"One": {"rows": [_WAITS]}}},
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
            response={JSON: {"In": SUMMARY}},
            errors=(404,),
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
