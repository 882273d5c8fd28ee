"""Elements and objects compiled: rules, checked against R4's definitions, and how each is written.

What can't be made of what a map says is a MapError with file and line, here and never later. The
verbs of single values are in ``verbs``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any, Final

from gateway.fhir.elements import Element, children, resource_types
from gateway.translate.code import At, Code, Write, Written
from gateway.translate.conditions import Condition, compile_condition
from gateway.translate.maps import HEADER, Maps, Source, missing
from gateway.translate.memory import remembered
from gateway.translate.moves import each_node, each_once, over_scopes, over_segments, start_at
from gateway.translate.objects import (
    Part,
    check_needed,
    composed,
    given,
    one_of,
    the_first,
)
from gateway.translate.paths import (
    Dialect,
    Frame,
    Path,
    compile_segments,
    is_path,
    parse_path,
)
from gateway.translate.run import Scope
from gateway.translate.sites import Leaf, Rule, Site
from gateway.translate.source import Block, Scalar, Series, Yaml, block, refuse, several, text
from gateway.translate.tables import Table
from gateway.translate.values import READERS
from gateway.translate.verbs import MOVES, VERBS, compile_value

Named = tuple[str, Sequence[tuple[Yaml, Site]], str]
"""An element's name, the rules for it with their sites, and where it stands."""

_SUBTYPES: Final = {"Age", "Count", "Distance", "Duration", "MoneyQuantity", "SimpleQuantity"}


