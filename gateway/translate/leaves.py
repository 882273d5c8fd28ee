"""Rules that end in one value: primitives, codes through tables, text that is joined."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import TranslateError
from gateway.fhir.elements import Element
from gateway.record import NULL, Node
from gateway.translate.functions import Function, leaf
from gateway.translate.run import Run
from gateway.translate.sites import Leaf
from gateway.translate.tables import Row, Table, Unmapped
from gateway.translate.values import READERS, Reader, read_text

Change = Callable[[str], str]
"""A function of a text alone."""

_TEXTS: Final = frozenset({"string", "markdown", "code", "uri"})
"""Types that what a function or a table gives has already."""


_PROSE: Final = frozenset({"string", "markdown"})
"""Types that any text may stand in."""


@dataclass(frozen=True, slots=True)
class Lookup:
    """A table as a rule uses it. ``standard`` is None where only agencies have it.

    ``unmapped`` holds for agencies that don't say for themselves.
    """

    name: str
    standard: Table | None
    unmapped: Unmapped

    def find(self, run: Run, code: str, node: Node) -> Row | None:
        """The row; None for a code that the table lacks, warned of or refused as declared."""
        found = None
        if not run.tables and self.standard is not None:
            found = self.standard.rows.get(code)
        if found is None:
            found = run.find(self.name, self.standard, code)
        if found is None:
            self._missed(run, code, node)
        return found

    def policy(self, run: Run) -> Unmapped:
        """What is done about a code that the table lacks: the agency's say first."""
        return run.policies.get(self.name, self.unmapped)

    def _missed(self, run: Run, code: str, node: Node) -> None:
        policy = self.policy(run)
        if policy == "text":
            return
        text = f"a code that the table '{self.name}' lacks"
        if policy == "reject":
            raise TranslateError(text, place=node.place, code="code-invalid", condition="103")
        if policy == "task":
            run.lack(self.name, code, node)
        run.warn(node, text, "code-invalid", "103")


def plain(type_: str, function: Function | None, codes: frozenset[str] | None) -> Leaf:
    """A primitive without a table; of a required binding only its codes pass."""
    convert = READERS[type_]
    if function is not None and type_ in _TEXTS and codes is None:
        return function
    if function is None and codes is None:
        return as_sent if convert is read_text else Straight(convert)

    def read(run: Run, node: Node) -> Any:
        text = function(run, node) if function else leaf(run, node)
        value = convert(run, text, node) if text is not None else None
        if codes is not None and value is not None and value not in codes:
            run.warn(node, "a code that FHIR doesn't allow here", "code-invalid", "103")
            return None
        return value

    return read


def as_sent(run: Run, node: Node) -> str | None:
    """A text as it stands; blanks alone are nothing."""
    text = node.text()
    if text is None or text.isspace():
        return None
    if text == NULL:
        run.null = True
        return None
    return text


@dataclass(frozen=True, slots=True)
class Straight:
    """A text as one of R4's primitives."""

    convert: Reader

    def __call__(self, run: Run, node: Node) -> Any:
        """What it makes of a node."""
        text = leaf(run, node)
        return self.convert(run, text, node) if text is not None else None


def looked_up(type_: str, lookup: Lookup, function: Function | None) -> Leaf:
    """A primitive by a table."""
    convert = None if type_ in _TEXTS else READERS[type_]
    kept: frozenset[Unmapped] = frozenset({"text", "task"} if type_ in _PROSE else {"text"})

    def read(run: Run, node: Node) -> Any:
        text = function(run, node) if function else leaf(run, node)
        if text is None:
            return None
        found = lookup.find(run, text, node)
        if found is not None:
            text = found.target
        elif lookup.policy(run) not in kept:
            return None
        return convert(run, text, node) if convert and text else text or None

    return read


def coding(lookup: Lookup, function: Function | None, *, concept: bool) -> Leaf:
    """A Coding, or (``concept``) a CodeableConcept, by a table."""

    def read(run: Run, node: Node) -> dict[str, Any] | None:
        text = function(run, node) if function else leaf(run, node)
        if text is None:
            return None
        found = lookup.find(run, text, node)
        if found is None:
            return {"text" if concept else "display": text}
        if not found.target:
            return None
        made = coded(found)
        return {"coding": [made]} if concept else made

    return read


def concept_kept(lookup: Lookup, function: Function | None, original: Leaf) -> Leaf:
    """A CodeableConcept as a data type map makes it, with the table's coding put first."""

    def read(run: Run, node: Node) -> dict[str, Any] | None:
        concept: dict[str, Any] | None = original(run, node)
        text = function(run, node) if function else leaf(run, node)
        found = lookup.find(run, text, node) if text is not None else None
        if found is None or not found.target:
            return concept
        concept = concept or {}
        first = coded(found)
        others = [one for one in concept.get("coding", ()) if not _same(one, first)]
        return {**concept, "coding": [first, *others]}

    return read


def _same(one: dict[str, str], other: dict[str, str]) -> bool:
    return one.get("system") == other.get("system") and one.get("code") == other["code"]


def coded(found: Row) -> dict[str, str]:
    """A table's row as a Coding."""
    made = (
        {"system": found.system, "code": found.target} if found.system else {"code": found.target}
    )
    if found.display:
        made["display"] = found.display
    return made


def codes_of(element: Element) -> frozenset[str] | None:
    """The codes of a required binding of a ``code``; None for everything else."""
    if element.types[0] != "code" or element.binding is None:
        return None
    return element.binding.codes


def parted(type_: str, between: str) -> Leaf:
    """A text's parts between ``between``, each read for itself; empty ones are nothing."""
    convert = READERS[type_]

    def read(run: Run, node: Node) -> list[Any] | None:
        text = leaf(run, node)
        parts = text.split(between) if text is not None else ()
        made = [convert(run, part.strip(), node) for part in parts if part.strip()]
        return [value for value in made if value is not None] or None

    return read


def parted_by(lookup: Lookup, between: str) -> Leaf:
    """A text's parts between ``between``, each by a table."""

    def read(run: Run, node: Node) -> list[Any] | None:
        text = leaf(run, node)
        parts = (part.strip() for part in text.split(between)) if text is not None else ()
        found = [lookup.find(run, part, node) for part in parts if part]
        return [row.target for row in found if row is not None and row.target] or None

    return read


def filled_up(read: Leaf, extra: Mapping[str, Callable[[], object]]) -> Leaf:
    """An object with the elements of ``extra`` where it lacks them."""

    def full(run: Run, node: Node) -> dict[str, Any] | None:
        made: dict[str, Any] | None = read(run, node)
        if made is None:
            return None
        lacking = {name: build() for name, build in extra.items() if name not in made}
        return {**made, **lacking} if lacking else made

    return full
