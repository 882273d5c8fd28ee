"""What follows when a Task of an indirect referral moves: a child's, the asker's, the navigator's.

Cheap and in the same transaction as the move itself; whom to ask next is left to a timer that is
due at once, so that nobody's answer waits for a search of the directory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Final

from gateway.close import business
from gateway.close.vocabulary import ENDS, reason
from gateway.coordination import children, flow, navigator, waitlist
from gateway.coordination.nouns import GATEWAY, instant, is_navigators, part_of, target
from gateway.coordination.permitted import may_be_asked
from gateway.errors import CloseError
from gateway.fhir import gates
from gateway.members import Members
from gateway.model import HUB, Reference, Resource
from gateway.protect.grants import OPEN
from gateway.route import capacity
from gateway.route.timing import Timing
from gateway.store import LIVE, Hop, Pursuit, Timer, Transaction
from gateway.store.referrals import Stage, State

_BECAME: Final[Mapping[str, State]] = {
    "accepted": "accepted",
    "in-progress": "accepted",
    "on-hold": "accepted",
    "completed": "served",
    "rejected": "refused",
    "cancelled": "withdrawn",
    "failed": "withdrawn",
}
"""What a child Task's status makes of its hop."""


def follow(
    tx: Transaction, members: Members, timing: Timing, task: Resource, now: datetime
) -> None:
    """A Task that the hub owns has a new version: its child's, or a navigator's."""
    if is_navigators(task):
        _navigated(tx, members, timing, task, now)
        return
    hop = tx.hop(str(task["id"]))
    became = _BECAME.get(task["status"])
    if hop is None or became is None or hop.state not in LIVE:
        return
    pursuit = flow.pursuit_of(tx, hop.parent, hop.part)
    if hop.state != became:
        hop = replace(hop, state=became)
        tx.asked(hop)
        tx.unset_timer(hop.task)
    if became != "accepted":
        _end_request(tx, task, "completed" if became == "served" else "revoked")
    if pursuit is None:
        return
    if became in ("accepted", "served"):
        _held(tx, pursuit, hop, now)
    elif is_unwanted(tx.content(f"Task/{hop.parent}")):
        _end(tx, pursuit, "withdrawn", now)
        flow.tell(tx, pursuit.task, now, task.get("statusReason"), "cancelled")
    elif reason(task.get("statusReason")) in ENDS:
        _over(tx, pursuit, task.get("statusReason"), now)
    else:
        tx.set_timer(Timer(pursuit.task, pursuit.part, "route", now))
        flow.tell(tx, pursuit.task, now)


def withdraw(tx: Transaction, task: Resource, now: datetime) -> None:
    """The asker took it back, or gave it to somebody: nobody else is asked any more."""
    for pursuit in tx.pursuits(task["id"]):
        if pursuit.stage != "ended":
            recall(tx, pursuit, task.get("statusReason"), now)
            _end(tx, pursuit, "withdrawn", now)


def is_unwanted(task: Resource | None) -> bool:
    """Whether the asker has asked for a cancellation, as BSeR and 360X do: it may yet be served."""
    return business.state(task) == business.CANCEL_ASKED


def ask_to_cancel(tx: Transaction, task: Resource, now: datetime) -> None:
    """Pass the wish on to whoever has it or is asked; where that is nobody, it is cancelled."""
    hops = [each for each in tx.hops(task["id"]) if each.state in LIVE]
    wish = {"coding": [{"system": business.SYSTEM, "code": business.CANCEL_ASKED}]}
    for hop in hops:
        child = tx.content(f"Task/{hop.task}")
        if child is not None and not is_unwanted(child):
            asked = {**child, "businessStatus": wish, "lastModified": instant(now)}
            tx.put(GATEWAY, gates.check(asked, models=False), interaction="update")
    held = {each.part for each in hops}
    for pursuit in tx.pursuits(task["id"]):
        if pursuit.stage != "ended" and pursuit.part not in held:
            _end(tx, pursuit, "withdrawn", now)
    flow.tell(tx, task["id"], now, {"text": "As its asker wished"}, "cancelled")


def recall(tx: Transaction, pursuit: Pursuit, why: Resource | None, now: datetime) -> None:
    """Take a part back from whoever has it or is asked for it."""
    text = (why or {}).get("text") or "This is not asked for any more"
    for hop in tx.hops(pursuit.task):
        if hop.part == pursuit.part and hop.state in LIVE:
            cancel(tx, hop, "recalled", {"text": text}, now)


