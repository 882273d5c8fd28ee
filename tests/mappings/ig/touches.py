"""What our maps read and write: for every rule, the HL7 fields that it depends on and its element.

The maps are read by the gateway's own reader (``extends`` done) and walked without being run. A
rule within ``each: PV1-7`` depends on PV1-7; so do its constants, and what a ``ref`` leads to.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from gateway.fhir.elements import children
from gateway.fhir.provenance import provenance
from gateway.translate.maps import HEADER, Maps, Source
from gateway.translate.source import Block, Scalar, Series, Yaml, several
from gateway.translate.verbs import MOVES, VERBS

_FIELD = re.compile(r"\^*([A-Z][A-Z0-9]{2})(?:\[\d+\])?(?:-(\d+))?")
_PREDICATE = re.compile(r"(?<=\d)\[[^\]]*\]")


_TOLD = {
    "": frozenset({"MSH"}),
    "recorded": frozenset({"MSH"}),
    "activity": frozenset({"MSH", "MSH-9"}),
    "agent": frozenset({"MSH", "MSH-3", "MSH-4"}),
    "entity": frozenset({"MSH"}),
}
"""What the elements of the gateway's own Provenance depend on."""


class Touch(NamedTuple):
    """``message`` makes a resource of ``type``, whose element ``path`` depends on ``sources``.

    ``sources`` are fields (``PID-3``) and whole segments (``PID``). ``value`` is a constant's text,
    None for what is read. ``whole``: what stands below ``path`` isn't told apart.
    """

    message: str
    resource: str
    type: str
    path: str
    sources: frozenset[str]
    value: str | None = None
    whole: bool = False
    ref: str = ""


class Context(NamedTuple):
    """Where a rule stands."""

    message: str
    resource: str
    type: str


Bases = tuple[frozenset[str], frozenset[str]]
"""What a rule depends on, and what a constant in its place depends on."""


class Library:
    """All touches of the shipped message maps."""

    def __init__(self, folder: Path) -> None:
        self.maps = Maps(((folder / "hl7v2", "hl7v2"),))

    @cached_property
    def events(self) -> dict[str, str]:
        """The message map of each event."""
        return {
            str(one.value): name
            for name in self.maps.names("messages")
            for one in several(self._source("messages", name).body.need("events"))
            if isinstance(one, Scalar)
        }

    @cached_property
    def touches(self) -> list[Touch]:
        """Of all message maps."""
        return [touch for name in self.maps.names("messages") for touch in self._of_message(name)]

    @staticmethod
    def _of_gateway(message: str) -> Iterator[Touch]:
        """The Provenance that the gateway itself writes of each message (``fhir.provenance``)."""
        at = datetime(2024, 2, 29, tzinfo=UTC)
        made = provenance("1", ["X/1"], sender="X/2", message="3", event="4", map="5", at=at)
        for path, fields in _TOLD.items():
            whole = Touch(message, "", "Provenance", path, fields, whole=True)
            yield whole
            for below, value in _leaves(made.get(path)):
                yield whole._replace(path=f"{path}.{below}", value=value, whole=False)

    def _source(self, kind: str, name: str) -> Source:
        found = self.maps.find(kind, name)
        assert found is not None, f"no {kind} map {name}"
        return found

    def _of_message(self, name: str) -> Iterator[Touch]:
        resources = self._source("messages", name).body.need("resources")
        assert isinstance(resources, Block)
        targets = {key: _text(_block(one).need("to")) for key, one in resources.items.items()}
        made: list[Touch] = []
        for key, item in resources.items.items():
            made.extend(self._of_resource(name, key, _block(item), targets))
        yield from made
        yield from _through_references(made)
        yield from self._of_gateway(name)

    def _of_resource(
        self, message: str, name: str, item: Block, targets: dict[str, str]
    ) -> Iterator[Touch]:
        around = _paths_of(item, ("each",))
        context = Context(message, name, targets[name])
        parts = [own for one in self._used(item) for own in (_deep(one.body),)]
        yield Touch(message, name, context.type, "", around.union(_deep(item), *parts))
        if (own := item.get("set")) is not None:
            yield from self._elements(context, context.type, "", _block(own), around)
        for source in self._used(item):
            yield from self._elements(context, context.type, "", source.body, around)

    def _used(self, item: Block) -> Iterator[Source]:
        kind = "datatypes" if "-" in _text(item.get("each")) else "segments"
        for one in several(item.items["use"]) if "use" in item.items else ():
            yield self._source(kind, _text(one))

    def _elements(
        self, context: Context, parent: str, path: str, item: Block, base: frozenset[str]
    ) -> Iterator[Touch]:
        """The elements of an object, whose own constants hang on all that the object reads."""
        inside = base | _deep(item)
        known = children(parent)
        for name, rules in item.items.items():
            if name in HEADER or (name in MOVES and name not in known):
                continue
            for rule in several(rules):
                if not isinstance(rule, Block):
                    continue
                if name not in known:  # a block of a choice
                    yield from self._elements(context, parent, path, rule, base | _deep(rule))
                    continue
                where = f"{path}.{name}".lstrip(".")
                yield from self._rule(context, known[name].parent, where, rule, (base, inside))

    def _rule(
        self, context: Context, below: str, path: str, rule: Block, bases: Bases
    ) -> Iterator[Touch]:
        base, inside = bases
        moved = base | _paths_of(rule, ("each", "from", "if"))
        if not all(key in VERBS for key in rule.items):
            yield self._touch(context, path, moved | _deep(rule))
            yield from self._elements(context, below, path, rule, moved)
            return
        if "const" in rule.items:
            yield from _constants(context, path, rule.items["const"], inside | moved)
        elif "ref" in rule.items:
            name = _text(rule.items["ref"])
            yield self._touch(context, path, inside | moved, ref=name, whole=True)
        elif "as" in rule.items and (found := self.maps.find("datatypes", _text(rule.items["as"]))):
            yield self._touch(context, path, moved)
            yield from self._elements(context, found.to, path, found.body, moved)
            if "default" in rule.items:
                yield from _constants(context, path, rule.items["default"], moved)
        else:
            yield self._touch(context, path, moved | _deep(rule), whole=True)

    @staticmethod
    def _touch(
        context: Context, path: str, sources: frozenset[str], *, whole: bool = False, ref: str = ""
    ) -> Touch:
        return Touch(*context, path, sources, whole=whole, ref=ref)


