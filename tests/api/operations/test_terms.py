from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from gateway.fhir import gates, terminology
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


def test_the_terminology_capabilities_name_every_system_that_is_known(nobody: Caller) -> None:
    told = nobody.get("/fhir/metadata?mode=terminology").json()
    gates.check(told, type="TerminologyCapabilities")
    named = {each["uri"] for each in told["codeSystem"]}
    assert {GENDER, RELATION} <= named == set(load("terminology")["systems"])
    assert nobody.get("/fhir/metadata?mode=full").json()["resourceType"] == "CapabilityStatement"


# --- of resources that stand here ----------------------------------------------------------------

COLOURS = "http://clinic.example/colours"


def kept(caller: Caller, resource: dict[str, Any]) -> str:
    made = caller.post(f"/fhir/{resource['resourceType']}", resource)
    assert made.status_code == 201, made.text
    return f"/fhir/{resource['resourceType']}/{made.json()['id']}"


def colours(url: str = COLOURS, **more: Any) -> dict[str, Any]:
    light = {"code": "light", "concept": [{"code": "white", "display": "White"}, {"code": "grey"}]}
    concepts = [light, {"code": "dark", "display": "Dark"}]
    whole = {"status": "draft", "content": "complete", "url": url, "concept": concepts}
    return {"resourceType": "CodeSystem", "name": "Colours", "version": "1"} | whole | more


def value_set(url: str, *parts: dict[str, Any], **compose: Any) -> dict[str, Any]:
    composed = {"include": list(parts)} | compose
    return {"resourceType": "ValueSet", "status": "draft", "url": url, "compose": composed}


def codes(response: httpx.Response) -> list[str]:
    assert response.status_code == 200, response.text
    return [each["code"] for each in response.json()["expansion"].get("contains", [])]


def sent(**given: dict[str, Any]) -> dict[str, Any]:
    listed = [{"name": name} | value for name, value in given.items()]
    return {"resourceType": "Parameters", "parameter": listed}


def test_a_kept_code_system_is_known_to_who_sees_it(clinic: Caller, pantry: Caller) -> None:
    here = kept(clinic, colours())
    ask = f"/fhir/CodeSystem/$lookup?system={COLOURS}&code=white"
    assert told(clinic.get(ask))["display"] == "White"
    assert pantry.get(ask).status_code == 404
    assert told(clinic.get(f"{here}/$validate-code?code=grey"))["result"] is True
    assert told(clinic.get(f"{here}/$validate-code?code=red"))["result"] is False
    assert pantry.get(f"{here}/$validate-code?code=grey").status_code == 404
    part = kept(clinic, colours("http://clinic.example/part", content="fragment"))
    assert clinic.get(f"{part}/$validate-code?code=grey").status_code == 404


def test_a_code_stands_above_or_below_another(clinic: Caller) -> None:
    here = kept(clinic, colours("http://clinic.example/hues"))
    for first, second, outcome in (
        ("light", "white", "subsumes"),
        ("grey", "light", "subsumed-by"),
        ("dark", "dark", "equivalent"),
        ("white", "grey", "not-subsumed"),
    ):
        asked = f"codeA={first}&codeB={second}"
        assert told(clinic.get(f"{here}/$subsumes?{asked}"))["outcome"] == outcome
        by = f"/fhir/CodeSystem/$subsumes?{asked}&system=http://clinic.example/hues"
        assert told(clinic.get(by))["outcome"] == outcome
    own = f"/fhir/CodeSystem/$subsumes?system={RELATION}&codeA=PRN&codeB=MTH"
    assert told(clinic.get(own))["outcome"] == "subsumes"
    coded = sent(
        codingA={"valueCoding": {"system": RELATION, "code": "MTH"}},
        codingB={"valueCoding": {"system": RELATION, "code": "PRN"}},
    )
    assert told(clinic.post("/fhir/CodeSystem/$subsumes", coded))["outcome"] == "subsumed-by"
    assert clinic.get(f"{here}/$subsumes?codeA=red&codeB=dark").status_code == 404
    assert clinic.get("/fhir/CodeSystem/$subsumes?codeA=a&codeB=b").status_code == 400