def cancel(tx: Transaction, hop: Hop, state: State, why: Resource, now: datetime) -> None:
    """End a child Task as its requester may."""
    tx.asked(replace(hop, state=state))
    tx.unset_timer(hop.task)
    task = tx.content(f"Task/{hop.task}")
    if task is None or task["status"] not in OPEN:
        return
    navigator.cancel(tx, task, hop.agency, why, now)
    _end_request(tx, task, "revoked")


def renew(tx: Transaction, request: Reference) -> None:
    """The asker's request reads otherwise now: so do those of whoever has it."""
    said = tx.content(request)
    for child in tx.referring(HUB, request):
        current = tx.content(child)
        if said is None or current is None or target(current, "basedOn") != request:
            continue
        if current["resourceType"] == "ServiceRequest" and current["status"] == "active":
            made = gates.check(children.renewed(current, said), models=False)
            tx.put(GATEWAY, made, interaction="update")
            _share_anew(tx, child)


def _share_anew(tx: Transaction, child: Reference) -> None:
    """What a child request refers to now, for whoever has it."""
    for task in filter(None, map(tx.content, tx.referring(HUB, child))):
        hop = tx.hop(str(task["id"]))
        if hop is not None and hop.state in LIVE:
            flow.grant(tx, task, tx.pursuits(hop.parent)[0].requester, hop.agency)


def _end_request(tx: Transaction, task: Resource, status: str) -> None:
    """The child request is over with its Task."""
    request = tx.content(target(task, "focus"))
    if request is not None and request["status"] == "active":
        made = gates.check({**request, "status": status}, models=False)
        tx.put(GATEWAY, made, interaction="update")


def _held(tx: Transaction, pursuit: Pursuit, hop: Hop, now: datetime) -> None:
    navigator.dismiss(tx, pursuit, now)
    tx.close_unmet(pursuit.task, pursuit.part, "met", now)
    tx.unset_timer(pursuit.task, pursuit.part)
    stage: Stage = "ended" if hop.state == "served" else "seeking"
    tx.pursue(replace(navigator.without(pursuit), stage=stage))
    flow.tell(tx, pursuit.task, now)
    service = tx.content(hop.service) if hop.service else None
    if service is not None and capacity.opened(None, service, now):
        waitlist.wake(tx, hop.service, now)


def _over(tx: Transaction, pursuit: Pursuit, why: Resource | None, now: datetime) -> None:
    """It isn't for anybody any more: the client doesn't want it, say."""
    _end(tx, pursuit, "unmet", now)
    flow.tell(tx, pursuit.task, now, why)


def _end(tx: Transaction, pursuit: Pursuit, outcome: str, now: datetime) -> None:
    waitlist.leave(tx, pursuit, now)
    navigator.dismiss(tx, pursuit, now)
    tx.close_unmet(pursuit.task, pursuit.part, outcome, now)
    tx.unset_timer(pursuit.task, pursuit.part)
    tx.pursue(replace(navigator.without(pursuit), stage="ended", list=""))


def _navigated(
    tx: Transaction, members: Members, timing: Timing, task: Resource, now: datetime
) -> None:
    """The navigator's word: who is to be asked, that help was found, or that there is none."""
    found = (each for each in tx.pursuits(part_of(task)) if navigator.is_about(task, each))
    pursuit = next(found, None)
    if pursuit is None or pursuit.stage == "ended" or task["status"] in ("requested", "cancelled"):
        return
    if task["status"] in ("rejected", "failed"):
        _over(tx, pursuit, task.get("statusReason"), now)
    elif task["status"] == "completed":
        agency = navigator.chosen(members, task)
        asked = {each.agency for each in tx.hops(pursuit.task) if each.part == pursuit.part}
        if agency in asked:
            raise CloseError("it was asked before", place="Task.output")
        if agency is None:
            _elsewhere(tx, pursuit, now)
            return
        parent = tx.content(f"Task/{pursuit.task}") or {}
        if not may_be_asked(tx, members, target(parent, "focus"), agency, now):
            raise CloseError("it may not be asked for this person", place="Task.output")
        free = navigator.without(pursuit)
        flow.ask(tx, timing, free, parent, agency, "", now)


def _elsewhere(tx: Transaction, pursuit: Pursuit, now: datetime) -> None:
    """The navigator found help outside of the community: the part is done."""
    tx.asked(Hop(pursuit.navigator, pursuit.task, pursuit.part, 0, "", "", now, "served"))
    _end(tx, replace(pursuit, navigator=""), "met", now)
    flow.tell(tx, pursuit.task, now)
