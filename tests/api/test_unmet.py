"""The ledger of unmet needs over the API."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.pipeline import Pipeline
from gateway.store import Unmet
from tests.api.calls import Caller

AT = datetime(2026, 3, 2, 15, 4, 5, tzinfo=UTC)
WHY = "no agency is left that could be asked"


@pytest.fixture(scope="module", autouse=True)
def ledger(pipeline: Pipeline) -> None:
    """Six without a bed in one place, two in another, and one without food that was met."""

    def unit(tx: object) -> None:
        for n in range(9):
            category, area = ("homelessness", "52240" if n < 6 else "52601")
            if n == 8:
                category = "food-insecurity"
            tx.note_unmet(Unmet(f"t{n}", "", category, area, WHY, n, AT))  # type: ignore[attr-defined]
        tx.close_unmet("t8", "", "met", AT)  # type: ignore[attr-defined]

    pipeline._hub.write(unit)


def test_the_open_entries_are_listed_and_the_closed_ones_on_request(admin: Caller) -> None:
    open_ = admin.get("/admin/unmet-needs").json()["unmet"]
    assert [each["task"] for each in open_] == [f"Task/t{n}" for n in reversed(range(8))]
    assert open_[0] == {
        "task": "Task/t7",
        "category": "homelessness",
        "area": "52601",
        "reason": WHY,
        "asked": 7,
        "opened": "2026-03-02T15:04:05.000Z",
        "closed": None,
        "outcome": "open",
    }
    all_ = admin.get("/admin/unmet-needs?status=all").json()["unmet"]
    assert all_[0]["outcome"] == "met"


def test_counts_name_nobody_and_small_ones_are_withheld(admin: Caller) -> None:
    told = admin.get("/admin/unmet-needs/counts?since=2026-03-01&until=2026-04-01").json()
    cells = {(c["category"], c["area"], c["outcome"]): c["count"] for c in told["counts"]}
    assert cells == {
        ("homelessness", "52240", "open"): 6,
        ("homelessness", "", "open"): None,
        ("food-insecurity", "", "met"): None,
    }
    none = admin.get("/admin/unmet-needs/counts?since=2026-04-01&until=2026-05-01").json()
    assert none["counts"] == []


def test_what_the_hub_has_in_hand_is_told_with_what_is_due(
    clinic: Caller, admin: Caller, pipeline: Pipeline
) -> None:
    who = clinic.post("/fhir/Patient", {"resourceType": "Patient"}).json()["id"]
    subject = {"reference": f"Patient/{who}"}
    ask = {"resourceType": "ServiceRequest", "status": "active", "intent": "order"}
    request = clinic.post("/fhir/ServiceRequest", ask | {"subject": subject}).json()["id"]
    task = {
        "resourceType": "Task",
        "status": "requested",
        "intent": "order",
        "focus": {"reference": f"ServiceRequest/{request}"},
        "requester": {"reference": "Organization/clinic"},
    }
    made = clinic.post("/fhir/Task", task).json()
    (line,) = admin.get("/admin/referrals").json()["referrals"]
    assert line["task"] == f"Task/{made['id']}"
    assert (line["requester"], line["stage"], line["asked"]) == ("clinic", "seeking", [])
    assert line["next"]["step"] == "route"
    pipeline.referrals.run()
    (line,) = admin.get("/admin/referrals").json()["referrals"]
    assert (line["stage"], line["next"]) == ("navigator", None)


def test_it_is_for_administrators(clinic: Caller, nobody: Caller, admin: Caller) -> None:
    for path in ("/admin/unmet-needs", "/admin/unmet-needs/counts", "/admin/referrals"):
        assert clinic.get(path).status_code == 403
        assert nobody.get(path).status_code == 401
        assert admin.get(f"{path}?since=yesterday&x=1").status_code == 400
