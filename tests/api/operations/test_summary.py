from __future__ import annotations

from typing import Any

from gateway.fhir.gates import check
from gateway.fhir.invariants import broken
from gateway.fhir.json import loads
from tests.api.calls import Caller
from tests.api.operations.referrals import SSN, created, observation, patient, referred

REQUIRED = {"11450-4", "10160-0", "48765-2"}
CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
OBSERVED = "http://terminology.hl7.org/CodeSystem/observation-category"


def summarised(caller: Caller, who: dict[str, Any]) -> dict[str, Any]:
    response = caller.get(f"/fhir/Patient/{who['id']}/$summary")
    assert response.status_code == 200, response.text
    bundle = check(loads(response.content), type="Bundle")
    assert [issue for issue in broken(bundle) if issue.severity == "error"] == []
    return bundle


def sections(bundle: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {
        one["code"]["coding"][0]["code"]: one for one in bundle["entry"][0]["resource"]["section"]
    }


def problem(who: dict[str, Any], text: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Condition",
        "clinicalStatus": {"coding": [{"system": CLINICAL, "code": "active"}]},
        "code": {"text": text},
        "subject": {"reference": f"Patient/{who['id']}"},
        **more,
    }


def test_a_document_has_its_required_sections_even_empty(clinic: Caller) -> None:
    who = created(clinic, patient())
    bundle = summarised(clinic, who)
    composition = bundle["entry"][0]["resource"]
    assert (bundle["type"], composition["resourceType"]) == ("document", "Composition")
    assert set(sections(bundle)) == REQUIRED
    for one in sections(bundle).values():
        assert one["emptyReason"]["coding"][0]["code"] == "unavailable"
        assert "entry" not in one
    assert composition["author"] == [{"reference": "Organization/clinic"}]


def test_entries_stand_in_their_sections_and_in_the_document(clinic: Caller) -> None:
    who = created(clinic, patient())
    food = created(clinic, problem(who, "Food <insecurity>"))
    lab = {"category": [{"coding": [{"system": OBSERVED, "code": "laboratory"}]}]}
    sugar = created(
        clinic, observation(who, **lab, valueQuantity={"value": 5.50, "unit": "mmol/L"})
    )
    pulse = {"category": [{"coding": [{"system": OBSERVED, "code": "vital-signs"}]}]}
    vital = created(clinic, observation(who, **pulse))
    bundle = summarised(clinic, who)
    found = sections(bundle)
    assert found["11450-4"]["entry"] == [{"reference": f"Condition/{food['id']}"}]
    assert found["30954-2"]["entry"] == [{"reference": f"Observation/{sugar['id']}"}]
    assert found["8716-3"]["entry"] == [{"reference": f"Observation/{vital['id']}"}]
    assert "Food &lt;insecurity&gt;, active" in found["11450-4"]["text"]["div"]
    here = {entry["fullUrl"] for entry in bundle["entry"]}
    for section in found.values():
        for entry in section.get("entry", ()):
            assert f"http://gateway/fhir/{entry['reference']}" in here
    assert len(here) == len(bundle["entry"])


def test_what_was_entered_in_error_is_left_out(clinic: Caller) -> None:
    who = created(clinic, patient())
    created(clinic, observation(who) | {"status": "entered-in-error"})
    assert set(sections(summarised(clinic, who))) == REQUIRED


def test_another_agency_gets_what_was_shared(clinic: Caller, pantry: Caller) -> None:
    who = created(clinic, patient())
    created(clinic, problem(who, "Secret"))
    assert pantry.get(f"/fhir/Patient/{who['id']}/$summary").status_code == 404
    referred(clinic, who, "pantry")
    bundle = summarised(pantry, who)
    text = str(bundle)
    assert "Secret" not in text
    assert SSN not in text
    assert "18776-5" in sections(bundle)  # the request that it was sent
    assert bundle["entry"][0]["resource"]["author"] == [{"reference": "Organization/pantry"}]


def test_the_keeper_has_no_organization_and_gets_one_too(clinic: Caller, admin: Caller) -> None:
    who = created(clinic, patient())
    composition = summarised(admin, who)["entry"][0]["resource"]
    assert composition["author"] == [{"display": "Care Gateway"}]
