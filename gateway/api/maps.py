"""The bench over HTTP, so that a web page can use it: maps checked, tried, compared, drafted.

What a member asks is of its own messages; what all maps are is the keeper's to ask. Answers hold
places, paths and rules, never a value.
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
from gateway.api.refusals import RequestError
from gateway.api.upload import lying
from gateway.bench import check, draft, samples, trials
from gateway.bench.checking import as_json as problems_json
from gateway.bench.comparing import as_json as compared_json
from gateway.bench.drafting import as_json as draft_json
from gateway.bench.trying import as_json as trials_json
from gateway.errors import SettingError
from gateway.fhir.meta import instant
from gateway.protect.policy import Policy
from gateway.reloading import State


async def in_force(call: Call) -> Response:
    """The maps in force, and what is wrong with those that lie in the folders."""
    return told(_state(call.api.pipeline.maps.state))


async def reload(call: Call) -> Response:
    """Look for edited maps now, and put them in force if they load."""
    return told(_state(await call.read(call.api.pipeline.maps.look)))


async def checked(call: Call) -> Response:
    """All that keeps the maps from loading as they lie in the folders."""
    folders = call.api.settings.folders
    return told(problems_json(await call.read(lambda: check(folders))))


async def tried(call: Call) -> Response:
    """The samples that lie beside the maps in force, tried."""
    pipeline, folders = call.api.pipeline, call.api.settings.folders
    library = pipeline.members.library
    found = await call.read(lambda: list(trials(library, samples(folders))))
    return told(trials_json(found))


async def differing(call: Call) -> Response:
    """Which of the last messages would come out otherwise than the hub holds them."""
    query = asked_of(call, {"agency", "count"})
    pipeline, context = call.api.pipeline, call.context
    whose = query.get("agency", "") if context.admin else member_of(call, query)
    count = how_many(query)
    found = await call.read(lambda: pipeline.bench.compare(context, whose, count))
    return told(compared_json(found))


async def drafted(call: Call) -> Response:
    """A map drafted from a sample; nothing of it is kept."""
    query = asked_of(call, {"agency", "file"})
    name, whose = needed(query, "file"), member_of(call, query)
    library, raw = call.api.pipeline.members.library, await call.body()
    try:
        made = await call.read(lambda: lying(name, raw, lambda at: draft(library, whose, at)))
    except SettingError as error:
        raise RequestError(str(error), place="file") from None
    return told(draft_json(made))


def _state(state: State) -> dict[str, Any]:
    error = state.error
    wrong = None if error is None else {"place": error.place, "text": str(error)}
    return {"version": state.version, "since": instant(state.since), "error": wrong}


# --- rows ----------------------------------------------------------------------------------------


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
            response=shown("Edited, and broken", _IN_FORCE),
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
            own=(AGENCY, COUNT),
            response=shown("One of a hundred", _DIFFERING),
            errors=(404,),
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
                parameter("file", "What the file is called.", "visits.csv", required=True),
                AGENCY,
            ),
            request={"text/csv": {"Visits": _VISITS}},
            response=shown("A spreadsheet", _DRAFT),
            errors=(404, 408, 413),
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
            response=shown("Broken", _IN_FORCE),
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
            response=shown("An element that R4 doesn't have", {"problems": [_PROBLEM]}),
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
            response=shown("One differs", {"passed": 0, "failed": 1, "samples": [_TRIAL]}),
        ),
    ),
)
