"""``$import``: NDJSON in the body, written in the background. ``gateway.api.bulk`` follows it."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.responses import Response

from gateway.api.bulk import NDJSON, STARTED, started
from gateway.api.operation import Asked, Operation
from gateway.api.refusals import RequestError, TooLarge, TooSlow, WrongMedia
from gateway.api.requests import media_type
from gateway.fhir.codes import BASE
from gateway.protect.policy import Policy

_MEDIA: Final = (NDJSON, "application/ndjson", "application/x-ndjson")


async def import_(asked: Asked) -> Response:
    """Keep the lines, and start writing them; 202 with the place of its status."""
    call = asked.call
    if media_type(call.request) not in _MEDIA:
        raise WrongMedia(f"lines come as {NDJSON}: files elsewhere aren't fetched", place="body")
    if call.request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongMedia("compressed bodies aren't read", place="Content-Encoding")
    path = call.api.pipeline.operations.jobs.incoming()
    try:
        await _received(asked, path)
        run = call.api.pipeline.operations.import_
        job = await call.read(lambda: run.start(call.context, path, str(call.request.url)))
    finally:
        path.unlink(missing_ok=True)
    return started(call, job)


async def _received(asked: Asked, path: Path) -> None:
    """The body on disk, a piece at a time."""
    limit, size = asked.call.api.settings.import_limit, 0
    with path.open("wb") as file:
        try:
            async for piece in asked.call.request.stream():
                size += len(piece)
                if size > limit:
                    raise TooLarge(f"an import may have at most {limit} bytes")
                await asyncio.to_thread(file.write, piece)
        except ClientDisconnect:
            raise TooSlow("the body didn't arrive in time") from None
    if size == 0:
        raise RequestError("the body is empty", place="body")


IMPORT: Final = Operation(
    "import",
    BASE + "OperationDefinition/import",
    ("system",),
    import_,
    "Import",
    "Resources, a line each, are written in the background by the same rules as `update`: under "
    "their ids, or under new ones. Lines may refer to each other in any order. 202 with "
    "`Content-Location`: ask there; the manifest's `error` names a file with an OperationOutcome "
    "for each line that was refused. URLs to fetch from aren't taken.",
    affects=True,
    streamed=_MEDIA,
    raw_request={NDJSON: {"Two lines": '{"resourceType":"Patient"}\n{"resourceType":"Patient"}\n'}},
    status=202,
    response=STARTED,
    headers=("Content-Location",),
    policy=Policy.AGENCY,
)