@dataclass(slots=True)
class Compiler:
    """Compiles the rules of one set of maps and tables.

    ``uses`` collects, by table, the elements whose codes its targets must be. ``feed`` and
    ``dialect`` are those of rows or JSON: "" and None for HL7 v2.
    """

    maps: Maps
    tables: Mapping[str, Table]
    feed: str = ""
    dialect: Dialect | None = None
    uses: dict[str, set[Element]] = field(default_factory=dict)
    _made: dict[tuple[str, bool], tuple[str, Leaf]] = field(default_factory=dict)
    _open: list[str] = field(default_factory=list)

    # --- data type maps ----------------------------------------------------------------------

    def data_type(
        self, name: str, type_: str, place: str, only: frozenset[str] | None = None
    ) -> Leaf:
        """What ``as: NAME`` does with a node; MapError unless it makes ``type_``.

        ``only`` are the elements wanted, None for all.
        """
        wanted = name, only is not None
        if wanted not in self._made:
            source = self.maps.find("datatypes", name)
            if source is None:
                raise missing("datatypes", name, place)
            if name in self._open:
                refuse(place, f"the data type map '{name}' leads back to itself")
            self._open.append(name)
            self._made[wanted] = (source.to, self._data_type(source, only))
            self._open.pop()
        to, read = self._made[wanted]
        if to != type_ and not (to == "Quantity" and type_ in _SUBTYPES):
            refuse(place, f"'{name}' makes {to}, and here belongs {type_}")
        return read

    def _data_type(self, source: Source, only: frozenset[str] | None) -> Leaf:
        if source.to in READERS:
            return self._primitive_map(source)
        if not children(source.to):
            refuse(source.body.places["to"], f"R4 has no type '{source.to}'")
        site = Site(node_frame(source.name, self.dialect), {}, [])
        skip = HEADER if only is None else frozenset(source.body.items) - only
        parts = self.body(source.to, source.body, site, skip)
        return _of_node(composed(source.to, parts).write, source.place)

    def has_data_type(self, name: str) -> bool:
        """Whether a data type map of that name exists (``as:`` also names FHIR's primitives)."""
        return name not in READERS and self.maps.find("datatypes", name) is not None

    def primitive_map(self, name: str, place: str) -> tuple[str, Leaf]:
        """(type, reading) of a data type map whose ``to`` is a primitive; MapError for others."""
        source = self.maps.find("datatypes", name)
        if source is None:
            raise missing("datatypes", name, place)
        if source.to not in READERS:
            refuse(place, f"'{name}' makes {source.to}, no single value")
        return source.to, self.data_type(name, source.to, place)

    def _primitive_map(self, source: Source) -> Leaf:
        """A map to a primitive has one rule, or several of which the first counts: ``value``."""
        source.body.refuse_unknown(HEADER | {"value"}, "a map to a primitive")
        element = Element(f"{source.name}.value", (source.to,), 0, 1, source.to)
        value = source.body.need("value")
        site = Site(node_frame(source.name, self.dialect), {}, [])
        rules = [(one, site) for one in several(value)]
        if not rules:
            refuse(value.place, "an empty list makes nothing")
        part = _element(element, [self.rule(element, *one) for one in rules], value.place)
        return _of_node(part.write, source.place)

    def check_data_type(self, source: Source) -> None:
        """Compile a data type map that perhaps nothing uses."""
        if source.to in resource_types():
            self.check_resource_map(source)
        else:
            self.data_type(source.name, source.to, source.place)

    def check_resource_map(self, source: Source) -> None:
        """Check a data type map to a resource; what it requires is asked where it is used."""
        site = Site(node_frame(source.name, self.dialect), {}, [])
        for name, rule in source.body.items.items():
            if name not in HEADER:
                rules = [(one, site) for one in several(rule)]
                self.part(source.to, name, rules, source.body.places[name])

    # --- elements ----------------------------------------------------------------------------

    def body(self, parent: str, item: Block, site: Site, skip: frozenset[str]) -> list[Part]:
        """The elements of one mapping; ``skip`` are its keys that aren't elements."""
        named: list[Named] = [
            (name, [(one, site) for one in several(rule)], item.places[name])
            for name, rule in item.items.items()
            if name not in skip
        ]
        return self.parts(parent, named, item.place)

    def parts(self, parent: str, named: Sequence[Named], place: str) -> list[Part]:
        """The elements of an object or resource of type ``parent``."""
        made = [self.part(parent, *one) for one in named]
        check_needed(parent, made, place)
        return made

    def part(self, parent: str, name: str, rules: Sequence[tuple[Yaml, Site]], place: str) -> Part:
        """One element, or one block of a choice."""
        if not rules:
            refuse(place, "an empty list makes nothing")
        reads = rules[0][1].reads
        before = len(reads)
        element = children(parent).get(name)
        if element is None:
            part = self._choice(parent, name, rules, place)
        else:
            part = _element(element, [self.rule(element, *one) for one in rules], place)
        return replace(part, paths=tuple(reads[before:]))

    def _choice(
        self, parent: str, name: str, rules: Sequence[tuple[Yaml, Site]], place: str
    ) -> Part:
        """A block under a choice's base name: its alternatives in order."""
        if not any(one.choice == name for one in children(parent).values()):
            refuse(place, f"{parent} has no element '{name}'")
        made = [self._alternative(parent, name, one, site) for one, site in rules]
        names = tuple(key for parts, _ in made for part in parts for key in part.names)
        return Part("", tuple(rule for _, rule in made), is_list=False, names=names)

    def _alternative(
        self, parent: str, name: str, item: Yaml, site: Site
    ) -> tuple[list[Part], Rule]:
        body = block(item, f"'{name}' is a choice: each alternative")
        for key, at in body.places.items():
            element = children(parent).get(key)
            if key != "if" and (element is None or element.choice != name):
                refuse(at, f"{parent} has no {name}[x] called '{key}'")
        parts = [
            self.part(parent, key, [(one, site) for one in several(item)], body.places[key])
            for key, item in body.items.items()
            if key != "if"
        ]
        rule = Rule(one_of(parts), weighs=any(part.weighs for part in parts))
        return parts, given(rule, self.condition(body.get("if"), site))

    def makes(self, record: str) -> set[str]:
        """The types of the resources that a record's map makes itself."""
        source = self.maps.find("records", record)
        made = source.body.get("resources") if source is not None else None
        bodies = made.items.values() if isinstance(made, Block) else ()
        return {
            text(body.items["to"])
            for body in bodies
            if isinstance(body, Block) and "to" in body.items and "made-by" not in body.items
        }

    # --- what an explaining compiler listens to (``explain``); this one doesn't -----------------

    def noted(self, rule: Rule, item: Block) -> Rule:
        """A rule as it runs; ``item`` is how it is written."""
        return rule

    def heard(self, leaf: Leaf, item: Block) -> Leaf:
        """The reading of a node, as it runs, by the rule that is written as ``item``."""
        return leaf

    # --- rules -------------------------------------------------------------------------------

    def rule(self, element: Element, item: Yaml, site: Site) -> Rule:
        """One rule for an element."""
        if isinstance(item, Series):
            refuse(item.place, "a list within a list")
        if isinstance(item, Scalar):
            if item.value == "drop":
                refuse(item.place, "'drop' serves a map that extends another")
            refuse(item.place, "a rule is a mapping; for a constant write {const: …}")
        if not item.items:
            refuse(item.place, "an empty rule")
        if all(key in VERBS for key in item.items):
            return self.noted(compile_value(self, element, item, site), item)
        return self.noted(self._object(element, item, site), item)

    def _object(self, element: Element, item: Block, site: Site) -> Rule:
        if element.is_primitive:
            _refuse_verb(element, item)
        if element.types == ("Resource",):
            refuse(item.place, f"{element.path}: resources stand in 'resources', by name")
        for key in item.items:
            if key in VERBS - MOVES and key not in children(element.parent):
                refuse(item.places[key], f"'{key}' doesn't go with an object's elements")
        each = item.get("each")
        inner = self.moved(item, site)
        parts = self.body(element.parent, item, inner, MOVES)
        rule = composed(element.parent, parts)
        condition = self.condition(item.get("if"), inner if each is not None else site)
        if each is not None:
            found = self.over(each, site, given(rule, condition))
            if element.types == ("Reference",):
                found = each_once(found)
            rows = site.frame.dialect is not None and not is_path(text(each), site.frame)
            return the_first(found) if rows and not element.is_list else found
        if (source := item.get("from")) is not None:
            rule = start_at(source, site, rule)
        return given(rule, condition)

    def moved(self, item: Block, site: Site) -> Site:
        """The site within an object that has ``each`` or ``from``."""
        source = item.get("each") or item.get("from")
        if source is None:
            return site
        if "each" in item.items and "from" in item.items:
            refuse(item.place, "'each' beside 'from'")
        path = text(source, "a path")
        if is_path(path, site.frame):
            over = path if "each" in item.items else ""
            return site.moved(site.frame.around("", over))
        if "each" in item.items and (group := _group(path, site)) is not None:
            return site.moved(group)
        parsed = parse_path(path, site.frame, source.place)
        if "each" not in item.items:
            refuse(source.place, f"'{path}' is not a path to a field")
        return site.moved(site.frame.inside(parsed.segment))

    def over(self, each: Yaml, site: Site, rule: Rule) -> Rule:
        """``rule``, which stands within ``each``, for each of them."""
        path = text(each, "a path")
        if is_path(path, site.frame):
            return each_node(each, site, rule)
        if _group(path, site) is not None:
            site.reads.append(Path(path, up=-1))
            return over_scopes(path, rule)
        parsed = parse_path(path, site.frame, each.place)
        site.reads.append(parsed)
        return over_segments(compile_segments(parsed), rule)

    def condition(self, item: Yaml | None, site: Site) -> Condition | None:
        """An ``if``; None where there is none."""
        if item is None:
            return None
        condition = compile_condition(text(item, "a condition"), site.frame, item.place)
        site.tested.extend(condition.paths)
        return condition


