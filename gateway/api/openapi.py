"""The OpenAPI 3.1 document, from the rows that the routes are made of.

``operation`` gives a route what FastAPI can't know of an endpoint that takes bytes and gives
bytes: parameters, bodies, headers, examples and errors, by reference to the components below.
"""

from __future__ import annotations

import json
from typing import Any, Final

from fastapi import FastAPI

from gateway.api.endpoint import Docs, Endpoint, parameter
from gateway.api.examples import ID, outcome
from gateway.api.requests import FHIR
from gateway.fhir.compartments import owners
from gateway.fhir.elements import resource_types
from gateway.protect.policy import Policy

Json = dict[str, Any]

VERSION: Final = "0.1.0"
ABOUT: Final = """\
Refer people between agencies that don't speak each other's language: FHIR R4 (4.0.1), JSON.

Every call bears a key, `Authorization: Bearer cg_…`, which `gateway key create AGENCY` prints. You
see what your agency owns and what a referral to you, or from you, opened. Every refusal is an
OperationOutcome whose `expression` names the place and whose text holds no value of a record.
"""
TAGS: Final = (
    ("FHIR", "Interactions, named as in the FHIR specification"),
    ("Operations", "FHIR operations: what an interaction can't do"),
    ("Bulk", "What a bulk operation began: its status and files"),
    ("Intake", "Other formats in"),
    ("Maps", "What maps make of messages: tried, explained, compared"),
    ("Admin", "For the gateway's keepers"),
    ("Health", "For load balancers; no key"),
)
_STRING: Final = {"type": "string"}


