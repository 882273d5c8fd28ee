"""The FHIR interactions, one row each: routes, OpenAPI and CapabilityStatement come from here.

To add one, write its function and its row. Order matters where paths overlap: the first wins.
"""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache
from typing import Final

from starlette.responses import Response

from gateway.api import answers, examples
from gateway.api.endpoint import Call, Docs, Endpoint
from gateway.api.reading import history_instance, read, search_type, search_type_post, vread
from gateway.api.requests import FHIR, FORM, check_accepts_json, query_pairs
from gateway.api.writing import create, transaction, update
from gateway.fhir.capability import capability
from gateway.protect.policy import Policy

BASE: Final = "/fhir"
_TYPE: Final = f"{BASE}/{{resource_type}}"
_INSTANCE: Final = f"{_TYPE}/{{id}}"
_VERSION: Final = ("ETag", "Last-Modified")
_STORED: Final = {FHIR: {"Task": examples.stored(examples.TASK)}}
_FOUND: Final = {FHIR: {"Referrals": examples.SEARCHSET}}


async def capabilities(call: Call) -> Response:
    """What this server can do: made from the rows below."""
    check_accepts_json(call.request, query_pairs(call.request))
    return Response(_statement(call.base, call.api.started), media_type=FHIR)


@lru_cache(maxsize=8)  # no key is needed to ask, so it must not cost much
def _statement(base: str, started: datetime) -> bytes:
    names = [row.name for row in INTERACTIONS]
    return answers.as_json(capability(base, names, at=started))


INTERACTIONS: Final = (
    Endpoint(
        "capabilities",
        "GET",
        f"{BASE}/metadata",
        Policy.PUBLIC,
        capabilities,
        Docs(
            "FHIR",
            "What this server can do",
            "The CapabilityStatement.",
            parameters=("format",),
            response={FHIR: {"Capabilities": {"resourceType": "CapabilityStatement"}}},
            errors=(400, 406),
        ),
    ),
    Endpoint(
        "search_type_post",
        "POST",
        f"{_TYPE}/_search",
        Policy.MEMBER,
        search_type_post,
        Docs(
            "FHIR",
            "Search, with the parameters in the body",
            "The same as GET; names and birth dates stay out of URLs and so of logs.",
            parameters=("resource_type", "prefer_handling"),
            request={FORM: {"By name": "family=Rivera&birthdate=1984-07-19"}},
            response=_FOUND,
            errors=(400, 404, 406, 408, 413, 415),
        ),
    ),
    Endpoint(
        "search_type",
        "GET",
        _TYPE,
        Policy.MEMBER,
        search_type,
        Docs(
            "FHIR",
            "Search",
            "A page of what matches and what you may see; `next` in `link` leads on.",
            parameters=("resource_type", "search", "prefer_handling", "format"),
            response=_FOUND,
            errors=(400, 404, 406),
        ),
    ),
    Endpoint(
        "create",
        "POST",
        _TYPE,
        Policy.MEMBER,
        create,
        Docs(
            "FHIR",
            "Create",
            "The gateway gives the id. A Subscription is how you hear of what happens.",
            parameters=("resource_type", "prefer_return"),
            request={
                FHIR: {
                    "Patient": examples.PATIENT,
                    "ServiceRequest": examples.SERVICE_REQUEST,
                    "Task": examples.TASK,
                    "Subscription": examples.SUBSCRIPTION,
                }
            },
            status=201,
            response=_STORED,
            headers=("Location", *_VERSION),
            errors=(400, 404, 406, 408, 409, 413, 415, 422, 501),
        ),
    ),
    Endpoint(
        "read",
        "GET",
        _INSTANCE,
        Policy.MEMBER,
        read,
        Docs(
            "FHIR",
            "Read",
            "The newest version.",
            parameters=("resource_type", "id", "format"),
            response=_STORED,
            headers=_VERSION,
            errors=(400, 404, 406, 410),
        ),
    ),
    Endpoint(
        "update",
        "PUT",
        _INSTANCE,
        Policy.MEMBER,
        update,
        Docs(
            "FHIR",
            "Update",
            "Replaces the resource; creates it where the id is free. A Task is moved so: send it "
            "whole, with its new status, and `If-Match`.",
            parameters=("resource_type", "id", "if_match", "prefer_return"),
            request={FHIR: {"Task": examples.ACCEPTED}},
            response={FHIR: {"Task": examples.ACCEPTED}},
            also={201: "Created"},
            headers=("Location", *_VERSION),
            errors=(400, 404, 406, 408, 409, 412, 413, 415, 422, 501),
        ),
    ),
    Endpoint(
        "history_instance",
        "GET",
        f"{_INSTANCE}/_history",
        Policy.MEMBER,
        history_instance,
        Docs(
            "FHIR",
            "History of a resource",
            "All its versions, the newest first.",
            parameters=("resource_type", "id", "format"),
            response={FHIR: {"One version": examples.HISTORY}},
            errors=(400, 404, 406),
        ),
    ),
    Endpoint(
        "vread",
        "GET",
        f"{_INSTANCE}/_history/{{version_id}}",
        Policy.MEMBER,
        vread,
        Docs(
            "FHIR",
            "Read a version",
            "One version of a resource.",
            parameters=("resource_type", "id", "version_id", "format"),
            response=_STORED,
            headers=_VERSION,
            errors=(400, 404, 406, 410),
        ),
    ),
    Endpoint(
        "transaction",
        "POST",
        BASE,
        Policy.MEMBER,
        transaction,
        Docs(
            "FHIR",
            "Transaction",
            "All entries of a Bundle, or none; they may refer to each other by `urn:uuid`.",
            request={FHIR: {"A referral": examples.TRANSACTION}},
            response={FHIR: {"All stored": examples.TRANSACTION_RESPONSE}},
            errors=(400, 406, 408, 409, 412, 413, 415, 422, 501),
        ),
    ),
)
