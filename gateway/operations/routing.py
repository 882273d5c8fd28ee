"""Where a ServiceRequest goes, and why: shown, done, and told again; and how a service has room.

``$route`` decides and sends what nobody has yet, or with ``dryRun`` only shows what it would be;
``$decisions`` tells each decision that was made about it. Both are the requester's to ask, and an
administrator's. ``$capacity`` is a service's own word on its room: the one-tap update.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from gateway import routing
from gateway.admission.rules import Change, Hall, admit
from gateway.coordination import flow
from gateway.coordination.nouns import named, parts, target
from gateway.errors import Denied, Gone, NotFound
from gateway.fhir import gates, json
from gateway.fhir.search import parse_query
from gateway.members import KEEPER
from gateway.model import Context, Reference, Resource, Stored
from gateway.operations.everything import Note
from gateway.protect import scopes
from gateway.route import Decision, capacity
from gateway.route.decision import Told, discreet, told
from gateway.route.directory import performers
from gateway.route.facts import Room
from gateway.store import Hub, Reader, Transaction, Written

Submit = Callable[[Callable[[Transaction], Any]], Future[Any]]


@dataclass(frozen=True, slots=True)
class Routed:
    """What was decided, or would be: one decision for each need that is sought apart.

    ``task`` is the referral's, "" where nothing was sent.
    """

    decisions: tuple[Told, ...]
    task: Reference = ""


class Routing:
    """Routes ServiceRequests, and tells why."""

    def __init__(self, hub: Hub, hall: Hall, submit: Submit, note: Note) -> None:
        self._hub = hub
        self._hall = hall
        self._submit = submit
        self._note = note

    def explain(self, context: Context, id: str) -> Routed:
        """What would be decided now. Raises Denied, NotFound, Gone."""
        with self._hub.read() as reader:
            stored = _own(reader, context, id)
            tasks = _tasks(reader, stored.reference)
            hidden = self._hidden(reader, context, stored, tasks)
            members, request = self._hall.members, stored.reference
            decisions = tuple(
                _shown(routing.explain(reader, members, request, asked, **more), hidden)
                for asked, more in self._parts(reader, stored, tasks)
            )
        self._note(context, "route", [stored])
        return Routed(decisions)

    def route(self, context: Context, id: str) -> Future[Routed]:
        """Decide, keep the decision, and ask whom it names, in one unit.

        Raises Denied, NotFound, Gone; the future CloseError where somebody has it already.
        """

        def unit(tx: Transaction) -> Routed:
            scopes.require(context, "Task", "c")
            stored = _own(tx, context, id)
            members, timing = self._hall.members, self._hall.timing
            tasks = _tasks(tx, stored.reference)
            hidden = self._hidden(tx, context, stored, tasks)
            decisions, task = [], ""
            for asked, more in self._parts(tx, stored, tasks):
                decision = routing.route(tx, members, stored.reference, asked, **more)
                decisions.append(_shown(decision, hidden))
                part = more["category"]
                task = flow.send(tx, members, timing, stored.reference, decision, part=part)
            tx.audit(context, "route", stored.reference)
            return Routed(tuple(decisions), task)

        return self._submit(unit)

    def decisions(self, context: Context, id: str) -> Sequence[Told]:
        """Every decision about a ServiceRequest, oldest first. Raises Denied, NotFound, Gone."""
        with self._hub.read() as reader:
            stored = _own(reader, context, id)
            kept = reader.decisions(context, id)
            hidden = self._hidden(reader, context, stored, _tasks(reader, stored.reference))
        self._note(context, "decisions", [stored])
        return [discreet(json.loads(each.body), hidden) for each in kept]

    def tell(
        self, context: Context, id: str, room: Room, *, free: int | None, notes: str
    ) -> Future[Written]:
        """A HealthcareService's agency says how it stands now, by the way that all writes go.

        The future raises Denied, NotFound, Gone.
        """

        def unit(tx: Transaction) -> Written:
            scopes.require(context, "HealthcareService", "u")
            service = json.loads(tx.read(context, "HealthcareService", id).body)
            said = capacity.told(service, room, datetime.now(UTC), free=free, notes=notes)
            change = Change(gates.check(said))
            (written,) = admit(self._hall, tx, context, [change], trusted=False)
            tx.audit(context, "update", written.reference)
            return written

        return self._submit(unit)

    def _hidden(
        self, reader: Reader, context: Context, stored: Stored, tasks: Sequence[Stored]
    ) -> frozenset[str]:
        """The victim service providers that the caller didn't name: that one was found or asked
        is between the hub and them, as in ``closing``."""
        members = self._hall.members
        if context.admin or not members.confidential:
            return frozenset()
        request = json.loads(stored.body)
        resources = _referred(reader, context, request.get("performer") or [])
        known = set(performers(members.directory, request, resources))
        for task in (json.loads(each.body) for each in tasks):
            for reference in (target(task, "owner"), named(task)):
                known.add(members.directory.by_reference(reference) or "")
        return members.confidential - known

    def _parts(
        self, reader: Reader, stored: Stored, tasks: Sequence[Stored]
    ) -> list[tuple[list[str], dict[str, Any]]]:
        """Each need that is sought apart: who was asked about it, and what ``routing`` is told."""
        hops = [hop for task in tasks for hop in reader.hops(task.id)]
        return [
            (
                [hop.agency for hop in hops if hop.part == part],
                {"category": part, "timing": self._hall.timing},
            )
            for part in parts(json.loads(stored.body))
        ]


def _own(reader: Reader, context: Context, id: str) -> Stored:
    """The caller's own ServiceRequest: who else might have been asked is nobody else's to know."""
    scopes.require(context, "ServiceRequest", "r")
    stored = reader.read(context, "ServiceRequest", id)
    if stored.owner != context.agency and not context.admin:
        raise Denied("only its requester may ask where it goes", place="ServiceRequest")
    return stored


def _tasks(reader: Reader, request: Reference) -> Sequence[Stored]:
    """The Tasks that ask for it."""
    query = parse_query("Task", [("focus", request), ("_count", "10"), ("_total", "none")])
    return reader.search(KEEPER, query).entries


def _referred(
    reader: Reader, context: Context, links: Sequence[Resource]
) -> dict[Reference, Resource]:
    """What is referred to, of what the caller sees."""
    found: dict[Reference, Resource] = {}
    for link in links:
        reference = str(link.get("reference") or "")
        type_, _, id_ = reference.partition("/")
        with contextlib.suppress(NotFound, Gone):
            found[reference] = json.loads(reader.read(context, type_, id_).body)
    return found


def _shown(decision: Decision, hidden: frozenset[str]) -> Told:
    return discreet(told(decision), hidden)
