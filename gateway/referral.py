"""What the hub itself does about a referral, whichever way it came in.

``check`` stands before a Task is written, ``settle`` after it, in the same transaction: grants to
the performer, the outcome's grants back to the requester, and the request's end where the
requester has no FHIR side of its own to set it (SDOH Clinical Care 3.0, "direct light").
"""

from __future__ import annotations

from gateway.close.loop import keep_notes
from gateway.close.transitions import check_move, stored_form
from gateway.fhir import gates
from gateway.fhir.search import parse_query
from gateway.members import KEEPER, Members
from gateway.model import Context, Reference, Resource, Stored
from gateway.protect.grants import grants_back, grants_for
from gateway.store import Transaction


class Owned:
    """The resources that one agency owns, by ``Type/id``, read as they are asked for."""

    def __init__(self, tx: Transaction, owner: str) -> None:
        self._tx = tx
        self._owner = owner

    def __contains__(self, reference: Reference) -> bool:
        return self._tx.owner(reference) == self._owner

    def __getitem__(self, reference: Reference) -> Resource:
        found = self._tx.content(reference) if reference in self else None
        if found is None:
            raise KeyError(reference)
        return found


def check(context: Context, current: Resource | None, proposed: Resource) -> Resource:
    """The Task in the form in which the hub keeps it, if the caller may make this of it.

    Raises:
        Denied: not the caller's side, or not its element to change.
        CloseError: a move that the state machine doesn't know.
    """
    task = keep_notes(current or {}, stored_form(proposed))
    check_move(current, task, context.organization)
    return task


def settle(tx: Transaction, members: Members, before: Resource | None, stored: Stored) -> None:
    """Write what a Task's new version leads to. Run again it changes nothing."""
    task = tx.content(stored.reference)
    if task is None:
        return
    requester, performer = stored.owner, _performer(members, task)
    if before is not None and _performer(members, before) not in (None, performer):
        tx.revoke(stored.reference)
    if performer is None or performer == requester:
        return
    if task["status"] != "draft":
        for grant in grants_for(task, Owned(tx, requester), performer):
            tx.grant(grant)
    for grant in grants_back(task, Owned(tx, performer), requester):
        tx.grant(grant)
    agency = members.get(requester)
    if task["status"] == "completed" and agency and agency.closing:
        _complete(tx, requester, task)


def resettle(tx: Transaction, members: Members, request: Reference) -> None:
    """A ServiceRequest changed: what it refers to now is granted for each Task that asks for it."""
    query = parse_query("Task", [("focus", request), ("_count", "100")])
    for stored in tx.search(KEEPER, query).entries:
        settle(tx, members, None, stored)


def _performer(members: Members, task: Resource) -> str | None:
    return members.directory.by_reference((task.get("owner") or {}).get("reference") or "")


def _complete(tx: Transaction, requester: str, task: Resource) -> None:
    """The clinic only speaks HL7 v2: the hub ends its request for it, as its source would."""
    reference = (task.get("focus") or {}).get("reference") or ""
    request = tx.content(reference) if tx.owner(reference) == requester else None
    if request is None or request.get("status") not in ("active", "on-hold"):
        return
    ended = gates.check({**request, "status": "completed"}, models=False)
    tx.put(Context(requester, "gateway"), ended, interaction="update")
