"""What a request says in its headers, query and body. FHIR R4 http.html, RFC 9110, RFC 7240."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect, Request
from starlette.types import Receive, Scope, Send

from gateway.api.refusals import NotAcceptable, RequestError, TooLarge, TooSlow, WrongMedia
from gateway.errors import Unauthenticated
from gateway.fhir.interaction import criteria, version

FHIR: Final = "application/fhir+json"
HOPS: Final = "care-gateway-hops"
FORM: Final = "application/x-www-form-urlencoded"
JSON_TYPES: Final = frozenset({FHIR, "application/json", "application/json+fhir", "text/json"})
_FORMATS: Final = JSON_TYPES | {"json"}
WILDCARDS: Final = frozenset({"*/*", "application/*"})
_VERSIONS: Final = frozenset({"", "4.0", "4.0.1"})
_FIELDS: Final = 1000

Pairs = list[tuple[str, str]]


class Table(Headers):
    """Headers in which one is found at once: going through all of them cost more than a read."""

    def __init__(self, scope: Scope) -> None:
        super().__init__(raw=scope["headers"])
        self._first = dict(reversed(self._list))

    def __getitem__(self, key: str) -> str:
        return self._first[key.lower().encode("latin-1")].decode("latin-1")

    def get(self, key: str, default: Any = None) -> Any:
        """The first header of that name."""
        found = self._first.get(key.lower().encode("latin-1"))
        return default if found is None else found.decode("latin-1")


class Asked(Request):
    """A request whose headers are a table."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        super().__init__(scope, receive, send)
        self._table = Table(scope)

    @property
    def headers(self) -> Headers:
        """By name, in any case."""
        return self._table


def bearer(request: Request) -> str:
    """The secret of ``Authorization: Bearer …`` (RFC 6750); ``Unauthenticated`` without one."""
    scheme, _, secret = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not secret.strip():
        raise Unauthenticated("a key is needed: Authorization: Bearer <key>", place="Authorization")
    return secret.strip()


def hops(request: Request) -> int:
    """How many hubs what comes went through: those say so that deliver by ``rest_hook``."""
    said = request.headers.get(HOPS, "")
    return min(int(said), 1000) if said.isdecimal() and len(said) < 10 else 0


async def body(request: Request, limit: int, hold: Callable[[int], None] | None = None) -> bytes:
    """The body, read in pieces and never beyond ``limit`` bytes (``TooLarge``).

    Compressed bodies are refused: a small one can hold a very large one. ``hold`` is told of each
    piece before it is kept, and may refuse.
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
            if hold is not None and piece:
                hold(len(piece))
            pieces.append(piece)
    except ClientDisconnect:
        raise TooSlow("the body didn't arrive in time") from None
    return b"".join(pieces)


def media_type(request: Request) -> str:
    """The body's media type without its parameters, in lower case; "" where none is named."""
    return request.headers.get("content-type", "").partition(";")[0].strip().lower()


def check_json_body(request: Request) -> None:
    """Refuse a body that is named as anything but FHIR R4's JSON in UTF-8 (``WrongMedia``).

    One that isn't named at all is taken for it, for it can't be anything else.
    """
    check_body_type(request, JSON_TYPES | {""})


def check_body_type(request: Request, known: Collection[str]) -> str:
    """The body's media type, one of ``known``, in UTF-8 and R4 (``WrongMedia``)."""
    header, found = request.headers.get("content-type", ""), media_type(request)
    if found not in known:
        listed = ", ".join(sorted(each for each in known if each))
        raise WrongMedia(f"a body comes as one of {listed}", place="Content-Type")
    if _parameter(header, "charset") not in ("", "utf-8", "utf8", "us-ascii"):
        raise WrongMedia("JSON comes in UTF-8", place="Content-Type")
    if _parameter(header, "fhirversion") not in _VERSIONS:
        raise WrongMedia("this is FHIR 4.0", place="Content-Type")
    return found


