"""fhir-test-cases: what ours takes and refuses beside what the Java validator said of it.

The validator also holds profiles, terminology, links and invariants against a resource, so it
refuses more. What matters here: we refuse nothing that it takes, but for the cases listed.
"""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.errors import InvalidResource
from gateway.fhir.gates import check
from gateway.fhir.json import loads
from tests.corpora import CORPORA, needs_corpora

CASES = CORPORA / "fhir-test-cases"

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


@needs_corpora
@pytest.mark.corpora
def test_nothing_is_refused_that_the_validator_takes() -> None:
    alone, table = {}, []
    for published in sorted((CASES / "validator/outcomes/java").glob("R4.*-base.json")):
        file = CASES / "validator" / f"{published.name.removeprefix('R4.')[:-10]}.json"
        if not file.exists():
            continue
        issues = json.loads(published.read_bytes()).get("issue", [])
        theirs = any(one["severity"] in ("error", "fatal") for one in issues)
        ours = refusal(file)
        table.append((bool(ours), theirs))
        if ours and not theirs:
            alone[file.name] = str(ours.place)
    print({kind: table.count(kind) for kind in sorted(set(table))}, "(refused by us, by them)")
    assert len(table) > 50
    assert alone == REFUSED_BY_US_ALONE
