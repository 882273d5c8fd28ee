"""What the asker's Task says of a referral that the hub places, by how its parts stand. Pure.

It tells the truth throughout: requested until somebody accepts; on-hold while another is sought
for one that gave it up; over once every part is. Each status is reached by the moves of SDOH-CC's
own table, so an asker never sees one that can't follow.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

from gateway.close.transitions import MOVES
from gateway.coordination.nouns import STANDING, coded
from gateway.model import Resource

Stands = Literal["sought", "accepted", "in-progress", "on-hold", "completed", "unmet", "cancelled"]
"""A part: nobody has it yet; its child's status; nobody could, or should; as the asker wished."""

_HELD: Final = ("in-progress", "accepted", "on-hold")
_OVER: Final = frozenset({"completed", "unmet", "cancelled"})
SOUGHT: Final = "Who had accepted can't go on; somebody else is sought"


@dataclass(frozen=True, slots=True)
class Part:
    """How one part stands: ``word`` its businessStatus where it is sought, ``why`` in words, where
    it is on hold or unmet; ``outputs`` and ``business`` (codings) what its child says."""

    stands: Stands
    word: str = "seeking"
    why: Resource | None = None
    outputs: tuple[Resource, ...] = ()
    business: tuple[Resource, ...] = ()


def path(status: str, parts: Sequence[Part]) -> tuple[str, ...]:
    """The statuses that the asker's Task goes through to where its parts stand; () to stay."""
    aim = _aim(status, parts)
    if aim == status:
        return ()
    if aim in MOVES[status]:
        return (aim,)
    if status == "requested" and aim in MOVES["accepted"]:
        return ("accepted", aim)
    # SDOH-CC has no way back to accepted from what came after it.
    return ("in-progress",) if aim == "accepted" and status == "on-hold" else ()


def told(task: Resource, status: str, parts: Sequence[Part], asked: int) -> Resource:
    """The asker's Task at that status. ``asked``: how many agencies were."""
    made = {k: v for k, v in task.items() if k not in ("statusReason", "businessStatus", "output")}
    made["status"] = status
    made["businessStatus"] = _business(task, parts, asked)
    outputs = _unlike([one for part in parts for one in part.outputs])
    if outputs:
        made["output"] = outputs
    why = _why(status, parts)
    return {**made, "statusReason": why} if why else made


def _aim(status: str, parts: Sequence[Part]) -> str:
    stands = {each.stands for each in parts}
    if stands <= _OVER:
        if "completed" in stands:
            return "completed"
        if "cancelled" in stands:
            return "cancelled"
        return "rejected" if status == "requested" else "failed"
    if "completed" in stands:
        return "in-progress"
    held = next((each for each in _HELD if each in stands), None)
    if held is None:
        return "requested" if status == "requested" else "on-hold"
    if held == "on-hold" and "sought" in stands and status == "requested":
        return "accepted"
    return held


def _business(task: Resource, parts: Sequence[Part], asked: int) -> Resource:
    """The hub's word for how it stands, then what the children say (BSeR's codes, say); where they
    say nothing, what stood there."""
    done = sum(each.stands == "completed" for each in parts)
    sought = [each.word for each in parts if each.stands == "sought"]
    if all(each.stands in _OVER for each in parts):
        word = "over"
    elif sought:
        word = "partly" if len(sought) < len(parts) else sought[0]
    else:
        word = "held"
    agencies = "1 agency" if asked == 1 else f"{asked} agencies"
    text = f"{agencies} asked" + (f", {done} of {len(parts)} parts done" if len(parts) > 1 else "")
    made = coded(STANDING, word, text)
    before = (task.get("businessStatus") or {}).get("coding") or []
    said = _others(one for each in parts for one in each.business) or _others(before)
    return {**made, "coding": [*made["coding"], *said]}


def _why(status: str, parts: Sequence[Part]) -> Resource | None:
    if status not in ("rejected", "failed", "on-hold", "cancelled"):
        return None
    said = [each.why for each in parts if each.why and each.stands in (*_OVER, "on-hold")]
    if said and status != "on-hold":
        return said[-1]
    return next((each.why for each in parts if each.stands == "on-hold" and each.why), None) or {
        "text": SOUGHT
    }


def _others(codings: Iterable[Resource]) -> list[Resource]:
    return _unlike([one for one in codings if one.get("system") != STANDING])


def _unlike(found: list[Any]) -> list[Any]:
    return [one for n, one in enumerate(found) if one not in found[:n]]