def test_a_kept_value_set_is_listed_by_what_it_is_made_of(clinic: Caller, pantry: Caller) -> None:
    url, base = f"{COLOURS}/2", "http://clinic.example/sets"
    kept(clinic, colours(url))
    below = {"system": url, "filter": [{"property": "concept", "op": "is-a", "value": "light"}]}
    light = kept(clinic, value_set(f"{base}/light", below))
    assert codes(clinic.get(f"{light}/$expand")) == ["light", "white", "grey"]
    assert pantry.get(f"{light}/$expand").status_code == 404
    male = {"system": GENDER, "concept": [{"code": "male"}]}
    mixed = value_set(
        f"{base}/mixed",
        {"valueSet": [f"{base}/light"]},
        male,
        exclude=[{"system": url, "concept": [{"code": "grey"}]}],
    )
    kept(clinic, mixed)
    assert codes(clinic.get(f"/fhir/ValueSet/$expand?url={base}/mixed")) == [
        "light",
        "white",
        "male",
    ]
    found = clinic.get(f"/fhir/ValueSet/$expand?url={base}/mixed&filter=WHI").json()
    assert (found["status"], found["expansion"]["total"]) == ("draft", 1)
    both = {
        "system": url,
        "valueSet": [f"{base}/light"],
        "concept": [{"code": "dark"}, {"code": "grey"}],
    }
    inline = sent(valueSet={"resource": value_set(f"{base}/inline", both)})
    assert codes(clinic.post("/fhir/ValueSet/$expand", inline)) == ["grey"]
    check = f"/fhir/ValueSet/$validate-code?url={base}/mixed&system={GENDER}&code"
    assert told(clinic.get(f"{check}=male"))["result"] is True
    assert told(clinic.get(f"{check}=female"))["result"] is False
    assert told(clinic.get(f"{light}/$validate-code?code=grey"))["result"] is True


def test_what_cannot_be_listed_whole_is_not_guessed(clinic: Caller) -> None:
    base = "http://clinic.example/odd"
    for part in (
        {"system": "http://snomed.info/sct"},
        {"system": GENDER, "filter": [{"property": "display", "op": "regex", "value": "m.*"}]},
        {"valueSet": [f"{base}/self"]},
    ):
        here = kept(clinic, value_set(f"{base}/self", part))
        assert clinic.get(f"{here}/$expand").status_code == 404, part
    wrong = sent(valueSet={"resource": {"resourceType": "ValueSet", "compose": {"include": 1}}})
    assert clinic.post("/fhir/ValueSet/$expand", wrong).status_code == 400
    assert clinic.post("/fhir/ValueSet/$expand", sent()).status_code == 400


def test_a_kept_concept_map_translates(clinic: Caller, pantry: Caller) -> None:
    url = "http://clinic.example/maps/1"
    element = [
        {
            "code": "w",
            "target": [
                {"code": "male", "equivalence": "wider"},
                {"equivalence": "unmatched"},
            ],
        }
    ]
    group = {
        "source": "urn:s",
        "target": GENDER,
        "element": element,
        "unmapped": {"mode": "fixed", "code": "unknown"},
    }
    here = kept(
        clinic, {"resourceType": "ConceptMap", "status": "draft", "url": url, "group": [group]}
    )
    for asked in (f"{here}/$translate?", f"/fhir/ConceptMap/$translate?url={url}&"):
        answer = clinic.get(f"{asked}system=urn:s&code=w").json()["parameter"]
        assert answer[0] == {"name": "result", "valueBoolean": True}
        parts = {each["name"]: each for each in answer[1]["part"]}
        assert parts["equivalence"]["valueCode"] == "wider"
        assert parts["concept"]["valueCoding"]["display"] == "Male"
        assert len(answer) == 2
        other = clinic.get(f"{asked}system=urn:s&code=x").json()["parameter"][1]["part"]
        assert other[1]["valueCoding"]["code"] == "unknown"
        assert told(clinic.get(f"{asked}system=urn:other&code=w"))["result"] is False
    assert pantry.get(f"{here}/$translate?system=urn:s&code=w").status_code == 404
