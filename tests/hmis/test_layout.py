"""The files and columns of a year, and rows of one year in the columns of another."""

from __future__ import annotations

import pytest

from gateway.errors import SettingError
from gateway.hmis.layout import places, read_layout
from gateway.hmis.shape import lacking, shape
from gateway.settings import Settings
from gateway.store import Header

FOLDERS = Settings().folders


def header(key: int, raw: str, delimiter: str = ",") -> Header:
    return Header(key, "Client.csv", raw, "utf-8", b"", delimiter, "\n")


def test_both_years_have_all_files() -> None:
    before, now = (read_layout(FOLDERS, year).files for year in ("2024", "2026"))
    assert len(now) == 24
    assert before.keys() == now.keys()
    assert "Sex" in now["Client"]
    assert "Woman" in before["Client"]
    assert "Woman" not in now["Client"]
    assert now["Event"] == before["Event"]


def test_a_year_that_nobody_describes_is_refused() -> None:
    with pytest.raises(SettingError):
        read_layout(FOLDERS, "2022")


def test_columns_are_found_whatever_their_case_and_by_their_other_year_s_name() -> None:
    assert places(("Zip", "Sex", "HispanicLatinao"), ("ZIP", "HispanicLatinaeo")) == (0, None, 1)
    assert lacking(("Zip", "Sex", "HispanicLatinao"), ("ZIP", "HispanicLatinaeo")) == ("Sex",)


def test_a_file_of_its_year_goes_out_under_its_own_header() -> None:
    form = shape(("PersonalID", "Zip"), [header(1, '"PERSONALID","ZIP","Ours"')])
    assert form.whole
    assert form.line == '"PERSONALID","ZIP","Ours"'
    assert form.row('"1",,"x"', 1) == ['"1"', "", '"x"']


def test_a_column_under_its_other_year_s_name_is_that_column() -> None:
    ways = [header(1, "PersonalID,Sex,HispanicLatinaeo")]
    form = shape(("PersonalID", "Sex", "HispanicLatinao"), ways)
    assert form.whole
    assert form.line == "PersonalID,Sex,HispanicLatinaeo"


def test_a_file_of_another_year_is_put_into_the_year_s_columns() -> None:
    ways = [header(1, '"PersonalID","Woman","HispanicLatinaeo"')]
    form = shape(("PersonalID", "Sex", "HispanicLatinao"), ways)
    assert not form.whole
    assert form.line == '"PersonalID","Sex","HispanicLatinao"'
    assert form.row('"1",1,0', 1) == ['"1"', "", "0"]


def test_rows_that_came_under_another_header_or_delimiter_are_put_under_the_latest() -> None:
    ways = [header(1, "Zip;PersonalID", ";"), header(2, "PersonalID,Zip")]
    form = shape(("PersonalID", "Zip"), ways)
    assert form.row("52,240;1", 1) == ["1", '"52,240"']
    assert form.row("1,2", 2) == ["1", "2"]
    assert not form.is_alike(1)
    assert form.is_alike(2)
