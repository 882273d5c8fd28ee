"""``Patient/[id]/$everything`` (R4 patient-operation-everything)."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api import answers, examples
from gateway.api.operation import R4, Asked, Operation
from gateway.api.parameters import Parameter
from gateway.api.requests import FHIR, Pairs
from gateway.operations import everything as whole


async def everything(asked: Asked) -> Response:
    """A page of what is about a patient; ``next`` leads on."""
    inputs, context, base = asked.inputs, asked.call.context, asked.call.base
    id = asked.id or ""
    types = [type for text in inputs.all("_type") for type in str(text).split(",") if type]
    wanted = whole.Asked(
        tuple(dict.fromkeys(types)),
        inputs.moment("_since"),
        inputs.text("start") or "",
        inputs.text("end") or "",
        inputs.count("_count", 1) or whole.PAGE,
        inputs.text("_cursor"),
    )
    run = asked.call.api.pipeline.operations.everything
    page = await asked.call.read(lambda: run(context, id, wanted, base))
    path = f"Patient/{id}/$everything"
    return Response(answers.searchset(base, path, _pairs(wanted), page), media_type=FHIR)


def _pairs(asked: whole.Asked) -> Pairs:
    """The parameters as they were understood, for the links."""
    given = [
        ("_type", ",".join(asked.types)),
        ("_since", asked.since),
        ("start", asked.start),
        ("end", asked.end),
        ("_count", str(asked.count)),
        ("_cursor", asked.cursor or ""),
    ]
    return [(name, value) for name, value in given if value]


EVERYTHING: Final = Operation(
    "everything",
    R4 + "Patient-everything",
    ("instance",),
    everything,
    "All about a patient",
    "The Patient, what is in its compartment, the Tasks for it, and what these refer to: as far as "
    "you may see it. Page by page: `next` in `link` leads on.",
    parameters=(
        Parameter("_type", "string", "Only these types", "Task,ServiceRequest", repeats=True),
        Parameter("_since", "instant", "Changed since then", "2026-03-01T00:00:00Z"),
        Parameter("start", "date", "Care from that day on", "2026-01-01"),
        Parameter("end", "date", "Care until that day", "2026-12-31"),
        Parameter("_count", "integer", "How many a page", "50"),
        Parameter("_cursor", "string", "Where a page starts: from `next`"),
    ),
    types=("Patient",),
    response={
        "A record": {
            "resourceType": "Bundle",
            "type": "searchset",
            "total": 1,
            "link": [
                {
                    "relation": "self",
                    "url": f"{examples.BASE}/Patient/{examples.ID}/$everything?_count=100",
                }
            ],
            "entry": [
                {
                    "fullUrl": f"{examples.BASE}/Patient/{examples.ID}",
                    "resource": examples.stored(examples.PATIENT),
                    "search": {"mode": "match"},
                }
            ],
        }
    },
)
