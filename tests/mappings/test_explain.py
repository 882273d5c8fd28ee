"""``map explain`` answers for every element of every expected file, with places that were read."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from pathlib import Path

import pytest

from gateway.bench.sources import Sample, owner, samples
from gateway.model import Agency
from gateway.parse.er7 import parse
from gateway.parse.spans import spans
from gateway.rows import lying, read
from gateway.translate import Library, load, translate
from gateway.translate.explain import Explained, ExplainingRows, Told, explain

MAPPINGS = Path(__file__).parents[2] / "mappings"
SAMPLES = [each for each in samples([MAPPINGS]) if each.expected.is_file()]


PLACE = re.compile(r"[^:/]+\.csv:\d+:\S.*|[^:/]+\.(json|ndjson):(/[^/]*)+")
"""Of rows file:line:column, of JSON file:pointer."""


@cache
def library() -> Library:
    return load([MAPPINGS])


def leaves(value: object, path: str) -> list[tuple[str, object]]:
    if isinstance(value, dict):
        return [one for key, each in value.items() for one in leaves(each, f"{path}.{key}")]
    if isinstance(value, list):
        return [one for at, each in enumerate(value) for one in leaves(each, f"{path}[{at}]")]
    return [(path, value)]


def name(sample: Sample) -> str:
    return sample.path.relative_to(MAPPINGS).as_posix()


def told(sample: Sample) -> dict[tuple[str, str], list[Told]]:
    """What is told of each element of a sample's resources; of each row that says it."""
    agency = owner(library(), sample.path)
    found: dict[tuple[str, str], list[Told]] = {}
    for explained in _explained(sample, agency):
        for reference, one in explained.elements():
            found.setdefault((reference, one.path), []).append(one)
    return found


def _explained(sample: Sample, agency: Agency) -> Iterator[Explained]:
    if sample.feed:
        rows = ExplainingRows(library(), agency, sample.feed)
        for made in read(library(), agency, sample.feed, lying(sample.path)):
            if made.plan is not None and made.given is not None and made.entries:
                explained = rows.explain(made.plan.name, made.given)
                assert (explained.entries, explained.warnings) == (made.entries, made.warnings)
                yield explained
        return
    raw = as_sent(sample)
    explained = explain(library(), agency, parse(raw, charset=agency.charset))
    plain = translate(library(), agency, parse(raw, charset=agency.charset))
    assert (explained.entries, explained.warnings) == (plain.entries, plain.warnings)
    assert explained.map == plain.map
    yield explained


def as_sent(sample: Sample) -> bytes:
    return sample.path.read_bytes().replace(b"\r\n", b"\r").replace(b"\n", b"\r")


@pytest.mark.parametrize("sample", SAMPLES, ids=name)
def test_every_element_of_an_expected_file_is_explained(sample: Sample) -> None:
    found = told(sample)
    expected = json.loads(sample.expected.read_bytes(), parse_float=Decimal)
    said = {
        (f"{resource['resourceType']}/{resource['id']}", path): value
        for resource in expected
        for path, value in leaves(resource, resource["resourceType"])
    }
    assert said.keys() <= found.keys()
    for key, value in said.items():
        one = found[key][-1]
        assert one.value == value
        assert isinstance(one.value, bool) is isinstance(value, bool)
        assert all(re.fullmatch(r"\S+\.(yaml|csv):\d+", rule) for rule in one.rules)
        assert one.rules
        assert one.read or one.kind in ("const", "default", "ref", "type"), one
        if sample.feed:
            assert all(PLACE.fullmatch(place) for place in one.read), one


@pytest.mark.parametrize("sample", [each for each in SAMPLES if not each.feed], ids=name)
def test_what_was_read_of_a_message_has_its_bytes(sample: Sample) -> None:
    raw = as_sent(sample)
    record = parse(raw, charset=owner(library(), sample.path).charset)
    for ones in told(sample).values():
        for one in ones:
            where = spans(record, raw, list(one.read))
            assert where.keys() == set(one.read), one
            if one.kind == "read" and len(one.read) == 1 and one.path.endswith(".family"):
                assert [raw[slice(*span)].decode() for span in where.values()] == [one.value]
