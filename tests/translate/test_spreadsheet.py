"""Dates and times as spreadsheets, databases and people write them."""

from __future__ import annotations

import pytest

from gateway.translate.spreadsheet import written
from gateway.translate.values import parse_time

DATES = {
    "3/4/24 2:05 PM": "2024-03-04T14:05:00",
    "3/4/2024, 2:05:09 PM": "2024-03-04T14:05:09",
    "7/14/1967 12:00:00.000 AM": "1967-07-14T00:00:00",
    "08-MAY-67": "1967-05-08",
    "5/14/38": "1938-05-14",
    "5/14/29": "2029-05-14",
    "08-MAY-67 09.59.00.000000 AM": "1967-05-08T09:59:00",
    "Jul 14 1967 12:00AM": "1967-07-14T00:00:00",
    "Friday, July 14, 1967": "1967-07-14",
    "14 de marzo de 2026": "2026-03-14",
    "15-ene-2026": "2026-01-15",
    "2026/3/5": "2026-03-05",
    "2026-03-05 02:05 PM": "2026-03-05T14:05:00",
    "24563": "1967-04-01",
    "24563.5": "1967-04-01T12:00:00",
    "2026-03-05T10:00:00-05:00": "2026-03-05T10:00:00-05:00",
    "2026": "2026",
    "202603": "202603",
    "5-Mar": "5-Mar",
    "14 Foo 1967": "14 Foo 1967",
    "": "",
}


@pytest.mark.parametrize("said", DATES)
def test_a_date_is_read_however_it_is_written(said: str) -> None:
    assert written("M/D/Y", said) == DATES[said]


def test_which_number_is_the_month_the_feed_says() -> None:
    assert written("D/M/Y", "3/4/2024") == "2024-04-03"
    assert written("D/M/Y", "08-MAY-67") == written("M/D/Y", "08-MAY-67")


TIMES = {
    "9:00": "09:00:00", "9:00 AM": "09:00:00", "5pm": "17:00:00", "12:00 a.m.": "00:00:00",
    "12 PM": "12:00:00", "09:00:00Z": "09:00:00", "17:30-05:00": "17:30:00", "1015": "10:15:00",
    "101500-0600": "10:15:00", "13:00 PM": None, "0:30 AM": None, "24:00": None, "noon": None,
    "10:15:75": None, "10:60": None,
}  # fmt: skip


@pytest.mark.parametrize("said", TIMES)
def test_a_time_of_day_is_read_however_it_is_written(said: str) -> None:
    assert parse_time(said) == TIMES[said]
