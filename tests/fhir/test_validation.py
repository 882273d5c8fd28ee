"""R4's invariants, bindings and profiles on published resources, valid and not."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import InvalidResource, Issue, SettingError
from gateway.fhir.bindings import unbound
from gateway.fhir.conformance import claimed, deviations
from gateway.fhir.gates import check
from gateway.fhir.invariants import broken
from gateway.fhir.json import loads
from gateway.fhir.profiles import profiles, shipped
from gateway.fhir.targets import astray
from gateway.model import Resource
from tests.corpora import CORPORA, needs_corpora
from tests.fhir.examples import official

CASES = CORPORA / "fhir-test-cases" / "validator"
GUIDES = ("us-core", "sdoh-clinicalcare", "fhir-us-bser", "subscription-backport")
_FEEDBACK = "Composition-composition-bser-referral-feedback-arthritis-everywoman"
REALLY_BROKEN = {
    f"fhir-us-bser/{_FEEDBACK}.json": "cmp-1",
    "r4-spec-examples/devicemetric-example.json": "refers to a type that R4 doesn't allow here",
}
"""What its publisher overlooked: a section without text, entries or sections; a DeviceDefinition
where a Device belongs."""


def errors(found: Iterator[Issue] | list[Issue]) -> list[Issue]:
    return [issue for issue in found if issue.severity == "error"]


@needs_corpora
@pytest.mark.corpora
def test_official_examples_keep_r4s_invariants_and_bindings() -> None:
    found = {}
    for name, resource in official():
        if is_r4(resource):
            for issue in errors((*unbound(resource), *broken(resource), *astray(resource))):
                found[name] = issue.text.partition(":")[0].partition(";")[0]
    assert found == REALLY_BROKEN


@pytest.mark.parametrize(
    ("reference", "is_astray"),
    [
        ({"reference": "Patient/1"}, True),
        ({"reference": "https://elsewhere.example/fhir/Patient/1"}, True),
        ({"reference": "#held"}, True),
        ({"type": "Patient", "identifier": {"value": "1"}}, True),
        ({"reference": "Organization/1"}, False),
        ({"reference": "https://elsewhere.example/Network/1"}, False),
        ({"display": "Dr Who"}, False),
    ],
)
def test_a_reference_leads_to_what_r4_has_there(reference: dict[str, Any], is_astray: bool) -> None:
    held = [{"resourceType": "RelatedPerson", "id": "held"}]
    person = {"resourceType": "Patient", "contained": held, "generalPractitioner": [reference]}
    assert [i.place for i in astray(person)] == ["Patient.generalPractitioner[0]"] * is_astray


def test_an_extension_has_a_value_or_extensions() -> None:
    inner = [{"url": "b", "valueString": "x"}]
    bad = ({"url": "a"}, {"url": "a", "valueCode": "x", "extension": inner})
    good = ({"url": "a", "extension": inner}, {"url": "a", "_valueCode": {"extension": inner}})
    for each, places in [
        *((one, ["Patient.extension[0]"]) for one in bad),
        *((g, []) for g in good),
    ]:
        assert [i.place for i in broken({"resourceType": "Patient", "extension": [each]})] == places


@needs_corpora
@pytest.mark.corpora
def test_the_guides_examples_conform_to_the_profiles_that_they_claim() -> None:
    held, found = Counter[str](), {}
    for name, resource in official(*GUIDES):
        entries = [entry["resource"] for entry in resource.get("entry", ()) if "resource" in entry]
        for one in (resource, *entries):
            for url in claimed(one):
                profile = shipped().get(url)
                if profile is not None:
                    held[profile.type] += 1
                    for issue in errors(deviations(one, profile, shipped())):
                        found[name, url] = issue
    print(dict(held))
    assert found == {}
    assert held.total() >= 80


@needs_corpora
@pytest.mark.corpora
def test_the_java_validator_refuses_all_that_is_refused_here() -> None:
    """It holds terminology and other guides against a case, too: it refuses more."""
    table = Counter[tuple[str, str]]()
    alone = {}
    for name, resource, refused in published():
        ours = why(resource)
        table["refused" if ours else "taken", "refused" if refused else "taken"] += 1
        if ours and not refused:
            alone[name] = ours
    print({f"{ours} here, {theirs} there": n for (ours, theirs), n in sorted(table.items())})
    assert alone == {}
    assert table["refused", "refused"] >= 13
    assert table["taken", "taken"] >= 29


def published() -> Iterator[tuple[str, bytes, bool]]:
    """Each case with an outcome for plain R4: its name, bytes, and whether it was refused."""
    for outcome in sorted((CASES / "outcomes" / "java").glob("R4.*-base.json")):
        file = CASES / f"{outcome.name.removeprefix('R4.')[:-10]}.json"
        if file.exists():
            issues = json.loads(outcome.read_bytes()).get("issue", [])
            bad = any(issue["severity"] in ("error", "fatal") for issue in issues)
            yield file.name, file.read_bytes(), bad


def why(raw: bytes) -> str:
    """What we have against a resource, "" where nothing."""
    try:
        resource = check(loads(raw))
    except InvalidResource as error:
        return f"{error.place}: {error}"
    found = [*unbound(resource), *broken(resource), *astray(resource)]
    known = [profile for url in claimed(resource) if (profile := shipped().get(url))]
    found += [one for each in known for one in deviations(resource, each, shipped())]
    return "; ".join(f"{one.place}: {one.text}" for one in errors(found))


def is_r4(resource: Resource) -> bool:
    try:
        check(resource)
    except InvalidResource:
        return False
    return True


# --- our own profile, and what it finds -----------------------------------------------------------

URL = "https://care-gateway.example/test/StructureDefinition/food"
CODE = "https://care-gateway.example/test/codes"


def element(id: str, **says: Any) -> dict[str, Any]:
    return {"id": id, "path": id.split(":")[0], **says}


def profile_in(folder: Path, *elements: dict[str, Any], **more: Any) -> Any:
    definition = {
        "resourceType": "StructureDefinition",
        "url": URL,
        "type": "Observation",
        "derivation": "constraint",
        "baseDefinition": "http://hl7.org/fhir/StructureDefinition/Observation",
        "differential": {"element": [element("Observation"), *elements]},
        **more,
    }
    (folder / "StructureDefinition-food.json").write_text(json.dumps(definition))
    known = profiles([folder])
    return lambda resource: deviations(resource, known.get(URL), known)


def observation(**more: Any) -> Resource:
    return {"resourceType": "Observation", "status": "final", "code": {"text": "x"}, **more}


def places(found: list[Issue]) -> list[tuple[str | None, str]]:
    return [(issue.place, issue.code) for issue in errors(found)]


def test_slices_by_value_are_counted_and_held(tmp_path: Path) -> None:
    pattern = {"coding": [{"system": CODE, "code": "meals"}]}
    check_ = profile_in(
        tmp_path,
        element(
            "Observation.component",
            slicing={"discriminator": [{"type": "pattern", "path": "code"}], "rules": "closed"},
            min=1,
        ),
        element("Observation.component:meals", sliceName="meals", min=1, max="1"),
        element("Observation.component:meals.code", patternCodeableConcept=pattern),
        element("Observation.component:meals.value[x]", min=1, type=[{"code": "integer"}]),
    )
    meals = {"code": {"coding": [{"system": CODE, "code": "meals", "display": "Meals"}]}}
    other = {"code": {"text": "other"}}
    place = "Observation.component"
    assert places(check_(observation())) == [(place, "required"), (place, "required")]
    good = observation(component=[{**meals, "valueInteger": 3}])
    assert places(check_(good)) == []
    twice = observation(component=[{**meals, "valueInteger": 3}, {**meals, "valueInteger": 4}])
    assert places(check_(twice)) == [(place, "structure")]
    typed = observation(component=[{**meals, "valueString": "3"}])
    assert places(check_(typed)) == [(f"{place}[0].valueString", "structure")]
    closed = observation(component=[{**meals, "valueInteger": 3}, other])
    assert places(check_(closed)) == [(f"{place}[1]", "structure")]


def test_fixed_values_bindings_targets_and_rules_are_held(tmp_path: Path) -> None:
    set_ = "http://hl7.org/fhir/us/sdoh-clinicalcare/ValueSet/SDOHCC-ValueSetSDOHCategory"
    patient = "http://hl7.org/fhir/StructureDefinition/Patient"
    rule = {"key": "food-1", "severity": "error", "human": "One", "expression": "note.count() < 2"}
    check_ = profile_in(
        tmp_path,
        element("Observation", constraint=[rule]),
        element("Observation.status", fixedCode="final"),
        element(
            "Observation.subject", type=[{"code": "Reference", "targetProfile": [patient]}], min=1
        ),
        element("Observation.category", binding={"strength": "required", "valueSet": set_}),
        element("Observation.method", max="0"),
    )
    sdoh = "http://hl7.org/fhir/us/sdoh-clinicalcare/CodeSystem/SDOHCC-CodeSystemTemporaryCodes"
    good = observation(
        subject={"reference": "Patient/1"},
        category=[{"coding": [{"system": sdoh, "code": "food-insecurity"}]}],
    )
    assert places(check_(good)) == []
    bad = observation(
        subject={"reference": "Group/1"},
        category=[{"text": "food"}],
        method={"text": "x"},
        note=[{"text": "a"}, {"text": "b"}],
    ) | {"status": "amended"}
    assert sorted(places(check_(bad)), key=str) == [
        ("Observation", "invariant"),
        ("Observation.category[0]", "code-invalid"),
        ("Observation.method", "structure"),
        ("Observation.status", "value"),
        ("Observation.subject", "structure"),
    ]


def test_a_profile_says_what_its_base_says(tmp_path: Path) -> None:
    base = URL + "-base"
    profile_in(tmp_path, element("Observation.note", min=1), url=base)
    (tmp_path / "StructureDefinition-food.json").rename(tmp_path / "StructureDefinition-base.json")
    check_ = profile_in(tmp_path, element("Observation.method", min=1), baseDefinition=base)
    assert [place for place, _ in places(check_(observation()))] == [
        "Observation.note",
        "Observation.method",
    ]


def test_what_isnt_known_here_is_no_error(tmp_path: Path) -> None:
    check_ = profile_in(
        tmp_path,
        element(
            "Observation.code",
            binding={"strength": "required", "valueSet": "http://x.example/ValueSet/x"},
        ),
        baseDefinition="http://x.example/StructureDefinition/x",
    )
    found = check_(observation())
    assert [(issue.severity, issue.code) for issue in found] == [("information", "incomplete")] * 2


def test_an_odd_folder_of_profiles_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SettingError):
        profiles([tmp_path / "nothing"])
    (tmp_path / "StructureDefinition-x.json").write_text("{")
    with pytest.raises(SettingError):
        profiles([tmp_path])


def test_nothing_that_a_rule_traces_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    resource = observation(subject={"reference": "#nobody"})
    assert [issue.text.partition(":")[0] for issue in broken(resource)] == ["ref-1"]
    assert capsys.readouterr() == ("", "")
