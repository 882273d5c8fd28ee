from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.fhir import terminology
from gateway.fhir.codes import TABLE_MAP
from gateway.fhir.definitions import load
from gateway.pipeline import Pipeline
from gateway.settings import shipped
from tests.api.calls import Caller, issue

GENDER = "http://hl7.org/fhir/administrative-gender"
GENDERS = "http://hl7.org/fhir/ValueSet/administrative-gender"
RELATION = "http://terminology.hl7.org/CodeSystem/v3-RoleCode"


def told(response: httpx.Response) -> dict[str, Any]:
    """The parameters of an answer, by name."""
    assert response.status_code == 200, response.text
    given = response.json()["parameter"]
    return {one["name"]: next((v for k, v in one.items() if k != "name"), None) for one in given}


def test_a_code_is_looked_up(clinic: Caller) -> None:
    found = told(clinic.get(f"/fhir/CodeSystem/$lookup?system={GENDER}&code=female"))
    assert found["display"] == "Female"
    below = clinic.get(f"/fhir/CodeSystem/$lookup?system={RELATION}&code=STPMTH").json()
    assert {"name": "value", "valueCode": "PRNINLAW"} not in below["parameter"][-1]["part"]
    assert below["parameter"][-1]["part"][0] == {"name": "code", "valueCode": "parent"}


def test_what_isnt_known_here_is_a_404(clinic: Caller) -> None:
    for query in (f"system={GENDER}&code=x", "system=http://snomed.info/sct&code=1"):
        response = clinic.get(f"/fhir/CodeSystem/$lookup?{query}")
        assert response.status_code == 404
        assert issue(response)["code"] == "not-found"
    snomed = "http://hl7.org/fhir/ValueSet/condition-code"
    assert clinic.get(f"/fhir/ValueSet/$expand?url={snomed}").status_code == 404


def test_a_code_needs_its_system(clinic: Caller) -> None:
    response = clinic.get("/fhir/CodeSystem/$lookup?code=female")
    assert response.status_code == 400
    assert issue(response)["code"] == "required"


def test_a_code_is_validated_against_a_system_and_a_set(clinic: Caller) -> None:
    path = f"/fhir/CodeSystem/$validate-code?url={GENDER}"
    assert told(clinic.get(f"{path}&code=male"))["result"] is True
    assert told(clinic.get(f"{path}&code=x"))["result"] is False
    wrong = told(clinic.get(f"{path}&code=male&display=Female"))
    assert (wrong["result"], wrong["display"]) == (False, "Male")
    path = f"/fhir/ValueSet/$validate-code?url={GENDERS}"
    assert told(clinic.get(f"{path}&code=male&system={GENDER}"))["result"] is True
    assert told(clinic.get(f"{path}&code=male&system=urn:x"))["result"] is False
    assert told(clinic.get(f"{path}&code=male"))["result"] is True


def test_one_right_coding_of_a_concept_will_do(clinic: Caller) -> None:
    concept = {"coding": [{"system": "urn:x", "code": "M"}, {"system": GENDER, "code": "male"}]}
    body = {
        "resourceType": "Parameters",
        "parameter": [
            {"name": "url", "valueUri": GENDERS},
            {"name": "codeableConcept", "valueCodeableConcept": concept},
        ],
    }
    assert told(clinic.post("/fhir/ValueSet/$validate-code", body))["result"] is True


def test_a_value_set_is_listed_page_by_page(clinic: Caller) -> None:
    url = "http://terminology.hl7.org/ValueSet/v3-ActReason"
    whole = clinic.get(f"/fhir/ValueSet/$expand?url={url}").json()["expansion"]
    codes = [one["code"] for one in whole["contains"]]
    assert whole["total"] == len(codes) == len(set(codes))
    seen: list[str] = []
    while len(seen) < whole["total"]:
        query = f"url={url}&count=100&offset={len(seen)}"
        page = clinic.get(f"/fhir/ValueSet/$expand?{query}").json()["expansion"]
        assert page["total"] == whole["total"]
        seen += [one["code"] for one in page["contains"]]
    assert seen == codes


def test_an_expansion_is_filtered_by_code_and_display(clinic: Caller) -> None:
    found = clinic.get(f"/fhir/ValueSet/$expand?url={GENDERS}&filter=FEM").json()["expansion"]
    assert [one["code"] for one in found["contains"]] == ["female"]
    none = clinic.get(f"/fhir/ValueSet/$expand?url={GENDERS}&filter=zzz").json()["expansion"]
    assert none["total"] == 0
    assert "contains" not in none


