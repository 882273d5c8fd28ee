"""The loop closes: what a clinic that only speaks HL7 v2 is sent of its own referrals.

Its subscribers are ``close:<agency>``, told of Tasks, and ``close:<agency>:asks``, told of what it
wants answered though no Task moves: a REF^I13 makes a CommunicationRequest about the Task. Each
move of a Task that a message of its own asked for becomes the messages that its closing profile
names, each such request its reply, and once the clinic's system has acknowledged them the Task says
so. A status query (REF^I15) is answered where it was asked (``asking``), and is no delivery.
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, replace
from datetime import datetime

from gateway import close
from gateway.close import loop
from gateway.close.case import Case
from gateway.errors import CloseError, Gone, NotFound
from gateway.fhir import gates, json
from gateway.fhir.search import parse_query
from gateway.members import KEEPER, QUESTION, Members
from gateway.model import (
    Agency,
    Context,
    Delivery,
    Event,
    Message,
    Reference,
    Resource,
    Stored,
    Subscriber,
)
from gateway.parse import PARSERS
from gateway.record import Record
from gateway.store import Hub, Reader, Transaction


@dataclass(frozen=True, slots=True)
class Told:
    """What a version or a request calls for: the case, and the kinds of messages, in order."""

    case: Case
    kinds: tuple[str, ...]


class Closings:
    """Builds closing messages out of the hub."""

    def __init__(self, hub: Hub, members: Members) -> None:
        self._hub = hub
        self._members = members

    def concerns(self, told: Subscriber, event: Event) -> bool:
        """Whether this version of a Task, or this request, calls for any message."""
        return self._told(told, event) is not None

    def message(self, told: Subscriber, delivery: Delivery) -> bytes:
        """The messages, unframed, one after another; of a Task the same bytes at every attempt.

        Raises:
            CloseError: what they must tell of isn't there, or the profile no longer asks for them.
        """
        found = self._told(told, delivery.event)
        if found is None:
            raise CloseError("the closing profile asks for nothing here", place="closes-loops-by")
        made = [
            close.build(kind, replace(found.case, control_id=control_id(delivery, number)))
            for number, kind in enumerate(found.kinds)
        ]
        return b"".join(made)

    def asked(self, reader: Reader, message: Message, task: Reference) -> Case | None:
        """How a Task stands now, told in answer to ``message``; None where its sender has none."""
        agency = self._members.get(message.agency)
        if agency is None:
            return None
        context = Context(message.agency, message.channel)
        record = PARSERS[message.kind](message.raw, charset=agency.charset)
        try:
            found = _read(reader, context, task)
            case = self._case(reader, context, agency, found, record, message.received)
        except (NotFound, Gone):
            return None
        number = message.id.replace("-", "").upper()[:20]
        return replace(case, control_id=number, acknowledgement="")

    def note(self, tx: Transaction, told: Subscriber, delivery: Delivery, at: datetime) -> None:
        """The clinic acknowledged: the Task says of which messages and when; a request is done."""
        found = self._told(told, delivery.event)
        current = tx.current("Task", str(found.case.task["id"])) if found else None
        if found is None or current is None:
            return
        task = json.loads(current.body)
        for number, kind in enumerate(found.kinds):
            task = loop.delivered(task, kind, control_id(delivery, number), at)
        _put(tx, current, task)
        event = delivery.event
        question = tx.current(QUESTION, event.id) if event.type == QUESTION else None
        if question is not None:
            _put(tx, question, {**json.loads(question.body), "status": "completed"})

    def _told(self, told: Subscriber, event: Event) -> Told | None:
        agency = self._members.get(told.agency)
        if agency is None or agency.closing is None:
            return None
        context = Context(told.agency, told.id)
        with self._hub.read() as reader:
            task, before = _moved(reader, context, event)
            is_move = event.type == "Task"
            wrote = _messages(reader, context, event, agency.charset, newest=not is_move)
            if task is None or not wrote:
                return None
            case = self._case(reader, context, agency, task, wrote[0], event.at)
            if case.status == "cancelled" and is_move:
                latest = _messages(reader, context, event, agency.charset, newest=True)
                answers = (replace(case, original=each) for each in latest)
                case = next((each for each in answers if each.is_withdrawal), case)
        profile = agency.closing
        kinds = loop.messages(profile, before, case) if is_move else loop.replies(profile, case)
        return Told(case, kinds) if kinds else None

    def _case(
        self,
        reader: Reader,
        context: Context,
        agency: Agency,
        task: Resource,
        asked: Record,
        at: datetime,
    ) -> Case:
        performer = _answering(reader, self._members, task)
        answering = self._members.get(performer) if performer else None
        # A victim service provider that the hub found isn't told to whoever didn't name it.
        named = self._members.directory.by_reference(_target(task.get("owner"))) == performer
        hidden = answering is not None and answering.confidential and not named
        return Case(
            original=asked,
            task=task,
            request=_read(reader, context, _target(task.get("focus"))),
            outputs=_outputs(reader, context, task),
            performer=answering.name if answering and not hidden else "",
            control_id="",
            at=at,
            acknowledgement=agency.closing.acknowledgement if agency.closing else "",
        )


def control_id(delivery: Delivery, number: int = 0) -> str:
    """MSH-10 of a delivery's message of that number: 20 characters, the same over all attempts."""
    id_ = delivery.id.replace("-", "").upper()
    return f"{id_[:18]}-{number}" if number else id_[:20]


