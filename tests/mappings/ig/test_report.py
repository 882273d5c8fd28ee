"""HL7's v2-to-FHIR tables against our maps, row by row; the missing may only become fewer.

``-s`` prints the table, and each row that isn't covered. ``GATEWAY_BLESS=1`` lowers
``baseline.json`` to what is missing now.
"""

from __future__ import annotations

import json
import os
from collections import Counter

import pytest

from tests.corpora import needs_corpora
from tests.mappings.ig.report import FAMILIES, HERE, Verdict, reasons, table, verdicts

BASELINE = HERE / "baseline.json"

pytestmark = [needs_corpora, pytest.mark.corpora]


@pytest.fixture(scope="module")
def found() -> dict[str, list[Verdict]]:
    return {family: verdicts(family) for family in FAMILIES}


def test_no_more_rows_are_missing_than_before(found: dict[str, list[Verdict]]) -> None:
    counts = {family: Counter[str](one.status for one in rows) for family, rows in found.items()}
    _print_rows(found)
    print("\n".join(table(counts)))
    before = json.loads(BASELINE.read_text(encoding="utf-8"))
    missing = {family: counts[family]["missing"] for family in FAMILIES}
    if os.environ.get("GATEWAY_BLESS") == "1":
        lower = {family: min(missing[family], before[family]) for family in FAMILIES}
        BASELINE.write_text(json.dumps(lower, indent=1) + "\n", encoding="utf-8")
    more = {family: missing[family] for family in FAMILIES if missing[family] > before[family]}
    assert not more, f"more are missing than {before}: python -m tests.mappings.ig.report FAMILY"


def test_every_reason_serves_a_row(found: dict[str, list[Verdict]]) -> None:
    served = {one.why for rows in found.values() for one in rows if one.status != "covered"}
    idle = sorted({one.why for one in reasons()} - served)
    assert not idle


def test_every_row_has_a_key_of_its_own(found: dict[str, list[Verdict]]) -> None:
    for rows in found.values():
        keys = [one.key for one in rows if not one.key.startswith("SegmentActionCode")]
        assert len(set(keys)) == len(keys)


def _print_rows(found: dict[str, list[Verdict]]) -> None:
    for rows in found.values():
        for one in rows:
            if one.status != "covered":
                print(f"{one.status:8}  {one.key}  -- {one.why}")
