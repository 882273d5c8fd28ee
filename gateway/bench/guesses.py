"""What a column or a field of a sample is likely to be, by its name and its values.

A guess names an element of the FHIR resource that it belongs to, and says why it isn't sure.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import Final, Literal

from gateway.bench.names import NAMED, OTHERS, ROLE
from gateway.translate.spreadsheet import written

Owner = Literal["person", "record", "organization", "contact"]
"""Whose element it is: the person's, what happened to the person, an organization's, or that of
somebody to be called in an emergency."""

_WORDS: Final = re.compile(r"[A-Z]+(?=[A-Z][a-z])|[A-Z]?[a-z]+|[A-Z]+|\d+|#")
_LETTERS: Final = re.compile(r"\b(?:[a-z] )+[a-z]\b")
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
        """Its name in small words: ``DateOfBirth`` is ``date of birth``, ``D.O.B.`` is ``dob``."""
        plain = unicodedata.normalize("NFKD", self.name)
        bare = "".join(each for each in plain if not unicodedata.combining(each))
        words = " ".join(_WORDS.findall(bare)).casefold()
        return _LETTERS.sub(lambda match: match[0].replace(" ", ""), words)

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


REPEATED: Final = ("telecom.phone", "telecom.email")
"""Elements of which a person may have several."""

_NO_DATES: Final = "not all of it looks like dates"
_FITS: Final[dict[str, tuple[Callable[[str], object], str]]] = {
    "birthDate": (lambda text: is_date(text) or _is_counted(text), _NO_DATES),
    "date": (lambda text: is_date(text) or _is_counted(text), _NO_DATES),
    "end": (lambda text: is_date(text) or _is_counted(text), _NO_DATES),
    "telecom.email": (_EMAIL.fullmatch, "not all of it looks like e-mail addresses"),
    "telecom.phone": (_PHONE.fullmatch, "not all of it looks like telephone numbers"),
    "address.postalCode": (lambda text: len(text) <= 10, "some of it is long for a postal code"),
}
"""What an element's texts look like, and what is said where they don't."""


def is_date(text: str) -> bool:
    """Whether a text looks like a date, in whatever order."""
    return bool(_ISO.fullmatch(text) or _SLASHED.fullmatch(text)) or _is_written_out(text)


def _is_written_out(text: str) -> bool:
    """``20260314``, ``14-MAR-26``, ``March 14, 2026``, ``2026/3/14``."""
    if text.isdecimal() and len(text) != 8:
        return False
    try:
        date.fromisoformat(written("M/D/Y", text)[:10])
    except ValueError:
        return False
    return True


def _is_counted(text: str) -> bool:
    """A spreadsheet's count of days, where a name says that it is a date: 46082 is in 2026."""
    return text[:5].isdecimal() and written("M/D/Y", text) != text


def date_order(columns: Iterable[Column]) -> tuple[str, bool]:
    """How dates with slashes are meant, "" where there are none; and whether the values show it.

    Where dates are written out, or counted, any order lets them be read.
    """
    some = [(column, text) for column in columns for text in column.filled]
    found = [m for _, text in some if (m := _SLASHED.fullmatch(text))]
    if not found:
        others = any(
            written("M/D/Y", text) != text and (is_date(text) or _names_a_date(column))
            for column, text in some
        )
        return ("M/D/Y" if others else ""), True
    if any(int(match[1]) > 12 for match in found):
        return "D/M/Y", True
    return "M/D/Y", any(int(match[2]) > 12 for match in found)


def _names_a_date(column: Column) -> bool:
    named = _meant(column)
    return named is not None and named[1] in ("birthDate", "date", "end")


def guess(columns: Sequence[Column]) -> tuple[list[Guess], list[Column]]:
    """(what columns are likely to be, each element once; the columns of which nobody can tell)."""
    found: dict[tuple[Owner, str], Guess] = {}
    left: list[Column] = []
    for column in columns:
        made = _named(column) or _looked_at(column)
        if made is not None and made.element in REPEATED:
            count = sum(each.element.startswith(made.element) for each in found.values())
            made = replace(made, element=f"{made.element}.{count}") if count else made
        if made is None or (made.owner, made.element) in found:
            left.append(column)
        else:
            found[made.owner, made.element] = made
    return list(found.values()), left


def _meant(column: Column) -> tuple[Owner, str] | None:
    """What a name says; ("record", "") of what is somebody else's."""
    words = column.words
    if re.fullmatch(OTHERS, words):
        return "record", ""
    for said in (words, re.sub(ROLE, "", words)):
        for pattern, owner, element in NAMED:
            if re.fullmatch(pattern, said):
                return owner, element  # type: ignore[return-value]
    return None


def _named(column: Column) -> Guess | None:
    meant = _meant(column)
    if meant is None or not meant[1]:
        return None
    owner, element = meant
    return Guess(column, owner, element, _doubt(column, element))


def _doubt(column: Column, element: str) -> str:
    if not column.filled:
        return "it is empty in the sample"
    fits = _FITS.get(element)
    if fits is not None and column.share(fits[0]) < 1:
        return fits[1]
    if element == "key" and len(column.filled) < len(column.texts):
        return "not every record has one"
    if "[0]" in column.path and element not in REPEATED:
        return "of a list the first alone is read"
    if element == "key" and "household" in column.words:
        return "a household may be several people"
    if element == "name.text" and any("," in text for text in column.filled):
        return "the family name and the given name are one text"
    return ""


def _looked_at(column: Column) -> Guess | None:
    """By its values alone, which is never sure."""
    if not column.filled or _meant(column) is not None:
        return None
    why = "by its values alone"
    if column.share(_EMAIL.fullmatch) == 1:
        return Guess(column, "person", "telecom.email", why)
    if column.share(is_date) == 1:
        return Guess(column, "record", "date", why)
    if column.share(_is_phone) == 1:
        return Guess(column, "person", "telecom.phone", why)
    return None


def _is_phone(text: str) -> bool:
    """Seven digits at least, and not a number alone."""
    digits = sum(each.isdecimal() for each in text)
    return 7 <= digits <= 15 and bool(_PHONE.fullmatch(text)) and not _NUMBER.fullmatch(text)
