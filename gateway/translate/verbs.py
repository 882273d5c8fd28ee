"""The verbs of single values: from, each, const, join, ref, with as, table, fn, default, if."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, cast

from gateway.fhir.elements import Element
from gateway.model import Node
from gateway.translate.conditions import compile_choice
from gateway.translate.constants import constant, constant_object
from gateway.translate.functions import FUNCTIONS, Function
from gateway.translate.leaves import (
    Lookup,
    Unmapped,
    as_sent,
    codes_of,
    coding,
    component_as_sent,
    concept_kept,
    filled_up,
    joined,
    looked_up,
    plain,
)
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
from gateway.translate.run import Nodes, Read, Run, Scope
from gateway.translate.sites import AGENCY, Finder, Leaf, Rule, Site, compile_ref
from gateway.translate.source import Block, Scalar, Yaml, block, refuse, several, text
from gateway.translate.tables import Row, Table
from gateway.translate.values import AGREE, READERS

if TYPE_CHECKING:
    from gateway.translate.rules import Compiler

SOURCES: Final = frozenset({"from", "each", "const", "join", "ref"})
VERBS: Final = SOURCES | {"as", "table", "unmapped", "default", "by", "fn", "if"}
MOVES: Final = frozenset({"if", "each", "from"})
"""The verbs that an object may have beside its elements."""

_GO_WITH: Final[Mapping[str, frozenset[str]]] = MappingProxyType(
    {
        "from": frozenset({"as", "table", "unmapped", "default", "fn", "if"}),
        "each": frozenset({"as", "table", "unmapped", "default", "fn", "if"}),
        "const": frozenset({"if"}),
        "join": frozenset({"by", "default", "if"}),
        "ref": frozenset({"if"}),
    }
)

TEXT: Final = Element("text", ("string",), 0, "*", "string")
"""What the parts of a ``join`` and a key's text are: text, any number of times."""

KEY: Final = Element("key", ("Identifier",), 0, "*", "Identifier")
"""What a key is otherwise; of a data type map it wants system and value alone."""

_KEY_PARTS: Final = frozenset({"system", "value"})


