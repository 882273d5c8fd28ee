"""What a rule of ``agreed`` may look at beside a fact: our facts, and what was sent where."""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import UTC, datetime, timedelta

from tests.mappings.facts import Fact

_STAMP = re.compile(r"(\d{8})(\d{4})?(\d\d)?(?:\.\d+)?([+-]\d{4})?")
_SCHEME = re.compile(r"urn:(oid|uuid):")
_ESCAPES = {"\\F\\": "|", "\\S\\": "^", "\\T\\": "&", "\\R\\": "~", "\\E\\": "\\", "\\.br\\": " "}


class Sent:
    """The texts of a message, in small letters: each field, component and subcomponent, and each
    time also as facts have it (without an offset: in UTC, as the tests' agency has it)."""

    def __init__(self, raw: bytes) -> None:
        self._fields: dict[tuple[str, int], set[str]] = defaultdict(set)
        for line in re.split(r"[\r\n]+", raw.decode("utf-8", "replace")):
            name, *fields = line.split("|")
            first = 2 if name == "MSH" else 1
            for number, field in enumerate(fields, first):
                self._fields[name.strip(), number] |= set(_texts(field))

    def field(self, name: str, number: int) -> set[str]:
        """The texts of a field, of all segments of that name; ``""`` isn't among them."""
        return self._fields.get((name, number), set())

    def within(self, *places: str) -> set[str]:
        """The texts of some segments (``EVN``) and fields (``ORC-10``)."""
        found: set[str] = set()
        for (name, number), texts in self._fields.items():
            if name in places or f"{name}-{number}" in places:
                found |= texts
        return found

    def without(self, *places: str) -> set[str]:
        """The texts of all other segments and fields."""
        found: set[str] = set()
        for (name, number), texts in self._fields.items():
            if name not in places and f"{name}-{number}" not in places:
                found |= texts
        return found

    def unzoned(self, moment: str) -> bool:
        """Whether a time or date of ours was sent without an offset, and so read in some zone."""
        return any(
            zoned_apart(_moment(text) or "", moment)
            for texts in self._fields.values()
            for text in texts
            if re.fullmatch(r"[\d.]+", text)
        )

    def has(self, value: str) -> bool:
        """Whether the message has a text, anywhere."""
        return any(bare(value) in texts for texts in self._fields.values())


class Evidence:
    """Our facts, by type and path, and what was sent."""

    def __init__(self, ours: set[Fact], sent: Sent) -> None:
        self.ours = ours
        self.sent = sent
        self.types = {fact.type for fact in ours}
        self._found: dict[tuple[str, str], set[str]] = {}
        self._values: dict[tuple[str, str], set[str]] = defaultdict(set)
        for fact in ours:
            self._values[fact.type, fact.path].add(fact.value)

    def at(self, type_: str, path: str) -> set[str]:
        """Our values of one path."""
        return self._values.get((type_, path), set())

    def matching(self, types: str, paths: str) -> set[str]:
        """Our values of all paths that match."""
        found = self._found.get((types, paths))
        if found is None:
            found = self._found[types, paths] = {
                value
                for (type_, path), values in self._values.items()
                if re.fullmatch(types, type_) and re.fullmatch(paths, path)
                for value in values
            }
        return found


def bare(value: str) -> str:
    """A value without the scheme that FHIR puts before an OID or UUID."""
    return _SCHEME.sub("", value)


def zoned_apart(theirs: str, ours: str) -> bool:
    """Whether two times are one wall clock's in two zones, or one of them is the other's date."""
    if not (_is_time(theirs) and _is_time(ours)):
        return False
    apart = abs(_time(theirs) - _time(ours))
    return apart <= timedelta(hours=14) and apart % timedelta(minutes=15) == timedelta(0)


def _texts(field: str) -> list[str]:
    parts = [field]
    for mark in "~^&":
        parts += [one for part in parts for one in part.split(mark)]
    texts = [_unescaped(part) for part in parts if part]
    return texts + [moment for text in texts if (moment := _moment(text))]


def _unescaped(text: str) -> str:
    for escape, meant in _ESCAPES.items():
        text = text.replace(escape, meant)
    return " ".join(text.casefold().split())


def _moment(text: str) -> str | None:
    match = _STAMP.fullmatch(text)
    if match is None:
        return None
    day, clock, seconds, offset = match.groups()
    exact = day + (clock or "0000") + (seconds or "00") + (offset or "+0000")
    try:
        at = datetime.strptime(exact, "%Y%m%d%H%M%S%z")
    except ValueError:
        return None
    if clock is None:
        return at.date().isoformat()
    return at.astimezone(UTC).isoformat(timespec="seconds").casefold()


def _is_time(text: str) -> bool:
    return re.fullmatch(r"\d{4}-\d\d-\d\d(t\d\d:\d\d:\d\d\+00:00)?", text) is not None


def _time(text: str) -> datetime:
    at = datetime.fromisoformat(text.upper())
    return at if at.tzinfo else at.replace(tzinfo=UTC)
