"""The messages that close a loop, each read back by our parser and by hl7apy, strictly."""

from __future__ import annotations

import re

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.parser import parse_message
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.close import KINDS, build
from gateway.close.case import escape
from gateway.close.oru import STATUS
from gateway.errors import CloseError
from gateway.parse.er7 import Message, parse
from tests.close.cases import REF, VERSIONS, case, original
from tests.corpora import messages, needs_corpora

MOVED = {
    "rri": ("requested", "accepted", "rejected", "on-hold", "completed", "failed", "cancelled"),
    "oru": ("completed", "failed", "cancelled"),
}


def strict(raw: bytes) -> None:
    """hl7apy's own verdict, from the bytes alone; in 2.8 it can't read an OBR (see structure)."""
    text = re.sub(r"\A(MSH[^\r]*\|)2\.8(\.\d)?(?=[|\r])", r"\g<1>2.7", raw.decode("utf-8"))
    message = parse_message(text, validation_level=VALIDATION_LEVEL.STRICT, find_groups=True)
    assert message.validate()


def values(message: Message, name: str, *numbers: int) -> list[str | None]:
    segment = message.first(name)
    assert segment is not None
    return [segment.text(number) for number in numbers]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("kind", "status"), [(kind, status) for kind, each in MOVED.items() for status in each]
)
def test_every_message_is_valid_in_every_version(kind: str, status: str, version: str) -> None:
    raw = build(kind, case(status, version, statusReason={"text": "No room & no beds | ^"}))
    strict(raw)
    back = parse(raw)
    assert not back.warnings
    assert back.version == version
    if kind == "oru":
        assert values(back, "OBR", 22, 25) == ["20240507150405+0000", STATUS[status]]


@pytest.mark.parametrize("version", ["2.1", "2.2", "3.0", "", "2.5.2"])
def test_a_version_without_the_structure_is_answered_in_251(version: str) -> None:
    for kind in KINDS:
        raw = build(kind, case("completed", version))
        strict(raw)
        assert parse(raw).version == "2.5.1"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_goes_back_to_whoever_sent_the_referral(kind: str) -> None:
    back = parse(build(kind, case("completed")))
    assert values(back, "MSH", 3, 4, 5, 6) == ["CAREGW", "COUNTY", "EHR", "CEDARGEN"]
    assert values(back, "MSH", 10, 11) == ["CG0001", "P"]
    header = back.first("MSH")
    assert header is not None
    assert [header.text(5, component=n) for n in (2, 3)] == ["1.2.3", "ISO"]
    assert back.event == {"rri": "RRI^I12", "oru": "ORU^R01"}[kind]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_patient_is_the_senders_own_and_no_more_than_that(kind: str) -> None:
    back = parse(build(kind, case("completed")))
    pid = back.first("PID")
    assert pid is not None
    ids = [(node.text(), node.child(4).text()) for node in pid.repetitions(3)]  # type: ignore[union-attr]
    assert ids == [("12", "CEDARGEN"), ("987", "SSA")]
    assert [pid.text(5, component=n) for n in (1, 2, 3, 4)] == ["EVERYMAN", "ADAM", "A", None]
    assert pid.text(7) == "19610615"
    assert pid.text(8) is None


@pytest.mark.parametrize(
    ("status", "code"),
    [("accepted", "A"), ("rejected", "R"), ("completed", "A"), ("failed", "R"), ("cancelled", "R")],
)
def test_the_rri_says_how_it_stands_and_which_message_it_answers(status: str, code: str) -> None:
    back = parse(build("rri", case(status, statusReason={"text": "The pantry is closed"})))
    assert values(back, "MSA", 1, 2) == ["AA", "MSG7"]
    assert values(back, "RF1", 1, 6, 11) == [code, "R&D-77", case(status).request["id"]]
    assert [each.text(3) for each in back.all("NTE")][-1] == "The pantry is closed"
    assert [each.text(1) for each in back.all("PRD")] == ["RP", "RT"]
    assert [each.text(2) for each in back.all("PRD")] == ["POWELL", "County Food Bank"]


def test_the_rri_of_an_outcome_tells_what_was_done() -> None:
    back = parse(build("rri", case("completed")))
    notes = [each.text(3) for each in back.all("NTE")]
    assert notes == ["Referral completed", "Provision of food, 2024-05-06"]


def test_the_oru_tells_what_was_asked_what_was_done_when_and_why() -> None:
    back = parse(build("oru", case("completed", statusReason={"text": "All well"})))
    obr = back.first("OBR")
    assert obr is not None
    assert [obr.text(n) for n in (2, 4, 7, 25)] == [
        "R&D-77", "467771000124109", "20240506143000-0500", "F"
    ]  # fmt: skip
    assert [obr.text(4, component=n) for n in (2, 3)] == ["Food & help", "SCT"]
    told = [tuple(each.text(n) for n in (2, 3, 5, 14)) for each in back.all("OBX")]
    assert told == [
        ("CE", "referral-status", "completed", "20240507150405+0000"),
        ("CE", "service-delivered", "710925007", "20240506143000-0500"),
        ("DT", "service-date", "20240506", "20240506143000-0500"),
        ("TX", "reason", "All well", None),
    ]


