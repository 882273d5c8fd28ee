"""How FHIR writes the server's own times (R4, 2.24.0.1, instant)."""

from __future__ import annotations

from datetime import UTC, datetime


def instant(at: datetime) -> str:
    """An aware time as a FHIR instant, UTC, to the millisecond: 2024-03-01T10:00:00.000Z."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}Z"
