"""The verbs of single values: from, each, const, join, minutes, ref, and what goes with them.

How a node is read (``as``, ``table``, ``fn``) is in ``readings``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from gateway.fhir.elements import Element
from gateway.translate.code import At, Code, Write, called, sent
from gateway.translate.conditions import compile_choice
from gateway.translate.constants import constant
from gateway.translate.functions import OF_TEXT, own
from gateway.translate.leaves import Change, Straight, as_sent
from gateway.translate.lengths import UNITS, Length, in_minutes, length, shifted
from gateway.translate.moves import each_node, read_first, read_path
from gateway.translate.objects import given
from gateway.translate.paths import (
    First,
    Path,
    first_met,
    is_path,
)
from gateway.translate.readings import compile_leaf, compile_split
from gateway.translate.sites import (
    AGENCY,
    Finder,
    Leaf,
    Needs,
    Rule,
    Site,
    compile_ref,
    needs_of,
    one_of_needs,
)
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
    path = read_path(item.items["from"], site)
    if "split" in item.items:
        leaf = compiler.heard(compile_split(compiler, element, item), item)
        return Rule(_of_first(path, leaf, item.place), many=True, needs=needs_of(path))
    write = _of_first(path, compiler.heard(compile_leaf(compiler, element, item), item), item.place)
    for key, sign in (("plus", 1), ("minus", -1)):
        if (by := item.get(key)) is not None:
            write = shifted(write, compile_shift(element, by, site), sign)
    return Rule(write, needs=needs_of(path))


def _of_first(path: Path, leaf: Leaf, place: str) -> Write:
    """What ``leaf`` makes of the first node of a path; a component as it stands needs no node."""
    component = path.parts[-1] if path.parts and leaf is as_sent else 0
    met = first_met(
        replace(path, parts=path.parts[:-1]) if component else path, compile_choice, place
    )

    def write(code: Code, at: At, into: str) -> None:
        code(f"{into} = None")
        with met(code, at) as node:
            if not component:
                _leaf(code, leaf, node, into)
                return
            with code.there(node, component):
                sent(code, f"{node}.leaf({component})", into)

    return write


def _leaf(code: Code, leaf: Leaf, node: str, into: str) -> None:
    """What a reading makes of a node; the commonest is written out."""
    if leaf is as_sent:
        sent(code, f"{node}.text()", into)
    elif isinstance(leaf, Straight):
        code(f"{into} = {node}.text()")
        with code.block(f"if {into} == NULL"):
            code(f"{into} = None")
            code("run.null = True")
        with code.block(f"elif {into} is not None"):
            code(f"{into} = {code.bound(leaf.convert)}(run, {into}, {node})")
    else:
        code(f"{into} = {code.bound(leaf)}(run, {node})")


def _each(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    source = item.items["each"]
    if not is_path(text(source, "a path"), site.frame):
        refuse(source.place, "a segment has no value of its own: 'each' needs elements, or a field")
    leaf = compiler.heard(compile_leaf(compiler, element, item), item)
    one = Rule(lambda code, at, into: _leaf(code, leaf, at.node, into))
    condition = compiler.condition(item.get("if"), site.moved(site.frame.around("")))
    return each_node(source, site, given(one, condition))


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
    return Rule(called(in_minutes(_length(item.items["minutes"], site))))


# --- const, own, join, ref -----------------------------------------------------------------------


def _const(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    build, many = constant(element, item.items["const"])
    return Rule(_said(lambda code: f"{code.bound(build)}()"), many, weighs=False, certain=True)


def _said(value: Callable[[Code], str]) -> Write:
    """A value that nothing is read for."""
    return lambda code, at, into: code(f"{into} = {value(code)}")


def _own(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    """The URI of a system that only this agency has: that of a feed's own numbers."""
    source = item.items["own"]
    name = text(source, "a system's name")
    if not compiler.feed:
        refuse(source.place, "'own' serves rows and JSON: a message's authorities are the agency's")
    if not element.is_primitive or element.types[0] not in ("uri", "string"):
        refuse(source.place, f"{element.path} is of type {element.types[0]}, no uri")
    feed = compiler.feed
    uri = _said(
        lambda code: f"{code.bound(own)}(run.agency.id, {code.bound(feed)}, {code.bound(name)})"
    )
    return Rule(uri, weighs=False)


def _join(compiler: Compiler, element: Element, item: Block, site: Site) -> Rule:
    change = _change(element, item)
    rules = [_join_part(compiler, one, site) for one in several(item.items["join"])]
    by = item.get("by")
    between = text(by, "'by'") if by is not None else " "
    weighing = [rule for rule in rules if rule.weighs]
    needs = one_of_needs(rule.needs for rule in weighing)
    return Rule(_joined(rules, between, change, needs), weighs=bool(weighing), needs=needs)


def _joined(
    rules: Sequence[Rule], between: str, change: Change | None, needs: Needs | None
) -> Write:
    """Text of all parts that have one; nothing where only constants do."""

    def write(code: Code, at: At, into: str) -> None:
        code(f"{into} = None")
        with code.holding(at, needs):
            texts, found = _texts(rules, code, at)
            code(f"{into} = {code.bound(between)}.join({texts}) if {found} else None")
        if change is not None:
            with code.block(f"if {into} is not None"):
                code(f"{into} = {code.bound(change)}({into}) or None")

    return write


def _texts(rules: Sequence[Rule], code: Code, at: At) -> tuple[str, str]:
    """The names of a list of texts, and of whether any was really read."""
    texts, found, one = code.local("list"), code.local("t"), code.local()
    code(f"{texts}, {found} = [], False")
    for rule in rules:
        rule.write(code, at, one)
        with code.block(f"if {one} is not None"):
            code(f"{texts}.{'extend' if rule.many else 'append'}({one})")
            if rule.weighs:
                code(f"{found} = True")
    return texts, found


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


def _reference(find: Finder, *, whole: bool) -> Write:
    def write(code: Code, at: At, into: str) -> None:
        found = code.local("found")
        code(f"{found} = {find(code, at)}")
        one = _named(f"{found}[0]", whole=whole)
        code(f"{into} = {one} if {found} else None")

    return write


def _references(find: Finder, *, whole: bool) -> Write:
    def write(code: Code, at: At, into: str) -> None:
        found = code.local("found")
        code(f"{found} = {find(code, at)}")
        made = f"[{_named('one', whole=whole)} for one in dict.fromkeys({found})]"
        code(f"{into} = {made} if {found} else None")

    return write


def _named(reference: str, *, whole: bool) -> str:
    return f"{{'reference': {reference}}}" if whole else reference


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
