"""Searches that lead over several resources: chains, _has, compartments, includes, lists."""

from __future__ import annotations

from typing import Any

import pytest

from gateway.errors import InvalidSearch
from gateway.store import Hub
from tests.store.found import BASE, found, grant, page, put
from tests.store.samples import ADMIN, CLINIC, PANTRY

SSN = "http://hl7.org/fhir/sid/us-ssn"


def ref(reference: str) -> dict[str, str]:
    return {"reference": reference}


def coded(code: str, system: str = "urn:s") -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


RESOURCES: list[dict[str, Any]] = [
    {"resourceType": "Organization", "id": "o1", "name": "Harbor"},
    {
        "resourceType": "Organization",
        "id": "o2",
        "name": "Pantry",
        "partOf": ref("Organization/o1"),
    },
    {"resourceType": "Practitioner", "id": "g", "name": [{"family": "Good"}]},
    {
        "resourceType": "Patient",
        "id": "p1",
        "name": [{"family": "Rivera"}],
        "gender": "female",
        "identifier": [
            {"system": "urn:mrn", "value": "1"},
            {"system": SSN, "value": "900-00-0001"},
        ],
        "maritalStatus": {"text": "widowed"},
        "generalPractitioner": [ref("Practitioner/g")],
        "managingOrganization": ref("Organization/o2"),
    },
    {
        "resourceType": "Patient",
        "id": "p2",
        "name": [{"family": "Okafor"}],
        "gender": "male",
        "identifier": [{"system": SSN, "value": "900-00-0002"}],
        "managingOrganization": ref(f"{BASE}/Organization/o2"),
    },
    {"resourceType": "Group", "id": "p1", "type": "person", "actual": True},
    {
        "resourceType": "Observation",
        "id": "x1",
        "status": "final",
        "code": coded("food"),
        "subject": ref("Patient/p1"),
        "performer": [ref("Organization/o2")],
    },
    {
        "resourceType": "Observation",
        "id": "x2",
        "status": "final",
        "code": coded("food"),
        "subject": ref(f"{BASE}/Patient/p2/_history/1"),
    },
    {
        "resourceType": "Observation",
        "id": "x3",
        "status": "final",
        "code": coded("housing"),
        "subject": ref("Group/p1"),
        "hasMember": [ref("Observation/x1")],
        "focus": [ref("Observation/x2")],
    },
    {
        "resourceType": "AuditEvent",
        "id": "a1",
        "type": {"code": "rest"},
        "recorded": "2024-03-01T00:00:00Z",
        "agent": [{"requestor": True, "who": ref("Practitioner/g")}],
        "source": {"observer": ref("Organization/o1")},
        "entity": [{"what": ref("Observation/x1")}],
    },
    {
        "resourceType": "List",
        "id": "l1",
        "status": "current",
        "mode": "working",
        "entry": [{"item": ref("Patient/p2")}, {"item": ref("Observation/x1")}],
    },
]

