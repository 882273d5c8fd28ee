"""The resources of a message map: who each is (``key``), what it holds, and making them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from gateway.errors import TranslateError
from gateway.fhir.elements import children, resource_types
from gateway.model import Entry, Reference, Resource
from gateway.record import Node
from gateway.translate.code import HERE, At, Code, Write, Written, by_itself
from gateway.translate.conditions import compile_choice
from gateway.translate.elements import Content, fill
from gateway.translate.groups import Groups
from gateway.translate.ids import identity
from gateway.translate.keeping import (
    compile_apart,
    compile_else,
    compile_elsewhere,
    compile_forget,
    compile_keep,
    compile_known,
)
from gateway.translate.maps import HEADER, Source, missing
from gateway.translate.objects import Part, needed, siblings
from gateway.translate.paths import (
    Frame,
    Path,
    all_met,
    compile_segments,
    filled,
    is_path,
    parse_path,
)
from gateway.translate.readings import KEY
from gateway.translate.rules import Compiler, Named, node_frame
from gateway.translate.run import Run, Scope, words
from gateway.translate.sites import AGENCY, Home, Rule, Site
from gateway.translate.source import Block, Yaml, block, flag, refuse, several, text, texts
from gateway.translate.verbs import TEXT

_KEYS: Final = frozenset(
    {"to", "in", "each", "if", "key", "use", "set", "keep", "known", "forget", "optional"}
    | {"made-by", "else", "apart"}
)
_NONE: Final[frozenset[str]] = frozenset()
_CONTROL_ID: Final = Path("MSH-10", segment="MSH", field=10)
_OWN: Final = frozenset({"id", "resourceType"})

Each = Callable[[Code], AbstractContextManager[At]]
"""Writes a way to where instances in a scope are made, unless an ``if`` says otherwise."""


@dataclass(frozen=True, slots=True)
class Maker:
    """One name of ``resources``, compiled.

    ``each`` leads to where one is made, and ``test`` says whether. ``keys`` say who it is, the
    first that finds something, each with whether it gives a list. ``fills`` puts its elements into
    it, ``names`` are all that these may be.
    """

    name: str
    type: str
    place: str
    group: str
    each: Each
    test: Write | None
    keys: tuple[tuple[Written, bool], ...]
    key_path: Path
    contents: tuple[Content, ...]
    names: frozenset[str]
    keep: frozenset[str]
    known: tuple[Path, ...]
    optional: bool
    fills: Written
    elsewhere: bool = False
    """Whether other records make it, and here it is only referred to."""
    alone: bool = False
    """Whether one that no key names is known by its message alone, where its segment is there."""
    apart: bool = False
    """Whether several of one key in a message are several, unless they say the same."""

    def named(self, run: Run, scope: Scope, node: Node | None) -> Reference:
        """Its reference. Raises TranslateError where nothing says who it is."""
        reference = self._known_by(run, scope, node)
        return self._apart(run, scope, reference) if self.apart else reference

    def _apart(self, run: Run, scope: Scope, reference: Reference) -> Reference:
        """The same for the first of a key; each of other words by its number among them."""
        met = run.met.setdefault(reference, [])
        said = [words(one) for one in met] if met else []
        if met and (own := words(scope)) in said:
            number = said.index(own)
        else:
            number = len(met)
            met.append(scope)
        if not number:
            return reference
        return f"{self.type}/{identity(run.agency.id, self.type, '', f'{reference}|{number}')}"

    def _known_by(self, run: Run, scope: Scope, node: Node | None) -> Reference:
        for key, many in self.keys:
            value = key.call(run, scope, node)
            if value is None:
                continue
            known = [pair for one in value if (pair := pair_of(one))[1]] if many else ()
            system, text = min(known) if known else ("", "") if many else pair_of(value)
            if text:
                return f"{self.type}/{identity(run.agency.id, self.type, system, text)}"
        place = node.place if node is not None else self.key_path.shown(scope)
        text = f"nothing says which {self.type} this is ({self.place})"
        if self.alone and scope.segments.get(self.key_path.segment):
            run.warn_at(place, f"known by this message alone: {text}", "required", "101")
            return f"{self.type}/{identity(run.agency.id, self.type, run.digest(), place)}"
        raise TranslateError(text, place=place, code="required", condition="101")

    def make(self, run: Run, scope: Scope, node: Node | None, reference: Reference) -> Entry | None:
        """The resource itself; None, after a warning, for an optional one that isn't whole."""
        if self.elsewhere:
            if self.known:
                run.refers.setdefault(reference, self._known_at(scope))
            return None
        resource: Resource = {"resourceType": self.type, "id": reference.partition("/")[2]}
        removes = set(self.names) if run.whole else set[str]()
        lacking = self.fills.call(run, scope, node, resource, removes)
        if lacking is not None:
            self._refuse(run, lacking, scope)
            return None
        gone = frozenset(removes - resource.keys()) if removes else _NONE
        known = self._known_at(scope) if self.known else ""
        return Entry(resource, gone, self.keep, known)

    def _known_at(self, scope: Scope) -> str:
        """The place of what names a resource that must be known: the first of its key's paths."""
        if self.known == (self.key_path,):  # as of most: it is that one, whatever it holds
            return self.key_path.shown(scope)
        told = (path for path in self.known if path.holds(scope))
        return next(told, self.key_path).shown(scope)

    def _refuse(self, run: Run, names: tuple[str, ...], scope: Scope) -> None:
        text = f"{self.type}.{names[0]} is required and has no value ({self.place})"
        place = self._place_of(names, scope)
        if not self.optional:
            raise TranslateError(text, place=place, code="required", condition="101")
        run.warn_at(place, f"left out: {text}", "required", "101")

    def _place_of(self, names: tuple[str, ...], scope: Scope) -> str:
        for content in self.contents:
            if set(content.part.names) & set(names):
                for path in filter(_in_message, content.part.paths):
                    return path.shown(scope)
        return self.key_path.shown(scope)


