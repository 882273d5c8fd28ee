"""Conditions: ``PID-8 = F and not (PV1-2 in (O, E) or DG1 exists)``, compiled to closures.

Recursive descent over ``not``, ``and``, ``or`` and brackets. A test is true if one of the
repetitions that its path meets satisfies it; ``!=`` is ``not … =``; an empty field equals ``''``.
"""

from __future__ import annotations

import re
from typing import Final, NoReturn

from gateway.model import NULL, Node
from gateway.translate.needs import ANYTHING, Condition, all_of, either, of_path, of_texts
from gateway.translate.paths import (
    First,
    Frame,
    Path,
    compile_first,
    compile_nodes,
    compile_segments,
    filled,
    is_path,
    parse_path,
    says,
)
from gateway.translate.run import Nodes, Run, Scope, Test
from gateway.translate.source import refuse

_TOKEN: Final = re.compile(
    r"""\s*(?:(?P<quoted>'[^']*'|"[^"]*")|(?P<sign>!=|[=(),])"""
    r"""|(?P<word>(?:[^\s(),=!'"\[\]]|\[[^\]]*\])+))"""
)
_KEYWORDS: Final = frozenset({"and", "or", "not", "in", "exists", "matches"})
_COMPONENT: Final = re.compile(r"[1-9]\d*(?:\.[1-9]\d*)?")


def compile_condition(text: str, frame: Frame, place: str) -> Condition:
    """A condition's closure, and its needs; MapError at ``place`` where it can't be read."""
    return _Parser(text, frame, place).whole()


def compile_choice(text: str, frame: Frame, place: str) -> Test:
    """A repetition's condition, ``5=MR``: bare numbers are its components."""
    return _Parser(text, frame, place, numbers=True).whole().test


class _Parser:
    """One condition on its way from text to closure."""

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

    def whole(self) -> Condition:
        """The whole text, to its last token."""
        test = self._or()
        if self._peek():
            self._fail()
        return test._replace(paths=tuple(self.paths))

    def _or(self) -> Condition:
        found = [self._and()]
        while self._skip("or"):
            found.append(self._and())
        if len(found) == 1:
            return found[0]
        return Condition(_any([one.test for one in found]), either(one.needs for one in found))

    def _and(self) -> Condition:
        found = [self._not()]
        while self._skip("and"):
            found.append(self._not())
        if len(found) == 1:
            return found[0]
        return Condition(_all([one.test for one in found]), all_of(one.needs for one in found))

    def _not(self) -> Condition:
        if self._skip("not"):
            return Condition(_negated(self._not().test), ANYTHING)
        if self._skip("("):
            test = self._or()
            self._take(")")
            return test
        return self._comparison()

    def _comparison(self) -> Condition:
        left = self._take()
        if self._skip("exists"):
            return self._exists(left)
        path = self._path(left)
        if self._skip("="):
            return self._among(path, frozenset({self._literal()}))
        if self._skip("!="):
            return Condition(
                _negated(self._among(path, frozenset({self._literal()})).test), ANYTHING
            )
        if self._skip("in"):
            return self._among(path, self._literals())
        self._take("matches")
        nodes = compile_nodes(path, compile_choice, self.place)
        return Condition(_matches(nodes, self._pattern()), of_path(path))

    def _among(self, path: Path, texts: frozenset[str]) -> Condition:
        needs = of_texts(path, texts)
        if path.is_single and len(path.parts) == 1:
            return Condition(_component_one_of(path.parts[0], texts), needs)
        if path.is_single:
            first = compile_first(path, compile_choice, self.place)
            return Condition(_only_one_of(first, texts), needs)
        nodes = compile_nodes(path, compile_choice, self.place)
        return Condition(_one_of(nodes, texts), needs)

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

    def _exists(self, token: str) -> Condition:
        if not is_path(token, self.frame) and not self.numbers:
            self.paths.append(parse_path(token, self.frame, self.place))
            segments = compile_segments(self.paths[-1])
            return Condition(lambda run, scope, node: bool(segments(scope)), ANYTHING)
        path = self._path(token)
        return Condition(self._filled(path), of_path(path))

    def _filled(self, path: Path) -> Test:
        if path.is_single and len(path.parts) == 1:
            return _component_filled(path.parts[0])
        if path.is_single:
            return _only_filled(compile_first(path, compile_choice, self.place))
        return _filled(compile_nodes(path, compile_choice, self.place))


# --- what runs -----------------------------------------------------------------------------------


def _any(tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return lambda run, scope, node: one(run, scope, node) or two(run, scope, node)
    return lambda run, scope, node: any(test(run, scope, node) for test in tests)


def _all(tests: list[Test]) -> Test:
    if len(tests) == 2:
        one, two = tests
        return lambda run, scope, node: one(run, scope, node) and two(run, scope, node)
    return lambda run, scope, node: all(test(run, scope, node) for test in tests)


def _negated(test: Test) -> Test:
    return lambda run, scope, node: not test(run, scope, node)


def _one_of(nodes: Nodes, texts: frozenset[str]) -> Test:
    if_empty = "" in texts

    def test(run: Run, scope: Scope, node: Node | None) -> bool:
        empty = True
        for one in nodes(run, scope, node):
            text = one.text()
            if text is not None and text != NULL:
                empty = False
                if text in texts:
                    return True
        return empty and if_empty

    return test


def _only_one_of(first: First, texts: frozenset[str]) -> Test:
    if_empty = "" in texts

    def test(run: Run, scope: Scope, node: Node | None) -> bool:
        found = first(run, scope, node)
        text = found.text() if found is not None else None
        return if_empty if text is None or text == NULL else text in texts

    return test


def _component_one_of(number: int, texts: frozenset[str]) -> Test:
    if_empty = "" in texts

    def test(run: Run, scope: Scope, node: Node | None) -> bool:
        text = node.leaf(number)  # type: ignore[union-attr]  # relative: there is one
        return if_empty if text is None or text == NULL else text in texts

    return test


def _matches(nodes: Nodes, pattern: re.Pattern[str]) -> Test:
    def test(run: Run, scope: Scope, node: Node | None) -> bool:
        texts = (one.text() for one in nodes(run, scope, node))
        return any(text is not None and pattern.fullmatch(text) is not None for text in texts)

    return test


def _filled(nodes: Nodes) -> Test:
    def test(run: Run, scope: Scope, node: Node | None) -> bool:
        return any(map(filled, nodes(run, scope, node)))

    return test


def _component_filled(number: int) -> Test:
    """The commonest test in data type maps, on a short way."""

    def test(run: Run, scope: Scope, node: Node | None) -> bool:
        text = node.leaf(number)  # type: ignore[union-attr]  # relative: there is one
        if text is not None and says(text):
            return True
        found = node.child(number)  # type: ignore[union-attr]
        return found is not None and filled(found)

    return test


def _only_filled(first: First) -> Test:
    def test(run: Run, scope: Scope, node: Node | None) -> bool:
        found = first(run, scope, node)
        return found is not None and filled(found)

    return test
