"""Escape sequences of HL7 v2 text (v2.8.2 §2.7): undone after splitting, never before.

``\\F\\ \\S\\ \\T\\ \\R\\ \\E\\ \\P\\`` are the message's own delimiters, ``\\X41\\`` bytes in its
character set (a run of them is read as one, so a letter may be spread over several), ``\\.br\\``
and its kin are layout. Highlighting (``\\H\\ \\N\\``) has no place in plain text and is dropped.
``\\Z..\\`` means what two sites agreed: it stays as sent. Whatever else stands between escape
characters stays as sent too, and is reported.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from gateway.parse.delimiters import ABSENT, Delimiters

_LAYOUT = {"br": "\n", "sp": "\n", "ce": "\n", "sk": " ", "fi": "", "nf": "", "in": "", "ti": ""}
_REPEATED = {"sp", "sk"}


def unescape(text: str, marks: Delimiters, codec: str, report: Callable[[], None]) -> str:
    """Undo the escapes in one leaf; ``report`` is called for each that can't be understood.

    ``codec`` is the message's character set by its Python name.
    """
    meanings = _meanings(marks)

    def undo(match: re.Match[str]) -> str:
        code: str | None = match["code"]
        if code is None:
            report()
            return marks.escape
        plain = meanings.get(code)
        if plain is not None:
            return plain
        if code[0] == ".":
            return _layout(code)
        if code[0] == "X":
            return _bytes(match, codec, report)
        return match[0]

    return _sequences(marks.escape).sub(undo, text)


@lru_cache(maxsize=64)
def _sequences(escape: str) -> re.Pattern[str]:
    e = re.escape(escape)
    pairs = "X(?:[0-9A-Fa-f]{2})++"
    layout = r"\.(?:br|ce|fi|nf|(?:sp|sk|in|ti)(?:[+-]?[0-9]{1,2})?)"
    code = rf"[FSTREPHN]|{pairs}(?:{e}{e}{pairs})*|{layout}|Z[^{e}]*+"
    return re.compile(rf"{e}(?:(?P<code>{code}){e})?")


@lru_cache(maxsize=64)
def _meanings(marks: Delimiters) -> dict[str, str]:
    return {
        "F": marks.field,
        "S": marks.component,
        "T": marks.subcomponent if marks.subcomponent != ABSENT else "&",
        "R": marks.repetition if marks.repetition != ABSENT else "~",
        "E": marks.escape,
        "P": marks.truncation if marks.truncation != ABSENT else "#",
        "H": "",
        "N": "",
    }


def _layout(code: str) -> str:
    name, count = code[1:3], code[3:].lstrip("+-")
    return _LAYOUT[name] * (int(count) if count and name in _REPEATED else 1)


def _bytes(match: re.Match[str], codec: str, report: Callable[[], None]) -> str:
    digits = re.sub("[^0-9A-Fa-f]", "", match["code"])
    try:
        return bytes.fromhex(digits).decode(codec)
    except UnicodeError:
        report()
        return match[0]
