"""Sequence numbers (HL7 v2.8.2 §2.10.1): whose turn it is on a link, and what MSA-4 tells.

A sender that counts its messages (MSH-13) wants them taken in order and once. 0 asks where we are,
-1 starts the count anew; neither brings anything but a header. A number counts as taken once its
message is accepted: AA in original mode, CA in enhanced mode. One that is out of turn is kept and
answered AE (CE) with the number that is expected, and its sender goes on from there.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Final

from gateway.errors import Issue, SequenceError
from gateway.members import KEEPER, Members
from gateway.model import Code, Message, Receipt, Stage
from gateway.store import Transaction

PLACE: Final = "MSH-13"
ANY: Final = -1
"""What is expected of a link that starts, or starts anew: the first number counts."""

_NUMBER: Final = re.compile(r"\+?[0-9]{1,15}")
"""MSH-13 is an NM of 15."""


@dataclass(frozen=True, slots=True)
class Turn:
    """What a number means for its message.

    ``told`` is MSA-4 where the message is accepted, ``due`` where it isn't (None: no MSA-4).
    ``then`` is what is expected of ``of`` once it is accepted; None where that changes nothing.
    """

    of: Message
    told: int | None = None
    due: int | None = None
    then: int | None = None
    refusal: SequenceError | None = None

    @property
    def counts(self) -> bool:
        """Whether the number means anything."""
        return self.due is not None

    @property
    def judged(self) -> tuple[Code, Stage | None, str, tuple[Issue, ...]] | None:
        """The fate of a message out of turn, or of one that only starts the link; else None."""
        if self.refusal is not None:
            return self.refusal.acknowledgement, Stage.RECEIVE, "", self.refusal.issues
        return ("AA", None, "", ()) if self.counts and self.of.sequence.starts else None

    def tells(self, code: str) -> int | None:
        """MSA-4 of an answer."""
        return self.told if code == "AA" else self.due

    def take(self, tx: Transaction) -> None:
        """The message is accepted: the next number's turn."""
        if self.then is not None:
            tx.expect(self.of.agency, self.of.sequence.link, self.then)


def turn_of(members: Members, tx: Transaction, message: Message, before: Receipt | None) -> Turn:
    """Whose turn it is. ``before`` is what the same bytes were answered when they came first."""
    said = message.sequence
    agency = members.get(message.agency) if said.link else None
    if agency is None or not (said.number or agency.sequence == "required"):
        return Turn(message)
    known = tx.expected(message.agency, said.link)
    agreed = agency.sequence == "required" or known is not None or said.starts
    if agency.sequence == "ignored" or not agreed:
        return Turn(message)  # a counter that nobody agreed on
    taken = before is not None and tx.kept(KEEPER, before.message).place != PLACE
    return _turn(message, ANY if known is None else known, taken=taken)


def _turn(message: Message, due: int, *, taken: bool) -> Turn:
    """``taken``: the same bytes were in hand before, and it was their turn."""
    said = message.sequence
    if said.starts:
        then = ANY if said.number == "-1" else due
        return Turn(message, then, due, then)
    number = int(said.number) if _NUMBER.fullmatch(said.number) else 0
    if number and (number == due or (due == ANY and not taken)):
        return Turn(message, number, due, number + 1)
    if number and taken:
        return Turn(message, number, number)
    return Turn(message, due=due, refusal=_refusal(said.number, number, due))


def _refusal(said: str, number: int, due: int) -> SequenceError:
    if not said:
        return SequenceError("a sequence number is required here", place=PLACE, condition="101")
    if not number:
        return SequenceError("a message's number is 1 or more", place=PLACE, condition="102")
    if number < due:
        return SequenceError("this number was taken before", place=PLACE, condition="205")
    return SequenceError("another number comes first", place=PLACE)
