"""The verbs of single values: from, each, const, join, minutes, ref, and what goes with them.

How a node is read (``as``, ``table``, ``fn``) is in ``readings``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from gateway.fhir.elements import Element
from gateway.model import Node
from gateway.translate.conditions import compile_choice
from gateway.translate.constants import constant
from gateway.translate.functions import OF_TEXT, own
from gateway.translate.leaves import Change, as_sent, changed, component_as_sent, joined
from gateway.translate.lengths import UNITS, Length, in_minutes, length, shifted
from gateway.translate.needs import Present, by_shape, either, everything, of_path
from gateway.translate.objects import given
from gateway.translate.paths import (
    First,
    Path,
    Segments,
    compile_first,
    compile_nodes,
    is_path,
    parse_path,
)
from gateway.translate.readings import compile_leaf, compile_split
from gateway.translate.run import Nodes, Read, Run, Scope
from gateway.translate.sites import AGENCY, Finder, Leaf, Rule, Site, compile_ref
from gateway.translate.source import Block, Scalar, Yaml, block, refuse, several, text

if TYPE_CHECKING:
    from gateway.translate.rules import Compiler

SOURCES: Final = frozenset({"from", "each", "const", "join", "minutes", "own", "ref"})
VERBS: Final = SOURCES | {
    "as", "table", "unmapped", "default", "by", "fn", "if", "plus", "minus", "split"
}  # fmt: skip
MOVES: Final = frozenset({"if", "each", "from"})
"""The verbs that an object may have beside its elements."""

_LENGTH: Final = frozenset({"value", "unit"})
_READ: Final = frozenset({"as", "table", "unmapped", "default", "fn", "if"})

_GO_WITH: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "from": _READ | {"plus", "minus", "split"},
        "each": _READ,
        "const": frozenset({"if"}),
        "join": frozenset({"by", "default", "each", "fn", "if"}),
        "minutes": frozenset({"default", "if"}),
        "own": frozenset({"if"}),
        "ref": frozenset({"if"}),
    }
)

TEXT: Final = Element("text", ("string",), 0, "*", "string")
"""What the parts of a ``join`` and a key's text are: text, any number of times."""


