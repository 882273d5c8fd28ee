"""``$convert``: a message in, a transaction Bundle out, and nothing stored.

R4's own ``$convert`` turns resources between FHIR's formats; this one reads the other dialects that
the gateway speaks, so it has a definition of its own.
"""

from __future__ import annotations

import base64
import binascii
from typing import Final

from starlette.responses import Response

from gateway.api import examples
from gateway.api.intake import HL7
from gateway.api.operation import Asked, Operation, answered, parameters
from gateway.api.parameters import Parameter
from gateway.api.refusals import RequestError, WrongMedia
from gateway.api.requests import media_type
from gateway.fhir.codes import BASE
from gateway.fhir.outcome import outcome
from gateway.operations.conversion import FORMATS
from gateway.protect import scopes

_MEDIA: Final = tuple(sorted(set(FORMATS) - {"application/json"}))
"""What may be the body itself; ``application/json`` is a Parameters resource's."""


async def convert(asked: Asked) -> Response:
    """The Bundle that a message makes, with its findings if they are asked for."""
    scopes.require(asked.call.context, scopes.ANY, "c")
    media, raw = _message(asked)
    run = asked.call.api.pipeline.operations.convert
    name = asked.inputs.text("agency") or asked.call.context.agency
    if name != asked.call.context.agency and not asked.call.context.admin:
        raise RequestError("only an admin converts by another's maps", place="agency")
    agency = run.agency(name)
    if agency is None:
        raise RequestError("no such member: name one", place="agency", code="not-found")
    feed, file = asked.inputs.text("feed") or "", asked.inputs.text("file") or ""
    found = await asked.call.read(lambda: run(agency, media, raw, feed, file))
    if not asked.inputs.one("findings"):
        return answered(found.bundle)
    told = {"name": "outcome", "resource": outcome(found.issues)}
    return answered(parameters({"name": "return", "resource": found.bundle}, told))


def _message(asked: Asked) -> tuple[str, bytes]:
    """What is to be converted, and its media type."""
    if asked.raw:
        return media_type(asked.call.request), asked.raw
    media = str(asked.inputs.need("inputFormat"))
    if media not in FORMATS:
        raise WrongMedia("no such format is read here", place="inputFormat")
    text = str(asked.inputs.need("input"))
    if not asked.inputs.one("base64"):
        return media, text.encode()
    try:
        return media, base64.b64decode(text, validate=True)
    except binascii.Error:
        raise RequestError("not base64", place="input") from None


CONVERT: Final = Operation(
    "convert",
    BASE + "OperationDefinition/convert",
    ("system",),
    convert,
    "Convert to FHIR",
    "What a message becomes by your maps: a transaction Bundle, unstored. HL7 v2 in ER7, or rows "
    "of CSV and JSON records with `feed`, raw under their own media type or as `input`. A message "
    "that can't be read or mapped is an OperationOutcome with its place, as on `/intake/hl7v2`; "
    "a row that would be set aside is a finding.",
    parameters=(
        Parameter("input", "string", "The message, in a Parameters body"),
        Parameter("inputFormat", "code", "Its media type", HL7),
        Parameter("base64", "boolean", "`input` is base64: for other charsets", "false"),
        Parameter("findings", "boolean", "Answer Parameters: `return`, and `outcome`", "false"),
        Parameter("agency", "string", "Whose maps: an admin's to name"),
        Parameter("feed", "string", "Of rows and records: the agency's feed", "hmis"),
        Parameter("file", "string", "Of rows and records: what their file is called", "Client.csv"),
    ),
    reads=(),
    media=_MEDIA,
    request={
        "A message": parameters(
            {"name": "inputFormat", "valueCode": HL7},
            {"name": "input", "valueString": examples.REFERRAL},
        )
    },
    raw_request={HL7: {"A referral": examples.REFERRAL}},
    response={
        "A Bundle": {
            "resourceType": "Bundle",
            "type": "transaction",
            "entry": [
                {
                    "resource": {**examples.PATIENT, "id": examples.ID},
                    "request": {"method": "PUT", "url": f"Patient/{examples.ID}"},
                }
            ],
        }
    },
    errors=(422,),
)
