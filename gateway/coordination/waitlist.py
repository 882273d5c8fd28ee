"""Waiting lists: a FHIR List for each service that has one, woken when a place opens.

First come, first served. An entry names the asker's Task, which the service's agency can't read: it
sees how many wait and since when, and who it is only when that one is asked for.
"""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from gateway.coordination.nouns import GATEWAY, HUB_ORGANIZATION, id_of, instant
from gateway.fhir import codes, gates
from gateway.model import Grant, Reference, Resource
from gateway.route.facts import Candidate
from gateway.store import Pursuit, Timer, Transaction

USES: Final = "http://terminology.hl7.org/CodeSystem/list-example-use-codes"
"""R4's example codes of List.code; ``waiting`` is a waiting list."""

PART: Final = codes.BASE + "CodeSystem/referral-part"
"""List.entry.flag: the part of the referral that waits."""


def join(tx: Transaction, pursuit: Pursuit, chosen: Candidate, now: datetime) -> str:
    """Put a part on a service's list, at its end unless it stands there; the list's id."""
    id = id_of("waitlist", chosen.service)
    waiting = tx.content(f"List/{id}") or _empty(id, chosen)
    if not any(_is(each, pursuit) for each in waiting.get("entry") or []):
        entry = _entry(pursuit, now)
        _put(tx, {**waiting, "entry": [*(waiting.get("entry") or []), entry]}, now)
        tx.grant(Grant(f"List/{id}", chosen.agency, f"List/{id}"))
    return id


def leave(tx: Transaction, pursuit: Pursuit, now: datetime) -> None:
    """Take a part off its list."""
    waiting = tx.content(f"List/{pursuit.list}") if pursuit.list else None
    if waiting is None:
        return
    left = [each for each in waiting.get("entry") or [] if not _is(each, pursuit)]
    bare = {name: value for name, value in waiting.items() if name != "entry"}
    _put(tx, {**bare, "entry": left} if left else bare, now)


def wake(tx: Transaction, service: Reference, now: datetime) -> None:
    """A place may be free: who waits longest is seen to at once."""
    waiting = tx.content(f"List/{id_of('waitlist', service)}") or {}
    for entry in waiting.get("entry") or []:
        task = entry["item"]["reference"].removeprefix("Task/")
        part = _part(entry)
        if any(each.part == part and each.stage == "waiting" for each in tx.pursuits(task)):
            tx.set_timer(Timer(task, part, "route", now))
            return


def _empty(id: str, chosen: Candidate) -> Resource:
    return {
        "resourceType": "List",
        "id": id,
        "identifier": [{"system": codes.BASE + "NamingSystem/waitlist", "value": chosen.service}],
        "status": "current",
        "mode": "working",
        "title": "Waiting list",
        "code": {"coding": [{"system": USES, "code": "waiting"}], "text": "Waiting list"},
        "source": {"reference": HUB_ORGANIZATION},
    }


def _entry(pursuit: Pursuit, now: datetime) -> Resource:
    made: Resource = {
        "date": instant(now),
        "item": {"reference": f"Task/{pursuit.task}"},
    }
    if pursuit.part:
        made["flag"] = {"coding": [{"system": PART, "code": pursuit.part}]}
    return made


def _is(entry: Resource, pursuit: Pursuit) -> bool:
    item: dict[str, Any] = entry["item"]
    return item["reference"] == f"Task/{pursuit.task}" and _part(entry) == pursuit.part


def _part(entry: Resource) -> str:
    coding = (entry.get("flag") or {}).get("coding") or [{}]
    return str(coding[0].get("code") or "")


def _put(tx: Transaction, waiting: Resource, now: datetime) -> None:
    dated = {**waiting, "date": instant(now)}
    tx.put(GATEWAY, gates.check(dated, models=False), interaction="update")
