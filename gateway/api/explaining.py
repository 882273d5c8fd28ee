"""Where elements come from, and what no rule reads: of what is kept, and of what is sent for it.

Of HL7 v2 messages, and with ``feed`` of rows and JSON records. Nothing that is sent is kept.
"""

from __future__ import annotations

from typing import Any, Final

from starlette.responses import Response

from gateway.api.asking import (
    AGENCY,
    COUNT,
    asked_of,
    how_many,
    member_of,
    needed,
    shown,
    told,
)
from gateway.api.endpoint import Call, Docs, Endpoint, parameter
from gateway.api.examples import REFERRAL
from gateway.api.intake import HL7
from gateway.api.upload import lying
from gateway.bench import asked, columns, coverage, explained, explained_rows, messages_of
from gateway.bench.counting import as_json as coverage_json
from gateway.bench.explaining import as_json as explained_json
from gateway.bench.unread import as_json as columns_json
from gateway.errors import NotFound
from gateway.model import Agency
from gateway.protect.policy import Policy


async def explain_stored(call: Call) -> Response:
    """Where an element of a stored resource came from."""
    query = asked_of(call, {"path"})
    path = needed(query, "path")
    pipeline, context = call.api.pipeline, call.context
    message, found = await call.read(lambda: pipeline.bench.explain(context, path))
    return told({"message": message} | explained_json(found))


async def explain_sent(call: Call) -> Response:
    """Where the elements would come from that a message, or rows, would become."""
    query = asked_of(call, {"path", "agency", "feed", "file"})
    wanted, feed = asked(query.get("path", "")), query.get("feed", "")
    agency, raw = _member(call, query), await call.body()
    library = call.api.pipeline.members.library
    if not feed:
        found = await call.read(lambda: explained(library, agency, raw, wanted))
    else:
        found = await call.read(
            lambda: lying(
                query.get("file", ""),
                raw,
                lambda at: explained_rows(library, agency, feed, at, wanted),
            )
        )
    return told(explained_json(found))


async def covered(call: Call) -> Response:
    """What the last messages of a member, or kept rows of a feed, held, and no rule read."""
    query = asked_of(call, {"agency", "count", "feed"})
    bench, context, feed = call.api.pipeline.bench, call.context, query.get("feed", "")
    whose, count = member_of(call, query), how_many(query)
    if feed:
        rows = await call.read(lambda: bench.columns(context, whose, feed, count))
        return told(columns_json(rows))
    return told(coverage_json(await call.read(lambda: bench.coverage(context, whose, count))))


async def covered_sent(call: Call) -> Response:
    """What messages or rows that are sent hold, and no rule would read."""
    query = asked_of(call, {"agency", "feed", "file"})
    agency, raw, feed = _member(call, query), await call.body(), query.get("feed", "")
    library = call.api.pipeline.members.library
    if feed:
        rows = await call.read(
            lambda: lying(query.get("file", ""), raw, lambda at: columns(library, agency, feed, at))
        )
        return told(columns_json(rows))
    found = await call.read(lambda: coverage(library, agency, messages_of(raw)))
    return told(coverage_json(found))


def _member(call: Call, query: dict[str, str]) -> Agency:
    agency = call.api.pipeline.members.get(member_of(call, query))
    if agency is None:
        raise NotFound("no such member", place="agency")
    return agency


# --- rows ----------------------------------------------------------------------------------------

_ELEMENT: Final = {
    "resource": "Patient/dadbc907-f0cf-5bd5-b3ee-ba455ce145ff",
    "path": "Patient.name[0].family",
    "kind": "read",
    "rules": ["hl7v2/datatypes/XPN.yaml:5", "hl7v2/segments/PID.yaml:15"],
    "read": [{"place": "PID-5.1", "bytes": [197, 202]}],
    "decidedBy": [],
    "tables": [],
    "refersTo": "",
}
_COVERED: Final = {
    "messages": 1,
    "refused": [],
    "segments": {"PID": {"there": 1, "read": 1}},
    "leaves": {"PID-5": {"there": 1, "read": 1}},
}
_COLUMNS: Final = {
    "records": 12,
    "files": {
        "Client.csv": {"FirstName": {"there": 12, "read": 12}, "ShoeSize": {"there": 3, "read": 0}}
    },
}
_ROWS: Final = "PersonalID,FirstName,ShoeSize\n17,Marcus,42\n"
_PATH: Final = "An element: `Patient.name.family`, of a stored resource `Patient/ID.name.family`."
_FEED: Final = parameter("feed", "Of which feed's rows or JSON; without it HL7 v2.", "hmis")
_FILE: Final = parameter("file", "What the file is called.", "Client.csv")
_SENT: Final = {HL7: {"A referral": REFERRAL}, "text/csv": {"Rows (with `feed`)": _ROWS}}


def _either(first: dict[str, Any], second: dict[str, Any]) -> dict[str, Any]:
    (media, one), *_ = first.items()
    return {media: one | second[media]}


_COUNTED: Final = _either(shown("One message", _COVERED), shown("Rows", _COLUMNS))

EXPLAINING: Final = (
    Endpoint(
        "maps_explain",
        "GET",
        "/maps/explain",
        Policy.MEMBER,
        explain_stored,
        Docs(
            "Maps",
            "Where a stored element came from",
            "The places and bytes of the message that says it, or the rows and columns, and the "
            "rules (file:line) that made it, by the maps in force. Of what the caller sent.",
            own=(parameter("path", _PATH, "Patient/123.name.family", required=True),),
            response=shown("A name", {"message": "6f1d3c2e", "elements": [_ELEMENT]}),
            errors=(404,),
        ),
    ),
    Endpoint(
        "maps_explain_message",
        "POST",
        "/maps/explain",
        Policy.MEMBER,
        explain_sent,
        Docs(
            "Maps",
            "Where the elements of a message or of rows would come from",
            "It is translated by the member's maps; nothing is kept. With `feed` the body is a "
            "file of rows, JSON or a zip: places are file:line:column, and pointers.",
            own=(parameter("path", _PATH, "Patient.name"), AGENCY, _FEED, _FILE),
            request=_SENT,
            response=shown("A name", {"elements": [_ELEMENT]}),
            errors=(404, 408, 413, 422),
        ),
    ),
    Endpoint(
        "maps_coverage",
        "GET",
        "/maps/coverage",
        Policy.MEMBER,
        covered,
        Docs(
            "Maps",
            "What no rule read",
            "Of the last accepted messages: each segment, field and component that was there, and "
            "how often a rule read it. With `feed` of the last kept rows of each of its files: "
            "each column, or pointer.",
            own=(AGENCY, COUNT, _FEED),
            response=_COUNTED,
            errors=(404, 422),
        ),
    ),
    Endpoint(
        "maps_coverage_sent",
        "POST",
        "/maps/coverage",
        Policy.MEMBER,
        covered_sent,
        Docs(
            "Maps",
            "What no rule would read",
            "Of messages, or with `feed` of a file of rows, JSON or a zip; nothing is kept.",
            own=(AGENCY, _FEED, _FILE),
            request=_SENT,
            response=_COUNTED,
            errors=(404, 408, 413, 422),
        ),
    ),
)
