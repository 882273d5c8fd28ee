"""Conditions: ``PID-8 = F and not (PV1-2 in (O, E) or DG1 exists)``, checked once.

Recursive descent over ``not``, ``and``, ``or`` and brackets. A test is true if one of the
repetitions that its path meets satisfies it; ``!=`` is ``not … =``; an empty field equals ``''``.
"""

from __future__ import annotations

import re
from contextlib import nullcontext
from dataclasses import dataclass, replace
from typing import Final, NoReturn

from gateway.record import NULL, Node
from gateway.translate.code import At, Code, Write, alone
from gateway.translate.paths import (
    Frame,
    Met,
    Path,
    Segments,
    all_met,
    compile_segments,
    filled,
    first_met,
    is_path,
    parse_path,
)
from gateway.translate.run import Test
from gateway.translate.source import refuse

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<quoted>'[^']*'|"[^"]*")|(?P<sign>!=|[=(),])"""
    r"""|(?P<word>(?:[^\s(),=!'"\[\]]|\[[^\]]*\])+))"""
)
_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "exists", "matches"})
_COMPONENT: Final = re.compile(r"[1-9]\d*(?:\.[1-9]\d*)?")


@dataclass(frozen=True, slots=True)
class Condition:
    """A compiled ``if``: as it is written where it stands, and by itself; what it looks at."""

    write: Write
    test: Test
    paths: tuple[Path, ...]


def compile_condition(text: str, frame: Frame, place: str) -> Condition:
    """A condition; MapError at ``place`` where it can't be read."""
    parser = _Parser(text, frame, place)
    write = parser.whole()
    return Condition(write, alone(write, place), tuple(parser.paths))


def compile_choice(text: str, frame: Frame, place: str) -> Write:
    """A repetition's condition, ``5=MR``: bare numbers are its components."""
    return _Parser(text, frame, place, numbers=True).whole()


class _Parser:
    """One condition on its way from text to what is written."""

    def __init__(self, text: str, frame: Frame, place: str, *, numbers: bool = False) -> None:
        self.text, self.frame, self.place, self.numbers = text, frame, place, numbers
        self.tokens = self._tokens()
        self.at = 0
        self.paths: list[Path] = []

    def _tokens(self) -> list[str]:
        tokens, at = [], 0
        rest = self.text.rstrip()
        while at < len(rest):
            match = _TOKEN.match(rest, at)
            if match is None:
                self._fail()
            tokens.append(match.group().strip())
            at = match.end()
        return tokens

    def _fail(self) -> NoReturn:
        refuse(self.place, f"'{self.text}' is not a condition")

    def _peek(self) -> str:
        return self.tokens[self.at] if self.at < len(self.tokens) else ""

    def _take(self, wanted: str = "") -> str:
        token = self._peek()
        if not token or (wanted and token != wanted):
            self._fail()
        self.at += 1
        return token

    def _skip(self, token: str) -> bool:
        if self._peek() != token:
            return False
        self.at += 1
        return True

    def whole(self) -> Write:
        """The whole text, to its last token."""
        test = self._or()
        if self._peek():
            self._fail()
        return test

    def _or(self) -> Write:
        found = [self._and()]
        while self._skip("or"):
            found.append(self._and())
        return found[0] if len(found) == 1 else _chained(found, "if not")

    def _and(self) -> Write:
        found = [self._not()]
        while self._skip("and"):
            found.append(self._not())
        return found[0] if len(found) == 1 else _chained(found, "if")

    def _not(self) -> Write:
        if self._skip("not"):
            return _negated(self._not())
        if self._skip("("):
            test = self._or()
            self._take(")")
            return test
        return self._comparison()

    def _comparison(self) -> Write:
        left = self._take()
        if self._skip("exists"):
            return self._exists(left)
        path = self._path(left)
        if self._skip("="):
            return self._among(path, frozenset({self._literal()}))
        if self._skip("!="):
            return _negated(self._among(path, frozenset({self._literal()})))
        if self._skip("in"):
            return self._among(path, self._literals())
        self._take("matches")
        return _matches(all_met(path, compile_choice, self.place), self._pattern())

    def _among(self, path: Path, texts: frozenset[str]) -> Write:
        """A component's text is read without going there."""
        texts = texts if self.frame.dialect is None else texts | _with_a_point(texts)
        if path.is_own_cell:
            return _cell_is_one_of(path, texts)
        around = replace(path, parts=path.parts[:-1])
        last = path.parts[-1] if path.parts else 0
        if path.is_single:
            return _only_one_of(first_met(around, compile_choice, self.place), last, texts)
        return _one_of(all_met(around, compile_choice, self.place), last, texts)

    def _literals(self) -> frozenset[str]:
        self._take("(")
        found = {self._literal()}
        while self._skip(","):
            found.add(self._literal())
        self._take(")")
        return frozenset(found)

    def _literal(self) -> str:
        token = self._take()
        if token[0] in "'\"":
            return token[1:-1]
        if token in _KEYWORDS or not re.fullmatch(r"\w+", token):
            refuse(self.place, f"'{token}' stands where a text belongs: put it in quotes")
        return token

    def _pattern(self) -> re.Pattern[str]:
        token = self._literal()
        try:
            return re.compile(token)
        except re.error:
            refuse(self.place, f"'{token}' is not a regular expression")

    def _path(self, token: str) -> Path:
        if self.numbers and _COMPONENT.fullmatch(token):
            token = f".{token}"
        if not is_path(token, self.frame):
            refuse(self.place, f"'{token}' stands where a path belongs")
        self.paths.append(parse_path(token, self.frame, self.place))
        return self.paths[-1]

    def _exists(self, token: str) -> Write:
        if not is_path(token, self.frame) and not self.numbers:
            self.paths.append(parse_path(token, self.frame, self.place))
            return _there(compile_segments(self.paths[-1]))
        path = self._path(token)
        if path.is_single and len(path.parts) == 1:
            return _component_filled(path.parts[0])
        if path.is_own_cell:
            return _cell_filled(path)
        return _filled(all_met(path, compile_choice, self.place))