PARAMETERS: Final[dict[str, Json]] = {
    "resource_type": parameter(
        "resource_type", "An R4 resource type", "Task", "path", enum=sorted(resource_types())
    ),
    "id": parameter("id", "The resource's id", ID, "path", pattern=r"^[A-Za-z0-9\-.]{1,64}$"),
    "version_id": parameter(
        "version_id", "A version, as in `meta.versionId`", "1", "path", pattern="^[0-9]{1,18}$"
    ),
    "message_id": parameter("message_id", "The message's id", ID, "path"),
    "prefer_return": parameter(
        "Prefer",
        "What a write answers: `return=representation` (default), `minimal`, `OperationOutcome`",
        "return=representation",
        "header",
    ),
    "prefer_handling": parameter(
        "Prefer",
        "`handling=lenient` leaves unknown search parameters out; else they are a 400",
        "handling=strict",
        "header",
    ),
    "if_match": parameter(
        "If-Match", "The version that you changed; 412 if it isn't the newest", 'W/"1"', "header"
    ),
    "if_free": parameter(
        "If-None-Match", "`*`: only where there is none yet; else 412", "*", "header"
    ),
    "if_none_match": parameter(
        "If-None-Match", "The version that you have; 304 if it is the newest", 'W/"1"', "header"
    ),
    "if_modified_since": parameter(
        "If-Modified-Since", "304 if nothing is newer", "Mon, 02 Mar 2026 15:04:05 GMT", "header"
    ),
    "if_none_exist": parameter(
        "If-None-Exist",
        "Search criteria; nothing is made where one resource matches, 412 where several do",
        "identifier=urn:oid:2.16.840.1.113883.3.9999.1|MRN-1001",
        "header",
    ),
    "count": parameter("_count", "How many on a page, at most 1000", "50"),
    "since": parameter("_since", "Only versions written from this time on", "2026-03-02T00:00:00Z"),
    "at": parameter("_at", "Only versions that were current at some time then", "2026-03"),
    "summary": parameter("_summary", "`true`, `text`, `data`, `count` (no read), `false`", "true"),
    "elements": parameter(
        "_elements", "Only these elements, and those that must be there", "status,owner"
    ),
    "pretty": parameter("_pretty", "`true`: indented", "true"),
    "mode": parameter("mode", "`terminology`: what codes are known", "full"),
    "format": parameter("_format", "`json`: nothing else is spoken", "json"),
    "search": {
        "name": "search",
        "in": "query",
        "description": "The type's search parameters, with prefixes and modifiers, and `_count`, "
        "`_sort`, `_total`, `_lastUpdated`; `near` and `phonetic`, too. An unknown one is a 400 "
        "that lists the valid ones.",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": _STRING},
        "example": {"owner": "Organization/food-bank", "status": "requested"},
    },
    "search_inside": {
        "name": "search",
        "in": "query",
        "description": "The search parameters of what is searched for, as in a search of its type.",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": _STRING},
        "example": {"status": "active"},
    },
    "criteria": {
        "name": "criteria",
        "in": "query",
        "description": "Search parameters of the type; one resource must match, or none.",
        "style": "form",
        "explode": True,
        "required": True,
        "schema": {"type": "object", "additionalProperties": _STRING},
        "example": {"identifier": "https://cedar-general.example/referrals|R-1001"},
    },
    "search_system": {
        "name": "search",
        "in": "query",
        "description": "`_type` (types, commas between), the search parameters that all of these "
        "have, and `_count`, `_sort`, `_total`, `_include`, `_revinclude`.",
        "style": "form",
        "explode": True,
        "schema": {"type": "object", "additionalProperties": _STRING},
        "example": {"_type": "Task,ServiceRequest", "_sort": "-_lastUpdated"},
    },
    "compartment": parameter(
        "resource_type",
        "Whose compartment it is",
        "Patient",
        "path",
        enum=list(owners()),
    ),
    "member": parameter("member", "A type of what is in it, or `*`", "ServiceRequest", "path"),
    "job_id": parameter(
        "job_id", "The job's id, from `Content-Location`", ID.replace("-", ""), "path"
    ),
    "file": parameter("file", "A file that the manifest names", "Task-1.ndjson", "path"),
    "status": parameter("status", "`failed`: what is kept and undone", "failed"),
    "unmet_status": parameter("status", "`open` (default) or `all`", "all"),
    "since_time": parameter("since", "A date or instant; a year before", "2026-01-01"),
    "until_time": parameter("until", "A date or instant; by default now", "2026-04-01"),
    "task": parameter("task", "A Task's id: what waits for the code it asks for", ID),
    "agency": parameter(
        "agency", "Whose a message is whose sender nobody declares", "cedar-general"
    ),
}
HEADERS: Final[dict[str, Json]] = {
    "ETag": {"description": "The version", "schema": _STRING, "example": 'W/"1"'},
    "Last-Modified": {
        "description": "When this version was stored",
        "schema": _STRING,
        "example": "Mon, 02 Mar 2026 15:04:05 GMT",
    },
    "Content-Location": {
        "description": "Where to ask after the job",
        "schema": _STRING,
        "example": f"http://127.0.0.1:8080/bulk/export/{ID.replace('-', '')}",
    },
    "Location": {
        "description": "The version that was stored",
        "schema": _STRING,
        "example": f"http://127.0.0.1:8080/fhir/Task/{ID}/_history/1",
    },
}
ERRORS: Final[dict[int, tuple[str, str, str, str | None]]] = {
    400: ("Malformed, or not R4", "invalid", "an element that R4 doesn't have", "Task.stauts"),
    401: ("No valid key", "login", "a key is needed", "Authorization"),
    403: ("Not your right", "forbidden", "this move is the performer's", "Task.status"),
    404: ("Not there, or not yours to see", "not-found", "no such resource", None),
    405: ("Not on this path", "not-supported", "the path doesn't know this method", None),
    406: ("Only JSON is spoken", "not-supported", "answers come as JSON", "Accept"),
    408: ("The body came too slowly", "timeout", "the body didn't arrive in time", None),
    409: ("Conflict", "business-rule", "the referral can't go from here to there", "Task.status"),
    410: ("Deleted", "deleted", "the resource was deleted", None),
    412: ("Another write came first", "conflict", "this version isn't the newest", None),
    413: ("Too large", "too-long", "a body may have at most 10485760 bytes", None),
    415: ("Not a media type read here", "not-supported", "a resource comes as JSON", None),
    422: ("Against a rule", "business-rule", "a referral needs a performer", "Task.owner"),
    429: ("Too much of you", "throttled", "this agency sends faster than it may", None),
    500: ("Our fault", "exception", "the gateway failed; its log says where", None),
    503: ("Try again", "transient", "the gateway can't take it now", None),
}
_EMPTY: Final = frozenset({202, 204, 304})
_SCHEMAS: Final = ("Bundle", "CapabilityStatement", "OperationOutcome", "Resource")


