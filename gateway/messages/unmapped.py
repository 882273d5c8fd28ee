"""Codes that an agency sends and its tables lack: who is asked, and what waits for the answer.

Each is asked for once, by a Task of whoever keeps the agency's tables (``tables-kept-by``, else the
agency itself). Only its owner sees the Task: what stands in a coded field may be anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, Final
from uuid import uuid4

from gateway.errors import Lack
from gateway.fhir import codes, gates, json
from gateway.members import Members
from gateway.model import HUB, Agency, Code, Context, Message, Resource
from gateway.store import Lacking, Transaction

MOST: Final = 100
"""Codes of one table that are asked for at a time; a feed that sends prose would drown its keeper.
What comes beyond goes in with its warning and waits for nothing."""

_SAID_NO: Final = frozenset({"rejected", "cancelled", "failed", "entered-in-error"})


def wait(
    tx: Transaction, members: Members, message: Message, lacks: Sequence[Lack], code: Code
) -> None:
    """Note what a kept message lacks, and ask for what nobody has been asked for.

    ``code`` is how it was answered: the outcome for whatever it had lacked and no longer does.
    """
    agency = members.get(message.agency)
    keys = [_asked(tx, members, agency, message, lack) for lack in lacks] if agency else []
    became = "accepted" if code == "AA" else "failed"
    tx.waits(message.id, [key for key in keys if key is not None], became)


def settle(lack: Lacking, tx: Transaction) -> bool:
    """The table has the code. Once nothing waits any more its Task is completed; whether it was."""
    outcomes = tx.outcomes(lack.key)
    if outcomes.get(""):
        return False
    tx.forget_lack(lack.key)
    stored = tx.current("Task", lack.task)
    if stored is None or stored.deleted:
        return True
    task = json.loads(stored.body)
    if task["status"] not in _SAID_NO:
        task["status"] = "completed"
    counts = (("replayed", "accepted"), ("failed", "failed"))
    task["output"] = [_part(name, valueInteger=outcomes.get(key, 0)) for name, key in counts]
    task["lastModified"] = _now()
    keeper = Context(stored.owner, "gateway")
    tx.put(keeper, gates.check(task, models=False), interaction="update")
    tx.audit(keeper, "update", stored.reference)
    return True


def _asked(
    tx: Transaction, members: Members, agency: Agency, message: Message, lack: Lack
) -> int | None:
    """The key of a lack; None where too much was asked already."""
    known = tx.lack(agency.id, lack.table, lack.code)
    if known is not None:
        if _is_given_up(tx, known):
            tx.ask_anew(known.key, _ask(tx, members, agency, message, lack))
        return known.key
    if tx.lacks(agency.id, lack.table) >= MOST:
        return None
    tx.add_lack(agency.id, lack.table, lack.code, _ask(tx, members, agency, message, lack))
    added = tx.lack(agency.id, lack.table, lack.code)
    return added.key if added else None


def _is_given_up(tx: Transaction, lack: Lacking) -> bool:
    """Whether its Task says that it is done, and the code comes all the same; a no is a no."""
    stored = tx.current("Task", lack.task)
    return stored is None or stored.deleted or json.loads(stored.body)["status"] == "completed"


def _ask(tx: Transaction, members: Members, agency: Agency, message: Message, lack: Lack) -> str:
    """Make the Task; its id."""
    keeper = agency.tables_kept_by or agency.id
    if keeper != HUB and members.get(keeper) is None:
        keeper = agency.id
    task = _task(str(uuid4()), keeper, agency, message, lack)
    context = Context(keeper, "gateway")
    written = tx.put(context, gates.check(task, models=False), interaction="create")
    tx.audit(context, "create", written.reference)
    return written.id


def _task(id: str, keeper: str, agency: Agency, message: Message, lack: Lack) -> Resource:
    door = "admin" if keeper == HUB else "intake"
    parts = [
        _part("agency", valueReference={"reference": agency.organization}),
        _part("table", valueString=lack.table),
        _part("place", valueString=lack.place),
        _part("code", valueString=lack.code),
        *([_part("system", valueString=lack.system)] if lack.system else []),
        _part("messages", valueUrl=f"/{door}/messages?task={id}"),
    ]
    first = {"system": codes.MESSAGE_IDENTIFIER, "value": message.id}
    return {
        "resourceType": "Task",
        "id": id,
        "status": "requested",
        "intent": "order",
        "code": {"coding": [{"system": codes.TASK_KIND, "code": "complete-table"}]},
        "description": f"The table '{lack.table}' lacks a code that {agency.name} sends",
        "authoredOn": _now(),
        "requester": _named(HUB),
        "owner": _named(keeper) if keeper == HUB else {"reference": f"Organization/{keeper}"},
        "reasonReference": {"identifier": first, "display": "the first message that holds it"},
        "input": parts,
    }


def _named(agency: str) -> Resource:
    identifier = {"system": codes.AGENCY_IDENTIFIER, "value": agency}
    return {"type": "Organization", "identifier": identifier}


def _part(name: str, **value: Any) -> Resource:
    """A Task's input or output."""
    return {"type": {"coding": [{"system": codes.TASK_PART, "code": name}]}, **value}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
