"""Rows taken apart and put together: no byte of what isn't changed is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.hmis import cells

ROWS = (
    "a,b,,c",
    '"4110031","761067",2020-02-24,3,,"1036"',
    '"Doe, Jane","said ""hi""",,""',
    '"two\nlines",1',
    'half"quoted,x',
    "",
    ",,,",
)


@pytest.mark.parametrize("row", ROWS)
def test_a_row_that_is_cut_and_joined_is_the_row(row: str) -> None:
    assert cells.line(cells.cut(row)) == row


def test_a_cell_says_what_stands_between_its_quotes() -> None:
    assert cells.texts('"Doe, Jane","said ""hi""",,1') == ["Doe, Jane", 'said "hi"', "", "1"]
    assert cells.texts("a;b,c", ";") == ["a", "b,c"]


@given(st.lists(st.text(alphabet='ab ,"\n;é', max_size=6).map(str.strip), min_size=1, max_size=6))
def test_what_is_written_is_read_again(said: list[str]) -> None:
    row = cells.line([cells.write(each, quoted=len(each) % 2 == 0) for each in said])
    assert cells.texts(row) == said


def test_bytes_that_windows_1252_lacks_go_out_as_they_came() -> None:
    assert cells.encoded("é\x81", "windows-1252") == b"\xe9\x81"
