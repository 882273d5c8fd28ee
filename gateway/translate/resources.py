"""The resources of a message map: who each is (``key``), what it holds, and making them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import TranslateError
from gateway.fhir.elements import children, resource_types
from gateway.model import Entry, Node, Reference, Resource
from gateway.translate.elements import Content, steadied
from gateway.translate.groups import Groups
from gateway.translate.ids import identity
from gateway.translate.keeping import (
    Forget,
    compile_elsewhere,
    compile_forget,
    compile_keep,
    compile_known,
)
from gateway.translate.live import Live, Lives
from gateway.translate.maps import HEADER, Source, missing
from gateway.translate.memory import Form, form_of
from gateway.translate.needs import Needs, of_path, of_segment
from gateway.translate.objects import Part, needed, siblings
from gateway.translate.paths import (
    Frame,
    Path,
    Segments,
    compile_segments,
    filled,
    is_path,
    parse_path,
)
from gateway.translate.readings import KEY
from gateway.translate.recent import FORGOTTEN
from gateway.translate.rules import Compiler, Named, node_frame
from gateway.translate.run import Nodes, Run, Scope
from gateway.translate.sites import AGENCY, Home, Rule, Site
from gateway.translate.source import Block, Yaml, block, flag, refuse, several, text, texts
from gateway.translate.verbs import TEXT, read_nodes

_KEYS: Final = frozenset(
    {"to", "in", "each", "if", "key", "use", "set", "keep", "known", "forget", "optional"}
    | {"made-by"}
)
_NONE: Final[frozenset[str]] = frozenset()
_CONTROL_ID: Final = Path("MSH-10", segment="MSH", field=10)
_OWN: Final = frozenset({"id", "resourceType"})

At = tuple[Scope, "Node | None"]
"""Where an instance of a resource is made."""

Each = Callable[[Run, Scope], "Sequence[At]"]
"""Where all instances in a scope are made, unless an ``if`` says otherwise."""


@dataclass(frozen=True, slots=True)
class Maker:
    """One name of ``resources``, compiled.

    ``where`` is what its ``each`` needs to meet anything; None without one, where it is made of the
    scope itself.
    """

    name: str
    type: str
    place: str
    group: str
    each: Each
    where: Needs | None
    lives: Lives
    key_path: Path
    contents: tuple[Content, ...]
    must: tuple[tuple[str, ...], ...]
    keep: frozenset[str]
    known: tuple[Path, ...]
    forget: tuple[Forget, ...]
    optional: bool
    form: Form | None
    named: Form | None
    elsewhere: bool = False
    """Whether other records make it, and here it is only referred to."""

    def found(self, run: Run, scope: Scope) -> list[tuple[At, Live, Reference]]:
        """Where an instance is to be made in ``scope``, of what, and its reference."""
        return [
            (at, live, self._known_reference(run, live, at))
            for at in self.each(run, scope)
            if (live := self.lives(*at)).possible and (live.test is None or live.test(run, *at))
        ]

    def one(self, run: Run, scope: Scope, live: Live) -> tuple[tuple[At, Live, Reference], ...]:
        """The same where one is made of the scope itself, and what of it is at hand."""
        if live.test is not None and not live.test(run, scope, None):
            return ()
        at = scope, None
        return ((at, live, self._known_reference(run, live, at)),)

    def _known_reference(self, run: Run, live: Live, at: At) -> Reference:
        """``_reference``, with the work done once for what is named alike."""
        key = self.named(run, *at) if self.named is not None else None
        known = run.memory[key] if key is not None else FORGOTTEN
        if known is not FORGOTTEN:
            return str(known)
        before = run.findings
        reference = self._reference(run, live, *at)
        if key is not None and run.findings == before:
            run.memory.keep(key, reference)
        return reference

    def _reference(self, run: Run, live: Live, scope: Scope, node: Node | None) -> Reference:
        for read, many in live.keys:
            value = read(run, scope, node)
            if value is None:
                continue
            known = [pair for one in (value if many else (value,)) if (pair := pair_of(one))[1]]
            if known:
                system, text = min(known)
                return f"{self.type}/{identity(run.agency.id, self.type, system, text)}"
        place = node.place if node is not None else self.key_path.shown(scope)
        raise TranslateError(
            f"nothing says which {self.type} this is ({self.place})",
            place=place,
            code="required",
            condition="101",
        )

    def make(self, run: Run, at: At, live: Live, reference: Reference) -> Entry | None:
        """The resource itself; None, after a warning, for an optional one that isn't whole."""
        if self.elsewhere:
            if self.known:
                run.refers.setdefault(reference, self._known_at(at[0]))
            return None
        key = self.form(run, *at) if self.form is not None else None
        known = run.memory[key] if key is not None else FORGOTTEN
        if known is not FORGOTTEN:
            made = {**known[0], "id": reference.partition("/")[2]}
            return Entry(made, known[1], self.keep, self._known_at(at[0]))
        before = run.findings
        entry = self._made(run, at, live, reference)
        if key is not None and entry is not None and run.findings == before:
            run.memory.keep(key, (entry.resource, entry.removes))
        return entry

    def _made(self, run: Run, at: At, live: Live, reference: Reference) -> Entry | None:
        resource: Resource = {"resourceType": self.type, "id": reference.partition("/")[2]}
        removes = set(self._names) if run.whole else set[str]()
        scope, node = at
        live.elements.put(run, scope, node, resource, removes)
        for forget in self.forget:
            if forget.test is None or forget.test(run, scope, node):
                removes |= forget.names
        lacking = self._lacking(resource)
        if lacking:
            self._refuse(run, lacking, at)
            return None
        gone = frozenset(removes - resource.keys()) if removes else _NONE
        return Entry(resource, gone, self.keep, self._known_at(scope))

    @property
    def _names(self) -> Iterator[str]:
        """The JSON names of all that its rules may give."""
        return (name for content in self.contents for name in content.part.names)

    def _known_at(self, scope: Scope) -> str:
        """The place of what names a resource that must be known: the first of its key's paths."""
        if not self.known:
            return ""
        told = (path for path in self.known if path.holds(scope))
        return next(told, self.key_path).shown(scope)

    def _lacking(self, resource: Resource) -> tuple[str, ...]:
        """The JSON names of the first element that R4 requires and that has no value."""
        for names in self.must:
            if names[0] not in resource and not any(name in resource for name in names):
                return names
        return ()

    def _refuse(self, run: Run, names: tuple[str, ...], at: At) -> None:
        text = f"{self.type}.{names[0]} is required and has no value ({self.place})"
        place = self._place_of(names, at)
        if not self.optional:
            raise TranslateError(text, place=place, code="required", condition="101")
        run.warn_at(place, f"left out: {text}", "required", "101")

    def _place_of(self, names: tuple[str, ...], at: At) -> str:
        for content in self.contents:
            if set(content.part.names) & set(names):
                for path in filter(_in_message, content.part.paths):
                    return path.shown(at[0])
        return self.key_path.shown(at[0])


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
    frame, each, where = _each(body, home.group)
    within = {name: group.frame for name, group in groups.by_name.items()}
    site = Site(frame, homes, [], within)
    key_site = Site(frame, above, [], within)
    keys = _keys(compiler, body.need("key"), key_site)
    elsewhere = compile_elsewhere(compiler, body)
    contents = () if elsewhere else _contents(compiler, body, home.type, site)
    condition = compiler.condition(body.get("if"), site)
    told = tuple(filter(_in_message, key_site.reads)) or (_CONTROL_ID,)
    key_paths = (*key_site.reads, *key_site.tested)
    return Maker(
        name=name,
        type=home.type,
        place=body.place,
        group=home.group.name,
        each=each,
        where=where,
        lives=Lives(condition, keys, steadied(home.type, contents, frame), frame),
        key_path=told[0],
        contents=contents,
        must=() if elsewhere else needed(home.type),
        keep=compile_keep(body.get("keep"), home.type),
        known=compile_known(body.get("known"), told, unsaid=elsewhere),
        forget=compile_forget(compiler, body.get("forget"), home.type, site),
        optional=home.optional,
        form=form_of((*site.reads, *site.tested), frame),
        named=form_of(key_paths, frame),
        elsewhere=elsewhere,
    )


def _each(body: Block, frame: Frame) -> tuple[Frame, Each, Needs | None]:
    """The frame of an instance, where they are, and what it needs that there are any."""
    item = body.get("each")
    if item is None:
        return frame, lambda run, scope: ((scope, None),), None
    path = text(item, "a path")
    parsed = parse_path(path, frame, item.place)
    if is_path(path, frame):
        each = _over_nodes(read_nodes(item, Site(frame, {}, [])))
        return frame.around("", path), each, of_path(parsed)
    each = _over_segments(compile_segments(parsed))
    return frame.inside(path), each, of_segment(parsed)


def _over_nodes(nodes: Nodes) -> Each:
    return lambda run, scope: [(scope, node) for node in nodes(run, scope, None) if filled(node)]


def _over_segments(segments: Segments) -> Each:
    return lambda run, scope: [(scope.single(one), None) for one in segments(scope)]


def _keys(compiler: Compiler, item: Yaml, site: Site) -> list[Rule]:
    rules = [_key(compiler, one, site) for one in several(item)]
    if not rules or not all(rule.weighs for rule in rules):
        refuse(item.place, "a key must read something")
    return rules


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
    return tuple(Content(part, part.name, part.read(), _others(type_, part)) for part in parts)


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
