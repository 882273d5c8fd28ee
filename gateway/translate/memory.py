"""What a data type map made of a text before: the same text becomes the same thing.

Senders repeat themselves: a provider stands in PV1, OBR and PRD, a code in every message. A copy
is cheaper than another reading. What is remembered depends on nothing but the map,
the text, the agency (whose shelf it lies on) and MSH-7's offset; whatever left a finding isn't, for
a finding has a place.
"""

from __future__ import annotations

from typing import Any, Final

from gateway.model import Node
from gateway.translate.run import Run
from gateway.translate.sites import Leaf

REMEMBERED: Final = 4096
"""How many readings a shelf remembers: a few megabytes. A full memory starts afresh, for a code
that matters is soon back, and a patient's name, which isn't, goes."""

_UNKNOWN: Final = object()
_NESTED: Final = frozenset({dict, list})


def remembered(read: Leaf) -> Leaf:
    """``read``, each time with a copy of its own, but with the work done once a text."""

    def recall(run: Run, node: Node) -> Any:
        form = node.form
        if form is None:
            return read(run, node)
        key = read, form, run.offset
        known = run.memory.get(key, _UNKNOWN)
        if known is not _UNKNOWN:
            return copied(known)
        before = run.findings
        made = read(run, node)
        if run.findings == before and not run.null:
            if len(run.memory) >= REMEMBERED:
                run.memory.clear()
            run.memory[key] = copied(made)
        return made

    return recall


def copied(value: Any) -> Any:
    """A JSON value that shares no object or list with ``value``."""
    kind = value.__class__
    if kind is dict:
        return {
            name: copied(one) if one.__class__ in _NESTED else one for name, one in value.items()
        }
    if kind is list:
        return [copied(one) if one.__class__ in _NESTED else one for one in value]
    return value