@pytest.mark.parametrize(("status", "code"), [("failed", "X"), ("cancelled", "X")])
def test_the_oru_of_what_was_not_done_says_so(status: str, code: str) -> None:
    back = parse(build("oru", case(status, statusReason={"text": "Never came"})))
    assert values(back, "OBR", 25) == [code]
    assert [each.text(3) for each in back.all("OBX")] == ["referral-status", "reason"]


def test_an_output_in_words_alone_is_told_too() -> None:
    output = [{"type": {"text": "result"}, "valueCodeableConcept": {"text": "Two food parcels"}}]
    made = case("completed", output=output)
    obx = parse(build("oru", made)).all("OBX")
    assert [each.text(5, component=2) for each in obx][-1] == "Two food parcels"
    strict(build("oru", made))


def test_a_referral_without_its_own_number_goes_by_the_messages() -> None:
    asked = original(lines=tuple(line for line in REF if not line.startswith("RF1")))
    for kind, segment, field in (("rri", "RF1", 6), ("oru", "OBR", 2)):
        raw = build(kind, case("completed", asked=asked))
        strict(raw)
        assert values(parse(raw), segment, field) == ["MSG7"]


def test_a_referral_without_a_referring_provider_still_has_who_answers() -> None:
    asked = original(lines=tuple(line for line in REF if not line.startswith("PRD")))
    raw = build("rri", case("accepted", asked=asked))
    strict(raw)
    assert [each.text(1) for each in parse(raw).all("PRD")] == ["RT"]


def test_an_original_without_a_patient_is_refused_by_place() -> None:
    asked = original(lines=tuple(line for line in REF if not line.startswith("PID")))
    with pytest.raises(CloseError) as caught:
        build("oru", case("completed", asked=asked))
    assert caught.value.place == "PID"


def test_a_status_that_an_rri_cannot_say_is_refused() -> None:
    with pytest.raises(CloseError) as caught:
        build("rri", case("entered-in-error"))
    assert caught.value.place == "Task.status"


def test_an_unknown_kind_is_refused() -> None:
    with pytest.raises(CloseError):
        build("pigeon", case("completed"))


@pytest.mark.parametrize(
    ("reason", "said", "charset"),
    [
        ("plain", "", None),
        ("Jos\u00e9", "8859/1", "8859/1"),
        ("Jos\u00e9", "", "UNICODE UTF-8"),
        ("\u4f60\u597d", "8859/1", "UNICODE UTF-8"),
        ("plain", "8859/1", None),
    ],
)
def test_the_charset_is_the_senders_where_it_suffices(
    reason: str, said: str, charset: str | None
) -> None:
    asked = original(charset=said)
    back = parse(build("rri", case("rejected", asked=asked, statusReason={"text": reason})))
    assert values(back, "MSH", 18) == [charset]
    assert [each.text(3) for each in back.all("NTE")] == [reason]


def test_a_senders_overlong_names_come_back_whole() -> None:
    lines = tuple(line.replace("EHR", "E" * 60).replace("RT^", "RT^") for line in REF)
    back = parse(build("rri", case("accepted", asked=original(lines=lines))))
    assert values(back, "MSH", 5) == ["E" * 60]


@settings(max_examples=60, deadline=None)
@given(st.text(st.characters(exclude_categories=("Cs", "Cc", "Zl", "Zp")), min_size=1, max_size=80))
def test_any_reason_arrives_as_it_was_written_and_as_one_segment(reason: str) -> None:
    if not reason.strip() or reason.strip() == '""':
        return
    made = case("rejected", statusReason={"text": reason})
    for kind, segment, field in (("rri", "NTE", 3), ("oru", "OBX", 5)):
        raw = build(kind, made)
        last = parse(raw).all(segment)[-1]
        assert (last.text(field) or "").strip() == reason.strip()
        assert raw.count(b"\r") == build(kind, case("rejected", statusReason={"text": "x"})).count(
            b"\r"
        )


def test_a_line_break_in_a_reason_starts_no_segment() -> None:
    assert escape("one\rPID|evil\n two\t") == "one PID\\F\\evil two"
    raw = build("rri", case("rejected", statusReason={"text": "no\rZZZ|injected"}))
    assert b"\rZZZ" not in raw
    strict(raw)


def test_a_birth_date_that_is_none_is_left_out() -> None:
    lines = tuple(line.replace("19610615083000", "ABOUT 1960") for line in REF)
    raw = build("oru", case("completed", asked=original(lines=lines)))
    strict(raw)
    assert values(parse(raw), "PID", 7) == [None]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("kind", sorted(KINDS))
def test_a_patient_of_whom_little_is_known_is_no_obstacle(kind: str, version: str) -> None:
    lines = (*(each for each in REF if not each.startswith("PID")), "PID|||^^^X~77~88^^^ADT")
    raw = build(kind, case("completed", asked=original(version, lines=lines)))
    strict(raw)
    pid = parse(raw).first("PID")
    assert pid is not None
    assert [node.text() for node in pid.repetitions(3)] == ["77", "88"]


@needs_corpora
@pytest.mark.corpora
def test_every_published_referral_can_be_answered() -> None:
    answered = 0
    for sample in messages():
        asked = parse(sample.raw) if sample.msh9.startswith(("REF^I12", "REF^I14")) else None
        if asked is None or asked.first("PID") is None:
            continue
        for kind in KINDS:
            made = parse(build(kind, case("completed", asked=asked)))
            assert not made.warnings
            assert values(made, "MSH", 5) == values(asked, "MSH", 3)
        answered += 1
    assert answered
