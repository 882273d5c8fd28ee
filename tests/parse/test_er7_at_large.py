"""What holds for any bytes and for every public message."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Element as Oracle
from hl7apy.exceptions import InvalidName
from hl7apy.parser import parse_segment
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ParseError
from gateway.parse.er7 import Message, Segment, parse
from gateway.parse.parts import Part
from tests.corpora import Sample, messages, needs_corpora

HEAD = b"MSH|^~\\&|A|B|C|D|E||ADT^A01|M1|P|2.5.1\r"
PIECES = st.sampled_from(
    [*(bytes([byte]) for byte in b'|^~\\&#\r\n\x0b\x1c "AX'), b"MSH", b"PID|", b"\\X41\\", b'""']
)


def parts(part: Part, depth: int = 0) -> Iterator[Part]:
    """The part and all below it."""
    yield part
    number = 1
    while depth < 2 and (number == 1 or number < 50):
        below = part.child(number)
        if below is not None and below is not part:
            yield from parts(below, depth + 1)
        number += 1


def read_all(record: Message) -> list[str | None]:
    return [
        part.text()
        for segment in record.segments
        for number in range(1, len(segment.fields))
        for repetition in segment.repetitions(number)
        for part in parts(repetition)
    ]


def refuses_or_reads(raw: bytes) -> None:
    try:
        record = parse(raw)
    except ParseError as error:
        if not error.place:
            raise
        return
    read_all(record)
    assert all(issue.place for issue in record.warnings)


@settings(deadline=None)
@given(st.binary())
def test_arbitrary_bytes_are_read_or_refused_with_a_place(raw: bytes) -> None:
    refuses_or_reads(raw)
    refuses_or_reads(HEAD + raw)


@settings(deadline=None)
@given(st.lists(PIECES | st.binary(max_size=3), max_size=60).map(b"".join))
def test_arbitrary_hl7_like_bytes_are_read_or_refused_with_a_place(raw: bytes) -> None:
    refuses_or_reads(b"MSH|" + raw)
    refuses_or_reads(HEAD + b"PID|" + raw)


LEAF = st.text(
    st.characters(codec="utf-8", exclude_characters="|^~\\&\r\n\x00\x1a\x1b\x1c"), max_size=8
)
FIELD = st.lists(
    st.lists(st.lists(LEAF, min_size=1, max_size=3), min_size=1, max_size=3), min_size=1
)


@settings(deadline=None)
@given(st.lists(FIELD, min_size=1, max_size=5))
def test_what_is_joined_is_read_back_by_either_way(fields: list[list[list[list[str]]]]) -> None:
    joined = [
        "~".join("^".join("&".join(leaves) for leaves in parts) for parts in repetitions)
        for repetitions in fields
    ]
    record = parse(HEAD + f"PID|{'|'.join(joined)}|.".encode())
    segment = record.segments[1]
    for f, repetitions in enumerate(fields, 1):
        for r, components in enumerate(repetitions, 1):
            for c, leaves in enumerate(components, 1):
                for s, leaf in enumerate(leaves, 1):
                    assert segment.text(f, r, c, s) == (leaf or None)
                    assert by_nodes(segment, f, r, c, s) == (leaf or None)


def by_nodes(segment: Segment, f: int, r: int, *numbers: int) -> str | None:
    repetitions = segment.repetitions(f)
    part: Part | None = repetitions[r - 1] if r <= len(repetitions) else None
    for number in numbers:
        part = part.child(number) if part else None
    return part.text() if part else None


# --- every public message ------------------------------------------------------------------------


@pytest.mark.corpora
@needs_corpora
def test_every_public_message_is_read_or_refused_with_a_place() -> None:
    refused: Counter[str | None] = Counter()
    for sample in messages():
        try:
            record = parse(sample.raw)
        except ParseError as error:
            refused[error.place] += 1
            continue
        read_all(record)
        assert (record.event, record.version) == (sample.msh9, sample.version), sample.file
    assert refused == {"MSH-2": 1, "MSH-9": 1, "MSH-10": 24}


def spread(samples: list[Sample], count: int) -> list[Sample]:
    return samples[:: max(1, len(samples) // count)]


@pytest.mark.corpora
@needs_corpora
def test_values_and_places_agree_with_hl7apy() -> None:
    compared = 0
    fit = [s for s in messages() if len(s.raw) < 8000 and s.version and s.raw[3:8] == b"|^~\\&"]
    for sample in spread(fit, 60):
        try:
            record = parse(sample.raw)
        except ParseError:
            continue
        for segment in record.segments[1:]:
            compared += agree(segment)
    assert compared > 5000, compared


def agree(segment: Segment) -> int:
    """Hold one segment to hl7apy's reading of it; how many leaves were compared.

    hl7apy shifts what its tables don't know (a 9th component where they have 6), so only a
    repetition that it prints as it was sent can judge.
    """
    try:
        oracle: Oracle = parse_segment(
            segment.raw, version="2.5.1", validation_level=VALIDATION_LEVEL.TOLERANT
        )
    except InvalidName:
        return 0
    repetitions: Counter[int] = Counter()
    compared = 0
    for field in oracle.children:
        field_number = number(field)
        repetitions[field_number] += 1
        if not printed_as_sent(field, segment, field_number, repetitions[field_number]):
            continue
        for c, s, text in leaves(field):
            mine = segment.text(field_number, repetitions[field_number], c, s)
            assert (mine or "") == text, (segment.place, field_number, c, s)
            compared += 1
    return compared


def printed_as_sent(field: Oracle, segment: Segment, number: int, repetition: int) -> bool:
    sent = segment.fields[number].split("~") if 0 < number < len(segment.fields) else []
    return len(sent) >= repetition and field.to_er7().rstrip("^&") == sent[repetition - 1].rstrip(
        "^&"
    )


def number(child: Oracle) -> int:
    """The number in a name such as PID_3 or CX_4; 0 for a name without one."""
    digits = (child.name or "").rpartition("_")[2]
    return int(digits) if digits.isdigit() else 0


def leaves(field: Oracle) -> Iterator[tuple[int, int, str]]:
    """hl7apy's leaves of one repetition by number, escaped ones left out."""
    for component in field.children:
        for subcomponent in component.children:
            c = number(component) or int("^" not in field.to_er7())
            s = number(subcomponent) or int("&" not in component.to_er7())
            text = subcomponent.to_er7()
            if c and s and "\\" not in text:
                yield c, s, text
