from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hl7apy.consts import VALIDATION_LEVEL
from hl7apy.core import Message as Oracle
from hl7apy.parser import parse_message, parse_segment
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import Issue, ParseError, ReceiveError
from gateway.parse.er7 import parse
from gateway.receive.ack import Code, Header, acknowledge, header, new_control_id

STRICT = VALIDATION_LEVEL.STRICT
AT = datetime(2025, 3, 1, 16, 15, 30, tzinfo=UTC)
ISSUES = (
    Issue("a required field is empty", "PID-3[2].4.1", condition="101"),
    Issue("a code isn't in its table", "OBX[3]-5", condition="103", severity="warning"),
    Issue("nothing is written", "Task.status", condition="207", severity="fatal"),
    Issue("no place", None, severity="information"),
)


def sent(version: str = "2.5.1", event: str = "REF^I12^REF_I12", charset: str = "") -> bytes:
    return (
        f"MSH|^~\\&|CLINIC^1.2.3^ISO|CEDARGEN|HUB|GW|20250301||{event}|M\\T\\1|T|{version}"
        f"||||||{charset}\rPID|1"
    ).encode()


def answer(raw: bytes, code: Code = "AA", issues: tuple[Issue, ...] = ()) -> bytes:
    return acknowledge(header(raw), code, issues, at=AT, control_id="A1")


def lines(raw: bytes) -> list[str]:
    return raw.decode().removesuffix("\r").split("\r")


def test_a_header_is_read_as_sent() -> None:
    found = header(sent(charset="UNICODE UTF-8"))
    assert found.sending_application == "CLINIC^1.2.3^ISO"
    assert (found.application, found.facility) == ("CLINIC", "CEDARGEN")
    assert (found.receiving_application, found.receiving_facility) == ("HUB", "GW")
    assert (found.event, found.control_id) == ("REF^I12", "M\\T\\1")
    assert (found.processing_id, found.version) == ("T", "2.5.1")
    assert (found.charset, found.declared_charset) == ("utf-8", "UNICODE UTF-8")


def test_a_headers_event_is_worded_alike_whatever_its_delimiters() -> None:
    assert header(b"MSH*:~\\&*A*B*C*D*E**ADT:A08:ADT_A01*1").event == "ADT^A08"
    assert header(b"MSH|^~\\&|A|B|C|D|E||ADT|1").event == "ADT"


@pytest.mark.parametrize("raw", [b"MSH", b"MSH|", b"MSH|||||", b"MSHABC", b"MSH|^~\\&", b"MSH\x00"])
def test_any_header_that_begins_with_msh_can_be_answered(raw: bytes) -> None:
    assert lines(answer(raw, "AE", ISSUES))[1].startswith("MSA")


@pytest.mark.parametrize("raw", [b"", b"PID|1", b"FHS|^~\\&|A", b"\xff\xfeM\x00S\x00"])
def test_bytes_without_a_header_are_refused(raw: bytes) -> None:
    with pytest.raises(ReceiveError) as caught:
        header(raw)
    assert caught.value.place == "MSH"


def test_an_answer_goes_back_where_the_message_came_from() -> None:
    assert lines(answer(sent())) == [
        "MSH|^~\\&|HUB|GW|CLINIC^1.2.3^ISO|CEDARGEN|20250301161530+0000||ACK^I12^ACK|A1|T|2.5.1",
        "MSA|AA|M\\T\\1",
    ]


def test_from_version_2_5_on_each_issue_is_an_err() -> None:
    assert lines(answer(sent(), "AE", ISSUES))[1:] == [
        "MSA|AE|M\\T\\1",
        "ERR||PID^1^3^2^4^1|101^Required field missing^HL70357|E||||a required field is empty",
        "ERR||OBX^3^5|103^Table value not found^HL70357|W||||a code isn't in its table",
        "ERR|||207^Application internal error^HL70357|E||||Task.status: nothing is written",
        "ERR|||0^Message accepted^HL70357|I||||no place",
    ]


def test_before_version_2_5_errors_share_one_err_and_warnings_stay_out() -> None:
    assert lines(answer(sent("2.3"), "AE", ISSUES))[1:] == [
        "MSA|AE|M\\T\\1|a required field is empty|||101^Required field missing^HL70357",
        "ERR|PID^1^3^101&Required field missing&HL70357~^^^207&Application internal error&HL70357",
    ]
    assert lines(answer(sent("2.3"), "AA", ISSUES[1:2]))[1:] == ["MSA|AA|M\\T\\1"]


@pytest.mark.parametrize(
    ("version", "kind"),
    [
        ("2.1", "ACK"),
        ("2.2", "ACK^I12"),
        ("2.3", "ACK^I12"),
        ("2.3.1", "ACK^I12^ACK"),
        ("2.8", "ACK^I12^ACK"),
    ],
)
def test_the_answers_kind_is_worded_as_its_version_has_it(version: str, kind: str) -> None:
    fields = lines(answer(sent(version)))[0].split("|")
    assert (fields[8], fields[11]) == (kind, version)


def test_an_unknown_version_is_answered_in_2_5_1() -> None:
    assert lines(answer(sent("5.0.0")))[0].endswith("|2.5.1")


