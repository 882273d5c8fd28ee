"""What a request is called in answers and log lines (FHIR R4, http, 3.1.0.1.10).

A client's ``X-Request-Id`` is taken over where it can be nothing but an id: a UUID, 32 hexadecimal
digits or a ULID. Any other might say whom the request is about, and this one is logged: then we
give our own, and theirs goes back in ``X-Correlation-Id``.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Iterable
from typing import Final

_ID: Final = re.compile(
    rb"[0-9a-fA-F]{32}|[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|[0-9A-HJKMNP-TV-Z]{26}"
)
_SAYABLE: Final = re.compile(rb"[!-~]{1,128}")

Header = tuple[bytes, bytes]


def named(headers: Iterable[Header]) -> tuple[str, list[Header]]:
    """The id of a request, and the headers of its answer that tell it."""
    theirs = next((value for name, value in headers if name == b"x-request-id"), b"")
    if _ID.fullmatch(theirs):
        return theirs.decode(), [(b"x-request-id", theirs)]
    id_ = secrets.token_hex(16)
    told = [(b"x-request-id", id_.encode())]
    if _SAYABLE.fullmatch(theirs):
        told.append((b"x-correlation-id", theirs))
    return id_, told
