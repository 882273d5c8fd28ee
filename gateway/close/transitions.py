"""The referral Task's state machine: which moves there are, and who may make them.

SDOH Clinical Care 3.0, "Checking Task Status" (state diagram and writers); the statuses are
``SDOHCC-ValueSetReferralTaskStatus``: those of Task without ``ready`` and ``received``.

The requester asks, the owner (the performer) answers. The guide says that a reason *should* stand
on rejected, cancelled, on-hold and failed. We demand it on rejected and failed, where an HL7 v2
clinic would otherwise hear a bare no; where ``statusReason`` is given it must hold its text, as
the guide's cardinality has it. That a completed Task *should* carry an output is not enforced:
"served" without a Procedure is still good news.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from gateway.close.business import Side, check_state
from gateway.errors import CloseError, Denied, InvalidResource
from gateway.fhir import codes
from gateway.model import Reference, Resource

MOVES: Final[Mapping[str, frozenset[str]]] = {
    "draft": frozenset({"requested", "entered-in-error"}),
    "requested": frozenset({"accepted", "rejected", "cancelled", "entered-in-error"}),
    "accepted": frozenset(
        {"in-progress", "on-hold", "cancelled", "completed", "failed", "entered-in-error"}
    ),
    "in-progress": frozenset({"on-hold", "completed", "failed", "cancelled", "entered-in-error"}),
    "on-hold": frozenset({"in-progress", "completed", "failed", "cancelled", "entered-in-error"}),
    "rejected": frozenset({"entered-in-error"}),
    "completed": frozenset({"entered-in-error"}),
    "failed": frozenset({"entered-in-error"}),
    "cancelled": frozenset({"entered-in-error"}),
    "entered-in-error": frozenset(),
}
"""From a status to those that may follow it."""

WRITERS: Final[Mapping[str, frozenset[Side]]] = {
    "draft": frozenset({"requester"}),
    "requested": frozenset({"requester"}),
    "accepted": frozenset({"owner"}),
    "rejected": frozenset({"owner"}),
    "in-progress": frozenset({"owner"}),
    "on-hold": frozenset({"owner"}),
    "failed": frozenset({"owner"}),
    "completed": frozenset({"owner"}),
    "cancelled": frozenset({"requester", "owner"}),
    "entered-in-error": frozenset({"requester"}),
}
"""Who may set a status."""

FIRST: Final = frozenset({"draft", "requested"})
"""The statuses that a new Task may have; until it leaves them its requester may redirect it."""

REASONED: Final = frozenset({"rejected", "failed"})
"""The statuses that must say why."""

OWNERS_ELEMENTS: Final = frozenset(
    {
        "status",
        "statusReason",
        "businessStatus",
        "output",
        "note",
        "lastModified",
        "executionPeriod",
    }
)
"""What the owner of a Task may change in it."""

_UNTOUCHED: Final = frozenset({"output", "executionPeriod", "requester"})
_SETTLED: Final = frozenset({"owner", "focus", "for", "code", "intent", "partOf", "basedOn"})
_SERVER: Final = frozenset({"meta"})


def stored_form(task: Resource) -> Resource:
    """The Task as the hub keeps it: ``received`` and ``ready`` become ``requested``.

    SDOH-CC has neither, BSeR and 360X have both, so what they say is kept in ``businessStatus``
    unless the sender used that for something else. Any other Task comes back as it is.
    """
    status = task.get("status")
    if status not in ("received", "ready"):
        return task
    said = {"coding": [{"system": codes.TASK_STATUS, "code": status}]}
    return {**task, "status": "requested", "businessStatus": task.get("businessStatus", said)}


def labelled(current: Resource | None, proposed: Resource, mover: Reference) -> Resource:
    """The Task under the security labels that its requester gave it, whoever sends it back.

    Many clients send no meta, so what is left out is carried forward. Raises Denied where anybody
    but the requester says others.
    """
    if current is None or mover == _reference(current, "requester"):
        return proposed
    meta = proposed.get("meta") or {}
    ours, theirs = (current.get("meta") or {}).get("security"), meta.get("security")
    if theirs is not None and _labels(theirs) != _labels(ours):
        raise Denied("only the requester labels a referral", place="Task.meta.security")
    return {**proposed, "meta": {**meta, "security": ours}} if ours else proposed


def check_move(
    current: Resource | None,
    proposed: Resource,
    mover: Reference,
    *,
    asker: Reference | None = None,
    may_claim: bool = True,
) -> None:
    """Pass what ``mover`` (``Organization/<agency>``) makes of a Task, or raise.

    ``current`` is None for a new Task; ``proposed`` is in ``stored_form``. ``asker`` is the
    requester's agency, for a Task whose ``requester`` names a person. ``may_claim``: whether the
    mover may take a requested Task that nobody owns, by naming itself owner and accepting.

    Raises Denied (403, wrong side or an element that isn't the mover's), CloseError (409, a move
    that the table lacks) or InvalidResource (400, a missing reason), each with its place.
    """
    status = str(proposed.get("status"))
    if status not in WRITERS:
        raise CloseError("the status is none of a referral's", place="Task.status")
    claim = may_claim and _claims(current, proposed, mover)
    sides = _sides(current or proposed, mover, asker, claim=claim)
    before = current.get("status") if current else None
    if not sides or (status != before and not sides & WRITERS[status]):
        raise Denied("this status is not the caller's to set", place="Task.status")
    if current is None:
        _check_first(status)
    elif status != before and status not in MOVES.get(str(before), frozenset()):
        raise CloseError(_from(str(before), sides), place="Task.status")
    if current is not None:
        _check_elements(current, proposed, sides, claim=claim)
        check_state(current, proposed, sides)
    check_reason(current, proposed)


def check_reason(current: Resource | None, proposed: Resource) -> None:
    """Raises InvalidResource where a Task must say in words why it stands where it now does."""
    before = current.get("status") if current else None
    _check_reason(proposed, str(proposed.get("status")), before)


def _claims(current: Resource | None, proposed: Resource, mover: Reference) -> bool:
    """Whether this is an open Task that the mover takes: owner and accepted in one step."""
    return (
        current is not None
        and "owner" not in current
        and current.get("status") == "requested"
        and proposed.get("status") == "accepted"
        and _reference(proposed, "owner") == mover
    )


def _sides(
    task: Resource, mover: Reference, asker: Reference | None, *, claim: bool
) -> frozenset[Side]:
    """Which sides the mover stands on; both where an agency refers to itself."""
    sides: set[Side] = set()
    if mover == (asker or _reference(task, "requester")):
        sides.add("requester")
    if claim or mover == _reference(task, "owner"):
        sides.add("owner")
    return frozenset(sides)


def _from(status: str, sides: frozenset[Side]) -> str:
    """Says why a move isn't one: where the referral stands, and where its mover may take it."""
    ends = sorted(each for each in MOVES.get(status, ()) if sides & WRITERS[each])
    return f"the referral is {status}: the caller may make it {' or '.join(ends) or 'nothing else'}"


