"""What no rule read: the tally is right, and what it calls unread really changes nothing."""

from __future__ import annotations

import random
import re
from pathlib import Path

import pytest

from gateway.errors import GatewayError
from gateway.model import Agency
from gateway.parse.er7 import parse
from gateway.settings import shipped
from gateway.translate import Coverage, Library, translate
from gateway.translate.coverage import Leaf, Recorded, _leaves
from tests.shipped import library as shipped_library
from tests.translate.maps import AGENCY, HEADER, library, message

SAMPLES = sorted((shipped("mappings") / "agencies").glob("**/*.hl7"))


def counted(loaded: Library, *segments: str, header: str = HEADER) -> Coverage:
    tally = Coverage()
    tally.add(loaded, AGENCY, parse(message(*segments, header=header)))
    return tally


def unread(tally: Coverage) -> set[str]:
    return {name for name, held in tally.leaves.items() if held.read < held.there}


def test_what_no_rule_reads_is_counted_by_place(tmp_path: Path) -> None:
    rules = "name: {each: PID-5, family: {from: '.1'}}"
    tally = counted(library(tmp_path, rules), "PID|1||7||A^B~C^D|X", "ZPD|a^b&c||d")
    assert unread(tally) == {"PID-1", "PID-5.2", "PID-6", "ZPD-1", "ZPD-1.2", "ZPD-1.2.2", "ZPD-3"}
    assert (tally.leaves["PID-5"].there, tally.leaves["PID-5"].read) == (2, 2)
    assert (tally.leaves["PID-5.2"].there, tally.leaves["PID-5.2"].read) == (2, 0)
    assert (tally.segments["PID"].there, tally.segments["PID"].read) == (1, 1)
    assert (tally.segments["ZPD"].there, tally.segments["ZPD"].read) == (1, 0)
    assert tally.messages == 1


def test_each_repetition_of_a_segment_counts(tmp_path: Path) -> None:
    tally = counted(library(tmp_path, "active: {const: true}"), "PID|1||7", "NTE|1", "NTE|2")
    assert (tally.segments["NTE"].there, tally.segments["NTE"].read) == (2, 0)


def test_a_repetition_that_a_choice_passes_over_is_read_as_far_as_it_was_looked_at(
    tmp_path: Path,
) -> None:
    rules = "language: {from: 'PID-5[2=B].3'}"
    tally = counted(library(tmp_path, rules), "PID|1||7||A^B^en~A^C^fr")
    assert (tally.leaves["PID-5.2"].there, tally.leaves["PID-5.2"].read) == (2, 2)
    assert (tally.leaves["PID-5.3"].there, tally.leaves["PID-5.3"].read) == (2, 1)


def test_what_is_remembered_is_read_each_time(tmp_path: Path) -> None:
    files = {"hl7v2/datatypes/XPN.yaml": "map: XPN\nto: HumanName\nfamily: {from: XPN.1}\n"}
    loaded = library(tmp_path, "name: {each: PID-5, as: XPN}", files).with_agency("own")
    own = loaded.agencies["own"]
    tally = Coverage()
    for _ in range(3):
        translate(loaded, own, parse(message("PID|1||7||A^B")))
        tally.add(loaded, own, parse(message("PID|1||7||A^B")))
    assert (tally.leaves["PID-5"].there, tally.leaves["PID-5"].read) == (3, 3)


def test_a_message_of_which_nothing_is_made_is_told(tmp_path: Path) -> None:
    loaded = library(tmp_path, "active: {const: true}")
    tally = counted(loaded, "PID|1", header=HEADER.replace("ADT^A01^ADT_A01", "QBP^Q11"))
    assert list(tally.refused) == [("MSH-9", "no map serves this type of message")]
    assert tally.segments["PID"].read == 0
    assert counted(loaded, "PID|1").refused.total() == 1


@pytest.fixture
def whole() -> Library:
    return shipped_library()


def agency_of(loaded: Library, path: Path) -> Agency:
    folder = path.relative_to(shipped("mappings") / "agencies").parts[0]
    return loaded.agencies[folder]


@pytest.mark.parametrize("path", SAMPLES, ids=lambda path: f"{path.parent.name}/{path.stem}")
def test_what_is_unread_changes_nothing(whole: Library, path: Path) -> None:
    """Put another text at any place that is counted as unread: the same comes out."""
    agency = agency_of(whole, path)
    lines = re.split(r"[\r\n]+", path.read_bytes().decode().strip())
    record = parse("\r".join(lines).encode())
    read: set[Leaf] = set()
    plain = translate(whole, agency, record)
    assert translate(whole, agency, Recorded(record, read)).entries == plain.entries
    held = [leaf for segment in record.segments[1:] for leaf, _ in _leaves(segment)]
    seed = random.randrange(2**32)
    print("seed", seed)
    ignored = [leaf for leaf in held if leaf not in read]
    for leaf in random.Random(seed).sample(ignored, min(12, len(ignored))):
        altered = parse("\r".join(changed(lines, leaf)).encode())
        assert translate(whole, agency, altered).entries == plain.entries, leaf


def changed(lines: list[str], leaf: Leaf) -> list[str]:
    """The message with one leaf's text replaced."""
    index, *numbers = leaf
    made = list(lines)
    fields = made[index].split("|")
    fields[numbers[0]] = _at(fields[numbers[0]], numbers[1:], "~^&")
    made[index] = "|".join(fields)
    return made


def _at(text: str, numbers: list[int], marks: str) -> str:
    if not numbers:
        return "CHANGED"
    parts = text.split(marks[0])
    parts[numbers[0] - 1] = _at(parts[numbers[0] - 1], numbers[1:], marks[1:])
    return marks[0].join(parts)


def test_errors_are_the_same(whole: Library) -> None:
    record = parse(message("PID|1"))
    with pytest.raises(GatewayError) as plain:
        translate(whole, AGENCY, record)
    with pytest.raises(GatewayError) as recorded:
        translate(whole, AGENCY, Recorded(record, set()))
    assert recorded.value.issues == plain.value.issues
