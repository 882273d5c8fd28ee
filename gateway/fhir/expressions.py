"""The FHIRPath of search parameters, compiled to plain walks over JSON.

R4's expressions use a small part of FHIRPath (N1): paths, unions, ``as``, ``is``, ``[n]``,
``where(a = 'b')``, ``where(resolve() is T)`` and one ``exists() and ≠``. This is that part, with
``ofType(T)`` and ``extension('url')`` for the parameters that others define; what is outside it
raises ``UnsupportedExpression`` at load, and the tests hold the walks to fhirpathpy's results.
Types are known beforehand from the elements, so a walk ends at values of one known type.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from gateway.fhir.elements import Element, children
from gateway.model import Resource

Step = Callable[[list[Any], Resource], list[Any]]
"""From the values so far (and the whole resource) to the next."""


class UnsupportedExpression(ValueError):
    """An expression outside the subset; the text says which part."""


@dataclass(frozen=True, slots=True)
class Walk:
    """A way from a resource to values of one type.

    ``first`` is the top-level key that it begins with, so that walks share its values; from these
    (or the resource itself where it is "") ``steps`` lead on. ``element`` describes the last step;
    ``type`` is its type ("boolean" for a test). ``among`` is the walk whose values it takes some
    of, or goes one step into.
    """

    first: str
    steps: tuple[Step, ...]
    type: str
    element: Element | None
    among: Walk | None = None

    def values(self, resource: Resource) -> list[Any]:
        """The values in ``resource``, in order."""
        first = values_of(resource.get(self.first)) if self.first else [resource]
        return self.beyond(first, resource)

    def beyond(self, first: list[Any], resource: Resource) -> list[Any]:
        """The values, where those of ``first`` are at hand."""
        found = first
        for step in self.steps:
            found = step(found, resource)
            if not found:
                break
        return found


def compile_expression(expression: str, type: str) -> list[Walk]:
    """The walks for the parts of ``expression`` (a union) that speak of ``type``."""
    walks: list[Walk] = []
    for part in _union(expression):
        tokens = _tokens(part)
        if tokens[-3:-1] == ["!=", "false"] or "and" in tokens:
            walks.extend(_said(part, type))
        elif _root(tokens) in (type, "Resource", "DomainResource", None):
            walks.extend(_Compiler(tokens, type).walks())
    return walks


def reference_type(reference: Any, resource: Resource) -> str:
    """The type that a Reference points to, as far as it says so itself; "" where it doesn't."""
    if not isinstance(reference, dict):
        return ""
    literal = reference.get("reference")
    if isinstance(literal, str):
        if literal.startswith("#"):
            return _contained_type(literal[1:], resource)
        match = LITERAL.fullmatch(literal)
        if match:
            return match["type"]
    declared = reference.get("type")
    return declared if isinstance(declared, str) else ""


LITERAL = re.compile(
    r"(?P<base>https?://\S+/)?(?P<type>[A-Z][A-Za-z]+)/(?P<id>[A-Za-z0-9\-.]{1,64})"
    r"(?:/_history/[A-Za-z0-9\-.]{1,64})?"
)
"""A literal reference to a resource: base (absolute only), type, id; a version is let fall."""


def _contained_type(id: str, resource: Resource) -> str:
    for inner in resource.get("contained", ()):
        if inner.get("id") == id:
            return str(inner.get("resourceType", ""))
    return ""


# --- reading -------------------------------------------------------------------------------------

_TOKEN = re.compile(r"\s*(?:(!=|[().=\[\]])|'([^']*)'|([A-Za-z_]\w*|\d+))")


def _union(expression: str) -> Iterator[str]:
    """The parts of a union: R4 has none inside parentheses or quotes."""
    yield from (part.strip() for part in expression.split("|"))


def _tokens(text: str) -> list[str]:
    out, at = [], 0
    text = text.rstrip()
    while at < len(text):
        match = _TOKEN.match(text, at)
        if match is None:
            raise UnsupportedExpression(text[at : at + 20])
        mark, quoted, word = match.groups()
        out.append(mark or word or f"'{quoted}'")
        at = match.end()
    return [*out, ""]


def _root(tokens: Sequence[str]) -> str | None:
    """The type that a path starts with; None for a path that starts at an element."""
    word = next(token for token in tokens if token not in ("(", ")"))
    return word if word[:1].isupper() else None


