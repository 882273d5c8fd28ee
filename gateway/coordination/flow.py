"""A referral that the hub places, part by part: whom to ask, and what a decision leads to.

Everything here runs inside one transaction, and may be run again: ids are the same, rows take each
other's place, and a part that somebody has, or that is over, is left alone. Whom nobody has stands
somewhere: a timer that is due, a waiting list with one, or the navigator's queue and the ledger.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from gateway import routing
from gateway.coordination import children, navigator, parent, waitlist
from gateway.coordination.nouns import (
    GATEWAY,
    HUB_ORGANIZATION,
    STANDING,
    coded,
    id_of,
    instant,
    named,
    parts,
    target,
)
from gateway.coordination.permitted import covered, may_be_asked
from gateway.errors import CloseError, Denied
from gateway.fhir import codes, gates
from gateway.fhir.search import parse_query
from gateway.members import KEEPER, Members
from gateway.model import HUB, Context, Grant, Reference, Resource
from gateway.protect.grants import OPEN, UNSERVED, grants_back
from gateway.route.facts import Decision
from gateway.route.timing import Timing
from gateway.store import LIVE, Hop, Pursuit, Timer, Transaction

_NOBODY: Final = "no agency is left that could be asked"
_CAPPED: Final = "as many agencies as may be were asked"


class Owned:
    """The resources that some agencies own, by ``Type/id``, read as they are asked for."""

    def __init__(self, tx: Transaction, *owners: str) -> None:
        self._tx = tx
        self._owners = owners

    def __contains__(self, reference: Reference) -> bool:
        return self._tx.owner(reference) in self._owners

    def __getitem__(self, reference: Reference) -> Resource:
        found = self._tx.content(reference) if reference in self else None
        if found is None:
            raise KeyError(reference)
        return found


def begin(tx: Transaction, task: Resource, requester: str, now: datetime) -> None:
    """A referral came that is the hub's to place: each part of it is sought at once.

    Raises Denied where the request isn't the asker's own: nobody has what is another's passed on.
    """
    focus = target(task, "focus")
    request = tx.content(focus)
    if tx.pursuits(task["id"]):
        return
    if request is None or tx.owner(focus) != requester:
        raise Denied("the hub places one's own requests alone", place="Task.focus")
    introduce(tx)
    for part in parts(request):
        tx.pursue(Pursuit(task["id"], part, requester, now))
        tx.set_timer(Timer(task["id"], part, "route", now))


def seek(tx: Transaction, members: Members, timing: Timing, due: Timer, now: datetime) -> None:
    """Find somebody for a part that nobody has: the one who was named first, then by routing."""
    tx.unset_timer(due.task, due.part)
    pursuit = pursuit_of(tx, due.task, due.part)
    task = tx.content(f"Task/{due.task}")
    if pursuit is None or task is None or task["status"] not in OPEN or _has(tx, pursuit):
        return
    first = members.directory.by_reference(named(task))
    asked = [each.agency for each in tx.hops(due.task) if each.part == due.part]
    focus = target(task, "focus")
    if first is not None and first not in asked and may_be_asked(tx, members, focus, first, now):
        ask(tx, timing, pursuit, task, first, "", now)
        return
    decision = routing.route(tx, members, focus, asked, now=now, category=due.part, timing=timing)
    act(tx, members, timing, pursuit, task, decision, now)


def act(
    tx: Transaction,
    members: Members,
    timing: Timing,
    pursuit: Pursuit,
    task: Resource,
    decision: Decision,
    now: datetime,
) -> None:
    """Do what a decision says of a part."""
    chosen = decision.chosen
    if decision.outcome == "ask" and chosen is not None:
        ask(tx, timing, pursuit, task, chosen.agency, chosen.service, now)
    elif decision.outcome == "wait" and chosen is not None:
        waitlist.leave(tx, pursuit, now)
        list_ = waitlist.join(tx, pursuit, chosen, now)
        tx.pursue(replace(pursuit, stage="waiting", list=list_))
        tx.set_timer(Timer(pursuit.task, pursuit.part, "route", timing.look(now)))
        tell(tx, pursuit.task, now)
    else:
        capped = len(set(decision.asked)) >= timing.hops
        why = _CAPPED if capped else _NOBODY
        give_up(tx, members, timing, pursuit, task, why, now)


def send(
    tx: Transaction,
    members: Members,
    timing: Timing,
    request: Reference,
    decision: Decision,
    *,
    part: str = "",
) -> Reference:
    """Have a ServiceRequest placed by a decision made already: its Task, found or made.

    ``part`` is the one that the decision is about, where several are sought apart.

    Raises CloseError where somebody has it, or where it is over.
    """
    owner = tx.owner(request) or HUB
    task = _task_of(tx, request) or _new_task(tx, request, owner, decision.at)
    begin(tx, task, owner, decision.at)
    found = pursuit_of(tx, task["id"], part or parts(tx.content(request) or {})[0])
    if found is None or found.stage == "ended" or task["status"] not in OPEN or _has(tx, found):
        raise CloseError("somebody has this referral, or it is over", place="ServiceRequest")
    tx.unset_timer(found.task, found.part)
    act(tx, members, timing, found, task, decision, decision.at)
    return f"Task/{task['id']}"


def ask(
    tx: Transaction,
    timing: Timing,
    pursuit: Pursuit,
    task: Resource,
    agency: str,
    service: Reference,
    now: datetime,
) -> None:
    """Ask one agency: its child ServiceRequest and Task, its grants, and when it must answer."""
    request = tx.content(target(task, "focus"))
    if request is None:
        return
    introduce(tx)
    number = len(tx.hops(pursuit.task)) + 1
    child = children.request(request, task["id"], number, agency, service, pursuit.part)
    made = children.task(task, child, number, agency, now)
    for each in (child, made):
        tx.put(GATEWAY, gates.check(each, models=False), interaction="create")
    grant(tx, made, pursuit.requester, agency)
    tx.asked(Hop(made["id"], pursuit.task, pursuit.part, number, agency, service, now))
    due = timing.remind(str(made.get("priority") or ""), now)
    tx.set_timer(Timer(made["id"], "", "remind", due))
    waitlist.leave(tx, pursuit, now)
    tx.pursue(replace(pursuit, stage="seeking", list=""))
    tx.audit(GATEWAY, "route", f"Task/{made['id']}")
    tell(tx, pursuit.task, now)


def give_up(
    tx: Transaction,
    members: Members,
    timing: Timing,
    pursuit: Pursuit,
    task: Resource,
    why: str,
    now: datetime,
) -> None:
    """Nobody is left: a navigator looks after the part, and the ledger has it."""
    introduce(tx)
    waitlist.leave(tx, pursuit, now)
    id = navigator.ask(tx, members, timing, task, pursuit.part, why, now)
    keeper = members.directory.by_reference(target(tx.content(f"Task/{id}") or {}, "owner"))
    if keeper is not None:
        grant(tx, tx.content(f"Task/{id}") or {}, pursuit.requester, keeper)
    request = tx.content(target(task, "focus")) or {}
    navigator.enter(tx, pursuit, request, why, now)
    tx.pursue(replace(pursuit, stage="navigator", list="", navigator=id))
    tell(tx, pursuit.task, now)


def tell(
    tx: Transaction,
    task_id: str,
    now: datetime,
    why: Resource | None = None,
    ended: parent.Stands = "unmet",
) -> None:
    """Have the asker's Task say how its parts stand.

    ``why``: what to say of one that nobody had at its end; ``ended``: how that end is called.
    """
    task, owner = tx.content(f"Task/{task_id}"), tx.owner(f"Task/{task_id}")
    if task is None or owner is None or task["status"] not in OPEN:
        return
    hops = tx.hops(task_id)
    found = [_part(tx, each, hops, why, ended) for each in tx.pursuits(task_id)]
    if not found:
        return
    _return(tx, task, hops, owner)
    asked = len({each.agency for each in hops})
    for status in parent.path(task["status"], found) or (task["status"],):
        said = parent.told(task, status, found, asked)
        if _differs(said, task):
            task = {**said, "lastModified": instant(now)}
            made = gates.check(task, models=False)
            tx.put(Context(owner, "gateway"), made, interaction="update")


def grant(tx: Transaction, task: Resource, requester: str, agency: str) -> None:
    """Give an agency what it needs of a child Task: what is the hub's own, or the asker's."""
    share(tx, task, Owned(tx, HUB, requester), agency)


def share(tx: Transaction, task: Resource, owned: Owned, agency: str) -> None:
    """Whoever is asked may read what it needs until the Task is over.

    Then nothing is added. Whoever served may read on; of one that nobody serves, or that a Consent
    no longer covers, only the Task itself stays.
    """
    given = covered(tx, task, owned, agency, datetime.now(UTC))
    if task["status"] in UNSERVED or len(given) == 1:
        tx.withdraw(f"Task/{task['id']}", agency)
    if task["status"] in OPEN:
        for each in given:
            tx.grant(each)


def introduce(tx: Transaction) -> None:
    """The hub's own entry in the directory, once: everybody may know who asks."""
    if tx.version(HUB_ORGANIZATION) is not None:
        return
    entry: Resource = {
        "resourceType": "Organization",
        "id": HUB,
        "identifier": [{"system": codes.AGENCY_IDENTIFIER, "value": HUB}],
        "active": True,
        "name": "Care Gateway",
    }
    tx.put(KEEPER, gates.check(entry, models=False), interaction="create")
    tx.grant(Grant(HUB_ORGANIZATION, "*", HUB_ORGANIZATION))


