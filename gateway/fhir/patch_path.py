"""The FHIRPath of a patch, taken apart.

The subset that R4 asks of FHIRPath Patch and what clients send beside it: members, ``[n]``,
``first() last() single() skip(n) tail()``, ``ofType(T)``, ``extension('url')`` and ``where(…)``
with ``= != and or``, ``exists() empty() not()`` and ``startsWith('…')``. FHIRPath N1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Final

from gateway.errors import InvalidResource

MAX_LENGTH: Final = 1000
MAX_DEPTH: Final = 12


@dataclass(frozen=True, slots=True)
class Step:
    """A member by ``name``, or a ``function`` with its ``argument``."""

    name: str = ""
    function: str = ""
    argument: Any = None


Path = tuple[Step, ...]


_TOKEN: Final = re.compile(
    r"\s*(?:([A-Za-z_]\w*|`[A-Za-z_]\w*`|\$this)|('(?:[^'\\]|\\.)*')|(-?\d+(?:\.\d+)?)"
    r"|(@[\dT:.+Z-]+)|(!=|[.()\[\]=~]))",
    re.ASCII,
)
_ESCAPES: Final = {"n": "\n", "r": "\r", "t": "\t", "f": "\f"}
_PLAIN: Final = frozenset({"first", "last", "single", "tail", "exists", "empty", "not"})
_TAKING: Final = frozenset({"skip", "ofType", "extension", "where", "startsWith"})


def parse(text: str, place: str) -> Path:
    """The steps of a path; the type that it may begin with is left out. Raises InvalidResource."""
    reader = _Reader(_tokens(text, place), place)
    steps = reader.path()
    if not reader.at_end:
        raise reader.wrong()
    return steps


def _tokens(text: str, place: str) -> list[str]:
    out, at, text = [], 0, text.rstrip()
    if len(text) > MAX_LENGTH:
        raise InvalidResource("its path is too long", place=place, code="too-long")
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise InvalidResource("its path isn't FHIRPath as a patch may use it", place=place)
        out.append(match[0].strip())
        at = match.end()
    return out


class _Reader:
    """Recursive descent over the tokens of one path."""

    def __init__(self, tokens: Sequence[str], place: str) -> None:
        self._tokens = tokens
        self._place = place
        self._at = 0
        self._depth = 0

    @property
    def at_end(self) -> bool:
        return self._at == len(self._tokens)

    def wrong(self) -> InvalidResource:
        return InvalidResource("its path isn't FHIRPath as a patch may use it", place=self._place)

    def path(self) -> Path:
        """``Patient.name[0].where(use = 'official').given``."""
        steps = [self._step()]
        while self._peek() in (".", "["):
            if self._peek() == "[":
                self._take("[")
                steps.append(Step(function="[]", argument=self._whole()))
                self._take("]")
            else:
                self._take(".")
                steps.append(self._step())
        return tuple(steps)

    def condition(self) -> Any:
        """``a = 'b' and c.exists()`` as ("or" | "and" | "=" | …, left, right)."""
        return self._joined("or", lambda: self._joined("and", self._comparison))

    def _joined(self, word: str, part: Callable[[], Any]) -> Any:
        left = part()
        while self._peek() == word:
            self._take(word)
            left = (word, left, part())
        return left

    def _comparison(self) -> Any:
        left = self._term()
        if self._peek() not in ("=", "!=", "~"):
            return left
        sign = self._take()
        return ("!=" if sign == "!=" else "=", left, self._term())

    def _term(self) -> Any:
        token = self._peek()
        if token == "(":
            self._deeper()
            self._take("(")
            inside = self.condition()
            self._take(")")
            self._depth -= 1
            return inside
        if token[:1] == "'":
            return ("literal", _unquoted(self._take()))
        if token in ("true", "false"):
            return ("literal", self._take() == "true")
        if token[:1] == "@":
            return ("literal", self._take()[1:])
        if token[:1].isdigit() or token[:1] == "-":
            return ("literal", Decimal(self._take()))
        return ("path", self.path())

    def _step(self) -> Step:
        name = self._take().strip("`")
        if name == "$this":
            return Step(function="$this")
        if not re.fullmatch(r"[A-Za-z_]\w*", name, re.ASCII):
            raise self.wrong()
        if self._peek() != "(":
            return Step(name)
        self._take("(")
        argument = None
        if name in _TAKING:
            argument = self._argument(name)
        elif name not in _PLAIN:
            raise self.wrong()
        self._take(")")
        return Step(function=name, argument=argument)

    def _argument(self, name: str) -> Any:
        if name == "where":
            self._deeper()
            found = self.condition()
            self._depth -= 1
            return found
        if name == "skip":
            return self._whole()
        token = self._take()
        if name == "ofType":
            if self._peek() == ".":  # FHIR.Quantity
                self._take(".")
                token = self._take()
            return token
        if token[:1] != "'":
            raise self.wrong()
        return _unquoted(token)

    def _whole(self) -> int:
        token = self._take()
        if not token.isdigit() or len(token) > 9:
            raise self.wrong()
        return int(token)

    def _deeper(self) -> None:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise self.wrong()

    def _peek(self) -> str:
        return "" if self.at_end else self._tokens[self._at]

    def _take(self, wanted: str = "") -> str:
        token = self._peek()
        if not token or (wanted and token != wanted):
            raise self.wrong()
        self._at += 1
        return token


def _unquoted(token: str) -> str:
    return re.sub(r"\\(.)", lambda found: _ESCAPES.get(found[1], found[1]), token[1:-1])
