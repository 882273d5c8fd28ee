"""How schemathesis writes bodies that aren't JSON: ``SCHEMATHESIS_HOOKS=tests.api.serializers``."""

from __future__ import annotations

from typing import Any

import schemathesis


@schemathesis.serializer(
    "application/hl7-v2", "application/fhir+ndjson", "application/x-ndjson", "text/csv"
)
def as_it_is(context: Any, value: Any) -> bytes:
    """A text as it stands, in UTF-8; what isn't one as Python prints it."""
    if isinstance(value, bytes):
        return value
    return str(value).encode("utf-8", "surrogatepass")