def _answering(reader: Reader, members: Members, task: Resource) -> str | None:
    """Who answers for a Task: its owner, or whoever took it that the hub asked."""
    for hop in reversed(reader.hops(str(task["id"]))):
        if hop.state in ("accepted", "served") and hop.agency:
            return hop.agency
    return members.directory.by_reference(_target(task.get("owner")))


def _moved(
    reader: Reader, context: Context, event: Event
) -> tuple[Resource | None, Resource | None]:
    """The Task and the version before it; of a request, the Task as it stands now."""
    if event.type == "Task":
        return _version(reader, context, event, 0), _version(reader, KEEPER, event, -1)
    question = _version(reader, context, event, 0) or {}
    abouts = (_target(each) for each in question.get("about") or [])
    about = next((each for each in abouts if each.startswith("Task/")), "")
    if question.get("status") != "active" or not about:
        return None, None
    return _read(reader, context, about), None


def _version(reader: Reader, context: Context, event: Event, past: int) -> Resource | None:
    try:
        return json.loads(reader.vread(context, event.type, event.id, event.version + past).body)
    except NotFound:
        return None


def _messages(
    reader: Reader, context: Context, event: Event, charset: str, *, newest: bool = False
) -> tuple[Record, ...]:
    """The agency's own messages that wrote a resource, by their Provenance; the first, or the last
    ten. The first is what asked; what takes a referral back is among the last."""
    order, count = ("-_lastUpdated", "10") if newest else ("_lastUpdated", "1")
    pairs = [("target", f"{event.type}/{event.id}"), ("_sort", order), ("_count", count)]
    found = []
    for stored in reader.search(context, parse_query("Provenance", pairs)).entries:
        entity = json.loads(stored.body).get("entity") or [{}]
        message = ((entity[0].get("what") or {}).get("identifier") or {}).get("value")
        with contextlib.suppress(NotFound):
            found += [reader.kept(context, message).message] if message else []
    return tuple(PARSERS[each.kind](each.raw, charset=charset) for each in found)


def _put(tx: Transaction, current: Stored, resource: Resource) -> None:
    owner = Context(current.owner, "gateway")
    tx.put(owner, gates.check(resource, models=False), interaction="update")


def _outputs(reader: Reader, context: Context, task: Resource) -> list[Resource]:
    targets = [_target(each.get("valueReference")) for each in task.get("output") or []]
    return [_read(reader, context, target) for target in targets if target]


def _read(reader: Reader, context: Context, reference: str) -> Resource:
    type_, _, id_ = reference.partition("/")
    return json.loads(reader.read(context, type_, id_).body)


def _target(reference: Resource | None) -> str:
    return str((reference or {}).get("reference") or "")
