"""Sequence numbers (HL7 v2.8.2 §2.10.1) before a real pipeline and a SQLite hub."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.errors import MapError
from gateway.exchange.searching import Search
from gateway.model import Context
from gateway.pipeline import Pipeline
from gateway.receive.ack import header
from gateway.receive.arrival import as_message
from gateway.store import open_hub
from gateway.translate import load
from tests.receive.test_arrival import CLINIC, adt, asked, codes, field, made

YAML = "agency: clinic\nname: Clinic\nfeeds:\n  - {kind: hl7v2, sequence: %s}\n"
BAD = ""


@contextlib.contextmanager
def opened(folder: Path, rule: str = "") -> Iterator[Pipeline]:
    """A pipeline over the hub in ``folder``, as often as it is opened, with a clinic."""
    hub = open_hub(f"sqlite:///{folder / 'hub.sqlite'}")
    pipeline = made(hub)
    if rule:
        (folder / "agency.yaml").write_text(YAML % rule)
    pipeline.add_agency("clinic", folder if rule else None)
    try:
        yield pipeline
    finally:
        asyncio.run(pipeline.close())
        hub.close()


def numbered(number: int | str, raw: bytes = b"", mode: tuple[str, str] = ("", "")) -> bytes:
    """A message (a new patient's, unless given) that bears MSH-13."""
    raw = raw or adt(*mode, mrn=f"M{number}")
    first, rest = raw.split(b"\r", 1)
    fields = [*first.split(b"|"), *[b""] * 13]
    fields[12] = str(number).encode()
    return b"|".join(fields) + b"\r" + rest


def start(number: int, mode: tuple[str, str] = ("", "")) -> bytes:
    """The message that (re)starts a link (0) or its count (-1): nothing but a header."""
    return numbered(number, adt(*mode).split(b"\r")[0].replace(b"ADT^A08^ADT_A01", b"^") + b"\r")


def told(answers: list[str]) -> list[tuple[str, str]]:
    """MSA-1 and MSA-4 of each, "" where there is none."""
    lines = [next(each for each in answer.split("\r") if each[:3] == "MSA") for answer in answers]
    return [(line.split("|")[1], (line.split("|") + [""] * 4)[4]) for line in lines]


def patients(pipeline: Pipeline) -> int:
    return len(pipeline.search(CLINIC, Search("Patient", [])).page.entries)


def test_a_link_is_started_by_0_and_then_each_number_is_taken_in_its_turn(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        answers = asked(pipeline, start(0), numbered(7), numbered(8), start(0), numbered(9))
        expected = [("AA", "-1"), ("AA", "7"), ("AA", "8"), ("AA", "9"), ("AA", "9")]
        assert told(answers) == expected
        assert patients(pipeline) == 3


def test_one_out_of_turn_is_refused_with_the_number_that_is_expected(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        early, again = numbered(4), numbered(1, adt(mrn="other"))
        answers = asked(pipeline, start(0), numbered(1), early, again)
        assert told(answers)[2:] == [("AE", "2"), ("AE", "2")]
        assert [field(answer, "ERR", 2) for answer in answers[2:]] == ["MSH^1^13"] * 2
        assert [field(answer, "ERR", 3)[:3] for answer in answers[2:]] == ["207", "205"]
        kept = pipeline.failed_messages(CLINIC)
        assert [(each.stage, each.place) for each in kept] == [("receive", "MSH-13")] * 2
        assert patients(pipeline) == 1
        answers = asked(pipeline, numbered(2), early, numbered(3), early)
        assert told(answers) == [("AA", "2"), ("AE", "3"), ("AA", "3"), ("AA", "4")]
        assert patients(pipeline) == 4


def test_the_same_message_again_gets_the_stored_answer_and_its_number(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        raw = numbered(1)
        first = asked(pipeline, start(0), raw)[1]
        assert asked(pipeline, numbered(2), raw)[1] == first
        assert told([first]) == [("AA", "1")]
        assert told(asked(pipeline, numbered(3))) == [("AA", "3")]


def test_minus_1_starts_the_count_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        answers = asked(pipeline, start(0), numbered(5), start(-1), numbered(100), numbered(6))
        assert told(answers)[2:] == [("AA", "-1"), ("AA", "100"), ("AE", "101")]


def test_a_message_that_was_not_accepted_keeps_its_turn(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        broken = numbered(2, adt(mrn=BAD))
        answers = asked(pipeline, start(0), numbered(1), broken, broken, numbered(3), numbered(2))
        assert told(answers)[2:] == [("AE", "2"), ("AE", "2"), ("AE", "2"), ("AA", "2")]


def test_what_is_expected_outlives_the_process(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        asked(pipeline, start(0), numbered(1))
    with opened(tmp_path) as pipeline:
        assert told(asked(pipeline, numbered(3), start(0), numbered(2))) == [
            ("AE", "2"),
            ("AA", "2"),
            ("AA", "2"),
        ]


def test_the_bytes_that_started_a_link_before_are_answered_anew(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        opening = start(0)
        answers = asked(pipeline, opening, numbered(1), opening)
        assert told(answers) == [("AA", "-1"), ("AA", "1"), ("AA", "2")]


def test_each_pair_of_applications_counts_on_its_own(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        other = [each.replace(b"|EHR|", b"|LAB|") for each in (start(0), numbered(41))]
        answers = asked(pipeline, start(0), numbered(1), *other, numbered(2))
        assert told(answers) == [("AA", n) for n in ("-1", "1", "-1", "41", "2")]


def test_a_counter_that_nobody_agreed_on_is_only_a_field(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        answers = asked(pipeline, numbered(9), numbered(3), numbered("x"), numbered(0))
        assert told(answers) == [("AA", "")] * 4
        assert patients(pipeline) == 4


def test_on_a_started_link_a_message_without_a_number_is_taken_beside_the_count(
    tmp_path: Path,
) -> None:
    with opened(tmp_path) as pipeline:
        answers = asked(pipeline, start(0), numbered(1), adt(), numbered(2))
        assert told(answers)[2:] == [("AA", ""), ("AA", "2")]


def test_an_agency_may_ask_for_numbers_always(tmp_path: Path) -> None:
    with opened(tmp_path, "required") as pipeline:
        answers = asked(pipeline, adt(), numbered("x"), numbered(0), numbered(3), numbered(5))
        assert told(answers) == [("AE", "-1")] * 3 + [("AA", "3"), ("AE", "4")]
        heard = [field(answers[number], "ERR", 3)[:3] for number in (0, 1, 2, 4)]
        assert heard == ["101", "102", "102", "207"]


def test_an_agency_may_ask_for_no_numbers_at_all(tmp_path: Path) -> None:
    with opened(tmp_path, "ignored") as pipeline:
        answers = asked(pipeline, numbered(3), start(0), numbered(9))
        assert told(answers) == [("AA", ""), ("AE", ""), ("AA", "")]


def test_a_rule_that_is_none_is_refused_when_it_is_read(tmp_path: Path) -> None:
    (tmp_path / "agency.yaml").write_text(YAML % "always")
    with pytest.raises(MapError, match=r"agency\.yaml:4: 'sequence' is negotiated, required"):
        load([]).with_agency("clinic", tmp_path)


BOTH = ("AL", "AL")


def test_in_enhanced_mode_the_number_is_taken_with_ca_and_refused_with_ce(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        raws = [numbered(n, mode=BOTH) for n in (1, 3, 2)]
        answers = asked(pipeline, start(0, BOTH), *raws, raws[1])
        assert told(answers) == [
            ("AA", "-1"),
            *[("CA", "1"), ("AA", "1")],
            ("CE", "2"),
            *[("CA", "2"), ("AA", "2")],
            *[("CA", "3"), ("AA", "3")],
        ]
        assert field(answers[3], "ERR", 2) == "MSH^1^13"
        assert patients(pipeline) == 3
        assert not pipeline.failed_messages(CLINIC)


def test_what_was_refused_and_is_then_received_outlives_a_crash(tmp_path: Path) -> None:
    raw = numbered(2, mode=BOTH)
    with opened(tmp_path) as pipeline:
        assert told(asked(pipeline, start(0), numbered(5), raw))[-1] == ("CE", "6")
        asked(pipeline, start(-1))
        turn = pipeline.receive(*as_message("clinic", "mllp", raw)).result()
        assert turn.told == 2  # CA, and the process ends here
    with opened(tmp_path) as pipeline:
        pipeline.start()
        for _ in range(200):  # what was left is gone on with beside us
            if patients(pipeline) == 2:
                break
            time.sleep(0.05)
        pipeline.stop()
        assert patients(pipeline) == 2
        assert not pipeline.failed_messages(CLINIC)
        assert told(asked(pipeline, raw, numbered(3))) == [("CA", "2"), ("AA", "2"), ("AA", "3")]


def test_in_enhanced_mode_what_failed_after_ca_had_its_turn(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        broken = numbered(1, adt(*BOTH, mrn=BAD))
        answers = asked(pipeline, start(0), broken, numbered(2, mode=BOTH), broken)
        assert told(answers)[1:] == [
            *[("CA", "1"), ("AE", "1")],
            *[("CA", "2"), ("AA", "2")],
            *[("CA", "1"), ("AE", "1")],
        ]


@pytest.mark.parametrize(
    ("mode", "heard"),
    [(("NE", "AL"), ["AE"]), (("ER", "NE"), ["CE"]), (("SU", "SU"), []), (("AL", "AL"), ["CE"])],
)
def test_a_refusal_goes_to_whoever_waits_for_one(
    tmp_path: Path, mode: tuple[str, str], heard: list[str]
) -> None:
    with opened(tmp_path) as pipeline:
        asked(pipeline, start(0), numbered(1))
        assert codes(asked(pipeline, numbered(7, mode=mode))) == heard


def test_a_pipelined_stream_keeps_its_order(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        answers = asked(pipeline, start(0), *[numbered(n) for n in range(1, 60)])
        assert told(answers)[1:] == [("AA", str(n)) for n in range(1, 60)]


@pytest.mark.parametrize("rest", [b"", b"\r", b"PID|||\rPV1\r\n", b'PID|""', b"ZZZ"])
def test_a_header_with_nothing_behind_it_is_bare(rest: bytes) -> None:
    assert header(numbered(0, adt().split(b"\r")[0] + b"\r" + rest)).bare


@pytest.mark.parametrize("rest", [b"PID|1", b"PID|||^^x", b"PIDx"])
def test_a_header_with_something_behind_it_is_not(rest: bytes) -> None:
    assert not header(numbered(0, adt().split(b"\r")[0] + b"\r" + rest)).bare


def test_another_agency_counts_for_itself(tmp_path: Path) -> None:
    with opened(tmp_path) as pipeline:
        pipeline.add_agency("other", None)
        asked(pipeline, start(0), numbered(1))
        answers = asked(pipeline, start(0), numbered(9), agency="other")
        assert told(answers) == [("AA", "-1"), ("AA", "9")]
        assert (
            len(pipeline.search(Context("other", "test"), Search("Patient", [])).page.entries) == 1
        )
