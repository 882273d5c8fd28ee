"""What was made before of the same texts: the same texts become the same thing.

Senders repeat themselves: a provider stands in PV1, OBR and PRD, a code in every message. What a
data type map makes of a text is remembered, and so are what an element, a condition or a key gives
by some fields of a segment (``recalled``), and a whole resource that leads to nobody (``form_of``).
It depends on nothing but the map, the texts, the agency (whose shelf it lies on) and MSH-7's
offset; whatever left a finding isn't remembered, for a finding has a place.

What is remembered is handed out again and again: whoever gets it builds anew and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from operator import itemgetter
from typing import Any, Final, TypeVar

from gateway.model import FORMS, Node
from gateway.translate.paths import Frame, Path
from gateway.translate.recent import FORGOTTEN
from gateway.translate.run import Run, Scope
from gateway.translate.sites import AGENCY, Leaf

T = TypeVar("T")

_NOTHING: Final = ("",) * FORMS
"""The forms of a segment that isn't there."""


def remembered(read: Leaf) -> Leaf:
    """``read``, with the work done once a text."""

    def recall(run: Run, node: Node) -> Any:
        form = node.form
        if form is None:
            return read(run, node)
        key = read, form, run.offset
        known = run.memory[key]
        if known is not FORGOTTEN:
            return known
        before = run.findings
        made = read(run, node)
        if run.findings == before and not run.null:
            run.memory.keep(key, made)
        return made

    return recall


Form = Callable[[Run, Scope, "Node | None"], "Hashable | None"]
"""What instances that are made alike have in common; None where one can't say."""


def form_of(paths: Iterable[Path], frame: Frame) -> Form | None:
    """The form of what reads these paths in such a scope; None for what leads to something else.

    A practitioner or a place comes again and again; what refers to a patient never does.
    """
    if frame.dialect is not None:
        return None
    fields: dict[str, set[int]] = {}
    whole: set[str] = set()
    relative = False
    for path in paths:
        if path.up:
            if path.text != AGENCY:
                return None
        elif not path.segment:
            relative = True
        elif path.is_plain:
            fields.setdefault(path.segment, set()).add(path.field)
        else:
            whole.add(path.segment)
    if any(number >= FORMS for numbers in fields.values() for number in numbers):
        return None
    wanted = [(name, _taken(fields[name])) for name in sorted(fields) if name not in whole]
    if len(wanted) == 1 and not whole and not (relative and frame.type is not None):
        return _of_one(*wanted[0])
    return _of_several(wanted, sorted(whole))


Take = Callable[[Sequence[Hashable]], Hashable]
"""Takes some forms of a segment's."""


def _taken(numbers: Iterable[int]) -> Take:
    return itemgetter(*sorted(numbers))


def _of_one(name: str, take: Take) -> Form:
    """The form of what reads fields of one segment: most do."""
    mark = object()

    def form(run: Run, scope: Scope, node: Node | None) -> Hashable | None:
        held = scope.segments.get(name)
        if held is None:
            return mark, run.offset
        forms = held[0].forms
        return None if forms is None else (mark, run.offset, take(forms))

    return form


def _of_several(wanted: Sequence[tuple[str, Take]], whole: Sequence[str]) -> Form:
    """The form of what reads fields of several segments, or all segments of a name (``whole``)."""
    mark = object()

    def form(run: Run, scope: Scope, node: Node | None) -> Hashable | None:
        found: list[Hashable] = [mark, run.offset]
        if node is not None:
            if node.form is None:
                return None
            found.append(node.form)
        for name, take in wanted:
            held = scope.segments.get(name)
            forms = held[0].forms if held is not None else _NOTHING
            if forms is None:
                return None
            found.append(take(forms))
        for name in whole:
            for segment in scope.segments.get(name, ()):
                if segment.forms is None:
                    return None
                found.append(tuple(segment.forms))
            found.append(None)
        return tuple(found)

    return form


Made = Callable[[Run, Scope, "Node | None"], T]


def recalled(make: Made[T], form: Form | None) -> Made[T]:
    """``make``, with the work done once a form; a ``""`` that it met is met again."""
    if form is None:
        return make

    def recall(run: Run, scope: Scope, node: Node | None) -> T:
        key = form(run, scope, node)
        if key is None:
            return make(run, scope, node)
        known = run.memory[key]
        if known is FORGOTTEN:
            return _first(make, key, run, scope, node)
        if known[1]:
            run.null = True
        made: T = known[0]
        return made

    return recall


def _first(make: Made[T], key: Hashable, run: Run, scope: Scope, node: Node | None) -> T:
    """Made for the first time, and remembered if nothing was found wrong."""
    findings, null = run.findings, run.null
    run.null = False
    made = make(run, scope, node)
    if run.findings == findings:
        run.memory.keep(key, (made, run.null))
    run.null = run.null or null
    return made
