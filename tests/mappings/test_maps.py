"""What ``gateway map test`` does, in CI: each sample beside a map becomes exactly what is expected.

``gateway map test --bless`` writes the expected files anew; read the diff before you commit it.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import pytest

from gateway.bench.sources import Sample, samples
from gateway.bench.trying import as_json, trials
from gateway.translate import Library, load

MAPPINGS = Path(__file__).parents[2] / "mappings"
SAMPLES = samples([MAPPINGS])


@cache
def library() -> Library:
    return load([MAPPINGS])


def name(sample: Sample) -> str:
    return sample.path.relative_to(MAPPINGS).as_posix()


def test_every_feed_and_agency_with_maps_of_its_own_has_samples() -> None:
    with_maps = {path.parent for path in MAPPINGS.glob("*/records") if path.is_dir()}
    with_maps |= {path.parent for path in MAPPINGS.glob("agencies/*/*/records") if path.is_dir()}
    tried = {sample.path.parent.parent for sample in SAMPLES if sample.feed}
    assert with_maps <= tried


@pytest.mark.parametrize("sample", SAMPLES, ids=name)
def test_a_sample_becomes_what_is_expected(sample: Sample) -> None:
    (trial,) = trials(library(), [sample])
    assert trial.passed, as_json([trial], values=True)