def test_the_senders_delimiters_and_character_set_are_kept() -> None:
    raw = "MSH*:+!%*CLÍNICA*B*C*D*E**ADT:A08*1*P*2.5******8859/1".encode("latin-1")
    assert answer(raw, "AE", ISSUES[:1]).decode("latin-1").split("\r")[:3] == [
        "MSH*:+!%*C*D*CLÍNICA*B*20250301161530+0000**ACK:A08:ACK*A1*P*2.5******8859/1",
        "MSA*AE*1",
        "ERR**PID:1:3:2:4:1*101:Required field missing:HL70357*E****a required field is empty",
    ]


def test_delimiters_that_the_sender_does_not_declare_are_chosen() -> None:
    raw = answer(b"MSH|~|A|B|C|D|E||ADT|1|P|2.5", "AE", ISSUES[:1])
    assert lines(raw)[0].startswith("MSH|~^\\&|")
    assert parse(raw).segments[2].text(2, 1, 3) == "3"


def test_a_text_cannot_break_out_of_its_field() -> None:
    issue = Issue("a|b^c~d\\e&f\rMSA|AA|x\x1c é", "PID")
    raw = answer(sent(), "AE", (issue,))
    assert b"\x1c" not in raw
    record = parse(raw)
    assert [segment.name for segment in record.segments] == ["MSH", "MSA", "ERR"]
    assert record.segments[2].text(8) == "a|b^c~d\\e&f?MSA|AA|x? ?"


def test_an_answer_to_nobody_can_be_read() -> None:
    record = parse(acknowledge(None, "AR", ISSUES, at=AT, control_id="A1"))
    assert record.event == "ACK"
    assert record.segments[1].text(1) == "AR"
    assert record.segments[1].text(2) is None


def test_a_flood_of_issues_is_cut() -> None:
    assert len(lines(answer(sent(), "AE", ISSUES * 1000))) == 102


def test_control_ids_of_ours_fit_every_version_and_differ() -> None:
    ids = {new_control_id() for _ in range(1000)}
    assert len(ids) == 1000
    assert {len(id_) for id_ in ids} == {20}


def strict_2_3(text: str) -> Oracle:
    """hl7apy can't tell the structure of a 2.3 message, whose MSH-9 doesn't name it."""
    message = Oracle("ACK", version="2.3", validation_level=STRICT)
    header, *segments = (
        parse_segment(line, "2.3", validation_level=STRICT) for line in text.split("\r")[:-1]
    )
    message.msh = header
    for segment in segments:
        message.add(segment)
    return message


@pytest.mark.parametrize("version", ["2.3", "2.3.1", "2.4", "2.5", "2.5.1", "2.6", "2.7", "2.8"])
@pytest.mark.parametrize(("code", "issues"), [("AA", ()), ("AE", ISSUES[:2]), ("AR", ISSUES)])
def test_an_answer_is_valid_for_a_strict_parser(
    version: str, code: Code, issues: tuple[Issue, ...]
) -> None:
    text = answer(sent(version), code, issues).decode()
    parsed = strict_2_3(text) if version == "2.3" else parse_message(text, validation_level=STRICT)
    assert parsed.validate()
    assert parsed.msa.msa_1.to_er7() == code
    if issues and version >= "2.5":
        assert [err.err_2.to_er7() for err in parsed.err] == [
            *("PID^1^3^2^4^1", "OBX^3^5", "", "")[: len(issues)]
        ]
    if version != "2.8":  # in which hl7apy forgets the place of the withdrawn ERR-1
        assert parsed.to_er7().rstrip("\r") == text.rstrip("\r")


@pytest.mark.parametrize("version", ["2.1", "2.2", "2.3", "2.5.1", "2.8"])
@pytest.mark.parametrize(("expected", "msa"), [(7, "7"), (-1, "-1"), (None, None)])
def test_msa_4_tells_the_number_that_is_expected(
    version: str, expected: int | None, msa: str | None
) -> None:
    head = header(sent(version))
    for code, issues in (("AA", ()), ("AE", ISSUES)):
        raw = acknowledge(head, code, issues, at=AT, control_id="A1", expected=expected)  # type: ignore[arg-type]
        assert parse(raw).segments[1].text(4) == msa
        if version > "2.3":
            assert parse_message(raw.decode(), validation_level=STRICT).validate()


@settings(deadline=None)
@given(st.binary().map(lambda tail: b"MSH" + tail) | st.text().map(lambda t: f"MSH|{t}".encode()))
def test_arbitrary_headers_are_answered_with_something_readable(raw: bytes) -> None:
    reply = answer(raw, "AE", ISSUES)
    assert reply.startswith(b"MSH")
    assert isinstance(header(reply), Header)


@settings(deadline=None)
@given(st.text(alphabet=st.characters(codec="utf-8", exclude_characters="\r\n\x1c"), min_size=1))
def test_a_control_id_comes_back_as_sent(control_id: str) -> None:
    raw = f"MSH|^~\\&|A|B|C|D|E||ADT^A08|{control_id.replace('|', '')}X|P|2.5".encode()
    found = header(raw)
    try:
        reply = parse(answer(raw))
    except ParseError as error:  # a control character may end the line for a tolerant reader
        pytest.fail(f"unreadable answer: {error}")
    assert reply.segments[1].fields[2] == found.control_id
