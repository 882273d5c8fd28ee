"""What the hub itself does about a referral, whichever way it came in.

``check`` stands before a Task is written, ``settle`` after it, in the same transaction: grants to
the performer, the outcome's grants back to the requester, and the request's end where the
requester has no FHIR side of its own to set it (SDOH Clinical Care 3.0, "direct light").

A referral that names nobody, or whose asker lets others be asked too, is the hub's to place
(``coordination``): the hub becomes its owner, and asks.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

from gateway.close.business import as_sdoh
from gateway.close.loop import keep_notes
from gateway.close.transitions import check_move, check_reason, labelled, stored_form
from gateway.coordination import flow, following
from gateway.coordination.flow import Owned
from gateway.coordination.nouns import (
    HUB_ORGANIZATION,
    NAMED,
    is_referral,
    may_fall_back,
    target,
)
from gateway.coordination.permitted import consents_of
from gateway.fhir import gates
from gateway.fhir.search import parse_query
from gateway.members import KEEPER, Members
from gateway.model import HUB, Context, Reference, Resource, Stored
from gateway.protect.grants import UNSERVED, grants_back
from gateway.route.timing import Timing
from gateway.store import Timer, Transaction

_BEGINNING: Final = frozenset({None, "draft", "requested"})


def check(
    members: Members, context: Context, current: Resource | None, proposed: Resource
) -> Resource:
    """The Task in the form in which the hub keeps it, if the caller may make this of it.

    Raises:
        Denied: not the caller's side, or not its element to change.
        CloseError: a move that the state machine doesn't know.
    """
    task = keep_notes(current or {}, as_sdoh(current, stored_form(proposed)))
    if _is_record(members, context, current, task):
        check_reason(current, task)
        return task
    task = labelled(current, task, context.organization)
    check_move(current, task, context.organization)
    return _placed(members, context, current, task)


def settle(
    tx: Transaction, members: Members, timing: Timing, before: Resource | None, stored: Stored
) -> None:
    """Write what a Task's new version leads to. Run again it changes nothing."""
    task = tx.content(stored.reference)
    if task is None:
        return
    now = datetime.now(UTC)
    if stored.owner == HUB:
        _settle_own(tx, members, timing, task, now)
        return
    requester, performer = stored.owner, _performer(members, task)
    if before is not None and _performer(members, before) not in (None, performer):
        tx.revoke(stored.reference)
    answers = performer not in (None, requester)
    _seek(tx, timing, before, task, stored, now, answers=answers)
    if performer is None or performer == requester:
        return
    flow.share(tx, task, Owned(tx, requester), performer)
    for grant in grants_back(task, Owned(tx, performer), requester):
        tx.grant(grant)
    if task["status"] == "completed":
        _end_request(tx, members, requester, task)


def resettle(tx: Transaction, members: Members, request: Reference) -> None:
    """A ServiceRequest changed: what it refers to now is granted for each open Task that asks."""
    following.renew(tx, request)
    query = parse_query("Task", [("focus", request), ("_count", "100")])
    for stored in tx.search(KEEPER, query).entries:
        task = tx.content(stored.reference) or {}
        performer = _performer(members, task)
        if performer not in (None, stored.owner) and stored.owner != HUB:
            flow.share(tx, task, Owned(tx, stored.owner), str(performer))


def reconsider(
    tx: Transaction, members: Members, consent: Reference, patient: Reference, owner: str
) -> None:
    """A Consent changed: who has a referral that names it reads on as far as it now goes."""
    query = parse_query("ServiceRequest", [("subject", patient), ("_count", "1000")])
    for stored in tx.search(KEEPER, query).entries:
        if stored.owner == owner and consent in consents_of(tx.content(stored.reference) or {}):
            resettle(tx, members, stored.reference)


