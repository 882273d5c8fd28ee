from __future__ import annotations

import io

import pytest

from gateway.errors import ParseError
from gateway.parse.csv import FIELD, Head, Sheet


def sheet(raw: bytes, **said: str) -> Sheet:
    return Sheet("x.csv", io.BytesIO(raw), **said)


def cells(raw: bytes, **said: str) -> list[list[str]]:
    return [line.cells for line in sheet(raw, **said)]


@pytest.mark.parametrize(
    ("raw", "charset"),
    [
        ("name\nZoë\n".encode(), "utf-8"),
        ("name\nZoë\n".encode("utf-8-sig"), "utf-8"),
        ("name\nZoë\n".encode("utf-16"), "utf-16-le"),
        (b"\xfe\xff" + "name\nZoë\n".encode("utf-16-be"), "utf-16-be"),
        ("name\nZoë\n".encode("utf-16-le"), "utf-16-le"),
        ("name\nZoë\n".encode("windows-1252"), "windows-1252"),
    ],
)
def test_the_character_set_is_told_from_the_bytes(raw: bytes, charset: str) -> None:
    found = sheet(raw)
    assert found.head.charset == charset
    assert found.head.columns == ("name",)
    assert [line.cells for line in found] == [["Zoë"]]


def test_bytes_that_windows_1252_leaves_undefined_are_kept() -> None:
    assert cells(b"a,b\n\x81,\xe9\n") == [["\x81", "é"]]


def test_a_declared_character_set_that_isnt_so_ends_the_file_at_its_line() -> None:
    found = sheet(b"a\n" + b"ok\n" * 100_000 + b"\xff\n", charset="ascii")
    lines = iter(found)
    assert next(lines).cells == ["ok"]
    with pytest.raises(ParseError, match="isn't ascii") as raised:
        list(lines)
    assert (raised.value.place or "").startswith("x.csv:")


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_the_delimiter_is_the_one_that_the_header_has_most_of(delimiter: str) -> None:
    raw = f'a{delimiter}"b,;|"{delimiter}c\n1{delimiter}2{delimiter}3\n'.encode()
    assert sheet(raw).head.delimiter == delimiter
    assert cells(raw) == [["1", "2", "3"]]


def test_excels_hint_of_the_delimiter_is_no_row() -> None:
    assert sheet(b"sep=;\na;b\n1;2\n").head.columns == ("a", "b")
    assert [line.number for line in sheet(b"sep=;\na;b\n1;2\n")] == [3]


def test_a_cell_may_hold_line_ends_and_the_next_row_knows_its_line() -> None:
    lines = list(sheet(b'a,b\r\n"x\r\ny",1\r\n2,3\r\n'))
    assert [(line.number, line.cells) for line in lines] == [(2, ["x\r\ny", "1"]), (4, ["2", "3"])]
    assert lines[0].raw == '"x\r\ny",1'


def test_a_row_is_handed_out_as_it_came() -> None:
    (line,) = sheet(b'a,b\n"1" ,  2\n')
    assert line.raw == '"1" ,  2'


def test_how_a_file_is_written_is_known() -> None:
    assert sheet(b'\xef\xbb\xbf"a",b\r\n1,2\r\n').head == Head(
        ("a", "b"), '"a",b', "utf-8", b"\xef\xbb\xbf", ",", "\r\n"
    )


def test_a_title_above_the_header_is_passed() -> None:
    titled = sheet(b'"Intake, March",,\n,,\na,b,c\n1,2,3\n')
    assert titled.head.columns == ("a", "b", "c")
    assert [(line.number, line.cells) for line in titled] == [(4, ["1", "2", "3"])]
    lonely = sheet(b"a,,\n1,,\n2,,\n")
    assert lonely.head.columns == ("a",)
    assert [line.cells for line in lonely] == [["1"], ["2"]]
    assert sheet(b"a\n1,2,3\n").head.columns == ("a",)


def test_a_ragged_row_is_its_own_fault() -> None:
    lines = list(sheet(b"a,b\n1\n1,2,3\n1,2,,\n4,5\n"))
    assert [line.fault for line in lines] == [
        "1 cells, where the header has 2",
        "3 cells, where the header has 2",
        "",
        "",
    ]


def test_a_nul_and_an_endless_cell_are_their_rows_fault() -> None:
    endless = b"x" * (FIELD + 1)
    lines = list(sheet(b"a,b\n1,\x002\n" + endless + b",2\n3,4\n"))
    assert lines[0].fault == "a NUL character"
    assert "quote that isn't closed" in lines[1].fault
    assert lines[-1].cells == ["3", "4"]


def test_blank_lines_are_no_rows() -> None:
    assert cells(b"\n\na,b\n\n1,2\n \n\x1a") == [["1", "2"]]


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (b"", "no header"),
        (b"\n \n", "no header"),
        (b"a,b,a\n", "two columns of one name"),
        (b"a," * 3000, "columns"),
    ],
)
def test_a_file_without_a_header_that_can_be_read_is_refused(raw: bytes, says: str) -> None:
    with pytest.raises(ParseError, match=says) as raised:
        sheet(raw)
    assert (raised.value.place or "").startswith("x.csv")


def test_a_line_without_end_is_refused_before_it_fills_the_memory() -> None:
    with pytest.raises(ParseError, match="a line of over"):
        list(sheet(b"a,b\n" + b'"' + b"x" * (5 * 2**20)))


def test_no_text_of_a_file_is_in_its_errors() -> None:
    with pytest.raises(ParseError) as raised:
        sheet(b"SECRET,b,SECRET\n1,2,3\n")
    assert "SECRET" not in str(raised.value)
