"""The bench over HTTP, so that a web page can use it: maps checked, tried, explained, compared.

What a member asks is of its own messages; what all maps are is the keeper's to ask. Answers hold
places, paths and rules, never a value.
"""

from __future__ import annotations

import tempfile
from pathlib import Path, PurePath
from typing import Any, Final

from starlette.responses import Response

from gateway.api import answers
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.examples import REFERRAL
from gateway.api.intake import HL7
from gateway.api.refusals import RequestError
from gateway.api.requests import query_pairs
from gateway.bench import asked, check, draft, explained, samples, trials
from gateway.bench.checking import as_json as problems_json
from gateway.bench.comparing import as_json as compared_json
from gateway.bench.counting import as_json as coverage_json
from gateway.bench.drafting import New
from gateway.bench.drafting import as_json as draft_json
from gateway.bench.explaining import as_json as explained_json
from gateway.bench.trying import as_json as trials_json
from gateway.errors import NotFound, SettingError
from gateway.fhir.meta import instant
from gateway.protect.policy import Policy
from gateway.reloading import State

_JSON: Final = "application/json"
_MOST: Final = 1000
"""Messages that one call may look at."""


async def in_force(call: Call) -> Response:
    """The maps in force, and what is wrong with those that lie in the folders."""
    return _answer(_state(call.api.pipeline.maps.state))


async def reload(call: Call) -> Response:
    """Look for edited maps now, and put them in force if they load."""
    return _answer(_state(await call.read(call.api.pipeline.maps.look)))


async def checked(call: Call) -> Response:
    """All that keeps the maps from loading as they lie in the folders."""
    folders = call.api.settings.folders
    return _answer(problems_json(await call.read(lambda: check(folders))))


async def tried(call: Call) -> Response:
    """The samples that lie beside the maps in force, tried."""
    pipeline, folders = call.api.pipeline, call.api.settings.folders
    library = pipeline.members.library
    found = await call.read(lambda: list(trials(library, samples(folders))))
    return _answer(trials_json(found))


async def explain_stored(call: Call) -> Response:
    """Where an element of a stored resource came from."""
    query = _query(call, {"path"})
    path = _needed(query, "path")
    pipeline, context = call.api.pipeline, call.context
    message, found = await call.read(lambda: pipeline.bench.explain(context, path))
    return _answer({"message": message} | explained_json(found))


async def explain_sent(call: Call) -> Response:
    """Where the elements would come from that a message would become; nothing is kept."""
    query = _query(call, {"path", "agency"})
    wanted = asked(query.get("path", ""))
    members, raw = call.api.pipeline.members, await call.body()
    agency = members.get(_whose(call, query))
    if agency is None:
        raise NotFound("no such member", place="agency")
    library = members.library
    found = await call.read(lambda: explained(library, agency, raw, wanted))
    return _answer(explained_json(found))


async def covered(call: Call) -> Response:
    """What the last messages of a member held, and no rule read."""
    query = _query(call, {"agency", "count"})
    pipeline, context = call.api.pipeline, call.context
    whose, count = _whose(call, query), _count(query)
    found = await call.read(lambda: pipeline.bench.coverage(context, whose, count))
    return _answer(coverage_json(found))


async def differing(call: Call) -> Response:
    """Which of the last messages would come out otherwise than the hub holds them."""
    query = _query(call, {"agency", "count"})
    pipeline, context = call.api.pipeline, call.context
    whose = query.get("agency", "") if context.admin else _whose(call, query)
    count = _count(query)
    found = await call.read(lambda: pipeline.bench.compare(context, whose, count))
    return _answer(compared_json(found))


async def drafted(call: Call) -> Response:
    """A map drafted from a sample; nothing of it is kept."""
    query = _query(call, {"agency", "file"})
    name, whose = PurePath(_needed(query, "file")).name, _whose(call, query)
    library, raw = call.api.pipeline.members.library, await call.body()

    def write() -> New:
        with tempfile.TemporaryDirectory() as folder:
            sample = Path(folder) / name
            sample.write_bytes(raw)
            return draft(library, whose, sample)

    try:
        made = await call.read(write)
    except SettingError as error:
        raise RequestError(str(error), place="file") from None
    return _answer(draft_json(made))


def _answer(told: dict[str, Any]) -> Response:
    return Response(answers.as_json(told), media_type=_JSON)


def _state(state: State) -> dict[str, Any]:
    error = state.error
    wrong = None if error is None else {"place": error.place, "text": str(error)}
    return {"version": state.version, "since": instant(state.since), "error": wrong}


def _query(call: Call, known: set[str]) -> dict[str, str]:
    asked_ = dict(query_pairs(call.request))
    if asked_.keys() - known:
        raise RequestError(f"only {', '.join(sorted(known))} may be said", place="query")
    return asked_


def _needed(query: dict[str, str], name: str) -> str:
    if not query.get(name):
        raise RequestError(f"{name} is missing", place=name)
    return query[name]


def _whose(call: Call, query: dict[str, str]) -> str:
    """The member that is asked about: the caller, or for the keeper whom it names."""
    if call.context.admin:
        return _needed(query, "agency")
    if query.get("agency", call.context.agency) != call.context.agency:
        raise NotFound("no such member", place="agency")
    return call.context.agency


def _count(query: dict[str, str]) -> int:
    text = query.get("count", "100")
    if not text.isdecimal() or not 0 < int(text) <= _MOST:
        raise RequestError(f"a number from 1 to {_MOST}", place="count")
    return int(text)


# --- rows ----------------------------------------------------------------------------------------


def _parameter(name: str, text: str, example: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "query",
        "description": text,
        "required": required,
        "schema": {"type": "string"},
        "example": example,
    }


