"""What nobody takes: a navigator's Task, and an entry in the ledger of unmet needs.

The Task is owned by the agency that ``GATEWAY_NAVIGATOR`` names, else by the hub, whose
administrators see it. Its owner completes it with an output that names who is to be asked, or
without one where help was found elsewhere; rejects or fails it where there is none.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import Any

from gateway.coordination.nouns import (
    GATEWAY,
    HUB_ORGANIZATION,
    NAVIGATE,
    categories,
    id_of,
    instant,
    is_navigators,
    target,
)
from gateway.fhir import codes, gates
from gateway.members import Members
from gateway.model import Reference, Resource
from gateway.protect.grants import OPEN
from gateway.route.timing import Timing
from gateway.store import Pursuit, Transaction, Unmet

PRIVATE = frozenset({"intimate-partner-violence", "elder-abuse"})
"""Needs of which not even the ZIP code is told."""

AGENCY = "agency"
"""The output (``codes.TASK_PART``) of a navigator's Task: who is to be asked."""


def ask(
    tx: Transaction,
    members: Members,
    timing: Timing,
    parent: Resource,
    part: str,
    why: str,
    now: datetime,
) -> str:
    """Make the navigator's Task of a part, if none is open; its id."""
    past = 0
    while True:
        id = id_of("navigator", parent["id"], part, past)
        current = tx.content(f"Task/{id}")
        if current is None:
            break
        if current["status"] in OPEN:
            return id
        past += 1
    task = _task(id, _keeper(members, timing), parent, part, why, now)
    tx.put(GATEWAY, gates.check(task, models=False), interaction="create")
    tx.audit(GATEWAY, "create", f"Task/{id}")
    return id


def dismiss(tx: Transaction, pursuit: Pursuit, now: datetime) -> None:
    """It isn't needed any more: somebody has the referral, or nobody wants it."""
    task = tx.content(f"Task/{pursuit.navigator}") if pursuit.navigator else None
    if task is None or task["status"] not in OPEN:
        return
    keeper = target(task, "owner").removeprefix("Organization/")
    cancel(tx, task, keeper, {"text": "This referral needs no navigator any more"}, now)


def cancel(tx: Transaction, task: Resource, agency: str, why: Resource, now: datetime) -> None:
    """End a Task of the hub's as its requester may, with the rights that it gave the agency."""
    ended = {**task, "status": "cancelled", "statusReason": why, "lastModified": instant(now)}
    tx.put(GATEWAY, gates.check(ended, models=False), interaction="update")
    tx.withdraw(f"Task/{task['id']}", agency)


def chosen(members: Members, task: Resource) -> str | None:
    """The agency that a navigator's Task names as its output."""
    for each in task.get("output") or []:
        agency = members.directory.by_reference(target(each, "valueReference"))
        if agency is not None:
            return agency
    return None


def enter(tx: Transaction, pursuit: Pursuit, request: Resource, why: str, now: datetime) -> None:
    """Note in the ledger that a part's need is unmet."""
    found = pursuit.part or next(iter(categories(request)), "")
    asked = {each.agency for each in tx.hops(pursuit.task) if each.part == pursuit.part}
    area = "" if found in PRIVATE else _area(tx, target(request, "subject"))
    tx.note_unmet(Unmet(pursuit.task, pursuit.part, found, area, why, len(asked), now))


def is_about(task: Resource, pursuit: Pursuit) -> bool:
    """Whether a navigator's Task is that of a part."""
    return is_navigators(task) and task["id"] == pursuit.navigator


def without(pursuit: Pursuit) -> Pursuit:
    """The part without its navigator's Task."""
    return replace(pursuit, navigator="")


def _keeper(members: Members, timing: Timing) -> Reference:
    known = members.get(timing.navigator) if timing.navigator else None
    return known.organization if known else HUB_ORGANIZATION


def _task(
    id: str, owner: Reference, parent: Resource, part: str, why: str, now: datetime
) -> Resource:
    return {
        "resourceType": "Task",
        "id": id,
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": codes.TASK_KIND, "code": NAVIGATE}]},
        "description": "No agency has taken this referral: somebody has to look after it",
        "partOf": [{"reference": f"Task/{parent['id']}"}],
        "focus": parent["focus"],
        **({"for": parent["for"]} if "for" in parent else {}),
        "authoredOn": instant(now),
        "lastModified": instant(now),
        "requester": {"reference": HUB_ORGANIZATION},
        "owner": {"reference": owner},
        "input": [_part("reason", why), *([_part("part", part)] if part else [])],
    }


def _part(name: str, text: str) -> dict[str, Any]:
    kind = {"coding": [{"system": codes.TASK_PART, "code": name}]}
    return {"type": kind, "valueString": text}


def _area(tx: Transaction, patient: Reference) -> str:
    """The first five digits of the ZIP code at home, "" where none is said."""
    for address in (tx.content(patient) or {}).get("address") or []:
        zip = str(address.get("postalCode") or "")[:5]
        if zip.isdigit() and len(zip) == 5:
            return zip
    return ""
