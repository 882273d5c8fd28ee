"""Who said so: the Provenance of a message tells of what it wrote, and of nothing else."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from typing import Any

import pytest

from gateway.exchange.searching import Search
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.arrival import as_message
from gateway.settings import Settings, shipped
from gateway.store import Hub
from tests.bench.mllp_client import numbered
from tests.shipped import library

CLINIC = Context("cedar-general", "test")
SAMPLE = (shipped("mappings") / "agencies/cedar-general/food-referral.hl7").read_text()
STAFF = {"Organization", "Practitioner", "PractitionerRole", "Location"}


@pytest.fixture
def pipeline(hub: Hub) -> Iterator[Pipeline]:
    pipeline = Pipeline(hub, library(), Settings(), as_message)
    for agency in ("cedar-general", "food-bank"):
        pipeline.add_agency(agency, None)
    yield pipeline
    asyncio.run(pipeline.close())


def told(pipeline: Pipeline, raw: bytes) -> list[dict[str, Any]]:
    """The Provenances that a message left."""
    receipt = pipeline.accept(*as_message("cedar-general", "mllp", raw[1:-2])).result()
    assert receipt.acknowledgement == "AA"
    page = pipeline.search(CLINIC, Search("Provenance", [("_count", "100")])).page
    sources = [json.loads(each.body) for each in page.entries]
    return [each for each in sources if receipt.message in json.dumps(each["entity"])]


def types(source: dict[str, Any]) -> set[str]:
    return {each["reference"].partition("/")[0] for each in source["target"]}


def test_staff_that_is_named_again_is_no_target_and_the_rest_is(pipeline: Pipeline) -> None:
    (first,) = told(pipeline, numbered(SAMPLE, "C1"))
    assert types(first) >= STAFF | {"Patient", "Task"}
    (second,) = told(pipeline, numbered(SAMPLE, "C2"))
    assert types(second) == types(first) - STAFF
    referrals = {each["reference"] for each in second["target"]}
    assert referrals.isdisjoint(each["reference"] for each in first["target"])


def test_what_a_second_message_says_anew_has_a_provenance_of_its_own(pipeline: Pipeline) -> None:
    raw = numbered(SAMPLE, "C1")
    (first,) = told(pipeline, raw)
    (second,) = told(pipeline, raw.replace(b"|C1|", b"|C9|", 1))
    assert first["id"] != second["id"]
