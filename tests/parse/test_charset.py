from __future__ import annotations

import pytest

from gateway.errors import ParseError
from gateway.parse.er7 import Message, parse


def message(name: bytes, charset: str, declared: str) -> Message:
    return parse(head(declared) + b"\rPID|||" + name, charset=charset)


def head(declared: str) -> bytes:
    return f"MSH|^~\\&|A|B|C|D|E||ADT^A01|M1|P|2.5.1||||||{declared}".encode()


def read(name: bytes, declared: str = "", charset: str = "auto") -> tuple[str | None, str, int]:
    record = message(name, charset, declared)
    return record.segments[1].text(3), record.charset, len(record.warnings)


@pytest.mark.parametrize(
    ("declared", "codec"),
    [
        ("UNICODE UTF-8", "utf-8"),
        ("UTF-8", "utf-8"),
        ("UNICODE", "utf-8"),
        ("8859/1", "iso8859-1"),
        ("ISO-8859-1", "iso8859-1"),
        ("8859/2", "iso8859-2"),
        ("8859/15", "iso8859-15"),
        ("ISO IR87", "iso2022_jp_ext"),
        ("GB 18030-2000", "gb18030"),
        ("KS X 1001", "euc_kr"),
        ("BIG-5", "big5"),
        ("windows-1252", "windows-1252"),
    ],
)
def test_a_declared_character_set_is_used(declared: str, codec: str) -> None:
    sample = {"iso8859-2": "Łódź", "iso2022_jp_ext": "山田", "gb18030": "王", "euc_kr": "김"}
    plain = sample.get(codec, "王" if codec == "big5" else "Zoë")
    assert read(plain.encode(codec), declared) == (plain, codec, 0)


@pytest.mark.parametrize("declared", ["UNICODE UTF-8~8859/1", "~UNICODE UTF-8", " UNICODE UTF-8 "])
def test_of_several_sets_the_first_counts(declared: str) -> None:
    assert read("Zoë".encode(), declared) == ("Zoë", "utf-8", 0)


def test_characters_that_contain_a_delimiters_byte_are_not_cut() -> None:
    plain = "許功蓋"  # in Big5 their second bytes are backslashes
    assert b"\\" in plain.encode("big5")
    assert read(plain.encode("big5"), "BIG-5") == (plain, "big5", 0)


def test_utf_8_needs_no_declaration() -> None:
    assert read("Zoë".encode()) == ("Zoë", "utf-8", 0)


@pytest.mark.parametrize("declared", ["", "ASCII", "UNICODE UTF-8", "8859/1", "EBCDIC"])
def test_a_lie_is_read_as_windows_1252_with_a_warning(declared: str) -> None:
    plain = "Zoë “Zed” Œuvre"
    value, codec, warnings = read(plain.encode("cp1252"), declared)
    assert (value, codec) == (plain, "windows-1252")
    assert warnings >= 1


@pytest.mark.parametrize("declared", ["ASCII", "8859/1", "BIG-5"])
def test_utf_8_under_another_name_is_read_as_utf_8_with_a_warning(declared: str) -> None:
    plain = "Zoë Nuñez “Zed”"
    assert read(plain.encode(), declared) == (plain, "utf-8", 1)


def test_true_latin_1_is_not_suspected() -> None:
    assert read("Zoë Nuñez".encode("latin-1"), "8859/1") == ("Zoë Nuñez", "iso8859-1", 0)


def test_every_byte_can_be_read_back() -> None:
    every = bytes(set(range(0x80, 0x100)))
    value, codec, warnings = read(every)
    assert (codec, warnings) == ("windows-1252", 1)
    assert value is not None
    assert len(set(value)) == len(every)


def test_an_unknown_name_is_a_warning_without_the_name() -> None:
    record = message(b"Zoe", "auto", "SECRETSET")
    assert [(issue.place, issue.severity) for issue in record.warnings] == [("MSH-18", "warning")]
    assert "SECRETSET" not in record.warnings[0].text


def test_the_agencys_charset_goes_before_msh_18() -> None:
    assert read(b"Zo\xeb", "UNICODE UTF-8", "windows-1252") == ("Zoë", "windows-1252", 0)
    assert read(b"Zo\xeb", "UNICODE UTF-8", "latin-1") == ("Zoë", "iso8859-1", 0)
    assert read("Zoë".encode(), "8859/1", "UNICODE UTF-8") == ("Zoë", "utf-8", 0)


def test_the_agencys_charset_can_be_wrong_too() -> None:
    assert read(b"Zo\xeb", "", "utf-8") == ("Zoë", "windows-1252", 1)


@pytest.mark.parametrize("charset", ["no-such-set", "base64", "utf-16", "cp037"])
def test_a_charset_that_cannot_serve_is_refused(charset: str) -> None:
    with pytest.raises(ParseError) as caught:
        read(b"Zoe", "", charset)
    assert caught.value.place == "MSH-18"
