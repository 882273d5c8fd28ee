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
from gateway.api.operation import offered
from gateway.api.operations import OPERATIONS
from gateway.api.reading import history_instance, history_system, history_type, read, vread
from gateway.api.requests import FHIR, check_accepts_json, query_pairs
from gateway.api.searching import COMPARTMENTS, SEARCHES
from gateway.api.writing import (
    bundle,
    conditional_delete,
    conditional_patch,
    conditional_update,
    create,
    delete,
    patch,
    update,
)
from gateway.fhir.capability import capability, placed, terminology_capability
from gateway.model import Resource
from gateway.protect.policy import Policy

BASE: Final = "/fhir"
_TYPE: Final = f"{BASE}/{{resource_type}}"
_INSTANCE: Final = f"{_TYPE}/{{id}}"
_VERSION: Final = ("ETag", "Last-Modified")
_PAST: Final = ("count", "since", "at", "summary", "elements", "format", "pretty")
_SHAPE: Final = ("summary", "elements", "format", "pretty")
_KNOWN: Final = ("if_none_match", "if_modified_since")
_GUARDS: Final = ("if_match", "if_free")
_WRITTEN: Final = (404, 406, 408, 409, 412, 413, 415, 422)
_VERSIONS: Final = {FHIR: {"One version": examples.HISTORY}}
_PATCHES: Final = {
    "application/json-patch+json": {"JSON Patch": examples.JSON_PATCH},
    FHIR: {"FHIRPath Patch": examples.FHIRPATH_PATCH},
    "application/merge-patch+json": {"Merge patch": examples.MERGE_PATCH},
}
_STORED: Final = {FHIR: {"Task": examples.stored(examples.TASK)}}
_FOUND: Final = {FHIR: {"Referrals": examples.SEARCHSET}}


async def capabilities(call: Call) -> Response:
    """What this server can do: made from the rows below."""
    pairs = query_pairs(call.request)
    check_accepts_json(call.request, pairs)
    topics = tuple(sorted(call.api.pipeline.topics))
    statement = placed(_statement(call.api.started, topics), call.base)
    if ("mode", "terminology") in pairs:
        statement = terminology_capability(statement)
    return Response(answers.as_json(statement), media_type=FHIR)


@lru_cache(maxsize=8)  # no key is needed to ask, so it must not cost much
def _statement(started: datetime, topics: tuple[str, ...]) -> Resource:
    offers, patches = offered(OPERATIONS), tuple(_PATCHES)
    return capability(_names(), operations=offers, patches=patches, topics=topics, at=started)