def pursuit_of(tx: Transaction, task: str, part: str) -> Pursuit | None:
    """A part that the hub pursues and that isn't over."""
    found = (each for each in tx.pursuits(task) if each.part == part and each.stage != "ended")
    return next(found, None)


def _has(tx: Transaction, pursuit: Pursuit) -> bool:
    """Whether somebody has a part, or is asked for it."""
    return any(
        each.part == pursuit.part and each.state in (*LIVE, "served")
        for each in tx.hops(pursuit.task)
    )


def _part(
    tx: Transaction, pursuit: Pursuit, hops: list[Hop], why: Resource | None, ended: parent.Stands
) -> parent.Part:
    own = [each for each in hops if each.part == pursuit.part]
    live = next((each for each in own if each.state in ("accepted", "served")), None)
    if live is None:
        if pursuit.stage == "ended":
            return parent.Part(ended, why=why or {"text": _NOBODY})
        return parent.Part("sought", word=_word(pursuit, own))
    child = tx.content(f"Task/{live.task}") or {}
    stands: parent.Stands = "completed" if live.state == "served" else child["status"]
    said = (child.get("businessStatus") or {}).get("coding") or []
    return parent.Part(
        stands,
        why=child.get("statusReason"),
        outputs=tuple(child.get("output") or []),
        business=tuple(said),
    )