FINDS = {
    "Observation?subject:Patient.name=rivera": ["x1"],
    "Observation?subject:Patient.name=okafor": ["x2"],
    "Observation?subject:Patient.gender=female,male": ["x1", "x2"],
    "Observation?subject.name=rivera": ["x1"],
    "Observation?patient.name=rivera": ["x1"],
    "Observation?patient.identifier=urn:mrn|1": ["x1"],
    "Observation?patient._id=p1": ["x1"],
    "Observation?patient._id=p2&code=food": ["x2"],
    "Observation?subject:Group.type=person": ["x3"],
    "Observation?subject:Patient.organization.name=pantry": ["x1", "x2"],
    "Observation?subject:Patient.organization.partof.name=harbor": ["x1", "x2"],
    "Observation?subject:Patient.organization.partof.name=pantry": [],
    "Observation?code=food&patient.gender=female": ["x1"],
    "Observation?code=food&patient.gender:not=female": ["x2"],
    "Observation?patient.gender:missing=true": [],
    "Observation?performer:Organization.name=pantry&patient.name=rivera": ["x1"],
    "Observation?subject=Patient/p1": ["x1"],
    "Observation?subject=Patient/p2": ["x2"],
    f"Observation?subject={BASE}/Patient/p1": ["x1"],
    f"Observation?subject={BASE}/Patient/p2": ["x2"],
    "Observation?subject:Patient=p1": ["x1"],
    "Observation?subject=p1": ["x1", "x3"],
    "Patient?_has:Observation:patient:code=food": ["p1", "p2"],
    "Patient?_has:Observation:patient:code=housing": [],
    "Patient?_has:Observation:subject:code=food&name=rivera": ["p1"],
    "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/g": ["p1"],
    "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent.name=good": ["p1"],
    "Patient?_has:Observation:patient:performer.name=pantry": ["p1"],
    "Patient?_has:Observation:patient:status=final&_has:Observation:patient:_id=x2": ["p2"],
    "Organization?_has:Patient:organization:name=rivera": ["o2"],
    "Organization?_has:Patient:organization:name=okafor": ["o2"],
    "Organization?_has:Patient:organization:gender:not=female": ["o2"],
    "Patient?_list=l1": ["p2"],
    "Observation?_list=l1&code=food": ["x1"],
    "Observation?has-member.code=food": ["x1" and "x3"],
    "Observation?focus:Observation.patient.name=okafor": ["x3"],
}


@pytest.fixture
def filled(hub: Hub) -> Hub:
    put(hub, CLINIC, *RESOURCES)
    return hub


def test_a_search_may_lead_over_references_either_way(filled: Hub) -> None:
    for text, expected in FINDS.items():
        assert found(filled, CLINIC, text) == expected, text
        assert found(filled, ADMIN, text) == expected, text


def test_nothing_is_found_over_what_the_caller_does_not_see(filled: Hub) -> None:
    shared = ("Observation/x1", "Observation/x2", "Organization/o2")
    grant(filled, PANTRY.agency, *shared)
    assert found(filled, PANTRY, "Observation?code=food") == ["x1", "x2"]
    for text in FINDS:
        seen = found(filled, PANTRY, text)
        if "patient." in text or ".name" in text or "_has" in text or "_list" in text:
            expected = {"Observation?performer:Organization.name=pantry"}
            assert seen == [] or text in expected, text
    assert found(filled, PANTRY, "Observation?performer:Organization.name=pantry") == ["x1"]
    assert found(filled, PANTRY, "Observation?patient:missing=false") == ["x1", "x2"]


def test_a_search_tests_no_more_of_a_patient_than_a_grant_shows(filled: Hub) -> None:
    grant(filled, PANTRY.agency, "Patient/p1", "Patient/p2", "Observation/x1", "Practitioner/g")
    hidden = {
        f"Patient?identifier={SSN}|900-00-0001": ["p1"],
        "Patient?identifier=900-00-0002": ["p2"],
        f"Patient?identifier={SSN}|": ["p1", "p2"],
        "Patient?general-practitioner=Practitioner/g": ["p1"],
        "Patient?general-practitioner.name=good": ["p1"],
        "Patient?general-practitioner:missing=false": ["p1"],
        f"Observation?patient.identifier={SSN}|900-00-0001": ["x1"],
        "Observation?patient.general-practitioner.name=good": ["x1"],
        "Practitioner?_has:Patient:general-practitioner:gender=female": ["g"],
        "Patient?_content=widowed": ["p1"],
    }
    for text, whole in hidden.items():
        assert found(filled, CLINIC, text) == whole, text
        assert found(filled, ADMIN, text) == whole, text
        assert found(filled, PANTRY, text) == [], text
        assert page(filled, PANTRY, f"{text}&_summary=count").total == 0, text
    open_ = {
        "Patient?identifier=urn:mrn|1": ["p1"],
        "Patient?identifier:missing=true": ["p2"],
        "Patient?identifier:not=900-00-0001": ["p1", "p2"],
        "Observation?patient.identifier=1": ["x1"],
        "Patient?_content=rivera": ["p1"],
        "Patient?_content=rivera not widowed": ["p1"],
    }
    for text, part in open_.items():
        assert found(filled, PANTRY, text) == part, text
    assert found(filled, CLINIC, "Patient?identifier:missing=true") == []
    assert found(filled, CLINIC, "Patient?_content=rivera not widowed") == []


