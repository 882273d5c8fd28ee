"""The case that a closing message tells of, and what it repeats of the message that asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from gateway.errors import CloseError
from gateway.model import NULL, Node, Record, Resource, Segment

_ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}


@dataclass(frozen=True, slots=True)
class Case:
    """All that a closing message is built from.

    ``original`` is the parsed message that asked (REF^I12); ``task`` the version that moved,
    ``request`` its ServiceRequest, ``outputs`` the resources that Task.output refers to, in
    order. ``performer`` is the answering agency's name. ``control_id`` becomes MSH-10 and must
    be the same over all attempts (at most 20 characters before v2.6); ``at`` is MSH-7, aware.
    """

    original: Record
    task: Resource
    request: Resource
    outputs: Sequence[Resource]
    performer: str
    control_id: str
    at: datetime

    @property
    def status(self) -> str:
        """Task.status."""
        return str(self.task["status"])

    @property
    def reason(self) -> str:
        """Why, in the performer's words; "" where nothing is said."""
        said = self.task.get("statusReason") or {}
        return str(said.get("text") or "")


def escape(text: str) -> str:
    """Text for an ER7 field with the usual delimiters; line breaks become spaces."""
    plain = " ".join(text.split()) if any(c < " " for c in text) else text
    return "".join(_ESCAPES.get(c, c) for c in plain)


def segment(record: Record, name: str) -> Segment | None:
    """The first segment of that name."""
    return next((each for each in record.segments if each.name == name), None)


def required(record: Record, name: str) -> Segment:
    """The first segment of that name. Raises CloseError where the original lacks it."""
    found = segment(record, name)
    if found is None:
        raise CloseError("the message that asked lacks this segment", place=name)
    return found


def field(of: Segment | None, number: int, parts: Mapping[int, int]) -> str:
    """The first repetition of a field as escaped ER7, "" where it is empty.

    ``parts`` names the components to repeat, each with how many subcomponents it may have.
    """
    nodes = of.repetitions(number) if of else ()
    return er7(nodes[0], parts) if nodes else ""


def er7(node: Node, parts: Mapping[int, int]) -> str:
    """One repetition as escaped ER7; HL7 null and what ``parts`` doesn't name are left out."""
    components = [_component(node.child(n), parts.get(n, 0)) for n in range(1, max(parts) + 1)]
    return "^".join(components).rstrip("^")


def _component(node: Node | None, subcomponents: int) -> str:
    if node is None:
        return ""
    leaves = [_text(node.child(n)) for n in range(1, subcomponents + 1)]
    return "&".join(leaves).rstrip("&")


def _text(node: Node | None) -> str:
    text = node.text() if node else None
    return "" if text is None or text == NULL else escape(text)