def _word(pursuit: Pursuit, hops: list[Hop]) -> str:
    if pursuit.stage in ("waiting", "navigator"):
        return pursuit.stage
    return "asked" if any(each.state == "asked" for each in hops) else "seeking"


def _return(tx: Transaction, task: Resource, hops: list[Hop], requester: str) -> None:
    """What the agencies made of it the asker may read, because of its own Task."""
    for each in hops:
        if each.state in ("accepted", "served"):
            child = tx.content(f"Task/{each.task}") or {}
            for given in grants_back(
                {**child, "id": task["id"]}, Owned(tx, each.agency), requester
            ):
                tx.grant(given)


def _differs(said: Resource, task: Resource) -> bool:
    return any(
        said.get(name) != task.get(name) for name in (said.keys() | task.keys()) - {"lastModified"}
    )


def _task_of(tx: Transaction, request: Reference) -> Resource | None:
    found = tx.search(KEEPER, parse_query("Task", [("focus", request), ("_count", "10")])).entries
    tasks = (tx.content(each.reference) for each in found)
    own = (task for task in tasks if task and target(task, "owner") == HUB_ORGANIZATION)
    return next((task for task in own if not task.get("partOf")), None)


def _new_task(tx: Transaction, request: Reference, owner: str, now: datetime) -> Resource:
    asked = tx.content(request)
    if asked is None:
        raise CloseError("no such request", place="ServiceRequest")
    task: Resource = {
        "resourceType": "Task",
        "id": id_of("placed", request),
        "status": "requested",
        "businessStatus": coded(STANDING, "seeking"),
        "intent": "order",
        "code": {"coding": [{"system": codes.TASK_CODE, "code": "fulfill"}]},
        "focus": {"reference": request},
        "for": asked["subject"],
        "authoredOn": instant(now),
        "requester": {"reference": f"Organization/{owner}"},
        "owner": {"reference": HUB_ORGANIZATION},
    }
    tx.put(Context(owner, "gateway"), gates.check(task, models=False), interaction="create")
    return task
