"""The states within a referral that BSeR 2.0 and IHE 360X harmonised: which follow, and whose.

They stand in Task.businessStatus (``TaskBusinessStatusCS``) beside Task.status. The guide publishes
its table as a picture alone (HL7/bser, ``input/images/Harmonized State Transitions.png``; in no
version does a page of it have the table as text), which couldn't be read here: these moves are
derived from its code system, its text, and 360X's rules as `referral-protocol.md` has them (a
target may decline after it accepted; a cancellation is asked for, and may still end completed).
A Task that bears no such code is held to Task.status alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal

from gateway.errors import CloseError, Denied
from gateway.model import Resource

Side = Literal["requester", "owner"]

SYSTEM: Final = "http://hl7.org/fhir/us/bser/CodeSystem/TaskBusinessStatusCS"

CREATED, ACCEPTED, DECLINED = "2.0", "3.0", "4.0"
BOOKED, MISSED, CALLED_OFF, HELD = "5.1.1", "5.1.2", "5.1.3", "5.1.4"
CANCEL_ASKED, CANCELLED, COMPLETED = "5.2", "6.0", "7.0"

_OLD: Final[Mapping[str, str]] = {"5.4": CANCEL_ASKED}
"""BSeR 1.0's code for a requested cancellation."""

_BEGINS: Final[Mapping[str, Side]] = {CREATED: "requester"}
_ANSWERS: Final[Mapping[str, Side]] = {
    ACCEPTED: "owner",
    DECLINED: "owner",
    CANCEL_ASKED: "requester",
    CANCELLED: "owner",
}
_ENDS: Final[Mapping[str, Side]] = {
    CANCEL_ASKED: "requester",
    CANCELLED: "owner",
    COMPLETED: "owner",
}

MOVES: Final[Mapping[str, Mapping[str, Side]]] = {
    "": _BEGINS,
    CREATED: _ANSWERS,
    ACCEPTED: {DECLINED: "owner", BOOKED: "owner", HELD: "owner", **_ENDS},
    BOOKED: {BOOKED: "owner", MISSED: "owner", CALLED_OFF: "owner", HELD: "owner", **_ENDS},
    MISSED: {BOOKED: "owner", **_ENDS},
    CALLED_OFF: {BOOKED: "owner", **_ENDS},
    HELD: {BOOKED: "owner", **_ENDS},
    CANCEL_ASKED: {BOOKED: "owner", HELD: "owner", CANCELLED: "owner", COMPLETED: "owner"},
    DECLINED: {},
    CANCELLED: {},
    COMPLETED: {},
}
"""From a state to those that may follow it, and who says so; "" is before the first."""

_WRITERS: Final[Mapping[str, Side]] = {
    after: side for moves in MOVES.values() for after, side in moves.items()
}


def state(task: Resource | None) -> str:
    """A Task's state in BSeR's codes, "" where it bears none."""
    for each in ((task or {}).get("businessStatus") or {}).get("coding") or []:
        code = str(each.get("code"))
        if each.get("system") == SYSTEM and _OLD.get(code, code) in MOVES:
            return _OLD.get(code, code)
    return ""


def check_state(current: Resource, proposed: Resource, sides: frozenset[Side]) -> None:
    """Pass what becomes of a Task's state, or raise.

    One that had none may take up any state that is its side's. Raises CloseError (409) for a
    move that isn't in the table, Denied (403) for one that is the other side's.
    """
    before, after = state(current), state(proposed)
    if after in ("", before):
        return
    side = MOVES[before].get(after) if before else _WRITERS[after]
    if side is None:
        text = "the referral can't come into this state from where it is"
        raise CloseError(text, place="Task.businessStatus")
    if side not in sides:
        raise Denied("this state is not the caller's to set", place="Task.businessStatus")


def as_sdoh(current: Resource | None, proposed: Resource) -> Resource:
    """The Task in SDOH-CC's terms: who declines after accepting has cancelled it (360X's own)."""
    before = str((current or {}).get("status"))
    late = before in ("accepted", "in-progress", "on-hold")
    if late and proposed.get("status") == "rejected" and state(proposed) == DECLINED:
        return {**proposed, "status": "cancelled"}
    return proposed