def test_an_order_is_by_what_the_caller_may_read(filled: Hub) -> None:
    grant(filled, PANTRY.agency, "Patient/p1", "Patient/p2")
    assert found(filled, CLINIC, "Patient?_sort=-identifier") == ["p2", "p1"]
    assert found(filled, PANTRY, "Patient?_sort=-identifier") == ["p1", "p2"]


INCLUDES = {
    "Observation?_id=x1&_include=Observation:subject": ["Patient/p1"],
    "Observation?_id=x2&_include=Observation:subject": ["Patient/p2"],
    "Observation?_id=x1,x3&_include=Observation:subject": ["Group/p1", "Patient/p1"],
    "Observation?_id=x1,x3&_include=Observation:subject:Group": ["Group/p1"],
    "Observation?_id=x1&_include=*": ["Organization/o2", "Patient/p1"],
    "Observation?_id=x1&_include=Observation:*": ["Organization/o2", "Patient/p1"],
    "Observation?_id=x1,x3&_include=Observation:has-member": [],
    "Observation?_id=x3&_include=Observation:has-member": ["Observation/x1"],
    "Observation?_id=x1&_include=Observation:patient&_include=Patient:organization": ["Patient/p1"],
    "Observation?_id=x1&_include=Observation:patient&_include:iterate=Patient:organization": [
        "Organization/o2",
        "Patient/p1",
    ],
    "Organization?_id=o2&_include:iterate=Organization:partof": ["Organization/o1"],
    "Patient?_revinclude=Observation:subject": ["Observation/x1", "Observation/x2"],
    "Patient?_id=p1&_revinclude=*": ["Observation/x1"],
    "Patient?_id=p2&_revinclude=*": ["List/l1", "Observation/x2"],
    "Organization?_id=o1&_revinclude=Organization:partof": ["Organization/o2"],
    "Organization?_id=o1&_revinclude:iterate=Organization:partof"
    "&_revinclude:iterate=Patient:organization": ["Organization/o2", "Patient/p1", "Patient/p2"],
    "Patient?_id=p1&_revinclude=Observation:patient&_revinclude:iterate=AuditEvent:entity": [
        "AuditEvent/a1",
        "Observation/x1",
    ],
}


def test_a_page_brings_what_was_asked_for_once(filled: Hub) -> None:
    for text, expected in INCLUDES.items():
        result = page(filled, CLINIC, text)
        assert sorted(each.reference for each in result.included) == expected, text
        assert result.total == len(result.entries)


def test_a_page_brings_what_is_named_by_its_canonical_url(hub: Hub) -> None:
    url = "http://example.org/Questionnaire/needs"
    for id, number, owner in (("q1", "1", CLINIC), ("q2", "2", CLINIC), ("q3", "2", PANTRY)):
        form = {"resourceType": "Questionnaire", "id": id, "status": "active", "url": url}
        put(hub, owner, {**form, "version": number})
    for id, named in (("a", f"{url}|2"), ("b", url), ("c", f"{url}|3"), ("d", "http://e.org/x")):
        answers = {"resourceType": "QuestionnaireResponse", "id": id, "status": "completed"}
        put(hub, CLINIC, {**answers, "questionnaire": named})
    for ids, brought in (("a", ["q2"]), ("b", ["q1", "q2"]), ("c", []), ("a,b", ["q1", "q2"])):
        asked = f"_id={ids}&_include=QuestionnaireResponse:questionnaire"
        found_there = page(hub, CLINIC, f"QuestionnaireResponse?{asked}").included
        assert sorted(one.id for one in found_there) == brought, ids
    typed = "QuestionnaireResponse?_id=b&_include=QuestionnaireResponse:questionnaire:Patient"
    assert page(hub, CLINIC, typed).included == ()


