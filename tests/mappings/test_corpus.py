"""Every published message becomes valid R4, or is refused.

Refused means a ParseError or TranslateError with a place; nothing else may come out. The table is
printed (``-s``).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from gateway.errors import InvalidResource, ParseError, TranslateError
from gateway.fhir.gates import check
from gateway.model import Agency, Translation
from gateway.parse.er7 import parse
from gateway.record import Record
from gateway.translate import Library, translate
from tests.corpora import Sample, messages, needs_corpora

pytestmark = [needs_corpora, pytest.mark.corpora]


class Outcome(NamedTuple):
    """What became of one message: ``record`` and ``made``, or ``refusal``."""

    sample: Sample
    record: Record | None
    made: Translation | None
    refusal: ParseError | TranslateError | None


@pytest.fixture(scope="module")
def outcomes(library: Library) -> list[Outcome]:
    return list(_outcomes(library))


def _outcomes(library: Library) -> Iterator[Outcome]:
    agency = Agency("sample", "Sample")
    for sample in messages():
        record = None
        try:
            record = parse(sample.raw)
            yield Outcome(sample, record, translate(library, agency, record), None)
        except (ParseError, TranslateError) as refusal:
            yield Outcome(sample, record, None, refusal)


def test_each_is_translated_or_refused_at_a_place(outcomes: list[Outcome]) -> None:
    _print_table(outcomes)
    assert len(outcomes) >= 740
    assert all(one.refusal.place for one in outcomes if one.refusal)
    translated = sum(1 for one in outcomes if one.made)
    assert translated >= 669, "fewer than before are understood"


def test_every_resource_passes_both_gates(outcomes: list[Outcome]) -> None:
    refused: Counter[tuple[str, str | None]] = Counter()
    for one in outcomes:
        for entry in one.made.entries if one.made else ():
            try:
                check(entry.resource)
            except InvalidResource as error:
                refused[str(error), error.place] += 1
    assert not refused


def test_every_reference_leads_to_the_message_or_the_directory(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        entries = one.made.entries if one.made else ()
        here = {f"{entry.resource['resourceType']}/{entry.resource['id']}" for entry in entries}
        here.add("Organization/sample")
        stray = {found for entry in entries for found in _literal(entry.resource)} - here
        assert not stray, one.sample.file


# Why these have fewer Observations and documents than OBX: an OBX sent twice word for word, or one
# that holds nothing but its number.
_NBS = (
    "004_AL_{}_NBS_Multiple_Races_Multiple_Births",
    "005_AL_{}_NBS_Incorrect_Units",
    "007_AL_{}_NBS_Missing_Required_Fields",
    "009_AL_{}_NBS_Missing_Non_Required_Fields",
)
_SMM = "src__test__java__org__immregistries__smm__transform__"
_FEWER = frozenset(
    (
        "EI-to-Device-UDI-Carrier.hl7",
        "prt-to-device.hl7",
        "InterPartner~CELR~TX~AIMSPlatform~Prod~Prod~20210920104200~STOP~ATillGenVersion251.txt",
        "sample_oru_CDPH_NBS_20241021-001.hl7",
        "annotation_author_string_resource_test_file.hl7",
        "CA-20211001-sully.hl7",
        *(
            f"{n.format(k)}_3_hl7_translation_final.hl7"
            for n in _NBS
            for k in ("ORM_O01", "OML_O21")
        ),
        *(f"{_SMM}TransformerCopySegmentTest_00{n}.hl7" for n in (5, 6, 8)),
        *(f"{_SMM}TransformerTest_01{n}.hl7" for n in (8, 9)),
    )
)


def test_no_observation_is_lost(outcomes: list[Outcome]) -> None:
    for one in outcomes:
        if one.record is None or one.made is None:
            continue
        sent = sum(1 for segment in one.record.segments if segment.name == "OBX")
        kinds = ("Observation", "DocumentReference")
        made = sum(1 for entry in one.made.entries if entry.resource["resourceType"] in kinds)
        assert made >= sent or one.sample.file.rpartition("/")[2] in _FEWER, one.sample.file


def _literal(node: object) -> Iterator[str]:
    if isinstance(node, dict):
        for name, value in node.items():
            if name == "reference" and isinstance(value, str):
                yield value
            else:
                yield from _literal(value)
    elif isinstance(node, list):
        for value in node:
            yield from _literal(value)


def _print_table(outcomes: list[Outcome]) -> None:
    rows: Counter[tuple[str, str]] = Counter()
    for one in outcomes:
        event = "^".join(one.sample.msh9.split("^")[:2])
        refusal = one.refusal
        why = f"{type(refusal).__name__} at {refusal.place}: {refusal}" if refusal else "translated"
        rows[event, why] += 1
    print(f"\n{'event':9} {'n':>4}  what became of it")
    for (event, why), count in sorted(rows.items()):
        print(f"{event:9} {count:4}  {why}")