def _leaves(value: Any) -> Iterator[tuple[str, str]]:
    """The texts within a JSON value, with their paths."""
    if isinstance(value, list):
        for one in value:
            yield from _leaves(one)
    elif isinstance(value, dict):
        for name, one in value.items():
            found = _leaves(one) if isinstance(one, dict | list) else (("", str(one)),)
            yield from ((f"{name}.{path}".rstrip("."), text) for path, text in found)


def _constants(context: Context, path: str, item: Yaml, sources: frozenset[str]) -> Iterator[Touch]:
    if isinstance(item, Block):
        for name, one in item.items.items():
            yield from _constants(context, f"{path}.{name}".lstrip("."), one, sources)
    elif isinstance(item, Series):
        for one in several(item):
            yield from _constants(context, path, one, sources)
    else:
        yield Touch(*context, path, sources, str(item.value))


def _through_references(made: list[Touch]) -> Iterator[Touch]:
    """A reference depends on all that the resource depends on that it leads to."""
    reads = {one.resource: one.sources for one in made if one.path == ""}
    for one in made:
        if one.ref in reads:
            yield one._replace(sources=one.sources | reads[one.ref])


def _deep(item: Yaml) -> frozenset[str]:
    """Every field that anything in an item reads."""
    if isinstance(item, Block):
        found: set[str] = set()
        for key, one in item.items.items():
            found |= _fields(one) if key in ("from", "each", "if") else _deep(one)
            if key in ("join", "value", "unit"):
                found |= {field for part in several(one) for field in _fields(part)}
        return frozenset(found)
    if isinstance(item, Series):
        return frozenset(field for one in several(item) for field in _deep(one))
    return frozenset()


def _paths_of(item: Block, keys: tuple[str, ...]) -> frozenset[str]:
    return frozenset(
        field for key in keys if key in item.items for field in _fields(item.items[key])
    )


def _fields(item: Yaml) -> frozenset[str]:
    if not isinstance(item, Scalar) or not isinstance(item.value, str):
        return frozenset()
    found = _FIELD.findall(re.sub(r"'[^']*'", "", _PREDICATE.sub("", item.value)))
    return frozenset(f"{segment}-{field}" if field else segment for segment, field in found)


def _block(item: Yaml) -> Block:
    assert isinstance(item, Block)
    return item


def _text(item: Yaml | None) -> str:
    return str(item.value) if isinstance(item, Scalar) else ""
