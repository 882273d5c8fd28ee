"""Who labels a referral: its requester, and nobody who is asked."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from gateway.errors import Denied
from gateway.model import Context
from gateway.operations.tagging import added, taken
from gateway.store import open_hub
from tests.coordination.county import CLINIC, County

ASH = Context("ash", "test")
SECRET = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "V"}


@pytest.fixture
def county(sqlite_url: str) -> Iterator[County]:
    hub = open_hub(sqlite_url)
    yield County(hub)
    hub.close()


def labels(county: County, id: str) -> Any:
    return county.task(id, CLINIC)["meta"].get("security")


def test_a_performer_takes_no_label_off_and_puts_none_on(county: County) -> None:
    id = county.refer(owner="ash")
    county.move(id, meta={"security": [SECRET]})
    accepted = {**county.task(id, ASH), "status": "accepted"}
    del accepted["meta"]
    county.put(ASH, accepted)
    assert labels(county, id) == [SECRET]
    with pytest.raises(Denied):
        county.put(ASH, {**accepted, "meta": {"security": [{**SECRET, "code": "N"}]}})
    change = county.pipeline.operations.meta.change
    given = {"security": [{**SECRET, "code": "R"}]}
    with pytest.raises(Denied):
        change(ASH, "Task", id, given, added).result()
    assert change(ASH, "Task", id, {"security": [SECRET]}, taken).result()["security"] == [SECRET]
    county.move(id, meta={"profile": ["urn:none"]})
    assert labels(county, id) is None
