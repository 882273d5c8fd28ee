"""Text to FHIR primitives: HL7 v2's DT, DTM, TM, NM, ID (v2.8.2 §2A) to R4's data types.

Each reader takes (run, text, node) and gives the JSON value, or None after a warning at the node.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from functools import cache, lru_cache
from types import MappingProxyType
from typing import Final
from zoneinfo import ZoneInfo

from gateway.record import Node
from gateway.translate.run import Run
from gateway.translate.spreadsheet import written

Value = str | int | bool | Decimal
Reader = Callable[[Run, str, Node | None], Value | None]

_STAMP: Final = re.compile(
    r"(?P<year>\d{4})(?:-?(?P<month>\d\d)(?:-?(?P<day>\d\d)"
    r"(?:[T ]?(?P<hour>\d\d)(?::?(?P<minute>\d\d)"
    r"(?::?(?P<second>\d\d)(?P<fraction>\.\d{1,9})?)?)?)?"
    r")?)?(?P<offset>Z|[+-]\d\d?(?::?\d\d)?)?",
    re.ASCII,
)
_TIME: Final = re.compile(
    r"(?P<hour>\d\d|\d(?=:)):?(?P<minute>\d\d)(?::?(?P<second>\d\d)(?P<fraction>\.\d{1,9})?)?"
    r"(?: ?(?P<half>[AaPp])\.?[Mm]\.?|Z|[+-]\d\d:?\d\d)?",
    re.ASCII,
)
_HOUR: Final = re.compile(r"(\d{1,2}) ?([AaPp])\.?[Mm]\.?", re.ASCII)
_DECIMAL: Final = re.compile(r"\+?(?P<number>-?(?:\d+(?:\.\d+)?|\.\d+))", re.ASCII)
_INTEGER: Final = re.compile(r"\+?(?P<number>-?\d{1,18})(?:\.0+)?", re.ASCII)
_BASE64: Final = re.compile(r"[A-Za-z0-9+/]+={0,2}")
_ID: Final = re.compile(r"[A-Za-z0-9.-]{1,64}")
_TRUTH: Final = MappingProxyType(
    {"y": True, "n": False, "1": True, "0": False, "true": True, "false": False}
    | {"1.0": True, "0.0": False, "yes": True, "no": False}
)


def read_date(run: Run, text: str, node: Node | None) -> str | None:
    """``YYYY``, ``YYYY-MM`` or ``YYYY-MM-DD``; a time is cut off."""
    if len(text) in (8, 10) and (day := _day(text)):
        return day
    match = _stamp(run, text, node)
    return _date(match) if match else None


def read_datetime(run: Run, text: str, node: Node | None) -> str | None:
    """As precise as sent; a time without an offset anywhere is cut off.

    So is midnight, by the clock of a file whose ``dates`` are a spreadsheet's: it writes days so.
    """
    if len(text) in (8, 10) and (day := _day(text)):
        return day
    match = _stamp(run, text, node)
    if match is None:
        return None
    if match["hour"] is None or (run.dates and _is_midnight(match)):
        return _date(match)
    return _moment(run, match) or _date(match)


def read_instant(run: Run, text: str, node: Node | None) -> str | None:
    """Needs date, time and an offset; else a warning."""
    match = _stamp(run, text, node)
    if match is None:
        return None
    moment = _moment(run, match) if match["hour"] else None
    if moment is None:
        run.warn(node, "an instant needs a date, a time and an offset; left out")
    return moment


def offset_of(text: str | None) -> str:
    """The offset that a timestamp ends with (``-06:00``), or ""."""
    match = _STAMP.fullmatch((text or "").strip())
    return _offset(match["offset"]) if match and match["hour"] and match["offset"] else ""


def moment_of(run: Run, text: str) -> datetime | None:
    """The moment that a timestamp names at least to the minute, aware; None where it doesn't."""
    match = _STAMP.fullmatch(written(run.dates, text.strip()) if run.dates else text.strip())
    if match is None or match["minute"] is None:
        return None
    try:
        moment = _moment(run, match)
        return datetime.fromisoformat(moment) if moment else None
    except (ValueError, OverflowError):
        return None


