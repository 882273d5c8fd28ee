"""What the gateway says of where a resource comes from is valid R4, though no gate stands there."""

from __future__ import annotations

from datetime import UTC, datetime

from gateway.fhir import gates
from gateway.fhir.provenance import provenance


def test_a_provenance_passes_both_gates() -> None:
    made = provenance(
        "0f3c2c4e-1d0b-4c9a-8f5e-3a5f5d1f0b11",
        ["Patient/p", "ServiceRequest/s"],
        sender="Organization/cedar-general",
        message="6f0f9f0e-8f7b-4a35-9d52-9a6e0c9f2f11",
        event="REF^I12",
        map="REF_I12 1a2b3c",
        at=datetime(2026, 3, 1, 16, 0, tzinfo=UTC),
    )
    assert gates.check(made) == made
    assert [each["reference"] for each in made["target"]] == ["Patient/p", "ServiceRequest/s"]
