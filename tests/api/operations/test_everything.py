from __future__ import annotations

from typing import Any

import httpx

from tests.api.calls import Caller, issue
from tests.api.operations.referrals import SSN, created, observation, patient, referred


def references(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    entries = response.json().get("entry", [])
    return [f"{e['resource']['resourceType']}/{e['resource']['id']}" for e in entries]


def pages(caller: Caller, url: str) -> list[list[str]]:
    found = []
    while url:
        response = caller.get(url)
        found.append(references(response))
        links = {one["relation"]: one["url"] for one in response.json()["link"]}
        url = links.get("next", "")
    return found


def everything(who: dict[str, Any], query: str = "") -> str:
    return f"/fhir/Patient/{who['id']}/$everything{query}"


def test_it_is_the_patient_the_compartment_and_what_these_refer_to(clinic: Caller) -> None:
    who = created(clinic, patient())
    weight = created(clinic, observation(who))
    nurse = created(clinic, {"resourceType": "Practitioner", "name": [{"family": "Okafor"}]})
    seen = created(
        clinic, observation(who, performer=[{"reference": f"Practitioner/{nurse['id']}"}])
    )
    created(clinic, observation(created(clinic, patient())))
    assert set(references(clinic.get(everything(who)))) == {
        f"Patient/{who['id']}",
        f"Observation/{weight['id']}",
        f"Observation/{seen['id']}",
        f"Practitioner/{nurse['id']}",
    }


def test_the_referrals_tasks_are_in_it(clinic: Caller, pantry: Caller) -> None:
    who = created(clinic, patient())
    task = referred(clinic, who, "pantry")
    found = references(clinic.get(everything(who)))
    assert f"Task/{task['id']}" in found
    assert task["focus"]["reference"] in found


def test_another_agency_sees_what_was_shared_and_no_more(
    clinic: Caller, pantry: Caller, caller: Any
) -> None:
    who = created(clinic, patient())
    created(clinic, observation(who))
    assert pantry.get(everything(who)).status_code == 404
    task = referred(clinic, who, "pantry")
    response = pantry.get(everything(who))
    assert set(references(response)) - {"Organization/clinic", "Organization/pantry"} == {
        f"Patient/{who['id']}",
        f"Task/{task['id']}",
        task["focus"]["reference"],
    }
    assert SSN not in response.text
    assert SSN in clinic.get(everything(who)).text
    assert caller("stranger").get(everything(who)).status_code == 404


def test_pages_hold_each_once_and_their_links_lead_on(clinic: Caller) -> None:
    who = created(clinic, patient())
    made = {f"Observation/{created(clinic, observation(who))['id']}" for _ in range(5)}
    found = pages(clinic, everything(who, "?_count=2&_type=Observation"))
    assert [sum(ref in made for ref in page) for page in found] == [2, 2, 1]
    assert {ref for page in found for ref in page} >= made


def test_a_pages_link_is_its_askers_alone(clinic: Caller, admin: Caller) -> None:
    who = created(clinic, patient())
    for _ in range(3):
        created(clinic, observation(who))
    links = clinic.get(everything(who, "?_count=1")).json()["link"]
    onward = next(one["url"] for one in links if one["relation"] == "next")
    assert clinic.get(onward).status_code == 200
    assert admin.get(onward).status_code == 400


def test_types_times_and_dates_of_care_narrow_it(clinic: Caller) -> None:
    who = created(clinic, patient())
    old = created(clinic, observation(who, effectiveDateTime="2020-05-01"))
    new = created(clinic, observation(who, effectiveDateTime="2026-02-01T10:00:00Z"))
    undated = created(clinic, observation(who))
    url = everything(who, "?_type=Observation&start=2026-01-01")
    found = references(clinic.get(url))
    assert f"Observation/{new['id']}" in found
    assert f"Observation/{undated['id']}" in found
    assert f"Observation/{old['id']}" not in found
    until = references(clinic.get(everything(who, "?_type=Observation&end=2020-05-01")))
    assert f"Observation/{old['id']}" in until
    assert f"Observation/{new['id']}" not in until
    late = references(clinic.get(everything(who, "?_since=2999-01-01T00:00:00Z")))
    assert late == []
    only = references(clinic.get(everything(who, "?_type=Patient")))
    assert only == [f"Patient/{who['id']}"]
    doctor = created(clinic, {"resourceType": "Practitioner"})
    by = [{"reference": f"Practitioner/{doctor['id']}"}]
    seen = created(clinic, observation(who, performer=by))
    alone = references(clinic.get(everything(who, "?_type=Observation")))
    assert {each.partition("/")[0] for each in alone} == {"Observation"}
    both = references(clinic.get(everything(who, "?_type=Observation,Practitioner")))
    assert {f"Practitioner/{doctor['id']}", f"Observation/{seen['id']}"} <= {*both}
    assert clinic.get(everything(who, "?_type=Practitioner")).status_code == 400


def test_odd_parameters_are_refused(clinic: Caller) -> None:
    who = created(clinic, patient())
    for query in ("_type=Bogus", "_count=0", "start=never&_type=Observation", "_cursor=x", "x=1"):
        created(clinic, observation(who, effectiveDateTime="2020-05-01"))
        response = clinic.get(everything(who, f"?{query}"))
        assert response.status_code == 400, query
        assert issue(response)["severity"] == "error"
    assert clinic.get("/fhir/Patient/none/$everything").status_code == 404


def test_scopes_narrow_it(clinic: Caller, caller: Any) -> None:
    who = created(clinic, patient())
    created(clinic, observation(who))
    few = caller("clinic", scopes=("system/Patient.rs",))
    assert references(few.get(everything(who))) == [f"Patient/{who['id']}"]
    none = caller("clinic", scopes=("system/Observation.rs",))
    assert none.get(everything(who)).status_code == 403


def test_post_does_as_get(clinic: Caller) -> None:
    who = created(clinic, patient())
    body = {
        "resourceType": "Parameters",
        "parameter": [{"name": "_type", "valueCode": "Patient"}],
    }
    assert references(clinic.post(everything(who), body)) == [f"Patient/{who['id']}"]
