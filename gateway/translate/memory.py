"""What was made before of the same texts: the same texts become the same thing.

Senders repeat themselves: a provider stands in PV1, OBR and PRD, a code in every message. So what a
data type map makes of a text is remembered. It depends on nothing but the map, the text, the agency
(whose shelf it lies on) and MSH-7's offset; whatever left a finding isn't remembered, for a finding
has a place.

What is remembered is handed out again and again: whoever gets it builds anew and changes nothing.
"""

from __future__ import annotations

from typing import Any

from gateway.record import Node
from gateway.translate.code import Written
from gateway.translate.recent import FORGOTTEN
from gateway.translate.run import Run
from gateway.translate.sites import Leaf


def remembered(written: Written) -> Leaf:
    """A function of run and node, with the work done once a text."""

    def recall(run: Run, node: Node) -> Any:
        form = node.form
        if form is None:
            return written.call(run, node)
        key = written, form, run.offset
        known = run.memory[key]
        if known is not FORGOTTEN:
            return known
        before = run.findings
        made = written.call(run, node)
        if run.findings == before and not run.null:
            run.memory.keep(key, made)
        return made

    return recall