def _group(name: str, site: Site) -> Frame | None:
    """The frame of a group that stands in the one at hand; None where ``name`` is none's."""
    group = site.groups.get(name)
    inside = group is not None and group.parent is not None
    return group if inside and group.parent.name == site.frame.name else None  # type: ignore[union-attr]


def node_frame(name: str, dialect: Dialect | None = None) -> Frame:
    """What a data type map's paths see: the node alone, by the name before the first ``_``."""
    return Frame(name, frozenset(), None, name.partition("_")[0], dialect=dialect)


def _of_node(write: Write, place: str) -> Leaf:
    """A data type map as a function of run and node, with what it made remembered."""
    nowhere = Scope(None)

    def whole(code: Code) -> None:
        write(code, At(code.bound(nowhere), "node"), "value")
        code("return value")

    return remembered(Written(place, whole, "run", "node"))


def _element(element: Element, rules: list[Rule], place: str) -> Part:
    if not element.is_list and any(rule.many for rule in rules):
        refuse(place, f"{element.path} doesn't repeat: 'each' can't serve it")
    name = element.path.rpartition(".")[2]
    default = next((rule.default for rule in rules if rule.default), None)
    if default is not None and element.is_list:
        default = partial(_listed, default)
    return Part(name, tuple(rules), element.is_list, (name,), default)


def _listed(build: Any) -> list[Any]:
    return [build()]


def _refuse_verb(element: Element, item: Block) -> None:
    unknown = next(key for key in item.items if key not in VERBS)
    verbs = ", ".join(sorted(VERBS))
    refuse(
        item.places[unknown],
        f"{element.path} is of type {element.types[0]} and has no '{unknown}'; verbs are {verbs}",
    )
