"""What a request says in its headers, query and body. FHIR R4 http.html, RFC 9110, RFC 7240."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import parse_qsl

from starlette.requests import ClientDisconnect, Request

from gateway.api.refusals import NotAcceptable, RequestError, TooLarge, TooSlow, WrongMedia
from gateway.errors import Unauthenticated

FHIR: Final = "application/fhir+json"
FORM: Final = "application/x-www-form-urlencoded"
JSON_TYPES: Final = frozenset({FHIR, "application/json", "application/json+fhir", "text/json"})
_FORMATS: Final = JSON_TYPES | {"json"}
_WILDCARDS: Final = frozenset({"*/*", "application/*"})
_ETAG: Final = re.compile(r'(?:W/)?"([0-9]{1,18})"|([0-9]{1,18})')
_FIELDS: Final = 1000

Pairs = list[tuple[str, str]]


def bearer(request: Request) -> str:
    """The secret of ``Authorization: Bearer …`` (RFC 6750); ``Unauthenticated`` without one."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("a key is needed: Authorization: Bearer <key>", place="Authorization")
    return secret.strip()


async def body(request: Request, limit: int) -> bytes:
    """The body, read in pieces and never beyond ``limit`` bytes (``TooLarge``).

    Compressed bodies are refused: a small one can hold a very large one.
    """
    if request.headers.get("content-encoding", "identity").lower() != "identity":
        raise WrongMedia("compressed bodies aren't read", place="Content-Encoding")
    announced = request.headers.get("content-length", "0")
    if announced.isdigit() and int(announced) > limit:
        raise TooLarge(f"a body may have at most {limit} bytes")
    pieces, size = [], 0
    try:
        async for piece in request.stream():
            size += len(piece)
            if size > limit:
                raise TooLarge(f"a body may have at most {limit} bytes")
            pieces.append(piece)
    except ClientDisconnect:
        raise TooSlow("the body didn't arrive in time") from None
    return b"".join(pieces)


def media_type(request: Request) -> str:
    """The body's media type without its parameters, in lower case; "" where none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_json_body(request: Request) -> None:
    """Refuse a body that isn't named as FHIR's JSON in UTF-8 (``WrongMedia``)."""
    if media_type(request) not in JSON_TYPES:
        raise WrongMedia(f"a resource comes as {FHIR}", place="Content-Type")
    charset = _parameter(request.headers.get("content-type", ""), "charset")
    if charset not in ("", "utf-8", "utf8", "us-ascii"):
        raise WrongMedia("JSON comes in UTF-8", place="Content-Type")


def check_accepts_json(request: Request, pairs: Pairs) -> None:
    """Refuse a client that wants anything but JSON (``NotAcceptable``). ``_format`` comes first."""
    wanted = [value for name, value in pairs if name == "_format"]
    if wanted:
        # "+" stands for a blank in a query, so application/fhir+json may arrive with one
        if wanted[-1].partition(";")[0].strip().lower().replace(" ", "+") not in _FORMATS:
            raise NotAcceptable("answers come as JSON", place="_format")
        return
    accept = request.headers.get("accept", "*/*")
    if not any(kind in JSON_TYPES or kind in _WILDCARDS for kind in _accepted(accept)):
        raise NotAcceptable("answers come as JSON", place="Accept")


def prefers_text(request: Request) -> bool:
    """Whether the client asks for ``text/plain`` and not for HL7's own media type."""
    kinds = set(_accepted(request.headers.get("accept", "")))
    return "text/plain" in kinds and "application/hl7-v2" not in kinds


def query_pairs(request: Request) -> Pairs:
    """The query's (name, value) pairs in order. ``RequestError`` where they aren't UTF-8."""
    return _pairs(request.scope["query_string"], "query")


def form_pairs(request: Request, raw: bytes) -> Pairs:
    """The pairs of a form's body, as POST ``_search`` sends it."""
    if raw and media_type(request) != FORM:
        raise WrongMedia(f"a search's body comes as {FORM}", place="Content-Type")
    return _pairs(raw, "body")


def if_match(request: Request) -> int | None:
    """The version that If-Match names (``W/"3"``); None without the header."""
    header = request.headers.get("if-match")
    if header is None:
        return None
    match = _ETAG.fullmatch(header.strip())
    if match is None:
        raise RequestError('If-Match names a version: W/"3"', place="If-Match")
    return int(match.group(1) or match.group(2))


def preference(request: Request, name: str) -> str:
    """The value of ``Prefer: name=value``; "" where it isn't given. RFC 7240."""
    for line in request.headers.getlist("prefer"):
        for part in re.split("[,;]", line):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip().strip('"')
    return ""


def _accepted(header: str) -> Iterator[str]:
    for part in header.split(","):
        quality = _parameter(part, "q") or "1"
        if quality.strip("0.") or not quality.startswith("0"):
            yield part.partition(";")[0].strip().lower()


def _parameter(header: str, name: str) -> str:
    for part in header.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""


def _pairs(raw: bytes, place: str) -> Pairs:
    try:
        return parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except UnicodeDecodeError:
        raise RequestError("the parameters aren't UTF-8", place=place) from None
    except ValueError:
        raise RequestError(f"more than {_FIELDS} parameters", place=place) from None
