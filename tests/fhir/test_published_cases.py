"""fhir-test-cases: what ours takes and refuses beside what the Java validator said of it.

The validator also holds profiles, terminology, questionnaires and links against a resource, so it
refuses more: ``REASONS`` says of each of its errors why a server that takes R4 takes it. What
matters: each of its errors has such a reason, and we refuse nothing that it takes.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from gateway.errors import InvalidResource
from gateway.fhir.bindings import unbound
from gateway.fhir.gates import check
from gateway.fhir.invariants import broken
from gateway.fhir.json import loads
from tests.corpora import CORPORA, needs_corpora

CASES = CORPORA / "fhir-test-cases"

UNPUBLISHED = {
    "bad-json-close-1.json": "line 15 column 11",
    "cdshooks-response-good.json": "resourceType",  # CDS Hooks has no resources
    "cdshooks-services-good.json": "resourceType",
    "obs-quantity.json": "Observation.code",
}

REFUSED_BY_US_ALONE: dict[str, str] = {}

REFUSED = {
    "validator/bad-json-close-1.json": "line 15 column 11",
    "validator/json-no-quotes-1.json": "line 2 column 3",
    "validator/patient-id-bad-1.json": "Patient.id",
    "validator/resource-invalid-id-3.json": "Location.contained[0].id",
    "validator/obs-quantity.json": "Observation.code",
    "validator/hakan-se-2.json": "MedicationRequest.authoredOn",
    "r4/bundle-with-no-type.json": "Bundle.type",
}


def refusal(file: Path) -> InvalidResource | None:
    try:
        check(loads(file.read_bytes()))
    except InvalidResource as error:
        return error
    return None


@needs_corpora
@pytest.mark.corpora
@pytest.mark.parametrize("name", REFUSED)
def test_bad_cases_are_refused_at_their_place(name: str) -> None:
    error = refusal(CASES / name)
    assert error is not None
    assert error.place == REFUSED[name]


@needs_corpora
@pytest.mark.corpora
def test_the_good_examples_are_taken() -> None:
    refused = {f.name: e.place for f in (CASES / "r4/examples").glob("*.json") if (e := refusal(f))}
    assert refused == {}


REASONS = {
    "questionnaire: answers are held to a Questionnaire that stands elsewhere": (
        r"[Aa]nswer|linkId|LinkId|Items of type|sub-items|permitted values|too many decimal places|"
        r"allowed (minimum|maximum)|not in the list of allowed values|attachment is too large|"
        r"mime type|has a unit that|resource type '?\w+'? in the reference|"
        r"expecting one of \[Questionnaire\]"
    ),
    "terminology: needs SNOMED CT, LOINC, UCUM, CVX, or a server of code systems": (
        r"Wrong Display Name|Unknown code|not found in the value set|required from the value set|"
        r"references a value set, not a code system|filter based on property|"
        r"is not allowed for property|code system|CodeSystem|could not be resolved|UCUM"
    ),
    "definitions: a rule that the definition of a concept property, or a measure, makes": (
        r"concept-properties#|identifies a property|property is already defined|stratifier|"
        r"[Mm]easure|property"
    ),
    "profile: an extension or profile that isn't at hand, or isn't R4's own": (
        r"The extension http|is fixed to|from http://hl7.org/fhir/StructureDefinition|profile|Profile"
    ),
    "bundle: what an entry may refer to, and be called": (
        r"Can't find '|traversing links|fullUrl|Duplicate id|in the bundle|Bundle"
    ),
    "url: must be absolute, or a UUID in lower case": (
        r"absolute|UUIDs must be valid|is not a valid reference|should be an? (URL|URI|OID)"
    ),
    "narrative: sanitised where it is shown": r"txt-[12]|XHTML|[Nn]arrative|html",
    "invariant: $validate's to say": r"Constraint failed|two or more components|Rule ",
}


class Case(NamedTuple):
    """A published case: its file, and what the Java validator calls errors in it."""

    file: Path
    errors: list[str]


def cases() -> Iterator[Case]:
    """Every JSON case whose outcome for R4 is published; names of the two differ in habits."""
    folder = CASES / "validator"
    files = {file.stem: file for file in folder.rglob("*.json") if "outcomes" not in file.parts}
    for published in sorted((folder / "outcomes/java").glob("R4.*-base.json")):
        name = published.name.removeprefix("R4.").removesuffix("-base.json")
        names = (name, name.removesuffix("-qr"), name.removeprefix("matchetype-"), name.split()[0])
        file = next((files[each] for each in names if each in files), None)
        if file is not None:
            yield Case(file, list(_errors(json.loads(published.read_bytes()))))


def _errors(outcome: dict[str, Any]) -> Iterator[str]:
    for issue in outcome.get("issue", ()):
        if issue["severity"] in ("error", "fatal"):
            yield issue.get("details", {}).get("text") or issue.get("diagnostics", "")


def reason(error: str) -> str:
    """Why an error of theirs is none of a server's gates; the error itself where nothing says."""
    return next((why for why, words in REASONS.items() if re.search(words, error)), error)


@needs_corpora
@pytest.mark.corpora
def test_nothing_is_refused_that_the_validator_takes() -> None:
    alone = {
        case.file.name: str(refused.place)
        for case in cases()
        if not case.errors and (refused := refusal(case.file))
    }
    assert alone == REFUSED_BY_US_ALONE


@needs_corpora
@pytest.mark.corpora
def test_what_the_validator_alone_refuses_has_a_reason() -> None:
    counts: Counter[str] = Counter()
    unknown: dict[str, list[str]] = {}
    for case in cases():
        ours = refusal(case.file)
        counts[f"{'refused' if ours else 'taken'} here, {_theirs(case)} there"] += 1
        if ours or not case.errors:
            continue
        why = [reason(each) for each in case.errors]
        counts[f"    {why[0]}"] += 1
        odd = [each for each in why if each not in REASONS]
        if odd and not validated(case.file):
            unknown[case.file.name] = odd
    for line, count in sorted(counts.items(), key=lambda each: (each[0].startswith(" "), each[0])):
        print(f"{count:4} {line}")
    assert sum(n for line, n in counts.items() if not line.startswith(" ")) > 100
    assert unknown == {}


def _theirs(case: Case) -> str:
    return "refused" if case.errors else "taken"


def validated(file: Path) -> bool:
    """Whether ``$validate`` finds an error where the gates find none."""
    resource = check(loads(file.read_bytes()))
    return any(each.severity == "error" for each in (*unbound(resource), *broken(resource)))


@needs_corpora
@pytest.mark.corpora
def test_a_case_without_a_published_outcome_is_judged_too() -> None:
    """What isn't JSON, isn't a resource, or breaks R4 is refused; the rest is taken."""
    known = {case.file for case in cases()}
    folder = CASES / "validator"
    others = [f for f in sorted(folder.glob("*.json")) if f not in known]
    refused = {file.name: error.place for file in others if (error := refusal(file))}
    print(f"{len(others)} without an outcome, {len(refused)} refused: {refused}")
    assert refused == UNPUBLISHED
