"""How a referral stands, in HMIS's words."""

from __future__ import annotations

from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway.close.transitions import WRITERS
from gateway.hmis.outcomes import RESULTS, Outcome, outcome

ZONE = ZoneInfo("America/Chicago")


def task(status: str, **more: Any) -> dict[str, Any]:
    return {"status": status, "meta": {"lastUpdated": "2025-03-02T03:04:05Z"}, **more}


@pytest.mark.parametrize("status", sorted(WRITERS))
def test_what_is_over_has_a_result_and_nothing_else_has(status: str) -> None:
    ended = {"completed": "1", "cancelled": "2", "rejected": "3", "failed": "3"}
    found = outcome(task(status), ZONE)
    assert (found.result if found else None) == ended.get(status)
    assert dict(RESULTS) == ended


def test_times_are_the_agency_s_own() -> None:
    assert outcome(task("completed"), ZONE) == Outcome("1", "2025-03-01", "2025-03-01 21:04:05")
    said = task("rejected", lastModified="2025-02-27")
    assert outcome(said, ZONE) == Outcome("3", "2025-02-27", "2025-03-01 21:04:05")