def test_a_page_brings_nothing_that_the_caller_does_not_see(filled: Hub) -> None:
    grant(filled, PANTRY.agency, "Observation/x1", "Observation/x3", "Patient/p1", "Practitioner/g")
    expected = {"Patient/p1", "Observation/x1", "Observation/x3"}
    for text in INCLUDES:
        result = page(filled, PANTRY, text)
        assert {each.reference for each in result.included} <= expected, text
    text = "Patient?_id=p1&_include=Patient:general-practitioner"
    assert [each.id for each in page(filled, CLINIC, text).included] == ["g"]
    assert page(filled, PANTRY, text).included == ()
    text = "Practitioner?_id=g&_revinclude=Patient:general-practitioner"
    assert [each.id for each in page(filled, CLINIC, text).included] == ["p1"]
    assert page(filled, PANTRY, text).included == ()


def test_a_compartment_holds_what_refers_to_it(filled: Hub) -> None:
    p1, p2 = ("Patient", "p1"), ("Patient", "p2")
    assert found(filled, CLINIC, "Observation", within=p1) == ["x1"]
    assert found(filled, CLINIC, "Observation?code=housing", within=p1) == []
    assert found(filled, CLINIC, "Observation?code=food", within=p2) == ["x2"]
    assert found(filled, CLINIC, "", within=p1) == ["p1", "x1"]
    assert found(filled, CLINIC, "?_type=Observation,Condition", within=p1) == ["x1"]
    assert found(filled, PANTRY, "", within=p1) == []
    with pytest.raises(InvalidSearch):
        found(filled, CLINIC, "Organization", within=p1)


def test_the_whole_system_is_searched_by_what_all_types_have(filled: Hub) -> None:
    assert found(filled, CLINIC, "?_type=Patient,Organization") == ["o1", "o2", "p1", "p2"]
    assert found(filled, CLINIC, "?_type=Patient,Observation&_id=p1,x1") == ["p1", "x1"]
    assert found(filled, CLINIC, "?_id=p1") == ["p1", "p1"]
    assert found(filled, CLINIC, "?_type=Practitioner,Patient&gender=female") == ["p1"]
    assert found(filled, CLINIC, "?_type=Observation,List&subject:Patient.name=rivera") == ["x1"]
    assert len(found(filled, CLINIC, "?_lastUpdated=gt2020")) == len(RESOURCES)
    assert found(filled, PANTRY, "?_type=Patient,Organization") == []
    with pytest.raises(InvalidSearch):
        found(filled, CLINIC, "?_type=Patient,Organization&gender=female")
    with pytest.raises(InvalidSearch):
        found(filled, CLINIC, "?_type=Patient,Secret")


@pytest.mark.parametrize("text", ["Observation?subject:Patient.gender:missing=false", "?_count=3"])
def test_pages_of_a_joined_search_lead_on_and_are_the_callers_own(filled: Hub, text: str) -> None:
    whole = found(filled, CLINIC, text.replace("_count=3", "_count=100"))
    seen: list[str] = []
    mark = ""
    while True:
        joined = "&" if "?" in text else "?"
        result = page(
            filled, CLINIC, f"{text}{joined}_count=3{mark}".replace("_count=3&_count", "_count")
        )
        seen += [entry.id for entry in result.entries]
        assert result.total == len(whole)
        if result.next is None:
            break
        mark = f"&_cursor={result.next}"
        with pytest.raises(InvalidSearch):
            page(
                filled, PANTRY, f"{text}{joined}_count=3{mark}".replace("_count=3&_count", "_count")
            )
    assert seen == whole