def pair_of(value: Any) -> tuple[str, str]:
    """(system, value) of an Identifier or a text."""
    if isinstance(value, dict):
        return value.get("system", ""), value.get("value", "")
    return "", value


def _in_message(path: Path) -> bool:
    """Whether a path names a field (and not a component or a resource)."""
    return path.field > 0


# --- compiled ------------------------------------------------------------------------------------


def compile_resources(compiler: Compiler, groups: Groups, item: Yaml) -> tuple[Maker, ...]:
    """The makers of a message map, in its order."""
    declared = block(item, "'resources'")
    homes = {name: _home(name, body, groups) for name, body in declared.items.items()}
    makers, above = [], dict[str, Home]()
    for name, body in declared.items.items():
        makers.append(_maker(compiler, groups, name, block(body, name), homes, above))
        above[name] = homes[name]
    return tuple(makers)


def _home(name: str, item: Yaml, groups: Groups) -> Home:
    body = block(item, f"the resource '{name}'")
    body.refuse_unknown(_KEYS, "a resource")
    if name == AGENCY:
        refuse(body.place, f"'{AGENCY}' is the sender's own Organization")
    type_ = text(body.need("to"), "'to'")
    if type_ not in resource_types():
        refuse(body.places["to"], f"there is no resource type '{type_}'")
    group = body.get("in")
    frame = groups.message
    if group is not None:
        frame = groups.frame(text(group, "'in'"), group.place)
    each = body.get("each")
    path = text(each, "a path") if each is not None else ""
    spare = "optional" in body.items and flag(body.items["optional"], "'optional'")
    if is_path(path, frame):
        return Home(frame, frame, type_, path, spare)
    return Home(frame, frame.inside(path) if path else frame, type_, optional=spare)


def _maker(
    compiler: Compiler,
    groups: Groups,
    name: str,
    body: Block,
    homes: Mapping[str, Home],
    above: Mapping[str, Home],
) -> Maker:
    home = homes[name]
    frame, each = _each(body, home.group)
    within = {name: group.frame for name, group in groups.by_name.items()}
    site = Site(frame, homes, [], within)
    key_site = Site(frame, above, [], within)
    keys = _keys(compiler, body.need("key"), key_site)
    elsewhere = compile_elsewhere(compiler, body)
    contents = () if elsewhere else _contents(compiler, body, home.type, site)
    condition = compiler.condition(body.get("if"), site)
    forget = compile_forget(compiler, body.get("forget"), home.type, site)
    filling = partial(fill, contents, forget, () if elsewhere else needed(home.type))
    told = tuple(filter(_in_message, key_site.reads)) or (_CONTROL_ID,)
    return Maker(
        name=name,
        type=home.type,
        place=body.place,
        group=home.group.name,
        each=each,
        test=condition.write if condition is not None else None,
        keys=keys,
        key_path=told[0],
        contents=contents,
        names=frozenset(name for content in contents for name in content.part.names),
        keep=compile_keep(body.get("keep"), home.type),
        known=compile_known(body.get("known"), told, unsaid=elsewhere),
        optional=home.optional,
        fills=Written(body.place, filling, "run", *HERE, "made", "removes"),
        elsewhere=elsewhere,
        alone=compile_else(body.get("else"), frame),
        apart=compile_apart(body.get("apart"), frame),
    )