@pytest.mark.parametrize("query", ["count=-1", "count=x", "offset=-1", "bogus=1"])
def test_odd_parameters_are_refused(clinic: Caller, query: str) -> None:
    assert clinic.get(f"/fhir/ValueSet/$expand?url={GENDERS}&{query}").status_code == 400


def test_a_table_translates_a_code(clinic: Caller) -> None:
    path = f"/fhir/ConceptMap/$translate?url={TABLE_MAP}administrative-sex&code=F"
    answer = clinic.get(path)
    assert told(answer)["result"] is True
    concept = answer.json()["parameter"][1]["part"][1]["valueCoding"]
    assert concept == {"system": GENDER, "code": "female", "display": "Female"}
    assert told(clinic.get(f"{path}&targetsystem=urn:x"))["result"] is False
    assert told(clinic.get(path.replace("code=F", "code=Q")))["result"] is False
    assert clinic.get(path.replace("administrative-sex", "nothing")).status_code == 404


def test_an_agencys_own_table_comes_first(
    pipeline: Pipeline, caller: Callable[..., Caller], tmp_path: Path
) -> None:
    own = tmp_path / "own"
    (own / "tables").mkdir(parents=True)
    (own / "tables" / "sex.csv").write_text("code,target\n1,female\n")
    (own / "agency.yaml").write_text(
        "agency: own\nname: Own\nfeeds: [{kind: hl7v2}]\n"
        "tables: {administrative-sex: tables/sex.csv}\n"
    )
    clinic = caller("clinic")
    path = f"/fhir/ConceptMap/$translate?url={TABLE_MAP}administrative-sex&code=1"
    caller("own")
    pipeline.add_agency("own", own)
    assert told(caller("own").get(path))["result"] is True
    assert told(clinic.get(path))["result"] is False


def test_every_shipped_table_is_a_map(clinic: Caller) -> None:
    files = {path.stem for path in (shipped("mappings") / "hl7v2" / "tables").glob("*.csv")}
    for name in files:
        path = f"/fhir/ConceptMap/$translate?url={TABLE_MAP}{name}&code=no-such-code"
        assert told(clinic.get(path))["result"] is False


def test_every_known_set_holds_only_what_its_systems_have() -> None:
    for url in load("terminology")["sets"]:
        found = terminology.value_set(url)
        assert found is not None
        assert found.concepts, url
        members = terminology.members(f"{url}|9.9.9")
        assert members == {(one.system, one.code) for one in found.concepts}


def test_a_whole_system_is_a_set(clinic: Caller) -> None:
    found = clinic.get(f"/fhir/ValueSet/$expand?url={GENDER}?fhir_vs")
    assert found.json()["expansion"]["total"] == 4


@pytest.mark.parametrize(
    ("name", "system", "code", "target", "concepts"),
    [
        ("task-to-bser", "http://hl7.org/fhir/task-status", "accepted", "", ["3.0"]),
        ("bser-to-task", "", "5.1.2", "", ["in-progress"]),
        ("findhelp-outcome", "", "Got%20Help", "", ["completed"]),
        ("findhelp-outcome", "", "No%20Capacity", "", ["rejected", "no-capacity"]),
        (
            "hmis-referral-result",
            "",
            "2",
            "http://hl7.org/fhir/task-status",
            ["rejected"],
        ),
        ("clarity-referral-status", "urn:x", "Pending", "", []),
    ],
)
def test_other_networks_words_for_a_referral_are_translated(
    clinic: Caller, name: str, system: str, code: str, target: str, concepts: list[str]
) -> None:
    query = f"url={TABLE_MAP}{name}&code={code}&system={system or SYSTEMS.get(name, '')}"
    query += f"&targetsystem={target}" if target else ""
    response = clinic.get(f"/fhir/ConceptMap/$translate?{query}")
    assert told(response)["result"] is bool(concepts)
    matches = [p["part"] for p in response.json()["parameter"] if p["name"] == "match"]
    assert [each[1]["valueCoding"]["code"] for each in matches] == concepts
    assert all(each[0]["valueCode"] in ("equivalent", "wider", "narrower") for each in matches)


OWN = "https://care-gateway.example/fhir/CodeSystem/"
SYSTEMS = {
    "bser-to-task": "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS",
    "findhelp-outcome": f"{OWN}findhelp-outcome",
    "hmis-referral-result": f"{OWN}hmis-referral-result",
}
