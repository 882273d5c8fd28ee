"""Every Open Referral sample of the corpora loads: organizations, places, services come of it."""

from __future__ import annotations

from collections import Counter
from functools import cache

import pytest

from gateway.bench.sources import SAMPLE
from gateway.fhir import gates
from gateway.model import Resource
from gateway.rows import lying, read
from gateway.settings import Settings
from gateway.translate import Library, load, merge
from tests.corpora import CORPORA, needs_corpora

pytestmark = [needs_corpora, pytest.mark.corpora]

TRANSFORMER = CORPORA / "hsds-transformer"
PACKAGES = {
    "spec/fixtures/base_transformer/output/data": (5, 19, 19, 0),
    "spec/fixtures/base_transformer/input": (5, 19, 19, 0),
    "spec/fixtures/custom/ilao/output": (33, 520, 429, 1),
    "spec/fixtures/custom/ilao/input": (33, 520, 429, 1),
    "examples/florida_data": (20, 378, 134, 1),
    "tmp": (33, 520, 429, 0),
}


@cache
def library() -> Library:
    return load(Settings().folders)


def loaded(feed: str, path: str) -> tuple[dict[str, Resource], list[str]]:
    """(what comes of a folder or file, the last state of each; why rows were set aside)."""
    made: dict[str, Resource] = {}
    aside = []
    for row in read(library(), SAMPLE, feed, lying(CORPORA / path)):
        if row.issue is not None:
            aside.append(row.issue.text)
        for entry in row.entries:
            made[entry.reference] = merge(made.get(entry.reference), entry)
    for resource in made.values():
        gates.check(resource, models=True)
    return made, aside


@pytest.mark.parametrize("path", PACKAGES)
def test_a_published_csv_package_loads(path: str) -> None:
    made, aside = loaded("hsds", f"hsds-transformer/{path}")
    types = Counter(reference.partition("/")[0] for reference in made)
    told = types["Organization"], types["Location"], types["HealthcareService"], len(aside)
    assert told == PACKAGES[path], aside


def test_a_service_knows_its_organization_and_its_place() -> None:
    made, _ = loaded("hsds", "hsds-transformer/spec/fixtures/base_transformer/output/data")
    services = [one for one in made.values() if one["resourceType"] == "HealthcareService"]
    assert all(one["providedBy"]["reference"] in made for one in services)
    places = [place["reference"] for one in services for place in one.get("location", ())]
    assert places
    assert set(places) <= made.keys()
    hours = [one for one in made.values() if "hoursOfOperation" in one]
    assert {"openingTime": "09:00:00", "daysOfWeek": ["mon"], "closingTime": "17:00:00"} in [
        hour for one in hours for hour in one["hoursOfOperation"]
    ]


def test_what_the_api_gives_is_one_directory() -> None:
    found: dict[str, Resource] = {}
    for file in sorted((CORPORA / "hsds-mock-api").rglob("*.json")):
        made, aside = loaded("hsds-json", str(file.relative_to(CORPORA)))
        assert aside == []
        found |= made
    types = sorted(one["resourceType"] for one in found.values())
    assert types == ["HealthcareService", "Location", "Organization"]