def read_text(run: Run, text: str, node: Node | None) -> str | None:
    """As sent; blanks alone are nothing."""
    return None if text.isspace() else text


def read_code(run: Run, text: str, node: Node | None) -> str | None:
    """Blanks trimmed, and runs of them made one."""
    return text if text.isalnum() else " ".join(text.split()) or None


# --- those that look at the text alone -----------------------------------------------------------


def parse_time(text: str) -> str | None:
    """``HH:MM:SS``; an offset is no part of FHIR's time."""
    if hour := _HOUR.fullmatch(text):
        text = f"{hour[1].zfill(2)}:00 {hour[2]}m"
    match = _TIME.fullmatch(text)
    if match is None or int(match["hour"]) > 23 or match["minute"] > "59":
        return None
    if (match["second"] or "00") > "59":
        return None
    half, told = match["half"], int(match["hour"])
    if half is not None and not 1 <= told <= 12:
        return None
    told = told % 12 + (12 if half in "Pp" else 0) if half is not None else told
    return f"{told:02}:{match['minute']}:{match['second'] or '00'}{match['fraction'] or ''}"


def parse_decimal(text: str) -> Decimal | None:
    """The digits as sent."""
    match = _DECIMAL.fullmatch(text)
    return Decimal(match["number"]) if match else None


def parse_whole(least: int) -> Callable[[str], int | None]:
    """A parser of whole numbers from ``least`` up to what 32 bits hold."""

    def parse(text: str) -> int | None:
        match = _INTEGER.fullmatch(text)
        number = int(match["number"]) if match else None
        return number if number is not None and least <= number < 2**31 else None

    return parse


def parse_boolean(text: str) -> bool | None:
    """Table 0136 and its kin."""
    return _TRUTH.get(text.lower())


def parse_id(text: str) -> str | None:
    """R4's id: letters, digits, ``-`` and ``.``, at most 64."""
    return text if _ID.fullmatch(text) else None


def parse_uri(text: str) -> str | None:
    """One with blanks inside is none."""
    return text if len(text.split()) == 1 else None


def parse_base64(text: str) -> str | None:
    """As sent, blanks removed."""
    found = "".join(text.split())
    return found if _BASE64.fullmatch(found) and len(found) % 4 == 0 else None


def checked(type_: str, parse: Callable[[str], Value | None]) -> Reader:
    """A reader that warns where ``parse`` can't read the text, blanks around it removed."""

    def read(run: Run, text: str, node: Node | None) -> Value | None:
        stripped = text.strip()
        value = parse(stripped)
        if value is None and stripped:
            run.warn(node, f"can't be read as {type_}; left out", condition="102")
        return value

    return read


READERS: Final[Mapping[str, Reader]] = MappingProxyType(
    {
        "date": read_date,
        "dateTime": read_datetime,
        "instant": read_instant,
        "time": checked("time", parse_time),
        "decimal": checked("decimal", parse_decimal),
        "integer": checked("integer", parse_whole(-(2**31))),
        "positiveInt": checked("positiveInt", parse_whole(1)),
        "unsignedInt": checked("unsignedInt", parse_whole(0)),
        "boolean": checked("boolean", parse_boolean),
        "code": read_code,
        "id": checked("id", parse_id),
        "string": read_text,
        "markdown": read_text,
        "uri": checked("uri", parse_uri),
        "url": checked("url", parse_uri),
        "canonical": checked("canonical", parse_uri),
        "oid": checked("oid", parse_uri),
        "uuid": checked("uuid", parse_uri),
        "base64Binary": checked("base64Binary", parse_base64),
    }
)
"""A reader for each FHIR primitive that a map may make."""

