"""``$export`` (Bulk Data Access IG 2.0): the kick-off. ``gateway.api.bulk`` is what follows it."""

from __future__ import annotations

from typing import Final

from starlette.responses import Response

from gateway.api.bulk import STARTED, started
from gateway.api.operation import Asked, Level, Operation
from gateway.api.parameters import Parameter
from gateway.api.refusals import RequestError
from gateway.operations import exporting

_DEFINITION: Final = "http://hl7.org/fhir/uv/bulkdata/OperationDefinition/"
_FORMATS: Final = frozenset({"application/fhir+ndjson", "application/ndjson", "ndjson"})


async def export(asked: Asked) -> Response:
    """Start an export; 202 with the place of its status."""
    inputs = asked.inputs
    format = inputs.text("_outputFormat") or "ndjson"
    # "+" stands for a blank in a query
    if format.replace(" ", "+") not in _FORMATS:
        raise RequestError("files are NDJSON", place="_outputFormat", code="not-supported")
    wanted = exporting.Asked(
        types=tuple(_listed(inputs.all("_type"))),
        since=inputs.moment("_since"),
        filters=tuple(_listed(inputs.all("_typeFilter"))),
        patients=asked.type == "Patient",
        group=asked.id or "",
    )
    call, url = asked.call, str(asked.call.request.url)
    run = call.api.pipeline.operations.export
    job = await call.read(lambda: run.start(call.context, wanted, url))
    return started(call, job)


def _listed(values: list[str]) -> list[str]:
    return list(dict.fromkeys(part for value in values for part in value.split(",") if part))


def _operation(name: str, level: Level, types: tuple[str, ...], what: str) -> Operation:
    return Operation(
        "export",
        _DEFINITION + name,
        (level,),
        export,
        "Export",
        f"{what}, as far as you may see it, as NDJSON files. 202 with `Content-Location`: ask "
        "there for the status, then for the manifest and its files. `Prefer: respond-async` "
        "needn't be said: there is no other way.",
        parameters=(
            Parameter("_type", "string", "Only these types", "Task,ServiceRequest", repeats=True),
            Parameter("_since", "instant", "Changed since then", "2026-03-01T00:00:00Z"),
            Parameter(
                "_typeFilter",
                "string",
                "A search that a type's resources must match, one a type",
                "Task?status=completed",
                repeats=True,
            ),
            Parameter("_outputFormat", "string", "application/fhir+ndjson", "ndjson"),
        ),
        types=types,
        status=202,
        response=STARTED,
        headers=("Content-Location",),
    )


EXPORT: Final = _operation("export", "system", (), "Everything")
PATIENT_EXPORT: Final = _operation("patient-export", "type", ("Patient",), "What is about patients")
GROUP_EXPORT: Final = _operation(
    "group-export", "instance", ("Group",), "What is about a Group's patients"
)
