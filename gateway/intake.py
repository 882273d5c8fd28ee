"""A message's journey: understood outside the transaction, taken in one unit of it.

What fails is kept too, with its stage and place, in the same transaction as its answer.
"""

from __future__ import annotations

from dataclasses import replace
from uuid import uuid4

from gateway.admission import Change, Hall, admit
from gateway.errors import GatewayError, Issue, ReceiveError, Unavailable
from gateway.fhir import gates, json
from gateway.fhir.provenance import provenance
from gateway.members import KEEPER, Members
from gateway.model import Acknowledge, Code, Context, Message, Receipt, Stage, Translation
from gateway.parse import PARSERS
from gateway.route.referral import assign
from gateway.store import Transaction
from gateway.translate import merge, translate

Outcome = Translation | GatewayError
"""What a message means, or why nobody can tell."""


def understand(members: Members, message: Message) -> Outcome:
    """Parse and translate a message by its agency's maps. Pure but for reading the members."""
    try:
        agency = members.get(message.agency) if message.agency else None
        if agency is None:
            raise ReceiveError("no agency declares this sender", place="MSH-4")
        record = PARSERS[message.kind](message.raw, charset=agency.charset)
        return translate(members.library, agency, record)
    except GatewayError as error:
        return error


def take(
    hall: Hall, tx: Transaction, message: Message, outcome: Outcome, acknowledge: Acknowledge
) -> Receipt:
    """Keep a message, all that it led to, and its answer.

    The same bytes under the same control id get the first answer; if they had failed they are
    tried again, and get the first answer only if they fail for the same reason.

    Raises:
        Unavailable: the database can't take it now. Nothing is kept, so nothing is answered AA.
    """
    before = tx.repeat(message.agency, message.control_id, message.raw)
    if before is not None and before.acknowledgement == "AA":
        return before
    if before is not None:
        message = replace(message, id=before.message)
    code, stage, event, issues = _enter(hall, tx, message, outcome)
    if before is not None and stage and _fails_alike(tx, before, stage, issues):
        return before
    receipt = Receipt(message.id, code, issues, acknowledge(code, issues))
    if before is None:
        tx.message(message, receipt, event=event, stage=stage)
    else:
        tx.renew(receipt, event=event, stage=stage)
    return receipt


def _enter(
    hall: Hall, tx: Transaction, message: Message, outcome: Outcome
) -> tuple[Code, Stage | None, str, tuple[Issue, ...]]:
    """Store what a message led to: AA, its event and warnings. What fails leaves nothing."""
    try:
        if isinstance(outcome, GatewayError):
            raise outcome
        with tx.savepoint():
            _store(hall, tx, message, outcome)
    except Unavailable:
        raise
    except GatewayError as error:
        return error.acknowledgement, Stage(error.stage), "", error.issues
    return "AA", None, outcome.event, outcome.warnings


def _store(hall: Hall, tx: Transaction, message: Message, translation: Translation) -> None:
    context = Context(message.agency, message.channel)
    changes = []
    for entry in assign(translation.entries, hall.members.directory):
        current = tx.current(entry.resource["resourceType"], entry.resource["id"])
        body = merge(json.loads(current.body) if current else None, entry)
        changes.append(Change(gates.check(body, models=False)))
    written = admit(hall, tx, context, changes, trusted=True)
    source = provenance(
        str(uuid4()),
        [each.reference for each in written],
        sender=context.organization,
        message=message.id,
        event=translation.event,
        map=translation.map,
        at=message.received,
    )
    tx.put(context, gates.check(source, models=False), interaction="create")
    tx.audit(context, translation.event, message.id)


def _fails_alike(tx: Transaction, before: Receipt, stage: Stage, issues: tuple[Issue, ...]) -> bool:
    """Whether a message that had failed fails for the same reason: its answer stands."""
    kept = tx.kept(KEEPER, before.message)
    return (kept.stage, kept.place, kept.reason) == (stage, issues[0].place or "", issues[0].text)