def _with_a_point(texts: frozenset[str]) -> frozenset[str]:
    """Codes as software writes them that takes a column with gaps for numbers: ``1.0`` is 1."""
    return frozenset(f"{text}.0" for text in texts if text.isascii() and text.isdecimal())


# --- what is written -----------------------------------------------------------------------------


def _chained(tests: list[Write], head: str) -> Write:
    """One after the other, as long as the next decides."""

    def write(code: Code, at: At, into: str) -> None:
        tests[0](code, at, into)
        for test in tests[1:]:
            with code.block(f"{head} {into}"):
                test(code, at, into)

    return write


def _negated(test: Write) -> Write:
    def write(code: Code, at: At, into: str) -> None:
        test(code, at, into)
        code(f"{into} = not {into}")

    return write


def _text(node: str, component: int) -> str:
    return f"{node}.leaf({component})" if component else f"{node}.text()"


def _one_of(met: Met, component: int, texts: frozenset[str]) -> Write:
    """Whether one of several is among the texts; if all are empty, whether "" is."""

    def write(code: Code, at: At, into: str) -> None:
        text = code.local("x")
        code(f"{into} = {'' in texts}")
        with met(code, at) as node:
            code(f"{text} = {_text(node, component)}")
            with code.block(f"if {text} is not None and {text} != NULL"):
                code(f"{into} = {text} in {code.bound(texts)}")
                with code.block(f"if {into}"):
                    code("break")

    return write


def _only_one_of(met: Met, component: int, texts: frozenset[str]) -> Write:
    """The same of a single one."""
    if_empty = "" in texts

    def write(code: Code, at: At, into: str) -> None:
        text = code.local("x")
        code(f"{into} = {if_empty}")
        with met(code, at) as node, code.there(node, component) if component else nullcontext():
            code(f"{text} = {_text(node, component)}")
            with code.block(f"if {text} is not None and {text} != NULL"):
                code(f"{into} = {text} in {code.bound(texts)}")

    return write


def _cell_is_one_of(path: Path, texts: frozenset[str]) -> Write:
    """The same of a row's own cell: one that is empty, or says that it is, counts as ""."""
    counting: frozenset[str | None] = texts - {NULL}
    if "" in texts:
        counting |= {None, NULL}

    def write(code: Code, at: At, into: str) -> None:
        cell = code.cell(at, path.segment, path.field)
        text = f"({cell}.text() if {cell} is not None else None)"
        code(f"{into} = {text} in {code.bound(counting)}")

    return write


def _cell_filled(path: Path) -> Write:
    def write(code: Code, at: At, into: str) -> None:
        cell = code.cell(at, path.segment, path.field)
        code(f"{into} = {cell} is not None and {code.bound(filled)}({cell})")

    return write


def _matches(met: Met, pattern: re.Pattern[str]) -> Write:
    def write(code: Code, at: At, into: str) -> None:
        text = code.local("x")
        code(f"{into} = False")
        with met(code, at) as node:
            code(f"{text} = {node}.text()")
            matched = f"{code.bound(pattern.fullmatch)}({text}) is not None"
            with code.block(f"if {text} is not None and {matched}"):
                code(f"{into} = True")
                code("break")

    return write


def _there(segments: Segments) -> Write:
    return lambda code, at, into: code(f"{into} = bool({segments(code, at)})")


def _filled(met: Met) -> Write:
    def write(code: Code, at: At, into: str) -> None:
        code(f"{into} = False")
        with met(code, at) as node, code.block(f"if {code.bound(filled)}({node})"):
            code(f"{into} = True")
            code("break")

    return write


def _component_filled(number: int) -> Write:
    """The commonest test in data type maps, on a short way."""

    def write(code: Code, at: At, into: str) -> None:
        text = code.local("x")
        code(f"{into} = False")
        with code.there(at.node, number):
            code(f"{text} = {at.node}.leaf({number})")
            says = f"{text} is not None and {text} != NULL and not {text}.isspace()"
            code(f"{into} = {says} or {code.bound(_filled_part)}({at.node}, {number})")

    return write


def _filled_part(node: Node, number: int) -> bool:
    """Whether a component has anything that says anything, beyond its first text."""
    found = node.child(number)
    return found is not None and filled(found)
