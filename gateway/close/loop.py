"""When a loop must be closed, and the Task's record that it was.

"Loop delivered" is a state of its own beside Task.status (referral-protocol.md, section 3): the
clinic has heard of it when its own system acknowledged our message.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

from gateway.close.case import Case
from gateway.close.standing import appointments, booking
from gateway.fhir import codes
from gateway.model import Closing, Resource

_NEWS: Final[Mapping[str, Literal["reply", "progress", "outcome"]]] = {
    "accepted": "reply",
    "rejected": "reply",
    "in-progress": "progress",
    "on-hold": "progress",
    "completed": "outcome",
    "failed": "outcome",
    "cancelled": "outcome",
}
"""Which part of a closing profile speaks when a Task comes into a status. Expired is cancelled."""


def is_news(status: str) -> bool:
    """Whether a Task's coming into this status may call for a message at all."""
    return status in _NEWS


def what_to_send(closing: Closing, before: str | None, after: str) -> str | None:
    """The kind of message ("rri", "osu", "oru") that a Task's move calls for, or None.

    ``before`` and ``after`` are Task.status of two successive versions (None: there was none).
    A refusal is both the reply and the end: an agency that wants no reply gets its outcome. One
    that follows each step and names no outcome is told the end as a step.
    """
    if before == after or after not in _NEWS:
        return None
    reply, progress, outcome = closing.reply, closing.progress, closing.outcome
    kinds = {"reply": reply, "progress": progress, "outcome": outcome or progress}
    kind = kinds[_NEWS[after]]
    return (kind or outcome if after == "rejected" else kind) or None


def messages(closing: Closing, before: Resource | None, case: Case) -> tuple[str, ...]:
    """The kinds of messages that a version of a Task calls for, in order; often none.

    ``before`` is the version before that of ``case`` (None: there was none). Who takes a referral
    back is answered as one who asks. An order is answered by OSU, not RRI, where the profile has
    it. An appointment is told beside the rest.
    """
    kind = what_to_send(closing, str(before["status"]) if before else None, case.status)
    if kind and case.is_withdrawal and case.status == "cancelled":
        kind = closing.reply or kind
    kind = _in_its_manner(closing, case, kind)
    booked = closing.booking if _booked(case.task) not in ((), _booked(before or {})) else ""
    return tuple(filter(None, (kind, booked)))


def replies(closing: Closing, case: Case) -> tuple[str, ...]:
    """The kinds of messages that answer one which moves nothing and wants an answer (REF^I13)."""
    return tuple(filter(None, (_in_its_manner(closing, case, closing.reply),)))


def _in_its_manner(closing: Closing, case: Case, kind: str | None) -> str | None:
    by_orders = case.is_order and "osu" in (closing.progress, closing.outcome)
    return "osu" if kind == "rri" and by_orders else kind


def _booked(task: Resource) -> tuple[str, ...]:
    """What a Task says of appointments: the event of its SIU and which; () for nothing."""
    event = booking(task)
    return (event, *appointments(task)) if event else ()


def delivered(task: Resource, kind: str, control_id: str, at: datetime) -> Resource:
    """The Task with the note that its asker acknowledged the ``kind`` message at ``at``.

    A second note of the same control id replaces the first, so a repeated delivery shows once.
    """
    others = [each for each in task.get("extension") or [] if _noted(each) != control_id]
    instant = at.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    note = {
        "url": codes.LOOP_DELIVERED,
        "extension": [
            {"url": "message", "valueCode": kind},
            {"url": "controlId", "valueString": control_id},
            {"url": "acknowledged", "valueInstant": instant},
        ],
    }
    return {**task, "extension": [*others, note]}


def keep_notes(current: Resource, proposed: Resource) -> Resource:
    """``proposed`` with the hub's own extensions as ``current`` has them.

    They are the hub's alone to write, so a PUT made from an older version can't take them away.
    """
    if "extension" not in current and "extension" not in proposed:
        return proposed
    given = [each for each in proposed.get("extension") or [] if not _ours(each)]
    ours = [each for each in current.get("extension") or [] if _ours(each)]
    bare = {name: value for name, value in proposed.items() if name != "extension"}
    return {**bare, "extension": [*given, *ours]} if given or ours else bare


def _ours(extension: dict[str, Any]) -> bool:
    return str(extension.get("url", "")).startswith(codes.BASE)


def _noted(extension: dict[str, Any]) -> str | None:
    """The control id of a loop-delivered note; None of any other extension."""
    if extension.get("url") != codes.LOOP_DELIVERED:
        return None
    parts = extension.get("extension") or []
    return next((p.get("valueString") for p in parts if p.get("url") == "controlId"), None)