def compile_value(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    """A rule of verbs alone."""
    source = _source(item)
    if source == "join" and "each" in item.items:
        return _each_join(compiler, element, item, site)
    rule = _VERBS[source](compiler, element, item, site)
    default = item.get("default")
    if default is not None and element.is_primitive:
        build, _ = constant(element, default)
        rule = replace(rule, default=build)
    return rule if source == "each" else given(rule, compiler.condition(item.get("if"), site))


def _source(item: Block) -> str:
    """The verb that says where the value comes from; MapError unless all others go with it."""
    sources = [key for key in item.items if key in SOURCES]
    if "join" in sources and "each" in sources:
        sources.remove("each")
    if len(sources) != 1:
        refuse(item.place, f"a rule has one of {', '.join(_VERBS)}")
    for key, place in item.places.items():
        if key not in _GO_WITH[sources[0]] and key != sources[0]:
            refuse(place, f"'{key}' doesn't go with '{sources[0]}'")
    return sources[0]


# --- from, each ----------------------------------------------------------------------------------


def _from(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    first = read_first(item.items["from"], site)
    path = site.reads[-1]
    if "split" in item.items:
        leaf = compiler.heard(compile_split(compiler, element, item), item)
        return Rule(_of_first(first, leaf), many=True, needs=of_path(path))
    read = _of_path(path, first, compiler.heard(compile_leaf(compiler, element, item), item))
    for key, sign in (("plus", 1), ("minus", -1)):
        if (by := item.get(key)) is not None:
            read = shifted(read, compile_shift(element, by, site), sign)
    return Rule(read, needs=of_path(path))


def _of_path(path: Path, first: First, leaf: Leaf) -> Read:
    if path.is_single and len(path.parts) == 1:
        return _of_component(path.parts[0], leaf)
    if path.is_own_field:
        return _of_field(path.segment, path.field, leaf)
    return _of_first(first, leaf)


def _of_first(first: First, leaf: Leaf) -> Read:
    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        found = first(run, scope, node)
        return leaf(run, found) if found is not None else None

    return read


def _of_component(number: int, leaf: Leaf) -> Read:
    """A component of the node in hand, with a call less."""
    if leaf is as_sent:
        return component_as_sent(number)

    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        found = node.child(number)  # type: ignore[union-attr]  # relative: there is a node
        return leaf(run, found) if found is not None else None

    return read


def _of_field(segment: str, number: int, leaf: Leaf) -> Read:
    """The first repetition of a field, with a call less."""

    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        segments = scope.segments.get(segment)
        if segments is None:
            return None
        repetitions = segments[0].repetitions(number)
        return leaf(run, repetitions[0]) if repetitions else None

    return read


def _each(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    source = item.items["each"]
    if not is_path(text(source, "a path"), site.frame):
        refuse(source.place, "a segment has no value of its own: 'each' needs elements, or a field")
    leaf = compiler.heard(compile_leaf(compiler, element, item), item)
    one = Rule(lambda run, scope, node: leaf(run, cast("Node", node)))
    condition = compiler.condition(item.get("if"), site.moved(site.frame.around("")))
    return each_node(source, site, given(one, condition))


def read_first(item: Yaml, site: Site) -> First:
    """The closure of a ``from``; notes the path as read."""
    path = text(item, "a path")
    if not is_path(path, site.frame):
        refuse(item.place, f"'{path}' is not a path to a field")
    parsed = parse_path(path, site.frame, item.place)
    site.reads.append(parsed)
    return compile_first(parsed, compile_choice, item.place)


def read_nodes(item: Yaml, site: Site) -> Nodes:
    """The closure of an ``each`` over a field; notes the path as read."""
    parsed = parse_path(text(item, "a path"), site.frame, item.place)
    site.reads.append(parsed)
    return compile_nodes(parsed, compile_choice, item.place)


def each_node(item: Yaml, site: Site, rule: Rule) -> Rule:
    """A list of what ``rule`` makes of each node of a path."""
    nodes = read_nodes(item, site)
    made = over_nodes(nodes, _narrowing(rule))
    return Rule(made, many=True, needs=of_path(site.reads[-1]))


def _narrowing(rule: Rule) -> Read:
    """How a rule that starts from a node is read: by its shape, where that saves anything."""
    return rule.read if rule.narrow is None else by_shape(rule.read, rule.narrow)


def over_nodes(nodes: Nodes, one: Read) -> Read:
    """A list of what ``one`` makes of each node."""

    def read(run: Run, scope: Scope, node: Node | None) -> list[Any] | None:
        made = [one(run, scope, each) for each in nodes(run, scope, node)]
        return [value for value in made if value is not None] or None

    return read


def over_segments(segments: Segments, one: Read) -> Read:
    """A list of what ``one`` makes of each segment, in a scope of its own."""

    def read(run: Run, scope: Scope, node: Node | None) -> list[Any] | None:
        made = [one(run, scope.single(each), node) for each in segments(scope)]
        return [value for value in made if value is not None] or None

    return read


def over_scopes(group: str, one: Read) -> Read:
    """A list of what ``one`` makes of each instance of a group that stands in the scope."""

    def read(run: Run, scope: Scope, node: Node | None) -> list[Any] | None:
        made = [one(run, each, None) for each in scope.within.get(group, ())]
        return [value for value in made if value is not None] or None

    return read


def start_at(item: Yaml, site: Site, rule: Rule) -> Rule:
    """What ``rule`` makes of the first node of a path."""
    first = read_first(item, site)
    needs = of_path(site.reads[-1])
    one = _narrowing(rule)

    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        found = first(run, scope, node)
        return one(run, scope, found) if found is not None else None

    return Rule(read, weighs=rule.weighs, needs=needs)


# --- plus, minus, minutes ------------------------------------------------------------------------


def compile_shift(element: Element, item: Yaml, site: Site) -> Length:
    """What ``plus`` or ``minus`` adds to a time."""
    if element.types[0] not in ("date", "dateTime", "instant"):
        refuse(item.place, f"{element.path} is of type {element.types[0]}, which is no time")
    return _length(item, site)


def _length(item: Yaml, site: Site) -> Length:
    """``{value: PATH, unit: PATH or const}``; the first unit that is there counts."""
    body = block(item, "a length of time")
    body.refuse_unknown(_LENGTH, "a length of time")
    number = read_first(body.need("value"), site)
    units = tuple(_unit(one, site) for one in several(body.need("unit")))
    return length(number, units)


def _unit(item: Yaml, site: Site) -> First | int:
    if not isinstance(item, Block):
        return read_first(item, site)
    item.refuse_unknown(frozenset({"const"}), "a unit")
    named = text(item.need("const"), "a unit")
    if named not in UNITS:
        refuse(item.place, f"'{named}' is no unit of time; there are {', '.join(UNITS)}")
    return UNITS[named]


def _minutes(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    if element.types[0] not in ("positiveInt", "unsignedInt", "integer", "decimal"):
        refuse(item.place, f"{element.path} is of type {element.types[0]}, which is no number")
    before = len(site.reads)
    by = _length(item.items["minutes"], site)
    return Rule(in_minutes(by), needs=of_path(site.reads[before]))


# --- const, own, join, ref -----------------------------------------------------------------------


def _const(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    build, many = constant(element, item.items["const"])
    return Rule(lambda run, scope, node: build(), many, weighs=False)


def _own(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    """The URI of a system that only this agency has: that of a feed's own numbers."""
    source = item.items["own"]
    name = text(source, "a system's name")
    if not compiler.feed:
        refuse(source.place, "'own' serves rows and JSON: a message's authorities are the agency's")
    if not element.is_primitive or element.types[0] not in ("uri", "string"):
        refuse(source.place, f"{element.path} is of type {element.types[0]}, no uri")
    feed = compiler.feed
    return Rule(lambda run, scope, node: own(run.agency.id, feed, name), weighs=False)


def _join(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    change = _change(element, item)
    rules = [_join_part(compiler, one, site) for one in several(item.items["join"])]
    by = item.get("by")
    between = text(by, "'by'") if by is not None else " "
    weighing = [rule for rule in rules if rule.weighs]
    return Rule(
        _joined(rules, between, change, everything),
        weighs=bool(weighing),
        needs=either(rule.needs for rule in weighing),
        narrow=partial(_joined, rules, between, change),
    )


def _joined(rules: Sequence[Rule], between: str, change: Change | None, present: Present) -> Read:
    narrowed = (rule.narrowed(present) for rule in rules)
    read = joined([(rule.read, rule.weighs) for rule in narrowed if rule is not None], between)
    return read if change is None else changed(read, change)


def _change(element: Element, item: Block) -> Change | None:
    """The function that joined text goes through; MapError where the element is no text."""
    named = item.get("fn")
    name = text(named, "'fn'") if named is not None else ""
    if named is not None and name not in OF_TEXT:
        refuse(named.place, f"functions of joined text are {', '.join(sorted(OF_TEXT))}")
    wanted = ("base64Binary",) if name == "base64" else ("string", "markdown", "uri", "id")
    if not element.is_primitive or element.types[0] not in wanted:
        refuse(item.place, f"'join' makes text, and {element.path} is of type {element.types[0]}")
    return OF_TEXT.get(name)


def _each_join(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    """A text for each segment or repetition."""
    inner = compiler.moved(item, site)
    rule = given(_join(compiler, element, item, inner), compiler.condition(item.get("if"), inner))
    return compiler.over(item.items["each"], site, compiler.noted(rule, item))


def _join_part(compiler: Compiler, item: Yaml, site: Site) -> Rule:
    if isinstance(item, Scalar):
        item = Block(item.place, {"from": item}, {"from": item.place})
    return compiler.rule(TEXT, item, site)


def _ref(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    source = item.items["ref"]
    name = text(source, "a resource's name")
    whole = element.types[0] == "Reference"
    if not whole and not (element.is_primitive and element.types[0] in ("string", "uri")):
        refuse(source.place, f"{element.path} is of type {element.types[0]}, no Reference")
    find = compile_ref(name, element.targets if whole else (), site, source.place)
    site.reads.append(Path(name, up=-1))
    if element.is_list:
        return Rule(_references(find, whole=whole), many=True, weighs=name != AGENCY)
    return Rule(_reference(find, whole=whole), weighs=name != AGENCY)


def _reference(find: Finder, *, whole: bool) -> Read:
    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        for found in find(run, scope, node):
            return {"reference": found} if whole else found
        return None

    return read


def _references(find: Finder, *, whole: bool) -> Read:
    def read(run: Run, scope: Scope, node: Node | None) -> list[Any] | None:
        found = dict.fromkeys(find(run, scope, node))
        return [{"reference": one} if whole else one for one in found] or None

    return read


Verb = Callable[["Compiler", Element, Block, Site], Rule]

_VERBS: Final[Mapping[str, Verb]] = MappingProxyType(
    {
        "from": _from,
        "each": _each,
        "const": _const,
        "join": _join,
        "minutes": _minutes,
        "own": _own,
        "ref": _ref,
    }
)
