"""How a node is read: ``as``, ``table``, ``fn``, ``split``, and ``default`` of an object."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from gateway.fhir.elements import Element
from gateway.translate.constants import constant_object
from gateway.translate.functions import FUNCTIONS, Function
from gateway.translate.leaves import (
    Lookup,
    codes_of,
    coding,
    concept_kept,
    filled_up,
    looked_up,
    parted,
    parted_by,
    plain,
)
from gateway.translate.sites import Leaf
from gateway.translate.source import Block, Yaml, block, refuse, text
from gateway.translate.tables import Row, Table, Unmapped, unmapped
from gateway.translate.values import AGREE, READERS

if TYPE_CHECKING:
    from gateway.translate.rules import Compiler

KEY: Final = Element("key", ("Identifier",), 0, "*", "Identifier")
"""What a key is; of a data type map it wants system and value alone."""

_KEY_PARTS: Final = frozenset({"system", "value"})


def compile_leaf(compiler: Compiler, element: Element, item: Block) -> Leaf:
    """What a ``from`` or ``each`` makes of a node for an element."""
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
    if (named := item.get("as")) is not None:
        if compiler.has_data_type(text(named, "'as'")):
            read = _by_map(compiler, element, item, named, lookup)
            if lookup is None:
                return read
            function = read
        else:
            type_ = _agreed(type_, text(named, "'as'"), named.place)
    if lookup is None:
        return plain(type_, function, codes_of(element))
    _use(compiler, element, lookup)
    if type_ == "code" and lookup.unmapped == "text":
        refuse(item.places["unmapped"], f"{element.path} is a code: 'text' can't be one")
    return looked_up(type_, lookup, function)


def _by_map(
    compiler: Compiler, element: Element, item: Block, named: Yaml, lookup: Lookup | None
) -> Leaf:
    """What a data type map to a primitive (``to: string``) reads; a table takes text alone."""
    if "fn" in item.items:
        refuse(item.places["fn"], "'fn' doesn't go with 'as' of a map")
    made, read = compiler.primitive_map(text(named, "'as'"), named.place)
    type_ = element.types[0]
    wanted = "string" if lookup is not None else type_
    if made != wanted and made not in AGREE.get(wanted, ()):
        refuse(named.place, f"'{text(named)}' makes {made}, and here belongs {wanted}")
    codes = codes_of(element)
    if codes is not None and lookup is None:
        refuse(named.place, f"{element.path} has a required binding: read it with a 'table'")
    return read


def _use(compiler: Compiler, element: Element, lookup: Lookup) -> None:
    """Note that a table serves an element, whose codes its targets must be."""
    compiler.uses.setdefault(lookup.name, set()).add(element)
    if lookup.standard is not None:
        for row in lookup.standard.rows.values():
            check_row(element, row)


def compile_split(compiler: Compiler, element: Element, item: Block) -> Leaf:
    """``split``: the parts of one text, for an element that repeats; by a ``table``, if any."""
    between = text(item.items["split"], "'split'")
    for key in ("as", "fn", "plus", "minus", "default"):
        if key in item.items:
            refuse(item.places[key], f"'{key}' doesn't go with 'split'")
    if not element.is_list or element.types[0] not in READERS or not between:
        refuse(item.places["split"], f"{element.path} is no list of texts that are split")
    lookup = _lookup(compiler, element, item)
    if lookup is not None:
        _use(compiler, element, lookup)
        return parted_by(lookup, between)
    if codes_of(element) is not None:
        refuse(item.places["split"], f"{element.path} has a required binding: say a 'table'")
    return parted(element.types[0], between)


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
    place = item.places["unmapped"] if policy is not None else item.place
    return Lookup(name, standard, unmapped(written, place))


def check_policy(policy: Unmapped, elements: set[Element], place: str) -> None:
    """MapError where an agency would have a text for an element that must be a code."""
    for element in elements:
        if policy == "text" and element.types[0] == "code":
            refuse(place, f"{element.path} is a code: 'text' can't be one")


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