def _each(body: Block, frame: Frame) -> tuple[Frame, Each]:
    """The frame of an instance, and where they are."""
    item = body.get("each")
    if item is None:
        return frame, lambda code: nullcontext(At("scope"))
    path = text(item, "a path")
    parsed = parse_path(path, frame, item.place)
    if is_path(path, frame):
        return frame.around("", path), partial(_over_nodes, parsed, item.place)
    return frame.inside(path), partial(_over_segments, parsed)


@contextmanager
def _over_nodes(path: Path, place: str, code: Code) -> Iterator[At]:
    nodes = all_met(path, compile_choice, place)
    with nodes(code, At("scope")) as node, code.block(f"if {code.bound(filled)}({node})"):
        yield At("scope", node)


@contextmanager
def _over_segments(path: Path, code: Code) -> Iterator[At]:
    segment, within = code.local("segment"), code.local("scope")
    with code.block(f"for {segment} in {compile_segments(path)(code, At('scope'))}"):
        code(f"{within} = scope.single({segment})")
        code.opened(within)
        yield At(within)


def _keys(compiler: Compiler, item: Yaml, site: Site) -> tuple[tuple[Written, bool], ...]:
    rules = [_key(compiler, one, site) for one in several(item)]
    if not rules or not all(rule.weighs for rule in rules):
        refuse(item.place, "a key must read something")
    return tuple((by_itself(rule.write, item.place), rule.many) for rule in rules)


def _key(compiler: Compiler, item: Yaml, site: Site) -> Rule:
    body = block(item, "a key")
    whole = "value" in body.items or "as" in body.items
    return compiler.rule(KEY if whole else TEXT, body, site)


def _contents(compiler: Compiler, body: Block, type_: str, site: Site) -> tuple[Content, ...]:
    """The elements that ``set`` and the maps of ``use`` give, by name: ``set`` first."""
    rules: dict[str, list[tuple[Yaml, Site]]] = {}
    places: dict[str, str] = {}
    for item, at, skip in _sources(compiler, body, type_, site):
        for name, rule in item.items.items():
            if name in skip:
                continue
            if name in _OWN:
                refuse(item.places[name], f"'{name}' isn't a map's to say; see 'key'")
            rules.setdefault(name, []).extend((one, at) for one in several(rule))
            places.setdefault(name, item.places[name])
    named: list[Named] = [(name, found, places[name]) for name, found in rules.items()]
    parts = compiler.parts(type_, named, body.place)
    return tuple(Content(part, _others(type_, part)) for part in parts)


def _others(type_: str, part: Part) -> dict[str, frozenset[str]]:
    found = {name: siblings(type_, children(type_)[name]) for name in part.names}
    return {name: others for name, others in found.items() if others}


def _sources(
    compiler: Compiler, body: Block, type_: str, site: Site
) -> Iterator[tuple[Block, Site, frozenset[str]]]:
    if (own := body.get("set")) is not None:
        yield block(own, "'set'"), site, frozenset()
    if (used := body.get("use")) is None:
        return
    for name, place in texts(used, "a map's name"):
        kind = "datatypes" if site.frame.type is not None else "segments"
        source = compiler.maps.find(kind, name)
        if source is None:
            raise missing(kind, name, place)
        _check_type(source, type_, place)
        yield source.body, _inside(site, source), HEADER


def _check_type(source: Source, type_: str, place: str) -> None:
    if source.to != type_:
        refuse(place, f"'{source.name}' makes {source.to}, and here belongs {type_}")


def _inside(site: Site, source: Source) -> Site:
    """The site of a used map: a data type map's paths begin with its type's name."""
    if site.frame.type is None:
        return site
    return site.moved(site.frame.around(node_frame(source.name).type, site.frame.over))
