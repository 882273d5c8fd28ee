"""What a column or a field of a sample is likely to be, by its name and its values.

A guess names an element of the FHIR resource that it belongs to, and says why it isn't sure.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Final, Literal

Owner = Literal["person", "record", "organization"]
"""Whose element it is: the person's, what happened to the person, or an organization's."""

_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|#")
_ISO: Final = re.compile(r"\d{4}-\d\d-\d\d.*")
_SLASHED: Final = re.compile(r"(\d{1,2})[/.-](\d{1,2})[/.-](\d{4}|\d\d)\b.*")
_EMAIL: Final = re.compile(r"\S+@\S+\.\S+")
_PHONE: Final = re.compile(r"[+(]?[\d][\d\s().x+-]{5,}")
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")


@dataclass(frozen=True, slots=True)
class Column:
    """A column, or what a JSON path finds: its ``path`` as maps write it, and its texts.

    ``texts`` has one for each record of the sample, "" where there is none.
    """

    name: str
    path: str
    texts: tuple[str, ...]

    @property
    def words(self) -> str:
        """Its name in small words: ``DateOfBirth`` is ``date of birth``."""
        return " ".join(_WORDS.findall(self.name)).casefold()

    @property
    def filled(self) -> tuple[str, ...]:
        """The texts that there are."""
        return tuple(text.strip() for text in self.texts if text.strip())

    def share(self, test: Callable[[str], object]) -> float:
        """Which part of what is filled meets a test."""
        return sum(bool(test(text)) for text in self.filled) / max(1, len(self.filled))

    @property
    def tells_apart(self) -> bool:
        """Whether every record has one and no two the same."""
        return len(self.filled) == len(self.texts) == len(set(self.filled)) > 0


@dataclass(frozen=True, slots=True)
class Guess:
    """What a column is: ``element`` of its owner (``name.family``; ``key`` for what names it).

    ``unsure`` says why, "" where name and values agree.
    """

    column: Column
    owner: Owner
    element: str
    unsure: str = ""


_NAMED: Final[Sequence[tuple[str, Owner, str]]] = (
    (r"(client|person|participant|guest|member|patient|card|household|customer|personal|resident) "
     r"?(id|no|nr|number|num|code|#)", "person", "key"),
    (r"mrn|medical record.*", "person", "key"),
    (r"(ssn|social security.*)", "person", "ssn"),
    (r"(visit|service|referral|record|row|case|entry|intake|event|enrollment|order|ticket)? ?"
     r"(id|no|nr|number|#)", "record", "key"),
    (r"(organi[sz]ation|agency|provider)( name)?", "organization", "name"),
    (r".*\b(first|given|fore) ?name|(.* )?name (first|given)|first", "person", "name.given"),
    (r".*\b(last|family|sur) ?name|(.* )?name (last|family)|last|surname", "person", "name.family"),
    (r".*middle( name| initial)?", "person", "name.middle"),
    (r"(full |client |guest |patient |person |member )?name", "person", "name.text"),
    (r".*(dob|birth ?date|date of birth|birthday|born).*", "person", "birthDate"),
    (r".*\b(sex|gender)\b.*", "person", "gender"),
    (r".*\b(e ?mail)\b.*", "person", "telecom.email"),
    (r".*\b(phone|mobile|cell|telephone|tel)\b.*", "person", "telecom.phone"),
    (r".*\b(address( 1| line 1)?|street)", "person", "address.line"),
    (r".*\b(city|town)\b.*", "person", "address.city"),
    (r".*\b(state|province)\b.*", "person", "address.state"),
    (r".*\b(zip|postal|postcode).*", "person", "address.postalCode"),
    (r".*\bcounty\b.*", "person", "address.district"),
    (r".*\blanguage\b.*", "person", "language"),
    (r".*\b(service|program|type|reason|need|took|given|received|item|help)\b.*",
     "record", "type"),
    (r".*\b(date|day|when|time|timestamp|created|visited|served|at)\b.*", "record", "date"),
)  # fmt: skip

_FITS: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "birthDate": (lambda text: is_date(text), "not all of it looks like dates"),
    "date": (lambda text: is_date(text), "not all of it looks like dates"),
    "telecom.email": (_EMAIL.fullmatch, "not all of it looks like e-mail addresses"),
    "telecom.phone": (_PHONE.fullmatch, "not all of it looks like telephone numbers"),
    "address.postalCode": (lambda text: len(text) <= 10, "some of it is long for a postal code"),
}
"""What an element's texts look like, and what is said where they don't."""


def is_date(text: str) -> bool:
    """Whether a text looks like a date, in whatever order."""
    return bool(_ISO.fullmatch(text) or _SLASHED.fullmatch(text))


def date_order(columns: Iterable[Column]) -> tuple[str, bool]:
    """How dates with slashes are meant, "" where there are none; and whether the values show it."""
    found = [m for column in columns for text in column.filled if (m := _SLASHED.fullmatch(text))]
    if not found:
        return "", True
    if any(int(match[1]) > 12 for match in found):
        return "D/M/Y", True
    return "M/D/Y", any(int(match[2]) > 12 for match in found)


def guess(columns: Sequence[Column]) -> tuple[list[Guess], list[Column]]:
    """(what columns are likely to be, each element once; the columns of which nobody can tell)."""
    found: dict[tuple[Owner, str], Guess] = {}
    left: list[Column] = []
    for column in columns:
        made = _named(column) or _looked_at(column)
        if made is None or (made.owner, made.element) in found:
            left.append(column)
        else:
            found[made.owner, made.element] = made
    return list(found.values()), left


def _named(column: Column) -> Guess | None:
    for pattern, owner, element in _NAMED:
        if re.fullmatch(pattern, column.words):
            return Guess(column, owner, element, _doubt(column, element))
    return None


def _doubt(column: Column, element: str) -> str:
    if not column.filled:
        return "it is empty in the sample"
    fits = _FITS.get(element)
    if fits is not None and column.share(fits[0]) < 1:
        return fits[1]
    if element == "key" and len(column.filled) < len(column.texts):
        return "not every record has one"
    return ""


def _looked_at(column: Column) -> Guess | None:
    """By its values alone, which is never sure."""
    if not column.filled:
        return None
    why = "by its values alone"
    if column.share(_EMAIL.fullmatch) == 1:
        return Guess(column, "person", "telecom.email", why)
    if column.share(is_date) == 1:
        return Guess(column, "record", "date", why)
    if column.share(_PHONE.fullmatch) == 1 and column.share(_NUMBER.fullmatch) < 1:
        return Guess(column, "person", "telecom.phone", why)
    return None