def operation(endpoint: Endpoint) -> Json:
    """The Operation object of a row, for FastAPI's ``openapi_extra``."""
    docs = endpoint.docs
    made: Json = {"parameters": [_ref("parameters", name) for name in docs.parameters]}
    made["parameters"] += docs.own
    if docs.request:
        made["requestBody"] = {"required": docs.needs_body, "content": _content(docs.request)}
    made["responses"] = _responses(docs, open=endpoint.policy is Policy.PUBLIC)
    made["security"] = [] if endpoint.policy is Policy.PUBLIC else [{"key": []}]
    return made


def openapi_document(app: FastAPI) -> Json:
    """The whole document of an app that ``build_api`` made; the same for the same tables."""
    document = FastAPI.openapi(app)
    document["tags"] = [{"name": name, "description": text} for name, text in TAGS]
    document["components"] = {
        "schemas": {name: _schema(name) for name in _SCHEMAS},
        "parameters": PARAMETERS,
        "headers": HEADERS,
        "responses": {f"Error{status}": _error(status) for status in ERRORS},
        "securitySchemes": {
            "key": {"type": "http", "scheme": "bearer", "description": "An agency's key"}
        },
    }
    return document


def openapi_text(app: FastAPI) -> str:
    """The document as it is checked in and served."""
    return json.dumps(openapi_document(app), indent=1, ensure_ascii=False) + "\n"


def _responses(docs: Docs, *, open: bool) -> Json:
    headers = {name: _ref("headers", name) for name in docs.headers}
    success: Json = {"description": docs.summary}
    if docs.response:
        success["content"] = _content(docs.response)
    if headers:
        success["headers"] = headers
    made = {str(docs.status): success}
    for status, text in docs.also.items():
        made[str(status)] = _besides(success, status) | {"description": text}
    errors = {400, 429, *docs.errors, 500}
    errors |= set() if open else {401, 403, 503}
    return made | {str(status): _ref("responses", f"Error{status}") for status in sorted(errors)}


def _besides(success: Json, status: int) -> Json:
    """What another status answers: like success, but for those that have nothing to show.

    One that is an error may come from before the door's own business, and is an outcome then.
    """
    if status in _EMPTY:
        return {name: part for name, part in success.items() if name != "content"}
    if status < 400:
        return success
    outcome_too = {FHIR: {"schema": _ref("schemas", "OperationOutcome")}}
    return success | {"content": success.get("content", {}) | outcome_too}


def _content(examples: Json) -> Json:
    """Media types with their named examples; FHIR's bodies have a schema by their type."""
    return {
        media: {
            "schema": _schema_of(media, list(named.values())),
            "examples": {name: {"value": value} for name, value in named.items()},
        }
        for media, named in examples.items()
    }


def _schema_of(media: str, values: list[Any]) -> Json:
    if media != FHIR:
        kinds: dict[type, str] = {dict: "object", list: "array"}
        return {"type": kinds.get(type(values[0]), "string")}
    types = {value["resourceType"] for value in values}
    only = types.pop() if len(types) == 1 else "Resource"
    return _ref("schemas", only if only in _SCHEMAS else "Resource")


def _schema(name: str) -> Json:
    type: Json = _STRING if name == "Resource" else _STRING | {"const": name}
    specification = "resourcelist" if name == "Resource" else name.lower()
    return {
        "type": "object",
        "description": f"FHIR R4: https://hl7.org/fhir/R4/{specification}.html",
        "required": ["resourceType"],
        "properties": {"resourceType": type},
        "additionalProperties": True,
    }


def _error(status: int) -> Json:
    meaning, code, text, place = ERRORS[status]
    content = {
        "schema": _ref("schemas", "OperationOutcome"),
        "example": outcome(code, text, place),
    }
    return {"description": meaning, "content": {FHIR: content}}


def _ref(kind: str, name: str) -> Json:
    return {"$ref": f"#/components/{kind}/{name}"}
