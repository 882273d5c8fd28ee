"""REF^I12 and REF^I14 by the standard library: who a referral is, and what moves its status."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import TranslateError
from gateway.model import Translation
from gateway.translate import Library, merge
from tests.mappings.said import PATIENT, entry, message

FULL = "RF1|P|R|food-insecurity^Food^L|WR|O|R-1^EHR|20260102|20260202|20260101|O|X-9^HUB"


def referral(
    library: Library, *segments: str, event: str = "I12", number: str = "M1"
) -> Translation:
    return message(library, f"REF^{event}^REF_I12", *segments, number=number)


def request(translation: Translation) -> dict[str, Any]:
    return entry(translation, "ServiceRequest").resource


def test_a_fresh_referral_asks_for_fulfilment_by_nobody_yet(library: Library) -> None:
    made = referral(library, FULL, PATIENT)
    task, asked = entry(made, "Task").resource, request(made)
    assert (task["status"], task["intent"]) == ("requested", "order")
    assert task["code"]["coding"][0]["code"] == "fulfill"
    assert task["focus"] == {"reference": f"ServiceRequest/{asked['id']}"}
    assert task["for"] == asked["subject"]
    assert task["requester"] == {"reference": "Organization/clinic"}
    assert "owner" not in task
    assert (asked["status"], asked["priority"]) == ("active", "routine")
    assert asked["occurrencePeriod"] == {"start": "2026-01-02", "end": "2026-02-02"}


def test_a_category_of_sdoh_clinical_care_is_said_in_its_own_system_first(library: Library) -> None:
    first, second = request(referral(library, FULL, PATIENT))["category"][0]["coding"]
    assert first["system"].endswith("/SDOHCC-CodeSystemTemporaryCodes")
    assert first["code"] == second["code"] == "food-insecurity"


@pytest.mark.parametrize(
    ("segment", "same"),
    [
        (FULL, FULL.replace("RF1|P|R", "RF1|A|S")),
        (FULL.replace("R-1^EHR", ""), FULL.replace("R-1^EHR", "")),
    ],
    ids=["by the sender's number", "by the external number"],
)
def test_a_referral_is_known_by_its_number(library: Library, segment: str, same: str) -> None:
    one = referral(library, segment, PATIENT, number="M1")
    other = referral(library, same, PATIENT, number="M2")
    assert request(one)["id"] == request(other)["id"]
    assert entry(one, "Task").resource["id"] == entry(other, "Task").resource["id"]


def test_a_referral_without_numbers_is_known_by_its_message(library: Library) -> None:
    ids = {request(referral(library, "RF1|P", PATIENT, number=m))["id"] for m in ("M1", "M2", "M1")}
    assert len(ids) == 2


def test_an_unknown_status_leaves_the_referral_active_with_a_warning(library: Library) -> None:
    made = referral(library, "RF1|Q||||^|R-1", PATIENT)
    assert request(made)["status"] == "active"
    assert "RF1-1" in {warning.place for warning in made.warnings}


def test_a_second_sending_does_not_turn_the_status_back(library: Library) -> None:
    task = entry(referral(library, FULL, PATIENT), "Task")
    held = {**task.resource, "status": "accepted", "owner": {"reference": "Organization/food-bank"}}
    merged = merge(held, task)
    assert (merged["status"], merged["owner"]) == ("accepted", held["owner"])


def test_a_cancellation_meets_the_same_referral(library: Library) -> None:
    made = referral(library, FULL, PATIENT)
    taken_back = referral(library, FULL, PATIENT, "NTE|1||Found help at home", event="I14")
    task = merge(entry(made, "Task").resource, entry(taken_back, "Task"))
    asked = merge(request(made), entry(taken_back, "ServiceRequest"))
    assert (task["status"], task["statusReason"]["text"]) == ("cancelled", "Found help at home")
    assert (asked["status"], asked["category"]) == ("revoked", request(made)["category"])


def test_a_cancellation_of_nothing_named_is_refused_at_its_place(library: Library) -> None:
    with pytest.raises(TranslateError) as refused:
        referral(library, "RF1|P", PATIENT, event="I14")
    assert refused.value.place == "RF1-6"


def test_the_performer_is_the_organization_that_the_provider_segment_names(
    library: Library,
) -> None:
    asks = (
        "PRD|RT|||^^^^^^^^County Food Bank",
        "PRD|RT|||||||||County Food Bank^^^^^^NPI^^^1528060837",
    )
    for segment in asks:
        made = referral(library, FULL, segment, PATIENT)
        organizations = {
            f"Organization/{entry.resource['id']}": entry.resource["name"]
            for entry in made.entries
            if entry.resource["resourceType"] == "Organization"
        }
        (performer,) = request(made)["performer"]
        assert organizations[performer["reference"]] == "County Food Bank"
