"""Dates as spreadsheets, databases and people write them, in ISO's form (ISO 8601).

Which of two numbers is the month the feed says (``dates``); a month in letters says it itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from types import MappingProxyType
from typing import Final

CENTURY: Final = 30
"""A year of two digits below this is of this century, as spreadsheets have it: who was born in 38
is old, and not of 2038."""

_CLOCK: Final = (
    r"(?:(?:[T ]|, ?| at )\s*(\d{1,2})[:.](\d\d)(?:[:.](\d\d)(?:[.:]\d{1,9})?)?"
    r"(?: ?([AaPp])\.?[Mm]\.?)?)?"
)
_NUMBERS: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d\d)" + _CLOCK, re.ASCII)
_YEAR_FIRST: Final = re.compile(r"(\d{4})[/.-](\d{1,2})[/.-](\d{1,2})" + _CLOCK, re.ASCII)
_WEEKDAY: Final = r"(?:[^\W\d_]{2,10}\.?,? +)?"
_DAY_FIRST: Final = re.compile(
    _WEEKDAY + r"(\d{1,2})[\s.-]*(?:de )?([^\W\d_]{3,10})\.?,?(?:[\s-]+| de )(\d{4}|\d\d)" + _CLOCK
)
_MONTH_FIRST: Final = re.compile(
    _WEEKDAY
    + r"([^\W\d_]{3,10})\.?[\s-]+(\d{1,2})(?:st|nd|rd|th)?(?:,\s*|[\s-]+)(\d{4}|\d\d)"
    + _CLOCK
)
_SERIAL: Final = re.compile(r"(\d{5})(\.\d+)?", re.ASCII)
_EPOCH: Final = datetime(1899, 12, 30, tzinfo=UTC)
"""Day 0 of a spreadsheet's count, after the 29 February 1900 that it believes in."""

_MONTHS: Final[Mapping[str, int]] = MappingProxyType(
    {
        name[:3]: number
        for names in (
            "jan feb mar apr may jun jul aug sep oct nov dec",
            "ene feb mar abr may jun jul ago set oct nov dic",
        )
        for number, name in enumerate(names.split(), start=1)
    }
)
"""Months by their first three letters, in English and Spanish."""


def written(dates: str, text: str) -> str:
    """A date as it is written (``3/4/24 2:05 PM``, ``08-MAY-67``, ``24563``), as ISO has it.

    ``dates`` says whether the month (M/D/Y) or the day (D/M/Y) is first; 24 is 2024, 61 is 1961.
    What is none of these forms is given back as it stands.
    """
    if text[4:5] == text[7:8] == "-" and text[-1] not in "Mm.":
        return text
    if match := _NUMBERS.fullmatch(text):
        one, two, year, *clock = match.groups()
        month, day = (one, two) if dates == "M/D/Y" else (two, one)
        return _shown(year, month, day, clock)
    if match := _YEAR_FIRST.fullmatch(text):
        year, month, day, *clock = match.groups()
        return _shown(year, month, day, clock)
    if match := _SERIAL.fullmatch(text):
        return _counted(int(match[1]), match[2])
    return _named(text)


def _named(text: str) -> str:
    """A date whose month is a word."""
    if match := _DAY_FIRST.fullmatch(text):
        day, month, year, *clock = match.groups()
    elif match := _MONTH_FIRST.fullmatch(text):
        month, day, year, *clock = match.groups()
    else:
        return text
    number = _MONTHS.get(month[:3].casefold())
    return _shown(year, str(number), day, clock) if number else text


def _shown(year: str, month: str, day: str, clock: list[str | None]) -> str:
    hour, minute, second, half = clock
    if len(year) == 2:
        year = f"{'20' if int(year) < CENTURY else '19'}{year}"
    shown = f"{year}-{month.zfill(2)}-{day.zfill(2)}"
    if hour is None:
        return shown
    if half is not None:
        hour = str(int(hour) % 12 + (12 if half in "Pp" else 0))
    return f"{shown}T{hour.zfill(2)}:{minute}:{second or '00'}"


def _counted(days: int, part: str | None) -> str:
    """A spreadsheet's count of days, and of the part of a day, to the second."""
    moment = _EPOCH + timedelta(days=days, seconds=round(float(part or 0) * 86_400))
    return moment.strftime("%Y-%m-%dT%H:%M:%S" if part else "%Y-%m-%d")