_PATH: Final = "An element: `Patient.name.family`, of a stored resource `Patient/ID.name.family`."
_COUNT: Final = _parameter("count", f"How many of the last messages, at most {_MOST}.", "100")
_AGENCY: Final = _parameter(
    "agency", "Whose messages; the keeper alone names one.", "cedar-general"
)

_IN_FORCE: Final = {
    "version": "9f2c6d1e0a4b",
    "since": "2026-03-02T15:04:05.123Z",
    "error": {
        "place": "hl7v2/segments/PID.yaml:12",
        "text": "hl7v2/segments/PID.yaml:12: Patient has no element 'sex'",
    },
}
_PROBLEM: Final = {
    "file": "hl7v2/segments/PID.yaml",
    "line": 12,
    "text": "Patient has no element 'sex'",
}
_TRIAL: Final = {
    "sample": "cedar-general/admit.hl7",
    "passed": False,
    "broken": "",
    "differences": [
        {
            "resource": "Patient/dadbc907-f0cf-5bd5-b3ee-ba455ce145ff",
            "path": "Patient.gender",
            "kind": "changed",
        }
    ],
    "missing": [],
    "unexpected": [],
    "invalid": [],
}
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
_DIFFERING: Final = {
    "messages": 100,
    "changed": [
        {
            "message": "6f1d3c2e",
            "agency": "cedar-general",
            "refusedBefore": None,
            "refusedNow": None,
            "differences": _TRIAL["differences"],
        }
    ],
}


_VISITS: Final = "Card no,First name,Shoe size\nE-17,Marcus,42\n"
_DRAFT: Final = {
    "files": {"agency.yaml": "agency: eastside-pantry\n…"},
    "proposals": [
        {"column": "Card no", "target": "Patient.identifier", "unsure": ""},
        {"column": "Shoe size", "target": "", "unsure": "nothing is proposed"},
    ],
    "remarks": ["put invented people into visits/samples/visits.csv"],
}


def _shown(name: str, example: dict[str, Any]) -> dict[str, Any]:
    return {_JSON: {name: example}}


MAPS: Final = (
    Endpoint(
        "maps_in_force",
        "GET",
        "/maps",
        Policy.MEMBER,
        in_force,
        Docs(
            "Maps",
            "The maps in force",
            "Their version, since when, and what is wrong with the files as they lie there now: "
            "maps that don't load never take the place of those in force.",
            response=_shown("Edited, and broken", _IN_FORCE),
        ),
    ),
    Endpoint(
        "maps_explain",
        "GET",
        "/maps/explain",
        Policy.MEMBER,
        explain_stored,
        Docs(
            "Maps",
            "Where a stored element came from",
            "The places and bytes of the message that says it, and the rules (file:line) that made "
            "it, by the maps in force. Of messages that the caller sent.",
            own=(_parameter("path", _PATH, "Patient/123.name.family", required=True),),
            response=_shown("A name", {"message": "6f1d3c2e", "elements": [_ELEMENT]}),
            errors=(400, 404),
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
            "Where the elements of a message would come from",
            "The message is translated by the member's maps; nothing is kept.",
            own=(_parameter("path", _PATH, "Patient.name"), _AGENCY),
            request={HL7: {"A referral": REFERRAL}},
            response=_shown("A name", {"elements": [_ELEMENT]}),
            errors=(400, 404, 408, 413, 422),
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
            "how often a rule read it.",
            own=(_AGENCY, _COUNT),
            response=_shown("One message", _COVERED),
            errors=(400, 404),
        ),
    ),
    Endpoint(
        "maps_diff",
        "GET",
        "/maps/diff",
        Policy.MEMBER,
        differing,
        Docs(
            "Maps",
            "Which messages would come out otherwise",
            "The last accepted messages by the maps in force, against what the hub holds: paths, "
            "no values.",
            own=(_AGENCY, _COUNT),
            response=_shown("One of a hundred", _DIFFERING),
            errors=(400, 404),
        ),
    ),
    Endpoint(
        "maps_draft",
        "POST",
        "/maps/draft",
        Policy.MEMBER,
        drafted,
        Docs(
            "Maps",
            "Draft a map from a sample",
            "Of a CSV, JSON or HL7 v2 file: the files of an agency's folder, what is proposed for "
            "each column, and what it is unsure of. Nothing is kept; the answer holds the sample.",
            own=(
                _parameter("file", "What the file is called.", "visits.csv", required=True),
                _AGENCY,
            ),
            request={"text/csv": {"Visits": _VISITS}},
            response=_shown("A spreadsheet", _DRAFT),
            errors=(400, 404, 408, 413),
        ),
    ),
    Endpoint(
        "admin_maps_reload",
        "POST",
        "/admin/maps/reload",
        Policy.ADMIN,
        reload,
        Docs(
            "Maps",
            "Put edited maps in force now",
            "They are looked for every few seconds anyhow (GATEWAY_MAPS_CHECK).",
            needs_body=False,
            response=_shown("Broken", _IN_FORCE),
        ),
    ),
    Endpoint(
        "admin_maps_check",
        "GET",
        "/admin/maps/check",
        Policy.ADMIN,
        checked,
        Docs(
            "Maps",
            "What keeps maps from loading",
            "As they lie in the folders now, with file and line.",
            response=_shown("An element that R4 doesn't have", {"problems": [_PROBLEM]}),
        ),
    ),
    Endpoint(
        "admin_maps_test",
        "GET",
        "/admin/maps/test",
        Policy.ADMIN,
        tried,
        Docs(
            "Maps",
            "Try the samples beside the maps",
            "Each is translated and compared with what lies beside it; differences by path.",
            response=_shown("One differs", {"passed": 0, "failed": 1, "samples": [_TRIAL]}),
        ),
    ),
)
