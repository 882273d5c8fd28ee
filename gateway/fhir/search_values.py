"""How search reads texts, times and numbers (R4 search, 3.1.1.4): the same for rows and queries."""

from __future__ import annotations

import re
import unicodedata
from datetime import date
from decimal import Decimal
from functools import lru_cache

from gateway.fhir.rows import END

_DATE_TIME = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:T(\d\d):(\d\d)(?::(\d\d)(?:\.(\d+))?)?"
    r"(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)
_EPOCH = date(1970, 1, 1).toordinal()
_DAY = 86_400_000_000
_MINUTE = 60_000_000
_SECOND = 1_000_000
_PUNCTUATION = {
    code: None for code in range(128) if unicodedata.category(chr(code)).startswith("P")
}


@lru_cache(1024)
def normalise(text: str) -> str:
    """Without case, accents, punctuation and spare white space: "Zoë  O'Brien" is "zoe obrien"."""
    folded = text.casefold()
    if folded.isascii():
        return folded if folded.isalnum() else " ".join(folded.translate(_PUNCTUATION).split())
    decomposed = unicodedata.normalize("NFKD", folded)
    return " ".join("".join(c for c in decomposed if _matters(c)).split())


def _matters(character: str) -> bool:
    if character.isalnum() or character.isspace():
        return True
    return unicodedata.category(character)[0] not in "PM"


@lru_cache(1024)
def span(text: str) -> tuple[int, int] | None:
    """What a date, dateTime or instant may mean: [low, high) in microseconds since 1970, UTC.

    A time without an offset is UTC; None for what is no date (2023-02-29).
    """
    match = _DATE_TIME.fullmatch(text)
    if match is None:
        return None
    year, month, day, hour, minute, second, fraction, zone = match.groups()
    try:
        if hour is None:
            return _days(int(year), month, day)
        low = (date(int(year), int(month), int(day)).toordinal() - _EPOCH) * _DAY
    except ValueError:
        return None
    if int(hour) > 23 or int(minute) > 59 or int(second or 0) > 60:
        return None
    low += (int(hour) * 60 + int(minute) - _offset(zone)) * _MINUTE
    if second is None:
        return low, low + _MINUTE
    low += int(second) * _SECOND
    if fraction is None:
        return low, low + _SECOND
    digits = fraction[:6]
    step = 10 ** (6 - len(digits))
    low += int(digits) * step
    return low, low + step


def _days(year: int, month: str | None, day: str | None) -> tuple[int, int]:
    first = date(year, int(month or 1), int(day or 1)).toordinal()
    if day is not None:
        last = first + 1
    elif month is not None:
        last = first + _days_in(year, int(month))
    else:
        last = first + 365 + (date(year, 3, 1) - date(year, 2, 28)).days - 1
    return (first - _EPOCH) * _DAY, min((last - _EPOCH) * _DAY, END)


def _days_in(year: int, month: int) -> int:
    if month == 12:
        return 31
    return (date(year, month + 1, 1) - date(year, month, 1)).days


def _offset(zone: str | None) -> int:
    """Minutes east of UTC."""
    if zone is None or zone == "Z":
        return 0
    minutes = int(zone[1:3]) * 60 + int(zone[4:6])
    return -minutes if zone[0] == "-" else minutes


def precision(number: Decimal) -> Decimal:
    """Half a unit of the last digit given: 100 means 99.5 to 100.5, 1E+2 means 50 to 150."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int), "the caller refuses NaN"
    return Decimal(5).scaleb(exponent - 1)