def check_accepts_json(request: Request, pairs: Pairs) -> None:
    """Refuse a client that wants anything but R4's JSON (``NotAcceptable``). ``_format`` first."""
    wanted = [value for name, value in pairs if name == "_format"]
    if wanted:
        # "+" stands for a blank in a query, so application/fhir+json may arrive with one
        if wanted[-1].partition(";")[0].strip().lower().replace(" ", "+") not in _FORMATS:
            raise NotAcceptable("answers come as JSON", place="_format")
        return
    if not any(kind in _FORMATS or kind in WILDCARDS for kind in accepted(request)):
        raise NotAcceptable("answers come as JSON, of FHIR 4.0", place="Accept")


def accepted(request: Request) -> Iterator[str]:
    """The media types that the client accepts, of R4 where they speak of a version."""
    return _accepted(request.headers.get("accept", "").strip() or "*/*")


def plain(pairs: Pairs) -> Pairs:
    """Without what speaks of the answer's form alone: ``_format``, ``_pretty``."""
    return [each for each in pairs if each[0] not in ("_format", "_pretty")]


def wants_pretty(request: Request) -> bool:
    """Whether the answer is for eyes: ``_pretty=true``."""
    query: bytes = request.scope["query_string"]
    return b"_pretty=true" in query.split(b"&")


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
    """The version that If-Match names (``W/"3"``; ``ANY`` for ``*``); None without the header."""
    header = request.headers.get("if-match")
    return None if header is None else version(header, "If-Match")


def if_free(request: Request) -> bool:
    """Whether a PUT may only make what isn't there: ``If-None-Match: *``."""
    header = request.headers.get("if-none-match", "").strip()
    if header not in ("", "*"):
        raise RequestError("a write takes * alone", place="If-None-Match")
    return bool(header)


def if_none_exist(request: Request, type: str) -> tuple[tuple[str, str], ...] | None:
    """The criteria of a conditional create of ``type``; None without the header."""
    header = request.headers.get("if-none-exist")
    return None if header is None else criteria(header, "If-None-Exist", type)


def is_known(request: Request, number: int, updated: datetime) -> bool:
    """Whether the client has this version already: If-None-Match, else If-Modified-Since."""
    tags = request.headers.get("if-none-match")
    if tags is not None:
        named = (each.strip().removeprefix("W/").strip('"') for each in tags.split(","))
        return any(each in ("*", str(number)) for each in named)
    since = request.headers.get("if-modified-since")
    if since is None:
        return False
    try:
        at = parsedate_to_datetime(since)
    except (ValueError, OverflowError):
        raise RequestError("must be a date as HTTP writes it", place="If-Modified-Since") from None
    return updated.replace(microsecond=0) <= at.replace(tzinfo=at.tzinfo or UTC)


def preference(request: Request, name: str) -> str:
    """The value of ``Prefer: name=value``; "" where it isn't given. RFC 7240."""
    for line in request.headers.getlist("prefer"):
        for part in re.split("[,;]", line):
            key, _, value = part.partition("=")
            if key.strip().lower() == name:
                return value.strip().strip('"')
    return ""


def prefers(request: Request, name: str) -> bool:
    """Whether ``Prefer`` says a word that has no value (``respond-async``). RFC 7240."""
    lines = request.headers.getlist("prefer")
    return any(part.strip().lower() == name for line in lines for part in re.split("[,;]", line))


def _accepted(header: str) -> Iterator[str]:
    for part in header.split(","):
        quality = _parameter(part, "q") or "1"
        if _parameter(part, "fhirversion") not in _VERSIONS:
            continue
        if quality.strip("0.") or not quality.startswith("0"):
            yield part.partition(";")[0].strip().lower()


def _parameter(header: str, name: str) -> str:
    for part in header.split(";")[1:]:
        key, _, value = part.partition("=")
        if key.strip().lower() == name:
            return value.strip().strip('"').lower()
    return ""


def _pairs(raw: bytes, place: str) -> Pairs:
    if not raw:
        return []
    try:
        return parse_qsl(
            raw.decode("utf-8"), keep_blank_values=True, errors="strict", max_num_fields=_FIELDS
        )
    except UnicodeDecodeError:
        raise RequestError("the parameters aren't UTF-8", place=place) from None
    except ValueError:
        raise RequestError(f"more than {_FIELDS} parameters", place=place) from None
