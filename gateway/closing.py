"""The loop closes: what a clinic that only speaks HL7 v2 is sent of its own referrals.

Its subscriber is ``close:<agency>``. Each move of a Task that a message of its own asked for
becomes the message that its closing profile names, and once the clinic's system has acknowledged
it the Task says so.
"""

from __future__ import annotations

from datetime import datetime

from gateway import close
from gateway.close import loop
from gateway.close.case import Case
from gateway.errors import CloseError, NotFound
from gateway.fhir import gates, json
from gateway.fhir.search import parse_query
from gateway.members import KEEPER, Members
from gateway.model import Context, Delivery, Event, Record, Resource, Subscriber
from gateway.parse import PARSERS
from gateway.store import Hub, Kept, Reader, Transaction


class Closings:
    """Builds closing messages out of the hub."""

    def __init__(self, hub: Hub, members: Members) -> None:
        self._hub = hub
        self._members = members

    def kind(self, told: Subscriber, event: Event) -> str | None:
        """The kind of message ("rri", "oru") that this version of a Task calls for, or None."""
        agency = self._members.get(told.agency)
        if agency is None or agency.closing is None:
            return None
        with self._hub.read() as reader:
            after = _status(reader, event, event.version)
            before = _status(reader, event, event.version - 1)
            found = loop.what_to_send(agency.closing, before, after or "")
            asked = _asked(reader, Context(told.agency, told.id), event) if found else None
            return found if asked else None

    def message(self, told: Subscriber, delivery: Delivery) -> bytes:
        """The message itself, unframed; the same bytes at every attempt.

        Raises:
            CloseError: what it must tell of isn't there, or the profile no longer asks for it.
        """
        kind = self.kind(told, delivery.event)
        if kind is None:
            raise CloseError("the closing profile asks for nothing here", place="closes-loops-by")
        with self._hub.read() as reader:
            case = self._case(reader, told, delivery)
        return close.build(kind, case)

    def note(self, tx: Transaction, told: Subscriber, delivery: Delivery, at: datetime) -> None:
        """The clinic acknowledged: the Task says of which message, and when."""
        current = tx.current("Task", delivery.event.id)
        kind = self.kind(told, delivery.event)
        if current is None or kind is None:
            return
        noted = loop.delivered(json.loads(current.body), kind, control_id(delivery), at)
        owner = Context(current.owner, "gateway")
        tx.put(owner, gates.check(noted, models=False), interaction="update")

    def _case(self, reader: Reader, told: Subscriber, delivery: Delivery) -> Case:
        context, event = Context(told.agency, told.id), delivery.event
        task = json.loads(reader.vread(context, "Task", event.id, event.version).body)
        kept = _asked(reader, context, event)
        if kept is None:
            raise CloseError("the message that asked is gone", place="Task")
        performer = self._members.directory.by_reference(_target(task.get("owner")))
        agency = self._members.get(performer) if performer else None
        return Case(
            original=self._parsed(kept, told.agency),
            task=task,
            request=_read(reader, context, _target(task.get("focus"))),
            outputs=_outputs(reader, context, task),
            performer=agency.name if agency else "",
            control_id=control_id(delivery),
            at=event.at,
        )

    def _parsed(self, kept: Kept, agency: str) -> Record:
        member = self._members.get(agency)
        charset = member.charset if member else "auto"
        return PARSERS[kept.message.kind](kept.message.raw, charset=charset)


def control_id(delivery: Delivery) -> str:
    """MSH-10 of a delivery's message: 20 characters, the same over all attempts."""
    return delivery.id.replace("-", "")[:20].upper()


def _asked(reader: Reader, context: Context, event: Event) -> Kept | None:
    """The agency's own message that made the Task, by its first Provenance; None where none did."""
    pairs = [("target", f"{event.type}/{event.id}"), ("_sort", "_lastUpdated"), ("_count", "1")]
    found = reader.search(context, parse_query("Provenance", pairs)).entries
    if not found:
        return None
    entity = json.loads(found[0].body).get("entity") or [{}]
    message = ((entity[0].get("what") or {}).get("identifier") or {}).get("value")
    try:
        return reader.kept(context, message) if message else None
    except NotFound:
        return None


def _status(reader: Reader, event: Event, version: int) -> str | None:
    try:
        body = reader.vread(KEEPER, event.type, event.id, version).body
    except NotFound:
        return None
    return str(json.loads(body).get("status"))


def _outputs(reader: Reader, context: Context, task: Resource) -> list[Resource]:
    targets = [_target(each.get("valueReference")) for each in task.get("output") or []]
    return [_read(reader, context, target) for target in targets if target]


def _read(reader: Reader, context: Context, reference: str) -> Resource:
    type_, _, id_ = reference.partition("/")
    return json.loads(reader.read(context, type_, id_).body)


def _target(reference: Resource | None) -> str:
    return str((reference or {}).get("reference") or "")
