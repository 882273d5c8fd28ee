"""The shipped maps load, and each ``x.hl7`` beside a map becomes its ``x.expected.json`` exactly.

``GATEWAY_BLESS=1`` writes the expected files anew; read the diff before you commit it.
"""

from __future__ import annotations

import json
import os
from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from gateway.fhir.gates import check
from gateway.fhir.json import dumps
from gateway.model import Agency
from gateway.parse.er7 import parse
from gateway.translate import Library, load, translate

MAPPINGS = Path(__file__).parents[2] / "mappings"
SAMPLES = sorted(path for path in MAPPINGS.rglob("*.hl7"))
PAIRS = [path for path in SAMPLES if path.with_suffix(".expected.json").is_file()]
SAMPLE = Agency("sample", "Sample", timezone="")
BLESS = os.environ.get("GATEWAY_BLESS") == "1"


@cache
def library() -> Library:
    return load([MAPPINGS])


def owner(path: Path) -> Agency:
    """The agency in whose folder a sample lies."""
    parts = path.relative_to(MAPPINGS).parts
    return library().agencies[parts[1]] if parts[0] == "agencies" else SAMPLE


def translated(path: Path) -> list[dict[str, Any]]:
    """What a sample becomes. A sample may be written with a line a segment."""
    raw = path.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r")
    agency = owner(path)
    record = parse(raw, charset=agency.charset)
    return [entry.resource for entry in translate(library(), agency, record).entries]


def name(path: Path) -> str:
    return path.relative_to(MAPPINGS).as_posix()


def test_the_shipped_maps_load() -> None:
    assert library().version


@pytest.mark.parametrize("path", SAMPLES if BLESS else PAIRS, ids=name)
def test_a_sample_becomes_what_is_expected(path: Path) -> None:
    made = translated(path)
    file = path.with_suffix(".expected.json")
    if BLESS:
        file.write_text(written(made), encoding="utf-8")
    assert made == json.loads(file.read_text(encoding="utf-8"), parse_float=Decimal)


@pytest.mark.parametrize("path", SAMPLES, ids=name)
def test_every_resource_of_a_sample_passes_both_gates(path: Path) -> None:
    for resource in translated(path):
        check(resource, models=True)


def written(resources: list[dict[str, Any]]) -> str:
    """A list of resources, a line each, decimals to the digit."""
    lines = ",\n".join(dumps(resource).decode() for resource in resources)
    return f"[\n{lines}\n]\n"