def _check_first(status: str) -> None:
    if status not in FIRST:
        raise CloseError("a referral begins as draft or requested", place="Task.status")


def _check_elements(
    current: Resource, proposed: Resource, sides: frozenset[Side], *, claim: bool
) -> None:
    """Every element that differs must be one that a side of the mover's may write."""
    draft = current.get("status") == "draft"
    open_ = current.get("status") in FIRST
    for element in sorted(current.keys() | proposed.keys()):
        if element in _SERVER or current.get(element) == proposed.get(element):
            continue
        owners = "owner" in sides and (element in OWNERS_ELEMENTS or (claim and element == "owner"))
        askers = "requester" in sides and _askers(element, current, proposed, draft, open_)
        if not owners and not askers:
            raise Denied("this element is not the caller's to change", place=f"Task.{element}")


def _askers(element: str, current: Resource, proposed: Resource, draft: bool, open_: bool) -> bool:
    """Whether the requester may change an element that differs."""
    if element == "extension":
        return _own_extensions(current) == _own_extensions(proposed)
    if element in _UNTOUCHED:
        return False
    if element == "owner":
        return open_
    return draft or element not in _SETTLED


def _own_extensions(task: Resource) -> list[Any]:
    """The extensions that only the hub writes: how a loop was delivered."""
    found = task.get("extension") or []
    return [each for each in found if str(each.get("url", "")).startswith(codes.BASE)]


def _check_reason(proposed: Resource, status: str, before: object) -> None:
    reason = proposed.get("statusReason")
    missing = not isinstance(reason, dict) or not str(reason.get("text") or "").strip()
    if missing and (reason is not None or (status in REASONED and status != before)):
        raise InvalidResource(
            "a reason in words is required here", place="Task.statusReason.text", code="required"
        )


def _labels(codings: list[Any] | None) -> set[tuple[Any, Any]]:
    return {(each.get("system"), each.get("code")) for each in codings or []}


def _reference(task: Resource, element: str) -> str | None:
    target = task.get(element)
    found = target.get("reference") if isinstance(target, dict) else None
    return found if isinstance(found, str) else None