AGREE: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "dateTime": frozenset({"date", "dateTime", "instant"}),
        "string": frozenset(READERS)
        - {"decimal", "integer", "positiveInt", "unsignedInt", "boolean"},
        "markdown": frozenset({"string", "markdown", "code"}),
        "code": frozenset({"code", "id"}),
        "decimal": frozenset({"decimal", "integer", "positiveInt", "unsignedInt"}),
        "integer": frozenset({"integer", "positiveInt", "unsignedInt"}),
        "unsignedInt": frozenset({"unsignedInt", "positiveInt"}),
        "uri": frozenset({"uri", "url", "canonical", "oid", "uuid"}),
    }
)
"""Which ``as:`` a primitive takes besides its own name."""


# --- timestamps ----------------------------------------------------------------------------------


def _day(text: str) -> str | None:
    """``YYYYMMDD`` and ``YYYY-MM-DD``, by far the commonest forms, on a short way; None for what is
    neither, and for years that only ``_exists`` knows about.
    """
    plain = text.isdecimal() if len(text) == 8 else text[4] == text[7] == "-" and text < "3"
    if not (plain and text.isascii()):
        return None
    try:
        return date.fromisoformat(text).isoformat()
    except ValueError:
        return None


def _is_midnight(match: re.Match[str]) -> bool:
    clock = match["hour"], match["minute"] or "00", match["second"] or "00"
    return clock == ("00", "00", "00") and not match["offset"]


def _stamp(run: Run, text: str, node: Node | None) -> re.Match[str] | None:
    """A timestamp that exists in the calendar and on the clock, or None after a warning."""
    match = _matched(written(run.dates, text.strip()) if run.dates else text)
    if match is None:
        run.warn(node, "can't be read as a date or time; left out", condition="102")
        return None
    return match


@lru_cache(1024)
def _matched(text: str) -> re.Match[str] | None:
    """A message tells the time of one thing in several fields: it is taken apart once."""
    match = _STAMP.fullmatch(text.strip())
    return match if match is not None and _exists(match) else None


def _exists(match: re.Match[str]) -> bool:
    """A year of four digits that nobody lives to see is two digits and a month: 800102."""
    year, month, day, hour, minute, second = match.group(1, 2, 3, 4, 5, 6)
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return False
    if "3000" <= year < "9999":
        return False
    return (hour or "00") < "24" and (minute or "00") < "60" and (second or "00") < "60"


def _date(match: re.Match[str]) -> str:
    return "-".join(part for part in match.group("year", "month", "day") if part)


def _moment(run: Run, match: re.Match[str]) -> str | None:
    """Date and time with the offset of the value, else of MSH-7, else of the feed's zone."""
    hour, minute, second, fraction, sent = match.group(4, 5, 6, 7, 8)
    clock = f"{hour}:{minute or '00'}:{second or '00'}"
    offset = _offset(sent) if sent else run.offset
    if not offset and run.agency.timezone:
        local = datetime.fromisoformat(f"{_date(match)}T{clock}")
        offset = _local_offset(run.agency.timezone, local)
    if not offset:
        return None
    return f"{_date(match)}T{clock}{fraction or ''}{offset}"


def _offset(sent: str) -> str:
    """``-6``, ``-06``, ``-0600``, ``-530`` or ``Z`` as FHIR writes it; "" for an impossible one."""
    if sent == "Z":
        return "Z"
    digits = sent[1:].replace(":", "")
    digits = digits.zfill(2) + "00" if len(digits) < 3 else digits.zfill(4)
    hours, minutes = digits[:2], digits[2:]
    if int(hours) > 14 or int(minutes) > 59:
        return ""
    sign = "+" if digits == "0000" else sent[0]
    return f"{sign}{hours}:{minutes}"


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def _local_offset(zone: str, local: datetime) -> str:
    shift = local.replace(tzinfo=_zone(zone)).utcoffset() or timedelta()
    minutes = round(shift.total_seconds() / 60)
    sign = "-" if minutes < 0 else "+"
    return f"{sign}{abs(minutes) // 60:02d}:{abs(minutes) % 60:02d}"