def _said(part: str, type: str) -> list[Walk]:
    """``X.e.exists() and X.e != false``: the one test in R4 (Patient.deceased)."""
    match = re.fullmatch(r"(\w+)\.(\w+)\.exists\(\) and \1\.\2 != false", part)
    if match is None:
        raise UnsupportedExpression(part)
    if match[1] != type:
        return []
    choices = [name for name, one in children(type).items() if one.choice == match[2]]

    def said(found: list[Any], _: Resource) -> list[Any]:
        values = [found[0][name] for name in choices if name in found[0]]
        return [any(value is not False for value in values)]

    return [Walk("", (said,), "boolean", None)]


# --- compiling -----------------------------------------------------------------------------------


class _Compiler:
    """One path, step by step; ``here`` holds the walks so far (a choice has several)."""

    def __init__(self, tokens: list[str], type: str) -> None:
        self._tokens = tokens
        self._at = 0
        self._here = [Walk("", (), type, None)]
        self._type = type

    def walks(self) -> list[Walk]:
        self._path()
        if self._peek():
            raise UnsupportedExpression(self._peek())
        return self._here

    def _peek(self) -> str:
        return self._tokens[self._at]

    def _next(self, wanted: str = "") -> str:
        token = self._tokens[self._at]
        if wanted and token != wanted:
            raise UnsupportedExpression(f"{token} where {wanted} was due")
        self._at += 1
        return token

    def _path(self) -> None:
        if self._peek() == "(":
            self._next("(")
            self._path()
            self._next(")")
        else:
            word = self._next()
            if not word[:1].isupper():
                self._member(word)
        while self._peek() in (".", "[", "as"):
            self._step()

    def _step(self) -> None:
        mark = self._next()
        if mark == "as":
            self._as(self._next())
        elif mark == "[":
            self._index(int(self._next()))
            self._next("]")
        else:
            word = self._next()
            if self._peek() == "(":
                self._call(word)
            else:
                self._member(word)

    def _call(self, name: str) -> None:
        self._next("(")
        if name in ("as", "ofType"):
            self._as(self._next())
        elif name == "extension":
            self._member(name)
            self._then(_having("url", self._next().strip("'")))
        elif name == "where":
            self._where()
        else:
            raise UnsupportedExpression(name)
        self._next(")")

    def _where(self) -> None:
        word = self._next()
        if word == "resolve":
            for token in ("(", ")", "is"):
                self._next(token)
            self._then(_pointing_to(self._next()))
        else:
            self._next("=")
            self._then(_having(word, self._next().strip("'")))

    def _then(self, step: Step) -> None:
        self._here = [replace(walk, steps=(*walk.steps, step), among=walk) for walk in self._here]

    def _index(self, number: int) -> None:
        self._then(lambda found, _: found[number : number + 1])

    def _as(self, type: str) -> None:
        self._here = [walk for walk in self._here if walk.type == type]

    def _member(self, name: str) -> None:
        self._here = [further for walk in self._here for further in self._further(walk, name)]
        if not self._here:
            raise UnsupportedExpression(f"{self._type} has no such element: {name}")

    def _further(self, walk: Walk, name: str) -> Iterator[Walk]:
        members = children(walk.element.parent if walk.element else walk.type)
        one = members.get(name)
        names = [name] if one else [key for key, each in members.items() if each.choice == name]
        for key in names:
            one = members[key]
            if walk.element is None:
                yield Walk(key, (), one.types[0], one)
            else:
                yield Walk(walk.first, (*walk.steps, _following(key)), one.types[0], one, walk)


@cache  # equal walks are equal
def _following(key: str) -> Step:
    def follow(found: list[Any], _: Resource) -> list[Any]:
        if len(found) == 1:
            return values_of(found[0].get(key))
        return [value for node in found for value in values_of(node.get(key))]

    return follow


def values_of(value: Any) -> list[Any]:
    """What an element holds: none, one or a list, in which null stands for an extension alone."""
    if value is None:
        return []
    if isinstance(value, list):
        return [item for item in value if item is not None] if None in value else value
    return [value]


@cache
def _pointing_to(type: str) -> Step:
    return lambda found, resource: [one for one in found if reference_type(one, resource) == type]


@cache
def _having(key: str, value: str) -> Step:
    return lambda found, _: [one for one in found if one.get(key) == value]
