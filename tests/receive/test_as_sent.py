"""Messages as they really come, before a real listener and hub: versions, marks, bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.exchange.searching import Search
from gateway.members import KEEPER
from gateway.parse.er7 import parse
from gateway.parse.header import VERSIONS
from gateway.pipeline import Pipeline
from gateway.receive.ack import header
from tests.receive.test_arrival import BHS, CLINIC, adt, asked, codes, field
from tests.receive.test_sequence import opened


@pytest.fixture
def pipeline(tmp_path: Path) -> Iterator[Pipeline]:
    with opened(tmp_path) as pipeline:
        yield pipeline


def families(pipeline: Pipeline) -> list[str]:
    found = pipeline.search(CLINIC, Search("Patient", [])).page.entries
    return [json.loads(each.body)["name"][0]["family"] for each in found]


@pytest.mark.parametrize("version", sorted(VERSIONS))
@pytest.mark.parametrize("structure", ["^ADT_A01", ""])
def test_each_version_is_read_and_answered_in_itself_with_or_without_a_structure(
    pipeline: Pipeline, version: str, structure: str
) -> None:
    raw = adt().replace(b"^ADT_A01", structure.encode()).replace(b"2.5.1", version.encode())
    (answer,) = asked(pipeline, raw)
    assert (field(answer, "MSA", 1), field(answer, "MSH", 11)) == ("AA", version)
    assert parse(raw).structure == "ADT_A01"
    assert families(pipeline) == ["Rivera"]


def test_a_fifth_encoding_character_is_kept_in_the_answer_and_is_no_text(
    pipeline: Pipeline,
) -> None:
    raw = adt().replace(b"^~\\&", b"^~\\&#").replace(b"Rivera", b"Rivera#\\P\\1")
    (answer,) = asked(pipeline, raw)
    assert answer.startswith("MSH|^~\\&#|GATEWAY|HUB|EHR|CLINIC|")
    assert codes([answer]) == ["AA"]
    assert header(answer.encode()).delimiters.truncation == "#"
    assert families(pipeline) == ["Rivera##1"]


def test_odd_encoding_characters_serve_for_message_and_answer(pipeline: Pipeline) -> None:
    raw = adt(mrn="").translate(bytes.maketrans(b"|^~\\&", b"!@%*+"))
    (answer,) = asked(pipeline, raw)
    assert answer.startswith("MSH!@%*+!GATEWAY!HUB!EHR!CLINIC!")
    record = parse(answer.encode())
    assert [record.segments[1].text(1), record.segments[2].text(4)] == ["AE", "E"]
    assert record.segments[2].text(2) == "PID"


@pytest.mark.parametrize(
    ("declared", "codec", "name", "lie"),
    [
        ("UNICODE UTF-8", "utf-8", "Zoë Wałęsa", False),
        ("8859/1", "latin-1", "Zoë", False),
        ("8859/2", "iso8859-2", "Wałęsa", False),
        ("ISO IR87", "iso2022_jp", "山田", False),
        ("GB 18030-2000", "gb18030", "赵钱孙", False),
        ("", "utf-8", "Zoë", False),
        ("UNICODE UTF-8", "windows-1252", "Zoë \u201cZo\u201d O\u2019Neil", True),
        ("8859/1", "windows-1252", "O\u2019Neil\u2013Ø", True),
        ("8859/1", "utf-8", "Wałęsa", True),
        ("ASCII", "windows-1252", "Zoë", True),
        ("", "windows-1252", "Zoë", True),
        ("KLINGON", "utf-8", "Zoë", True),
    ],
)
def test_a_name_comes_out_right_and_a_lie_about_its_set_is_told_and_kept(
    pipeline: Pipeline, declared: str, codec: str, name: str, lie: bool
) -> None:
    first, rest = adt(id="C").decode().split("\r", 1)
    text = f"{first}||{declared}\r{rest}".replace("Rivera", name)
    assert header(text.encode()).declared_charset == declared
    raw = text.encode(codec)
    (answer,) = asked(pipeline, raw)
    assert codes([answer]) == ["AA"]
    assert families(pipeline) == [name]
    told = [line.split("|")[2:5:2] for line in answer.split("\r") if line.startswith("ERR")]
    assert (["MSH^1^18", "W"] in told) is lie
    with pipeline._hub.read() as reader:
        receipt = reader.repeat("clinic", "C", raw)
        assert receipt is not None
        assert reader.kept(KEEPER, receipt.message).message.raw == raw


def test_a_file_of_batches_is_answered_by_one_with_its_counts(pipeline: Pipeline) -> None:
    fhs = BHS.replace(b"BHS", b"FHS").replace(b"|B1", b"|F1")
    batches = [
        BHS + adt(id="1", mrn="A") + adt(id="2", mrn="") + b"BTS|2\r",
        BHS.replace(b"|B1", b"|B2") + adt("AL", "AL", id="3", mrn="B") + b"BTS|1\r",
    ]
    raw = fhs + b"".join(batches) + b"FTS|2\r"
    (answer,) = asked(pipeline, raw)
    lines = [line.split("|") for line in answer.split("\r")]
    told = [(line[0], line[-1]) for line in lines if line[0] in ("FHS", "BHS", "BTS", "FTS")]
    envelope = [("FHS", "F1"), ("BHS", "B1"), ("BTS", "2"), ("BHS", "B2"), ("BTS", "1")]
    assert told == [*envelope, ("FTS", "2")]
    assert [line[1:3] for line in lines if line[0] == "MSA"] == [
        ["AA", "1"],
        ["AE", "2"],
        ["AA", "3"],
    ]
    (short,) = asked(pipeline, raw.replace(b"FTS|2", b"FTS|3"))
    assert [field(short, "MSA", 1), field(short, "ERR", 2)] == ["AR", "FTS^1^1"]
    assert len(families(pipeline)) == 2
