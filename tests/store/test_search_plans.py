"""Each kind of search goes by an index: no statement of it reads a whole table.

SQLite's plans don't hang on what the tables hold (nothing is analysed). PostgreSQL would read an
empty table whole, so it is told not to where it can help it.
"""

from __future__ import annotations

import pytest

from gateway.store import Hub
from gateway.store.search import searches
from tests.store import plans
from tests.store.found import page, put
from tests.store.plans import Seen, is_whole, plan
from tests.store.samples import CLINIC

SEARCHES = [
    "Patient?_id=a",
    "Patient?identifier=urn:a|1",
    "Patient?identifier=1",
    "Patient?identifier:of-type=urn:t|MR|1",
    "Patient?family=smith",
    "Patient?family:exact=Smith",
    "Patient?family:contains=mit",
    "Patient?gender=female",
    "Patient?gender:not=female&birthdate=1980",
    "Patient?gender:missing=true&family=smith",
    "Patient?birthdate=1980-02-03",
    "Patient?birthdate=gt1980&birthdate=lt1990",
    "Patient?_lastUpdated=gt2024",
    "Patient?_sort=-_lastUpdated",
    "Patient?family=smith&_sort=birthdate,-family",
    "Patient?_tag=a",
    "Patient?_profile=http://e.org/p",
    "Task?owner=Organization/1&status=requested",
    "Task?owner=1",
    "Task?owner:identifier=1",
    "Task?code:text=food",
    "Task?_content=food",
    "Patient?_text=food",
    "RiskAssessment?probability=gt0.5",
    "Observation?value-quantity=5|http://unitsofmeasure.org|mg",
    "Observation?code-value-quantity=a$5",
    "Observation?component-code-value-quantity=a$5",
    "Observation?combo-code-value-quantity=a$5",
    "Observation?combo-code=a",
    "Observation?combo-value-quantity=5|http://unitsofmeasure.org|mg",
    "ValueSet?url=http://e.org/v",
    "ValueSet?url:below=http://e.org/",
    "ValueSet?url:above=http://e.org/a/b",
    "Observation?subject:Patient.family=smith",
    "Observation?subject.name=smith&code=a",
    "Observation?patient.organization.name=harbor",
    "Observation?code=a&patient.gender:missing=true",
    "Observation?patient._id=a",
    "Patient?_has:Observation:patient:code=a",
    "Patient?_has:Observation:patient:_has:AuditEvent:entity:agent=Practitioner/g",
    "Patient?family=smith&_has:Observation:patient:code:not=a",
    "Patient?_list=1",
    "Patient?phonetic=smith",
    "Patient?phonetic=john smith,jones",
    "Location?near=41|-91|10|km",
    "HealthcareService?location.near=41|-91",
    "Patient?name=a",
    "Patient?identifier=urn:a|",
    "Patient?gender=male,female",
    "Patient?gender=female&_sort=-birthdate",
    "Task?owner=1&_sort=-_lastUpdated",
    "Patient?_id=a&_revinclude=Observation:patient",
    "Patient?_id=a&_revinclude=*&_revinclude:iterate=Provenance:target",
    "Observation?_id=o&_include=*&_include:iterate=Patient:organization",
    "?_type=Patient,Task&_lastUpdated=gt2024",
    "?_type=Patient,Task&_tag=a",
    "Patient?family=" + ",".join(f"f{n}" for n in range(500)),
    "Observation?subject=" + ",".join(f"Patient/p{n}" for n in range(500)),
    "Observation?value-quantity=" + ",".join(f"{n}|s|c" for n in range(500)),
]


@pytest.fixture
def watched(hub: Hub) -> Seen:
    put(
        hub,
        CLINIC,
        {"resourceType": "Patient", "id": "a", "name": [{"family": "Smith"}]},
        {
            "resourceType": "Observation",
            "id": "o",
            "status": "final",
            "code": {},
            "subject": {"reference": "Patient/a"},
        },
    )
    return plans.watched(hub)


@pytest.mark.parametrize("much", [False, True])
def test_no_search_reads_a_whole_table(
    hub: Hub, watched: Seen, much: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However ``much`` there is: what starts broadly goes another way."""
    if much:
        monkeypatch.setattr(searches, "FEW", 0)
        monkeypatch.setattr(searches, "SORTED", 0)
    whole = {}
    for text in [*SEARCHES, *(f"{text}&_summary=count" for text in SEARCHES)]:
        watched.clear()
        page(hub, CLINIC, text)
        selects = [each for each in watched if each[0].startswith("SELECT")]
        assert selects
        for statement, parameters in selects:
            scans = [line for line in plan(hub, statement, parameters) if is_whole(line)]
            if scans:
                whole[text] = scans
    assert not whole


def test_a_compartment_is_found_by_what_refers_to_it(hub: Hub, watched: Seen) -> None:
    for text in ("", "Observation", "Observation?code=a"):
        watched.clear()
        page(hub, CLINIC, text, within=("Patient", "a"))
        for statement, parameters in list(watched):
            assert not [line for line in plan(hub, statement, parameters) if is_whole(line)]
