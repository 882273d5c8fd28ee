"""A resource's elements put together: what is new of it, and what came like this before.

What says who or when it is and what refers to others is new in each resource of its kind; the
rest, codes mostly, comes again. So that is kept as an *outline*, the elements in their order
with gaps, and only the gaps are filled.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Final, NamedTuple

from gateway.fhir.elements import Element, children
from gateway.model import Node, Resource
from gateway.translate.memory import Form, form_of, recalled
from gateway.translate.needs import Present
from gateway.translate.objects import Part
from gateway.translate.paths import Frame, Path
from gateway.translate.recent import FORGOTTEN
from gateway.translate.run import Read, Run, Scope

_PARTICULAR: Final = frozenset(
    {"Identifier", "HumanName", "Address", "ContactPoint", "Annotation", "Attachment", "Quantity"}
    | {"date", "dateTime", "instant", "Period", "Timing"}
)
"""Types of what is never the same of two people, visits or findings."""

_GAP: Final = None
"""What stands in an outline for an element that is new in each: no element's value."""


class Content(NamedTuple):
    """One element of a resource, ready to run. ``others`` are the siblings of a choice, by name.

    ``read`` is None where nothing of it is there: what is left is its default. ``steady``: it may
    stand in an outline.
    """

    part: Part
    name: str
    read: Read | None
    others: Mapping[str, frozenset[str]]
    steady: bool = False

    @property
    def paths(self) -> tuple[Path, ...]:
        """All that it looks at."""
        return (*self.part.paths, *self.part.tested)

    def narrowed(self, present: Present, frame: Frame) -> Content:
        """The same, where no more than this is present in such a scope."""
        read = self.part.read(present)
        if read is None or not self.paths:
            return self._replace(read=read)
        return self._replace(read=recalled(read, form_of(self.paths, frame)))


def steadied(type_: str, contents: Sequence[Content], frame: Frame) -> tuple[Content, ...]:
    """The contents of a resource, those marked that may stand in an outline.

    What leads to others may not, nor what looks where anything is read that is never the same of
    two (``_PARTICULAR``). None may where two give one name.
    """
    names = [name for content in contents for name in content.part.names]
    if len(names) > len(set(names)):
        return tuple(contents)
    elements = children(type_)
    new = {
        (path.segment, path.field)
        for content in contents
        if any(_is_particular(elements[name]) for name in content.part.names)
        for path in content.paths
    }
    return tuple(content._replace(steady=_is_steady(content, new, frame)) for content in contents)


def _is_steady(content: Content, new: set[tuple[str, int]], frame: Frame) -> bool:
    fields = {(path.segment, path.field) for path in content.paths}
    return not fields & new and form_of(content.paths, frame) is not None


def _is_particular(element: Element) -> bool:
    """Whether an element, or one within it, tells one person or moment from all others."""
    if element.types[0] in _PARTICULAR:
        return True
    inner = children(element.parent).values() if element.types[0] == "BackboneElement" else ()
    return any(one.types[0] in _PARTICULAR for one in inner)


class Elements(NamedTuple):
    """The contents that may give something in scopes of one shape.

    ``form`` is that of an outline, None where there is none; ``fresh`` fill its gaps.
    """

    contents: tuple[Content, ...]
    form: Form | None
    fresh: tuple[Content, ...]

    def put(
        self, run: Run, scope: Scope, node: Node | None, made: Resource, removes: set[str]
    ) -> None:
        """Put all of them into a resource that has none, and the names of what goes."""
        key = self.form(run, scope, node) if self.form is not None else None
        if key is None:
            for content in self.contents:
                _put(run, scope, node, content, made, removes)
            return
        known = run.memory[key]
        if known is FORGOTTEN:
            self._put_first(run, scope, node, made, removes, key)
            return
        made.update(known[0])
        removes |= known[1]
        for content in self.fresh:
            _put(run, scope, node, content, made, removes)
            for name in content.part.names:
                if made[name] is _GAP:
                    del made[name]

    def _put_first(
        self,
        run: Run,
        scope: Scope,
        node: Node | None,
        made: Resource,
        removes: set[str],
        key: Hashable,
    ) -> None:
        """The same, with the outline remembered if nothing was found wrong in it."""
        outline: Resource = {}
        gone: set[str] = set()
        findings = 0
        for content in self.contents:
            before = run.findings
            one: Resource = {}
            leaving: set[str] = set()
            _put(run, scope, node, content, one, leaving)
            made.update(one)
            removes |= leaving
            if content.steady:
                outline.update(one)
                gone |= leaving
                findings += run.findings - before
            else:
                outline.update(dict.fromkeys(content.part.names, _GAP))
        if not findings:
            run.memory.keep(key, (outline, gone))


def elements(contents: Iterable[Content], frame: Frame) -> Elements:
    """What these contents give; with an outline, where that saves anything."""
    live = tuple(one for one in contents if one.read is not None or one.part.default is not None)
    steady = [one for one in live if one.steady]
    paths = tuple(chain.from_iterable(one.paths for one in steady))
    form = form_of(paths, frame) if len(steady) > 1 and paths else None
    return Elements(live, form, tuple(one for one in live if not one.steady))


def _put(
    run: Run,
    scope: Scope,
    node: Node | None,
    content: Content,
    made: dict[str, Any],
    removes: set[str],
) -> None:
    """One element: its value, or its default; ``""`` removes it, a choice its siblings."""
    part, name, read, others, _ = content
    run.null = False
    value = read(run, scope, node) if read is not None else None
    if value is None:
        if run.null:
            removes.update(part.names)
        elif part.default is not None:
            made[name] = part.default()
    elif name:
        made[name] = value
        if others:
            removes.update(others[name])
    else:
        made.update(value)
        for chosen in value:
            removes.update(others[chosen])
