from __future__ import annotations

import pytest

from gateway.parse.er7 import parse

HEAD = b"MSH|^~\\&|A|B|C|D|E||ADT^A01|M1|P|2.5.1||||||"


def read(text: bytes, charset: bytes = b"UNICODE UTF-8") -> tuple[str | None, int]:
    record = parse(HEAD + charset + b"\rPID|||" + text)
    value = record.segments[1].text(3)
    assert value == record.segments[1].repetitions(3)[0].text()
    return value, len(record.warnings)


@pytest.mark.parametrize(
    ("sent", "plain"),
    [
        (b"a\\F\\b", "a|b"),
        (b"a\\S\\b\\T\\c\\R\\d", "a^b&c~d"),
        (b"C:\\E\\temp", "C:\\temp"),
        (b"\\E\\X41\\E\\", "\\X41\\"),
        (b"cut\\P\\", "cut#"),
        (b"\\X41\\\\X42\\", "AB"),
        (b"\\X4142\\", "AB"),
        (b"\\X0D\\", "\r"),
        (b"\\Xc3a9\\", "é"),
        (b"\\XC3\\\\XA9\\", "é"),
        (b"one\\.br\\two", "one\ntwo"),
        (b"one\\.sp2\\two", "one\n\ntwo"),
        (b"one\\.sk3\\two", "one   two"),
        (b"\\.in+4\\\\.ti-2\\\\.fi\\x\\.ce\\y", "x\ny"),
        (b"\\H\\loud\\N\\ quiet", "loud quiet"),
        (b"\\Zours\\", "\\Zours\\"),
    ],
)
def test_escapes_are_undone(sent: bytes, plain: str) -> None:
    assert read(sent) == (plain, 0)


@pytest.mark.parametrize(
    "sent",
    [
        b"C:\\temp\\new",
        b"lone \\",
        b"\\Q\\",
        b"\\X4\\",
        b"\\XFF\\",
        b"\\f\\",
        b"\\C2D7A\\",
        b"\\.sp999999999\\",
        b"\\X41",
        b"\\\\",
    ],
)
def test_what_is_no_escape_stays_as_sent_and_is_reported(sent: bytes) -> None:
    assert read(sent) == (sent.decode(), 1)


def test_a_stray_escape_character_does_not_swallow_a_real_one() -> None:
    assert read(b"A\\B and C \\T\\ D") == ("A\\B and C & D", 1)


@pytest.mark.parametrize(
    ("charset", "digits", "plain"),
    [(b"8859/1", b"E9", "é"), (b"8859/5", b"E9", "щ"), (b"UNICODE UTF-8", b"E282AC", "€")],
)
def test_hexadecimal_bytes_are_in_the_messages_character_set(
    charset: bytes, digits: bytes, plain: str
) -> None:
    assert read(b"\\X" + digits + b"\\", charset) == (plain, 0)


def test_an_escaped_delimiter_divides_nothing() -> None:
    record = parse(HEAD + b"\rPID|||a\\S\\b\\R\\c")
    nodes = record.segments[1].repetitions(3)
    assert len(nodes) == 1
    assert nodes[0].child(2) is None
    assert nodes[0].text() == "a^b~c"
