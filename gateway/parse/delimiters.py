"""The delimiters that a message declares for itself: MSH-1 and MSH-2 (HL7 v2.8.2 §2.5.4)."""

from __future__ import annotations

from functools import lru_cache
from typing import Final, NamedTuple

from gateway.errors import ParseError

ABSENT = "\r"
"""Stands for a delimiter that MSH-2 doesn't declare: no segment can hold it."""

_LONGEST: Final = 10
"""Five delimiters, each of them doubled: no MSH-2 is longer."""


class Delimiters(NamedTuple):
    """One character each; ``ABSENT`` where the sender declares none."""

    field: str = "|"
    component: str = "^"
    repetition: str = "~"
    escape: str = "\\"
    subcomponent: str = "&"
    truncation: str = "#"


STANDARD = Delimiters()


def declared(line: str) -> Delimiters:
    """The delimiters of a message whose first segment is ``line``, which begins with ``MSH``.

    A character that MSH-2 repeats (``^~\\\\&``, from a sender that escaped twice) counts once.
    Raises ParseError at MSH-1 or MSH-2 where one is a letter, a digit, a space, a control or not
    ASCII: none of these can separate anything safely.
    """
    field = line[3:4]
    return _delimiters(field, line[4 : 5 + _LONGEST].partition(field)[0] if field else "")


@lru_cache(maxsize=64)
def _delimiters(field: str, encoding: str) -> Delimiters:
    if not _separates(field):
        raise ParseError("MSH-1 must be one punctuation mark", place="MSH-1", condition="102")
    marks = list(dict.fromkeys(encoding))
    fits = len(encoding) <= _LONGEST and 0 < len(marks) <= 5
    if not fits or not all(map(_separates, marks)):
        raise ParseError("MSH-2 must be 1 to 5 punctuation marks", place="MSH-2", condition="102")
    return Delimiters(field, *marks, *[ABSENT] * (5 - len(marks)))


def _separates(mark: str) -> bool:
    return mark.isascii() and mark.isprintable() and mark not in ("", " ") and not mark.isalnum()
