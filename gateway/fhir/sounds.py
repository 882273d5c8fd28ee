"""What names sound like: the search parameter ``phonetic`` (R4 Patient, 8.1.11; Organization …).

Metaphone reads words as English speakers do. A word that it doesn't read, one in another script or
a number, sounds like itself.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, Final

from jellyfish import metaphone

from gateway.errors import InvalidSearch
from gateway.fhir.elements import Element
from gateway.fhir.expressions import values_of
from gateway.fhir.indexing import Maker
from gateway.fhir.operands import plain, split, wrong
from gateway.fhir.query import Composite, Criterion, Late, TokenValue
from gateway.fhir.rows import TokenRow
from gateway.fhir.search_values import normalise

MOST: Final = 100
"""How many words may be asked for at once."""

_JOINED: Final = re.compile(r"[\-/.,;]")
"""Punctuation that parts words; ``normalise`` drops it."""


def sounds(text: str) -> list[str]:
    """A code for each word of a name; words that sound alike have the same."""
    return [metaphone(word) or word for word in normalise(_JOINED.sub(" ", text)).split()]


def _string(param: str, value: Any, _: Element | None) -> list[TokenRow]:
    return [TokenRow(param, "", code) for code in sounds(value)]


def _name(param: str, value: Any, element: Element | None) -> list[TokenRow]:
    texts = (text for part in ("family", "given", "text") for text in values_of(value.get(part)))
    return [row for text in texts for row in _string(param, text, element)]


MAKERS: Final[Mapping[str, Maker]] = {"HumanName": _name, "string": _string}
"""By type of value, its rows: a token a word."""


def condition(param: str, late: Late | None, text: str) -> Criterion | Composite:
    """Each word of one of the names between commas sounds like one in the resource's.

    Raises InvalidSearch.
    """
    names = [sounds(plain(part)) for part in split(text, ",")]
    if not all(names):
        raise wrong(param, "a name")
    if sum(map(len, names)) > MOST:
        raise InvalidSearch(f"more than {MOST} words", place=param, code="too-costly")
    alternatives = tuple(
        tuple(Criterion(param, "token", (TokenValue("", code),), late=late) for code in codes)
        for codes in names
    )
    only = alternatives[0]
    return only[0] if len(alternatives) == len(only) == 1 else Composite(param, alternatives)
