"""Full text (R4 search, 3.1.1.4.2: _text and _content): a resource's words, and what is asked.

Words are compared whole, without case and accents. A search may join them with ``and`` (a blank is
one, too), ``or``, ``not`` and parentheses.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any, Final

from gateway.errors import InvalidSearch
from gateway.fhir.query import Asked
from gateway.fhir.search_values import normalise
from gateway.model import Resource

_WORD: Final = re.compile(r"[^\W_]+")
_PIECE: Final = re.compile(r"[()]|[^\s()]+")
_LONGEST: Final = 64
_DEEPEST: Final = 20
_UNREAD: Final = frozenset({"div", "data", "resourceType", "reference", "id", "url", "contentType"})
"""Elements that say nothing that somebody would look for by a word, or that are read apart."""


def words(text: str) -> list[str]:
    """The words of a text as they are compared: ASCII letters and digits, of any other its bytes.

    So that no database has to know what a letter is.
    """
    return [_plain(word) for word in _WORD.findall(normalise(_JOINED.sub(" ", text)))]


_JOINED: Final = re.compile(r"[\-/.,;:@_]")
"""Punctuation that parts words; ``normalise`` drops it."""


def _plain(word: str) -> str:
    return word[:_LONGEST] if word.isascii() else "u" + word.encode()[: _LONGEST // 2].hex()


def narrative(resource: Resource) -> set[str]:
    """The words of the narrative."""
    div = (resource.get("text") or {}).get("div")
    return set(words(_visible(div))) if isinstance(div, str) else set()


def content(resource: Resource) -> set[str]:
    """The words of all that it says: narrative, texts, codes, numbers and dates as written."""
    found = narrative(resource)
    for text in _texts(resource):
        found.update(words(text))
    return found


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        for name, inner in value.items():
            if name not in _UNREAD:
                yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
    elif isinstance(value, str):
        yield value


class _Text(HTMLParser):
    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.parts: list[str] = []

    def handle_data(self, data: str) -> None:
        self.parts.append(data)


def _visible(div: str) -> str:
    reader = _Text()
    reader.feed(div)
    reader.close()
    return " ".join(reader.parts)


# --- what is asked -------------------------------------------------------------------------------


def asked(text: str, place: str) -> Asked:
    """The expression that a parameter's value is. Raises ``InvalidSearch`` for what is none."""
    reading = _Reading(_PIECE.findall(text.replace('"', " ")), place)
    found = reading.either(0)
    reading.end()
    return found


class _Reading:
    """either := both ("or" both)*; both := one ("and"? "not"? one)*; one := "(" either ")" | word.

    A blank between two is an "and".
    """

    def __init__(self, pieces: list[str], place: str) -> None:
        self._pieces = pieces
        self._place = place
        self._at = 0

    def either(self, depth: int) -> Asked:
        parts = [self._both(depth)]
        while self._takes("or"):
            parts.append(self._both(depth))
        return parts[0] if len(parts) == 1 else ("or", tuple(parts))

    def end(self) -> None:
        if self._at < len(self._pieces):
            raise self._wrong()

    def _both(self, depth: int) -> Asked:
        wanted: list[Asked] = [self._one(depth)]
        unwanted: list[Asked] = []
        while self._at < len(self._pieces) and self._peek() not in ("or", ")"):
            self._takes("and")
            into = unwanted if self._takes("not") else wanted
            into.append(self._one(depth))
        found = wanted[0] if len(wanted) == 1 else ("and", tuple(wanted))
        return ("not", (found, *unwanted)) if unwanted else found

    def _one(self, depth: int) -> Asked:
        if depth > _DEEPEST or self._at >= len(self._pieces):
            raise self._wrong()
        if self._takes("("):
            found = self.either(depth + 1)
            if not self._takes(")"):
                raise self._wrong()
            return found
        found_words = words(self._pieces[self._at])
        if self._peek() in ("and", "or", "not", ")") or not found_words:
            raise self._wrong()
        self._at += 1
        return found_words[0] if len(found_words) == 1 else ("and", tuple(found_words))

    def _peek(self) -> str:
        return self._pieces[self._at].lower()

    def _takes(self, piece: str) -> bool:
        taken = self._at < len(self._pieces) and self._peek() == piece
        self._at += taken
        return taken

    def _wrong(self) -> InvalidSearch:
        return InvalidSearch(
            "must be words, joined by and, or, not and parentheses", place=self._place, code="value"
        )


def meets(found: set[str], wanted: Asked) -> bool:
    """Whether a set of words meets an expression."""
    if isinstance(wanted, str):
        return wanted in found
    mark, parts = wanted
    if mark == "or":
        return any(meets(found, part) for part in parts)
    if mark == "and":
        return all(meets(found, part) for part in parts)
    return meets(found, parts[0]) and not any(meets(found, part) for part in parts[1:])