def _placed(
    members: Members, context: Context, current: Resource | None, task: Resource
) -> Resource:
    """The Task with the hub as its owner, where it is the hub's to place.

    One that the hub places stays so until its asker names another owner.
    """
    if context.agency == HUB or task["status"] != "requested" or not is_referral(task):
        return task
    owner = target(task, "owner")
    if not owner and (current or {}).get("status") in _BEGINNING:
        return {**task, "owner": {"reference": HUB_ORGANIZATION}}
    if (current or {}).get("status") not in (None, "draft"):
        return task
    member = members.directory.by_reference(owner)
    if member in (None, context.agency) or not _falls_back(members, context, task):
        return task
    first = {"url": NAMED, "valueReference": {"reference": owner}}
    kept = [each for each in task.get("extension") or [] if each.get("url") != NAMED]
    return {**task, "owner": {"reference": HUB_ORGANIZATION}, "extension": [*kept, first]}


def _is_record(
    members: Members, context: Context, current: Resource | None, task: Resource
) -> bool:
    """Whether the asker only records what became of a referral that was made elsewhere.

    Its owner is no member, or the asker itself (HMIS's coordinated entry tells both sides), and was
    nobody else before: the state machine has no other side to protect.
    """
    owners = {target(each, "owner") for each in (current, task) if each is not None}
    asked = {target(each, "requester") for each in (current, task) if each is not None}
    others = {members.directory.by_reference(owner) for owner in owners} - {context.agency, None}
    return asked == {context.organization} and not others and not owners & {"", HUB_ORGANIZATION}


def _falls_back(members: Members, context: Context, task: Resource) -> bool:
    agency = members.get(context.agency)
    return may_fall_back(task) or (agency is not None and agency.falls_back)


def _seek(
    tx: Transaction,
    timing: Timing,
    before: Resource | None,
    task: Resource,
    stored: Stored,
    now: datetime,
    *,
    answers: bool,
) -> None:
    """Begin, end, or wait: what the asker's own Task means for timers and children.

    ``answers``: its owner is a member, of whom an answer may be expected.
    """
    owner, status, id = target(task, "owner"), task["status"], str(task["id"])
    was = str((before or {}).get("status") or "")
    if owner == HUB_ORGANIZATION:
        if status == "requested":
            flow.begin(tx, task, stored.owner, now)
        if following.is_unwanted(task) and not following.is_unwanted(before):
            following.ask_to_cancel(tx, task, now)
        elif status in ("cancelled", "entered-in-error") and was != status:
            following.withdraw(tx, task, now)
        return
    if target(before or {}, "owner") == HUB_ORGANIZATION:
        following.withdraw(tx, task, now)
    if status == "requested" and answers and is_referral(task):
        if was != "requested" or target(before or {}, "owner") != owner:
            due = timing.remind(str(task.get("priority") or ""), now)
            tx.set_timer(Timer(id, "", "remind", due))
    elif was == "requested" and was != status:
        tx.unset_timer(id)


def _settle_own(
    tx: Transaction, members: Members, timing: Timing, task: Resource, now: datetime
) -> None:
    """A Task of the hub's own: a child's answer, or the navigator's word."""
    performer = _performer(members, task)
    hop = tx.hop(str(task["id"]))
    if performer is not None and hop is not None:
        pursuits = tx.pursuits(hop.parent)
        if pursuits:
            flow.grant(tx, task, pursuits[0].requester, performer)
        for grant in grants_back(task, Owned(tx, performer), HUB):
            tx.grant(grant)
    elif performer is not None and task["status"] in UNSERVED:
        tx.withdraw(f"Task/{task['id']}", performer)
    following.follow(tx, members, timing, task, now)
    if hop is not None:
        parent = tx.content(f"Task/{hop.parent}")
        if parent is not None and parent["status"] == "completed":
            _end_request(tx, members, tx.owner(f"Task/{hop.parent}") or "", parent)


def _performer(members: Members, task: Resource) -> str | None:
    return members.directory.by_reference(target(task, "owner"))


def _end_request(tx: Transaction, members: Members, requester: str, task: Resource) -> None:
    """A clinic that only speaks HL7 v2 has its request ended by the hub, as its source would."""
    agency = members.get(requester)
    reference = target(task, "focus")
    request = tx.content(reference) if tx.owner(reference) == requester else None
    if agency is None or not agency.closing or request is None:
        return
    if request.get("status") in ("active", "on-hold"):
        ended = gates.check({**request, "status": "completed"}, models=False)
        tx.put(Context(requester, "gateway"), ended, interaction="update")
