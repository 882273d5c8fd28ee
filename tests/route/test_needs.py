"""A Z code tells of a need, by its beginning; what tells nothing adds nothing."""

from __future__ import annotations

import json

import pytest

from gateway.fhir import codes
from gateway.route import needs as module
from gateway.route.needs import ICD10, needs
from tests.corpora import CORPORA


@pytest.mark.parametrize(
    ("system", "code", "need"),
    [
        (ICD10, "Z59.41", "food-insecurity"),
        (ICD10, "Z5941", "food-insecurity"),
        (ICD10, "Z59.4", "food-insecurity"),
        (ICD10, "Z59.02", "homelessness"),
        (ICD10, "Z59.811", "housing-instability"),
        (ICD10, "Z59.12", "utility-insecurity"),
        (ICD10, "Z59.10", "inadequate-housing"),
        (ICD10, "Z55.6", "personal-health-literacy"),
        (ICD10, "Z55.0", "educational-attainment"),
        (codes.SNOMED, "733423003", "food-insecurity"),
        (ICD10, "E11.9", None),
        (ICD10, "Z59", None),
        (ICD10, "", None),
        ("http://loinc.org", "Z59.41", None),
    ],
)
def test_a_code_tells_of_a_need(system: str, code: str, need: str | None) -> None:
    expected = {(codes.SDOH_CODES, need)} if need else set()
    assert needs([(system, code), (ICD10, "I10")]) == expected


def test_every_need_is_one_of_sdoh_clinical_cares() -> None:
    file = CORPORA.parent / "profiles/sdoh-clinicalcare/ValueSet-SDOHCC-ValueSetSDOHCategory.json"
    if not file.is_file():
        pytest.skip("needs the profiles beside the checkout")
    concepts = json.loads(file.read_bytes())["compose"]["include"][0]["concept"]
    told = {*module._BY_ICD10.values(), *module._BY_SNOMED.values()}
    assert told <= {each["code"] for each in concepts}
