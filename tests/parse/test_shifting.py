"""Sets that the text switches to as it goes, and whole text in wide characters."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from gateway.parse.er7 import Message, parse
from gateway.receive.ack import acknowledge, header
from tests.parse.test_charset import head


def names(declared: str, *values: bytes) -> tuple[list[str | None], Message]:
    message = parse(head(declared) + b"".join(b"\rPID|||" + each for each in values))
    return [each.text(3) for each in message.all("PID")], message


def japanese(text: str) -> bytes:
    return text.encode("iso2022_jp_ext")


@pytest.mark.parametrize(
    "declared", ["~ISO IR87", "ASCII~ISO IR87", "8859/1~ISO IR87", "", "ISO IR87"]
)
def test_an_escape_says_what_follows_whatever_was_declared_first(declared: str) -> None:
    read, message = names(declared, b"Yamada^" + japanese("山田"), b"Plain")
    assert read == ["Yamada", "Plain"]
    assert message.segments[1].text(3, component=2) == "山田"
    assert not message.warnings


def test_two_japanese_sets_may_follow_each_other() -> None:
    rare = japanese("丂")  # JIS X 0212 only
    assert b"\x1b$(D" in rare
    read, message = names("~ISO IR87~ISO IR159", japanese("山田") + rare)
    assert read == ["山田丂"]
    assert not message.warnings


def test_the_first_set_is_back_after_the_escape_to_ascii_and_at_each_segment() -> None:
    read, message = names(
        "8859/1~ISO IR87",
        b"Zo\xeb " + japanese("山") + b" Zo\xeb",
        b"\x1b-F" + "Ω".encode("iso8859-7"),
        b"Zo\xeb",
    )
    assert read == ["Zoë 山 Zoë", "Ω", "Zoë"]
    assert not message.warnings


def test_a_korean_name_stands_beside_ascii() -> None:
    assert (
        names("ASCII~KS X 1001", b"Kim^" + b"\x1b$)C" + "김".encode("euc_kr"))[1]
        .segments[1]
        .text(3, component=2)
        == "김"
    )


def test_a_delimiters_byte_inside_two_byte_text_cuts_nothing() -> None:
    text = next(
        c for c in map(chr, range(0x4E00, 0x9FFF)) if b"|" in c.encode("iso2022_jp", "ignore")
    )
    assert names("~ISO IR87", japanese(text))[0] == [text]


@pytest.mark.parametrize("run", [b"\x1b$)Gabc", b"\x1b$B\xff\xff\xff"])
def test_what_cannot_be_read_is_kept_and_reported(run: bytes) -> None:
    read, message = names("ASCII~CNS 11643-1992", b"A" + run)
    assert read[0] is not None
    assert read[0].startswith("A")
    assert [each.place for each in message.warnings] == ["MSH-18"]


def test_hl7_s_own_escapes_switch_too() -> None:
    inside = japanese("山").removeprefix(b"\x1b$B").removesuffix(b"\x1b(B")
    read, message = names("~ISO IR87", b"\\M2442\\" + inside + b"\\C2842\\ Yama")
    assert read == ["山 Yama"]
    assert not message.warnings


def test_an_escape_to_a_set_that_is_not_known_stays_as_sent() -> None:
    read, message = names("", b"\\C2D7A\\x")
    assert read == ["\\C2D7A\\x"]
    assert message.warnings


@pytest.mark.parametrize("codec", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "utf-32-be"])
def test_wide_text_is_read_and_answered_in_utf_8(codec: str) -> None:
    raw = (head("UNICODE UTF-16").decode() + "\rPID|||王 Zoë").encode(codec)
    message = parse(raw)
    assert message.segments[1].text(3) == "王 Zoë"
    assert not message.warnings
    when = datetime.now(UTC)
    answer = acknowledge(header(raw), "AA", [], at=when, control_id="1")
    assert b"|UNICODE UTF-8\r" in answer


def test_wide_text_that_breaks_off_is_no_message() -> None:
    with pytest.raises(Exception, match="must begin with MSH"):
        parse("MSH|".encode("utf-16") + b"x")


def test_an_escape_character_that_leads_to_no_known_set_is_only_a_byte() -> None:
    raw = b"MSH|^~\\&|A|B|C|D|2026||ADT^A01|1|P|2.5.1\rPID|1||7||\x1b&|."
    assert parse(raw).segments[1].text(5) == "\x1b"