def _names() -> set[str]:
    """What there is: the rows, and what a header or the kind of a Bundle makes of them."""
    rows = {row.name: row.docs.parameters for row in INTERACTIONS}
    found = {*rows, "batch"} if "transaction" in rows else set(rows)
    if "if_none_exist" in rows["create"]:
        found.add("conditional_create")
    if {*_KNOWN} <= {*rows["read"]}:
        found.add("conditional_read")
    return found


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
            "The CapabilityStatement; with `mode=terminology` the TerminologyCapabilities.",
            parameters=("mode", "format"),
            response={FHIR: {"Capabilities": {"resourceType": "CapabilityStatement"}}},
            errors=(406,),
        ),
    ),
    Endpoint(
        "history_system",
        "GET",
        f"{BASE}/_history",
        Policy.MEMBER,
        history_system,
        Docs(
            "FHIR",
            "History of all",
            "The versions of all resources that you may see, the newest first, in pages.",
            parameters=_PAST,
            response=_VERSIONS,
            errors=(406,),
        ),
    ),
    Endpoint(
        "history_type",
        "GET",
        f"{_TYPE}/_history",
        Policy.MEMBER,
        history_type,
        Docs(
            "FHIR",
            "History of a type",
            "The versions of all resources of a type that you may see, the newest first, in pages.",
            parameters=("resource_type", *_PAST),
            response=_VERSIONS,
            errors=(404, 406),
        ),
    ),
    *SEARCHES,
    Endpoint(
        "create",
        "POST",
        _TYPE,
        Policy.MEMBER,
        create,
        Docs(
            "FHIR",
            "Create",
            "The gateway gives the id. A Subscription is how you hear of what happens. With "
            "`If-None-Exist` (or criteria in the query, as fhirpy sends them) only where nothing "
            "matches: 200 with what does.",
            parameters=("resource_type", "if_none_exist", "prefer_return"),
            request={
                FHIR: {
                    "Patient": examples.PATIENT,
                    "ServiceRequest": examples.SERVICE_REQUEST,
                    "Task": examples.TASK,
                    "Subscription": examples.SUBSCRIPTION,
                    "Subscription to a topic": examples.FOLLOWING,
                    "Subscription by websocket": examples.BOUND,
                }
            },
            status=201,
            response=_STORED,
            also={200: "There is one: nothing was made"},
            headers=("Location", *_VERSION),
            errors=_WRITTEN,
        ),
    ),
    Endpoint(
        "conditional_update",
        "PUT",
        _TYPE,
        Policy.MEMBER,
        conditional_update,
        Docs(
            "FHIR",
            "Conditional update",
            "Replaces the one resource that the query's criteria find; makes one where they find "
            "none.",
            parameters=("resource_type", "criteria", *_GUARDS, "prefer_return"),
            request={FHIR: {"Task": examples.ACCEPTED}},
            response=_STORED,
            also={201: "Created"},
            headers=("Location", *_VERSION),
            errors=_WRITTEN,
        ),
    ),
    Endpoint(
        "conditional_patch",
        "PATCH",
        _TYPE,
        Policy.MEMBER,
        conditional_patch,
        Docs(
            "FHIR",
            "Conditional patch",
            "Changes a part of the one resource that the query's criteria find.",
            parameters=("resource_type", "criteria", "if_match", "prefer_return"),
            request=_PATCHES,
            response=_STORED,
            headers=("Location", *_VERSION),
            errors=_WRITTEN,
        ),
    ),
    Endpoint(
        "conditional_delete",
        "DELETE",
        _TYPE,
        Policy.MEMBER,
        conditional_delete,
        Docs(
            "FHIR",
            "Conditional delete",
            "Deletes the one resource that the query's criteria find; 412 where they find several.",
            parameters=("resource_type", "criteria", "if_match", "prefer_return"),
            status=204,
            errors=(404, 406, 409, 412),
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
            parameters=("resource_type", "id", *_KNOWN, *_SHAPE),
            response=_STORED,
            also={304: "You have it"},
            headers=_VERSION,
            errors=(404, 406, 410),
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
            "Replaces the resource; creates it where the id is free. A UUID of version 5 is the "
            "gateway's to give: 404 where you see nothing under it. A Task is moved so: send it "
            "whole, with its new status, and `If-Match`.",
            parameters=("resource_type", "id", *_GUARDS, "prefer_return"),
            request={FHIR: {"Task": examples.ACCEPTED}},
            response={FHIR: {"Task": examples.ACCEPTED}},
            also={201: "Created"},
            headers=("Location", *_VERSION),
            errors=_WRITTEN,
        ),
    ),
    Endpoint(
        "patch",
        "PATCH",
        _INSTANCE,
        Policy.MEMBER,
        patch,
        Docs(
            "FHIR",
            "Patch",
            "Changes a part of a resource: by JSON Patch, FHIRPath Patch (Parameters) or merge "
            "patch. What comes of it must be right as if it had been put.",
            parameters=("resource_type", "id", "if_match", "prefer_return"),
            request=_PATCHES,
            response={FHIR: {"Task": examples.ACCEPTED}},
            headers=("Location", *_VERSION),
            errors=_WRITTEN,
        ),
    ),
    Endpoint(
        "delete",
        "DELETE",
        _INSTANCE,
        Policy.MEMBER,
        delete,
        Docs(
            "FHIR",
            "Delete",
            "By its owner alone, and not while others refer to it or have it by a referral (409). "
            "What was stays in the history.",
            parameters=("resource_type", "id", "if_match", "prefer_return"),
            status=204,
            also={200: "Deleted, and told so"},
            errors=(404, 406, 409, 412),
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
            "Its versions, the newest first, in pages.",
            parameters=("resource_type", "id", *_PAST),
            response=_VERSIONS,
            errors=(404, 406),
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
            parameters=("resource_type", "id", "version_id", *_KNOWN, *_SHAPE),
            response=_STORED,
            also={304: "You have it"},
            headers=_VERSION,
            errors=(404, 406, 410),
        ),
    ),
    *COMPARTMENTS,
    Endpoint(
        "transaction",
        "POST",
        BASE,
        Policy.MEMBER,
        bundle,
        Docs(
            "FHIR",
            "Transaction or batch",
            "A transaction's entries are done all or none; they may refer to each other by "
            "`urn:uuid`, and to what a search finds (`Patient?identifier=…`). A batch's are done "
            "each by itself, and each is answered with its own status.",
            parameters=("prefer_return",),
            request={FHIR: {"A referral": examples.TRANSACTION, "A batch": examples.BATCH}},
            response={FHIR: {"All stored": examples.TRANSACTION_RESPONSE}},
            errors=(404, 406, 408, 409, 410, 412, 413, 415, 422),
        ),
    ),
)
