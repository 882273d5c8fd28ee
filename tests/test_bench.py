"""The bench: coverage by the command line, and over every public message."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

import pytest
from typer.testing import CliRunner

from gateway import bench
from gateway.__main__ import cli
from gateway.errors import GatewayError, ParseError, SettingError
from gateway.parse.er7 import parse
from gateway.settings import Settings, shipped
from gateway.translate import Library, load, translate
from gateway.translate.coverage import Recorded
from tests.corpora import messages, needs_corpora

SAMPLES = shipped("mappings") / "agencies" / "cedar-general"


@pytest.fixture(scope="module")
def library() -> Library:
    return load(Settings().folders)


def test_a_file_holds_any_number_of_messages() -> None:
    one, two = b"MSH|^~\\&|A\rPID|1\r", b"MSH|^~\\&|B\nPID|2\n"
    assert bench.messages_of(one) == [b"MSH|^~\\&|A\rPID|1"]
    assert bench.messages_of(one + two) == [b"MSH|^~\\&|A\rPID|1", b"MSH|^~\\&|B\nPID|2"]
    framed = b"\x0b" + one + b"\x1c\r\x0b" + two + b"\x1c\r"
    assert len(bench.messages_of(framed)) == 2
    enveloped = b"FHS|^~\\&\rBHS|^~\\&\r" + one + b"BTS|1\rFTS|1\r"
    assert bench.messages_of(enveloped) == [b"MSH|^~\\&|A\rPID|1"]
    assert bench.messages_of(b"a,b,c\n") == []


def test_an_agency_is_one_that_is_loaded(library: Library) -> None:
    assert bench.agency(library, "").id == "sample"
    assert bench.agency(library, "cedar-general").name == "Cedar General Hospital"
    with pytest.raises(SettingError):
        bench.agency(library, "nobody")


def test_what_cannot_be_parsed_is_counted(library: Library) -> None:
    tally = bench.coverage(library, bench.agency(library, ""), [b"MSH|^~\\&|A\rPID|1"])
    assert tally.messages == 1
    assert [place for place, _ in tally.refused] == ["MSH-9"]


def test_the_command_prints_for_people() -> None:
    files = [str(SAMPLES / "admit.hl7"), "--agency", "cedar-general"]
    result = CliRunner().invoke(cli, ["map", "coverage", *files], env={"COLUMNS": "140"})
    assert result.exit_code == 0, result.output
    assert "1 messages:" in result.output
    assert re.search(r"PID\W+1\W+1\W", result.output)
    assert "Novak" not in result.output


def test_the_command_prints_for_programs(tmp_path: Path) -> None:
    (tmp_path / "below").mkdir()
    for name in ("admit", "result"):
        path = tmp_path / "below" / f"{name}.hl7"
        path.write_bytes((SAMPLES / f"{name}.hl7").read_bytes() + b"\rZZZ|a^b\r")
    result = CliRunner().invoke(cli, ["map", "coverage", "--folder", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    told = json.loads(result.stdout)
    assert told["messages"] == 2
    assert told["segments"]["ZZZ"] == {"there": 2, "read": 0}
    assert told["leaves"]["ZZZ-1.2"] == {"there": 2, "read": 0}
    assert told["leaves"]["PID-3"]["read"] > 0


def test_the_command_wants_files() -> None:
    assert CliRunner().invoke(cli, ["map", "coverage"]).exit_code == 2


@needs_corpora
@pytest.mark.corpora
def test_no_segment_is_dropped_silently(library: Library) -> None:
    """Of every public message each segment is mapped, or counted as one that no rule reads."""
    agency = bench.agency(library, "cedar-general")
    whole = [sample.raw for sample in messages()]
    tally = bench.coverage(library, agency, whole)
    assert tally.messages == len(whole) > 700
    there: Counter[str] = Counter()
    for raw in whole:
        try:
            record = parse(raw)
        except ParseError:
            continue
        there.update(segment.name for segment in record.segments)
        lines = re.findall(rb"(?:\A|[\r\n])([A-Z][A-Z0-9]{2})" + re.escape(raw[3:4]), raw)
        sent = Counter(name.decode() for name in lines)
        assert not sent - Counter(segment.name for segment in record.segments), raw[:60]
    assert {name: held.there for name, held in tally.segments.items()} == there
    print(f"\n{sum(h.read for h in tally.leaves.values())} of", end=" ")
    print(f"{sum(h.there for h in tally.leaves.values())} values read")
    for name, held in sorted(tally.segments.items()):
        values = [h for n, h in tally.leaves.items() if n.startswith(f"{name}-")]
        read, all_ = sum(h.read for h in values), sum(h.there for h in values)
        print(f"{name}  {held.read:5} of {held.there:5} segments  {read:6} of {all_:6} values")
    assert not [name for name, held in tally.segments.items() if held.read > held.there]


@needs_corpora
@pytest.mark.corpora
def test_counting_changes_nothing(library: Library) -> None:
    agency = bench.agency(library, "cedar-general")
    for sample in messages():
        try:
            record = parse(sample.raw)
        except ParseError:
            continue
        outcomes = []
        for one in (record, Recorded(record, set())):
            try:
                made = translate(library, agency, one)
            except GatewayError as error:
                outcomes.append(error.issues)
            else:
                outcomes.append((made.entries, made.warnings))
        assert outcomes[0] == outcomes[1], sample
