"""What clients do that R4 doesn't say, without the clients: each test names who does it."""

from __future__ import annotations

import pytest

from tests.api.calls import Caller, issue
from tests.api.clients import referral
from tests.api.clients.referral import NUMBERS


def test_criteria_of_a_conditional_create_may_stand_in_its_query(clinic: Caller) -> None:
    """fhirpy's ``get_or_create``."""
    value = referral.number()
    path = f"/fhir/Patient?identifier={NUMBERS}|{value}"
    first = clinic.post(path, referral.patient(value))
    again = clinic.post(path, referral.patient(value))
    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["id"] == again.json()["id"]
    both = clinic.post(path, referral.patient(value), if_none_exist="identifier=1")
    assert issue(both)["code"] == "invalid"
    assert clinic.post("/fhir/Patient?nobody=1", referral.patient(value)).status_code == 400


def test_a_total_is_asked_for_by_its_method(clinic: Caller) -> None:
    """fhirpy's ``count``, after Aidbox."""
    value = referral.number()
    clinic.post("/fhir/Patient", referral.patient(value))
    asked = f"/fhir/Patient?identifier={value}&_totalMethod="
    assert clinic.get(f"{asked}count&_count=0").json()["total"] == 1
    assert "total" not in clinic.get(f"{asked}none").json()
    assert issue(clinic.get(f"{asked}guess"))["code"] == "value"


@pytest.mark.parametrize(
    ("sign", "prefix", "found"), [(">", "gt", 0), (">=", "ge", 1), ("<", "lt", 0), ("<=", "le", 1)]
)
def test_signs_stand_for_prefixes(clinic: Caller, sign: str, prefix: str, found: int) -> None:
    """fhirclient's ``$gt``, after DSTU 1."""
    value = referral.number()
    clinic.post("/fhir/Patient", referral.patient(value))
    for each in (sign, prefix):
        asked = {"identifier": value, "birthdate": f"{each}1984-07-19", "_total": "accurate"}
        assert clinic("GET", "/fhir/Patient", params=asked).json()["total"] == found, each


@pytest.mark.usefixtures("pantry")
def test_the_base_may_end_with_a_slash(clinic: Caller) -> None:
    """fhirclient's transactions, fhir-kit-client's searches of all types."""
    assert clinic.post("/fhir/", referral.transaction(referral.number())).status_code == 200
    assert clinic.get("/fhir/?_type=Patient&_count=1").status_code == 200
