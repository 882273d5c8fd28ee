"""HL7 v2 over HTTP: ER7 in, its acknowledgement out, after the commit. HAPI's HL7-over-HTTP types.

AA is 200; AE, a message that is kept and could not be processed, 422; AR, refused, 400. A request
has one answer, so MSH-15 and MSH-16 aren't asked: it is the application's. A batch (FHS, BHS) gets
a batch of them, and is 200 only where all are AA.
"""

from __future__ import annotations

import time
from concurrent.futures import Future
from typing import Final

from starlette.responses import Response

from gateway import meters
from gateway.api import requests
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.examples import ACK, REFERRAL
from gateway.api.refusals import RequestError, WrongMedia
from gateway.model import Receipt
from gateway.protect import scopes
from gateway.protect.policy import Policy

HL7: Final = "application/hl7-v2"
STATUS: Final = {"AA": 200, "AE": 422, "AR": 400}
_TYPES: Final = frozenset(
    {
        "",
        HL7,
        "application/hl7-v2+er7",
        "x-application/hl7-v2+er7",
        "application/octet-stream",
        "text/plain",
    }
)


async def intake_hl7v2(call: Call) -> Response:
    """Take one message or batch from the agency whose key this is."""
    if requests.media_type(call.request) not in _TYPES:
        raise WrongMedia(f"a message comes as {HL7}", place="Content-Type")
    scopes.require(call.context, scopes.ANY, "c")
    raw = await call.body()
    if not raw:
        raise RequestError("the body is empty", place="body")
    began = time.perf_counter()
    meters.received("http").inc()
    receipt = await call.write(len(raw), lambda: _accept(call, raw))
    seconds = time.perf_counter() - began
    meters.answered_after("http", receipt.acknowledgement).observe(seconds)
    kind = "text/plain" if requests.prefers_text(call.request) else HL7
    # No charset: the message's own MSH-18 says it, and Starlette would name another for a text.
    return Response(receipt.answer, STATUS[receipt.acknowledgement], {"content-type": kind})


def _accept(call: Call, raw: bytes) -> Future[Receipt]:
    return call.api.take_in(call.api.pipeline, call.context.agency, "http", raw)


INTAKE = (
    Endpoint(
        "intake_hl7v2",
        "POST",
        "/intake/hl7v2",
        Policy.AGENCY,
        intake_hl7v2,
        Docs(
            "Intake",
            "HL7 v2 in, its acknowledgement out",
            "ADT, REF, ORU, orders and whatever else a map serves, in ER7, without MLLP's framing. "
            "The answer is an ACK whatever its status: AA 200, AE 422 (kept, not processed), AR "
            "400; a status query (REF^I15) is answered by RRI^I15 with 200. A batch (FHS, BHS) is "
            "answered by a batch of ACKs: 200 where all are AA, else 422; 400 where BTS-1 or FTS-1 "
            "isn't what came or over 1,000 messages have under 100 bytes each, and then none of "
            "it was taken.",
            request={HL7: {"A referral": REFERRAL}},
            response={HL7: {"Accepted": ACK}, "text/plain": {"Accepted": ACK}},
            also={
                400: "AR: refused (an OperationOutcome for an empty body)",
                422: "AE: kept, undone",
            },
            errors=(408, 413, 415),
        ),
    ),
)
