"""The case that a closing message tells of, and what it repeats of the message that asked.

A referral asks by REF^I12 (chapter 11), and is modified, cancelled and asked after by I13 to I15;
an order that refers, by OMG^O19 or ORM^O01 (chapter 4; IHE 360X).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from gateway.errors import CloseError
from gateway.model import Resource
from gateway.record import NULL, Node, Record, Segment

_ESCAPES = {"\\": "\\E\\", "|": "\\F\\", "^": "\\S\\", "&": "\\T\\", "~": "\\R\\"}


CODE: Final = {1: 1}
NAME: Final = {1: 1, 2: 1, 3: 1}
NUMBER: Final = {1: 1, 2: 1, 3: 1, 4: 1}
PERSON: Final = {n: 3 if n == 9 else 1 for n in range(1, 10)}
"""What is repeated of a code, a name, an EI and an XCN: components and their subcomponents."""

_CANCELS: Final = frozenset({"CA", "DC", "OC"})


@dataclass(frozen=True, slots=True)
class Case:
    """All that a closing message is built from.

    ``original`` is the parsed message that is answered: the asker's own that modifies a referral
    (REF^I13), takes it back (I14, ORC-1 CA) or asks after it (I15), else what made the Task;
    ``task`` the version that moved, ``request`` its ServiceRequest, ``outputs`` the resources that
    Task.output refers to, in order. ``performer`` is the answering agency's name. ``control_id``
    becomes MSH-10 and must be the same over all attempts (at most 20 characters before v2.6);
    ``at`` is MSH-7, aware. ``acknowledgement`` is the profile's (``model.Closing``).
    """

    original: Record
    task: Resource
    request: Resource
    outputs: Sequence[Resource]
    performer: str
    control_id: str
    at: datetime
    acknowledgement: str = ""

    @property
    def status(self) -> str:
        """Task.status."""
        return str(self.task["status"])

    @property
    def reason(self) -> str:
        """Why, in the performer's words; "" where nothing is said."""
        said = self.task.get("statusReason") or {}
        return str(said.get("text") or "")

    @property
    def trigger(self) -> str:
        """MSH-9.2 of the message that is answered: "I12", "O19"."""
        return self._header(9, {1: 0, 2: 1}).strip("^")

    @property
    def is_order(self) -> bool:
        """Whether an order asked (OMG, ORM), not a REF."""
        return self._header(9, CODE) != "REF"

    @property
    def is_withdrawal(self) -> bool:
        """Whether the message that is answered takes the referral back: REF^I14, or ORC-1 CA."""
        if not self.is_order:
            return self.trigger == "I14"
        return field(self.order("ORC"), 1, CODE) in _CANCELS

    @property
    def answered(self) -> str:
        """MSH-10 of the message that is answered."""
        return self._header(10, CODE)

    @property
    def originator(self) -> str:
        """The referral's id as its sender wrote it, an EI; else the id of the message that asked.

        RF1-6, else RF1-11; of an order ORC-2, else OBR-2.
        """
        ways = (("ORC", 2), ("OBR", 2)) if self.is_order else (("RF1", 6), ("RF1", 11))
        said = (field(self.order(name), number, NUMBER) for name, number in ways)
        return next((each for each in said if each and not each.startswith("^")), self.answered)

    def order(self, name: str) -> Segment | None:
        """The ORC or OBR that this case is of, where an original has several; else the first.

        It is known by its number, which stands among the request's identifiers.
        """
        numbers = {str(each.get("value")) for each in self.request.get("identifier") or []}
        found = [each for each in self.original.segments if each.name == name]
        own = (each for each in found if _leaf(each, 2) in numbers)
        return next(own, found[0] if found else None)

    def _header(self, number: int, parts: Mapping[int, int]) -> str:
        return field(segment(self.original, "MSH"), number, parts)


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


def _leaf(of: Segment, number: int) -> str | None:
    nodes = of.repetitions(number)
    return nodes[0].text() if nodes else None
