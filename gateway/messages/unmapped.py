"""Codes that an agency sends and its tables lack: who is asked, and what waits for the answer.

Each is asked for once, by a Task of whoever keeps the agency's tables (``tables-kept-by``, else the
agency itself). Only its owner sees the Task: what stands in a coded field may be anything.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class Source:
    """What holds a code: a kept message's id, or that of the load of ``feed`` with such a row."""

    id: str
    feed: str = ""


_SAID_NO: Final = frozenset({"rejected", "cancelled", "failed", "entered-in-error"})


def wait(
    tx: Transaction, members: Members, message: Message, lacks: Sequence[Lack], code: Code
) -> None:
    """Note what a kept message lacks, and ask for what nobody has been asked for.

    ``code`` is how it was answered: the outcome for whatever it had lacked and no longer does.
    """
    keys = asked(tx, members, message.agency, Source(message.id), lacks)
    tx.waits(message.id, keys, "accepted" if code == "AA" else "failed")


def asked(
    tx: Transaction, members: Members, agency: str, source: Source, lacks: Sequence[Lack]
) -> list[int]:
    """Ask for what nobody has been asked for; the keys of what may be waited for."""
    member = members.get(agency) if lacks else None
    if member is None:
        return []
    keys = [_asked(tx, members, member, source, lack) for lack in lacks]
    return [key for key in keys if key is not None]


def apart(lack: Lacking) -> tuple[str, str]:
    """The feed ("" for messages) and the table that lack a code."""
    feed, _, table = lack.name.rpartition("/")
    return feed, table


def settle(lack: Lacking, tx: Transaction) -> bool:
    """The table has the code. Once nothing waits any more its Task is completed; whether it was."""
    outcomes = Counter(tx.outcomes(lack.key)) + Counter(tx.row_outcomes(lack.key))
    if outcomes[""]:
        return False
    tx.forget_waiting_rows(lack.key)
    tx.forget_lack(lack.key)
    stored = tx.current("Task", lack.task)
    if stored is None or stored.deleted:
        return True
    task = json.loads(stored.body)
    if task["status"] not in _SAID_NO:
        task["status"] = "completed"
    counts = (("replayed", "accepted"), ("failed", "failed"))
    task["output"] = [_part(name, valueInteger=outcomes[key]) for name, key in counts]
    task["lastModified"] = _now()
    keeper = Context(stored.owner, "gateway")
    tx.put(keeper, gates.check(task, models=False), interaction="update")
    tx.audit(keeper, "update", stored.reference)
    return True


def _asked(
    tx: Transaction, members: Members, agency: Agency, source: Source, lack: Lack
) -> int | None:
    """The key of a lack; None where too much was asked already."""
    name = f"{source.feed}/{lack.table}" if source.feed else lack.table
    known = tx.lack(agency.id, name, lack.code)
    if known is not None:
        if _is_given_up(tx, known):
            tx.ask_anew(known.key, _ask(tx, members, agency, source, lack))
        return known.key
    if tx.lacks(agency.id, name) >= MOST:
        return None
    tx.add_lack(agency.id, name, lack.code, _ask(tx, members, agency, source, lack))
    added = tx.lack(agency.id, name, lack.code)
    return added.key if added else None


def _is_given_up(tx: Transaction, lack: Lacking) -> bool:
    """Whether its Task says that it is done, and the code comes all the same; a no is a no."""
    stored = tx.current("Task", lack.task)
    return stored is None or stored.deleted or json.loads(stored.body)["status"] == "completed"


def _ask(tx: Transaction, members: Members, agency: Agency, source: Source, lack: Lack) -> str:
    """Make the Task; its id."""
    keeper = agency.tables_kept_by or agency.id
    if keeper != HUB and members.get(keeper) is None:
        keeper = agency.id
    task = _task(str(uuid4()), keeper, agency, source, lack)
    context = Context(keeper, "gateway")
    written = tx.put(context, gates.check(task, models=False), interaction="create")
    tx.audit(context, "create", written.reference)
    return written.id


def _task(id: str, keeper: str, agency: Agency, source: Source, lack: Lack) -> Resource:
    parts = [
        _part("agency", valueReference={"reference": agency.organization}),
        *([_part("feed", valueString=source.feed)] if source.feed else []),
        _part("table", valueString=lack.table),
        _part("place", valueString=lack.place),
        _part("code", valueString=lack.code),
        *([_part("system", valueString=lack.system)] if lack.system else []),
        _waiting(id, keeper, source),
    ]
    first = {"system": codes.MESSAGE_IDENTIFIER, "value": source.id}
    display = "the first load that brought it" if source.feed else "the first message that holds it"
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
        "reasonReference": {"identifier": first, "display": display},
        "input": parts,
    }


def _waiting(task: str, keeper: str, source: Source) -> Resource:
    """Where what waits is listed."""
    if source.feed:
        return _part("rows", valueUrl=f"/intake/rows?task={task}")
    door = "admin" if keeper == HUB else "intake"
    return _part("messages", valueUrl=f"/{door}/messages?task={task}")


def _named(agency: str) -> Resource:
    identifier = {"system": codes.AGENCY_IDENTIFIER, "value": agency}
    return {"type": "Organization", "identifier": identifier}


def _part(name: str, **value: Any) -> Resource:
    """A Task's input or output."""
    return {"type": {"coding": [{"system": codes.TASK_PART, "code": name}]}, **value}


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