def compile_value(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    """A rule of verbs alone."""
    sources = [key for key in item.items if key in SOURCES]
    if len(sources) != 1:
        refuse(item.place, "a rule has one of from, each, const, join, ref")
    for key, place in item.places.items():
        if key not in _GO_WITH[sources[0]] and key != sources[0]:
            refuse(place, f"'{key}' doesn't go with '{sources[0]}'")
    rule = _VERBS[sources[0]](compiler, element, item, site)
    default = item.get("default")
    if default is not None and element.is_primitive:
        build, _ = constant(element, default)
        rule = replace(rule, default=build)
    return rule if sources[0] == "each" else given(rule, compiler.condition(item.get("if"), site))


# --- from, each ----------------------------------------------------------------------------------


def _from(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    first = read_first(item.items["from"], site)
    path = site.reads[-1]
    leaf = _leaf(compiler, element, item)
    if path.is_single and len(path.parts) == 1:
        return Rule(_of_component(path.parts[0], leaf), needs=of_path(path))
    if path.is_own_field:
        return Rule(_of_field(path.segment, path.field, leaf), needs=of_path(path))

    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        found = first(run, scope, node)
        return leaf(run, found) if found is not None else None

    return Rule(read, needs=of_path(path))


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
    if not is_path(text(source, "a path")):
        refuse(source.place, "a segment has no value of its own: 'each' needs elements, or a field")
    leaf = _leaf(compiler, element, item)
    one = Rule(lambda run, scope, node: leaf(run, cast("Node", node)))
    condition = compiler.condition(item.get("if"), site.moved(site.frame.around("")))
    return each_node(source, site, given(one, condition))


def read_first(item: Yaml, site: Site) -> First:
    """The closure of a ``from``; notes the path as read."""
    path = text(item, "a path")
    if not is_path(path):
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


def start_at(item: Yaml, site: Site, rule: Rule) -> Rule:
    """What ``rule`` makes of the first node of a path."""
    first = read_first(item, site)
    needs = of_path(site.reads[-1])
    one = _narrowing(rule)

    def read(run: Run, scope: Scope, node: Node | None) -> Any:
        found = first(run, scope, node)
        return one(run, scope, found) if found is not None else None

    return Rule(read, weighs=rule.weighs, needs=needs)


# --- const, join, ref ----------------------------------------------------------------------------


def _const(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    build, many = constant(element, item.items["const"])
    return Rule(lambda run, scope, node: build(), many, weighs=False)


def _join(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    if not element.is_primitive or element.types[0] not in ("string", "markdown", "uri", "id"):
        refuse(item.place, f"'join' makes text, and {element.path} is of type {element.types[0]}")
    rules = [_join_part(compiler, one, site) for one in several(item.items["join"])]
    by = item.get("by")
    between = text(by, "'by'") if by is not None else " "
    weighing = [rule for rule in rules if rule.weighs]
    return Rule(
        _joined(rules, between, everything),
        weighs=bool(weighing),
        needs=either(rule.needs for rule in weighing),
        narrow=partial(_joined, rules, between),
    )


def _joined(rules: Sequence[Rule], between: str, present: Present) -> Read:
    narrowed = (rule.narrowed(present) for rule in rules)
    return joined([(rule.read, rule.weighs) for rule in narrowed if rule is not None], between)


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


# --- how a node is read --------------------------------------------------------------------------


def _leaf(compiler: Compiler, element: Element, item: Block) -> Leaf:
    function = _function(item)
    lookup = _lookup(compiler, element, item)
    if element.is_primitive:
        return _primitive(compiler, element, item, function, lookup)
    leaf = _complex(compiler, element, item, function, lookup)
    default = item.get("default")
    if default is None:
        return leaf
    body = block(default, "the default of an object")
    return filled_up(leaf, constant_object(element.parent, body))


def _primitive(
    compiler: Compiler,
    element: Element,
    item: Block,
    function: Function | None,
    lookup: Lookup | None,
) -> Leaf:
    type_ = element.types[0]
    if type_ not in READERS:
        refuse(item.place, f"{element.path} is of type {type_}, which maps don't make")
    named = item.get("as")
    if named is not None:
        type_ = _agreed(type_, text(named, "'as'"), named.place)
    if lookup is None:
        return plain(type_, function, codes_of(element))
    compiler.uses.setdefault(lookup.name, set()).add(element)
    if lookup.standard is not None:
        for row in lookup.standard.rows.values():
            check_row(element, row)
    if type_ == "code" and lookup.unmapped == "text":
        refuse(item.places["unmapped"], f"{element.path} is a code: 'text' can't be one")
    return looked_up(type_, lookup, function)


def _agreed(type_: str, named: str, place: str) -> str:
    if named not in READERS:
        refuse(place, f"'{named}' is no primitive type, and here belongs {type_}")
    if named != type_ and named not in AGREE.get(type_, ()):
        refuse(place, f"'{named}' doesn't make {type_}")
    return named


def _complex(
    compiler: Compiler,
    element: Element,
    item: Block,
    function: Function | None,
    lookup: Lookup | None,
) -> Leaf:
    type_ = element.types[0]
    named = item.get("as")
    made = None
    if named is not None:
        only = _KEY_PARTS if element is KEY else None
        made = compiler.data_type(text(named, "'as'"), type_, named.place, only)
    if lookup is not None and type_ == "CodeableConcept" and made is not None:
        return concept_kept(lookup, function, made)
    if lookup is not None and type_ in ("Coding", "CodeableConcept") and made is None:
        return coding(lookup, function, concept=type_ == "CodeableConcept")
    if lookup is not None or (function is not None and made is not None):
        refuse(item.place, f"{element.path} is of type {type_}: no 'table' or 'fn' makes one")
    if made is None:
        refuse(item.place, f"{element.path} is of type {type_}: say 'as:' which data type map")
    return made


def _function(item: Block) -> Function | None:
    named = item.get("fn")
    if named is None:
        return None
    found = FUNCTIONS.get(text(named, "'fn'"))
    if found is None:
        refuse(named.place, f"functions are {', '.join(sorted(FUNCTIONS))}")
    return found


def _lookup(compiler: Compiler, element: Element, item: Block) -> Lookup | None:
    named = item.get("table")
    policy = item.get("unmapped")
    if named is None:
        if policy is not None:
            refuse(policy.place, "'unmapped' goes with 'table'")
        return None
    name = text(named, "'table'")
    standard = compiler.tables.get(name)
    if standard is None:
        refuse(named.place, f"there is no table '{name}'")
    written = text(policy, "'unmapped'") if policy is not None else "warn"
    if written not in ("text", "warn", "reject"):
        refuse(item.places["unmapped"], "'unmapped' is text, warn or reject")
    return Lookup(name, standard, cast("Unmapped", written))


def check_row(element: Element, row: Row) -> None:
    """MapError at a table's row whose target a required binding doesn't allow."""
    codes = codes_of(element)
    if codes is not None and row.target and row.target not in codes:
        refuse(
            row.place, f"'{row.target}' is no code of {element.path}: {', '.join(sorted(codes))}"
        )


def check_table(table: Table, elements: set[Element]) -> None:
    """The same for a whole table, an agency's own, and all elements that use it."""
    for element in elements:
        for row in table.rows.values():
            check_row(element, row)


Verb = Callable[["Compiler", Element, Block, Site], Rule]

_VERBS: Final[Mapping[str, Verb]] = MappingProxyType(
    {"from": _from, "each": _each, "const": _const, "join": _join, "ref": _ref}
)
