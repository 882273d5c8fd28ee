"""What a data type map made of a text before: the same text becomes the same thing.

Senders repeat themselves: a provider stands in PV1, OBR and PRD, a code in every message. What is
remembered depends on nothing but the map, the text, the agency (whose shelf it lies on) and MSH-7's
offset; whatever left a finding isn't, for a finding has a place.

What is remembered is handed out again and again: whoever gets it builds anew and changes nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from typing import Any, Final

from gateway.model import Node
from gateway.translate.paths import Path
from gateway.translate.run import Run, Scope
from gateway.translate.sites import AGENCY, Leaf

REMEMBERED: Final = 4096
"""How many readings a shelf remembers: a few megabytes. A full memory starts afresh, for a code
that matters is soon back, and a patient's name, which isn't, goes."""

_UNKNOWN: Final = object()


def remembered(read: Leaf) -> Leaf:
    """``read``, with the work done once a text."""

    def recall(run: Run, node: Node) -> Any:
        form = node.form
        if form is None:
            return read(run, node)
        key = read, form, run.offset
        known = run.memory.get(key, _UNKNOWN)
        if known is not _UNKNOWN:
            return known
        before = run.findings
        made = read(run, node)
        if run.findings == before and not run.null:
            keep(run, key, made)
        return made

    return recall


Form = Callable[[Run, Scope, "Node | None"], "Hashable | None"]
"""What instances of a resource that are made alike have in common; None where one can't say."""


def form_of(paths: Iterable[Path]) -> Form | None:
    """The form of a resource that reads these paths, for one that leads to nothing else.

    Such a one (a practitioner, a place) comes again and again; what refers to a patient never does.
    """
    fields: set[tuple[str, int]] = set()
    for path in paths:
        if path.up or (path.segment and not path.is_plain):
            if path.text != AGENCY:
                return None
        elif path.segment:
            fields.add((path.segment, path.field))
    wanted, mark = sorted(fields), object()

    def form(run: Run, scope: Scope, node: Node | None) -> Hashable | None:
        found: list[Hashable] = [mark, run.offset]
        nodes = [] if node is None else [node]
        for segment, number in wanted:
            held = scope.segments.get(segment)
            more = held[0].repetitions(number) if held is not None else ()
            found.append(len(more))
            nodes += more
        forms = [one.form for one in nodes]
        return None if None in forms else (*found, *forms)

    return form


def keep(run: Run, key: Hashable, value: Any) -> None:
    """Remember a value, which nobody changes any more."""
    if len(run.memory) >= REMEMBERED:
        run.memory.clear()
    run.memory[key] = value
