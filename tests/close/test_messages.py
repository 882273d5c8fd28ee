"""The messages that close a loop, each read back by our parser and by hl7apy, strictly."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.close import KINDS, build
from gateway.close.case import escape
from gateway.close.standing import STANDINGS
from gateway.errors import CloseError
from gateway.parse.er7 import parse
from tests.close.cases import (
    APPOINTMENT,
    REF,
    VERSIONS,
    ask,
    case,
    original,
)
from tests.close.strictly import made, strict, values
from tests.corpora import messages, needs_corpora

STATUSES = (
    "requested",
    "accepted",
    "rejected",
    "in-progress",
    "on-hold",
    "completed",
    "failed",
    "cancelled",
)
ASKING = ("REF^I1", "OMG^O19", "ORM^O01")
EVERY = [(kind, status) for kind in ("rri", "osu", "oru") for status in STATUSES]
EVENTS = {"rri": "RRI^I12", "oru": "ORU^R01", "osu": "OSU^O51", "siu": "SIU^S12"}
EXPIRED = {"text": "Nobody answered", "coding": [{"code": "expired"}]}


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("event", ["REF^I15", "OMG^O19"])
@pytest.mark.parametrize(("kind", "status"), [*EVERY, ("siu", "in-progress")])
def test_every_message_is_valid_in_every_version(
    kind: str, status: str, event: str, version: str
) -> None:
    why = {"text": "No room & no beds | ^"}
    raw = made(kind, status, version, asked=ask(event, version), statusReason=why)
    strict(raw)
    back = parse(raw)
    assert not back.warnings
    assert back.version == version


@pytest.mark.parametrize("version", ["2.1", "2.2", "3.0", "", "2.5.2"])
def test_a_version_without_the_structure_is_answered_in_251(version: str) -> None:
    for kind in KINDS:
        raw = made(kind, "completed", version)
        strict(raw)
        assert parse(raw).version == "2.5.1"


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_it_goes_back_to_whoever_sent_the_referral(kind: str) -> None:
    back = parse(made(kind))
    assert values(back, "MSH", 3, 4, 5, 6) == ["CAREGW", "COUNTY", "EHR", "CEDARGEN"]
    assert values(back, "MSH", 10, 11) == ["CG0001", "P"]
    header = back.first("MSH")
    assert header is not None
    assert [header.text(5, component=n) for n in (2, 3)] == ["1.2.3", "ISO"]
    assert back.event == EVENTS[kind]


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_the_patient_is_the_senders_own_and_no_more_than_that(kind: str) -> None:
    back = parse(made(kind))
    pid = back.first("PID")
    assert pid is not None
    ids = [(node.text(), node.child(4).text()) for node in pid.repetitions(3)]  # type: ignore[union-attr]
    assert ids == [("12", "CEDARGEN"), ("987", "SSA")]
    assert [pid.text(5, component=n) for n in (1, 2, 3, 4)] == ["EVERYMAN", "ADAM", "A", None]
    assert pid.text(7) == "19610615"
    assert pid.text(8) is None


@pytest.mark.parametrize(
    ("status", "code"),
    list(zip(STATUSES, "PARAAARR", strict=True)),
)
def test_the_rri_says_how_it_stands_and_which_message_it_answers(status: str, code: str) -> None:
    back = parse(build("rri", case(status, statusReason={"text": "The pantry is closed"})))
    assert values(back, "MSA", 1, 2) == ["AA", "MSG7"]
    assert values(back, "RF1", 1, 6, 11) == [code, "R&D-77", case(status).request["id"]]
    assert [each.text(3) for each in back.all("NTE")][-1] == "The pantry is closed"
    assert [each.text(1) for each in back.all("PRD")] == ["RP", "RT"]
    assert [each.text(2) for each in back.all("PRD")] == ["POWELL", "County Food Bank"]


@pytest.mark.parametrize(("event", "trigger"), [("I12", "I12"), ("I13", "I13"), ("I15", "I15")])
def test_the_rri_answers_in_the_event_of_the_question(event: str, trigger: str) -> None:
    back = parse(build("rri", case("in-progress", asked=ask(f"REF^{event}"))))
    assert (back.event, back.structure) == (f"RRI^{trigger}", "RRI_I12")
    assert values(back, "RF1", 1) == ["A"]


def test_who_takes_a_referral_back_is_answered_so() -> None:
    back = parse(build("rri", case("cancelled", asked=ask("REF^I14"))))
    assert back.event == "RRI^I14"
    assert values(back, "RF1", 1) == ["R"]
    assert [each.text(3) for each in back.all("NTE")] == ["Referral cancelled"]


def test_a_referral_whose_time_ran_out_is_expired() -> None:
    back = parse(build("rri", case("cancelled", statusReason=EXPIRED)))
    assert values(back, "RF1", 1) == ["E"]
    osu = parse(build("osu", case("cancelled", asked=ask("OMG^O19"), statusReason=EXPIRED)))
    assert values(osu, "ORC", 1, 5) == ["OC", "CA"]


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize(
    ("visit", "number", "kind", "begins"),
    [
        ({**APPOINTMENT}, "a1", "O", "20240509100000-0500"),
        (
            {
                "resourceType": "Encounter",
                "id": "e1",
                "class": {"code": "IMP"},
                "period": {"start": "2024-05-09"},
            },
            "e1",
            "I",
            "20240509",
        ),
        ({"resourceType": "Encounter", "id": "e2"}, "e2", "O", None),
    ],
)
def test_the_rri_bears_the_visit_that_came_of_it(
    visit: dict[str, str], number: str, kind: str, begins: str | None, version: str
) -> None:
    raw = build("rri", case("in-progress", version, outputs=(visit,)))
    strict(raw)
    assert values(parse(raw), "PV1", 2, 19, 44) == [kind, number, begins]


def test_the_rri_of_an_outcome_tells_what_was_done() -> None:
    back = parse(build("rri", case("completed")))
    notes = [each.text(3) for each in back.all("NTE")]
    assert notes == ["Referral completed", "Provision of food, 2024-05-06"]
    assert values(back, "OBR", 2, 25) == ["R&D-77", "F"]
    assert "710925007" in [each.text(5) for each in back.all("OBX")]


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


@pytest.mark.parametrize("kind", sorted(KINDS))
@pytest.mark.parametrize(
    ("mode", "fields"),
    [("", [None, None]), ("commit", ["AL", "NE"]), ("application", ["AL", "AL"])],
)
def test_the_message_asks_for_the_acknowledgement_of_the_profile(
    kind: str, mode: str, fields: list[str | None]
) -> None:
    raw = made(kind, acknowledgement=mode)
    strict(raw)
    assert values(parse(raw), "MSH", 15, 16) == fields


def test_every_row_of_the_table_has_words_of_hl7s() -> None:
    assert {row.referral for row in STANDINGS.values()} == {"P", "A", "R", "E"}
    assert {row.result for row in STANDINGS.values()} == {"P", "F", "X"}


def test_an_output_in_words_alone_is_told_too() -> None:
    output = [{"type": {"text": "result"}, "valueCodeableConcept": {"text": "Two food parcels"}}]
    told = case("completed", output=output)
    obx = parse(build("oru", told)).all("OBX")
    assert [each.text(5, component=2) for each in obx][-1] == "Two food parcels"
    strict(build("oru", told))


def test_a_referral_without_its_own_number_goes_by_the_messages() -> None:
    asked = original(lines=tuple(line for line in REF if not line.startswith("RF1")))
    for kind, segment, field in (("rri", "RF1", 6), ("oru", "OBR", 2), ("osu", "ORC", 2)):
        raw = build(kind, case("completed", asked=asked))
        strict(raw)
        assert values(parse(raw), segment, field) == ["MSG7"]


def test_a_referral_without_its_senders_number_goes_by_the_other_one() -> None:
    lines = tuple("RF1||||||||||| X1" if line.startswith("RF1") else line for line in REF)
    raw = build("rri", case("accepted", asked=original(lines=lines)))
    assert values(parse(raw), "RF1", 6) == [" X1"]


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


@pytest.mark.parametrize("kind", ["rri", "osu", "oru"])
@pytest.mark.parametrize("status", ["draft", "entered-in-error"])
def test_a_status_that_no_message_can_say_is_refused(kind: str, status: str) -> None:
    with pytest.raises(CloseError) as caught:
        build(kind, case(status))
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
    refused = case("rejected", statusReason={"text": reason})
    for kind, segment, field in (("rri", "NTE", 3), ("oru", "OBX", 5)):
        raw = build(kind, refused)
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
    raw = made(kind, asked=original(version, lines=lines))
    strict(raw)
    pid = parse(raw).first("PID")
    assert pid is not None
    assert [node.text() for node in pid.repetitions(3)] == ["77", "88"]


@needs_corpora
@pytest.mark.corpora
def test_every_published_referral_can_be_answered() -> None:
    answered = 0
    for sample in messages():
        asked = parse(sample.raw) if sample.msh9.startswith(ASKING) else None
        if asked is None or asked.first("PID") is None:
            continue
        for kind in KINDS:
            back = parse(made(kind, asked=asked))
            assert not back.warnings
            assert values(back, "MSH", 5) == values(asked, "MSH", 3)
        answered += 1
    assert answered
