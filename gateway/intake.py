"""A message's journey: understood outside the transaction, taken in one unit of it.

What fails is kept too, with its stage and place, in the same transaction as its answer.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import PurePath
from uuid import uuid4

import structlog

from gateway.admission import Change, Hall, admit
from gateway.errors import GatewayError, Internal, Issue, ReceiveError, TranslateError, Unavailable
from gateway.fhir import gates
from gateway.fhir.provenance import provenance
from gateway.identify.late import OLDER, filled
from gateway.identify.merge import led
from gateway.members import KEEPER
from gateway.model import (
    Acknowledge,
    Agency,
    Code,
    Context,
    Entry,
    Message,
    Receipt,
    Reference,
    Stage,
    Translation,
    ValidResource,
)
from gateway.parse import PARSERS
from gateway.route.referral import assign
from gateway.store import Rows, Transaction, search_rows
from gateway.translate import Library, merge, translate

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Understood:
    """What a message means: valid resources, and for each the rows by which it will be found.

    All that can be worked out without the hub, so that the writer needn't.
    """

    translation: Translation
    rows: Mapping[Reference, Rows]


Outcome = Understood | GatewayError
"""What a message means, or why nobody can tell."""


def meant(library: Library, agency: Agency, message: Message) -> Outcome:
    """Parse and translate a message by its agency's maps. Pure, and never raises."""
    try:
        record = PARSERS[message.kind](message.raw, charset=agency.charset)
        translation = translate(library, agency, record)
        rows = {entry.reference: _rows(entry) for entry in translation.entries}
    except GatewayError as error:
        return error
    except Exception as fault:  # noqa: BLE001 - on record: the message is kept, its sender told
        return _fault(fault)
    # Reading is lazy: what a parser mended is known after the last read.
    warnings = (*translation.warnings, *record.warnings)
    return Understood(replace(translation, warnings=warnings), rows)


def nobodys() -> Outcome:
    """What a message means whose sender no agency declares: nothing that may be acted on."""
    return ReceiveError("no agency declares this sender", place="MSH-4")


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


def receive(tx: Transaction, message: Message) -> None:
    """Keep a message that nobody has understood yet, if it is new."""
    if tx.repeat(message.agency, message.control_id, message.raw) is None:
        tx.message_received(message)


def keep(tx: Transaction, message: Message, answer: bytes) -> Receipt:
    """Keep an envelope with its answer; one that comes again gets the newer answer."""
    before = tx.repeat(message.agency, message.control_id, message.raw)
    receipt = Receipt(before.message if before else message.id, "AA", (), answer)
    if before is None:
        tx.message(message, receipt)
    else:
        tx.renew(receipt)
    return receipt


def _enter(
    hall: Hall, tx: Transaction, message: Message, outcome: Outcome
) -> tuple[Code, Stage | None, str, tuple[Issue, ...]]:
    """Store what a message led to: AA, its event and warnings. What fails leaves nothing."""
    try:
        understood = _understood(outcome)
        translation = understood.translation
        with tx.savepoint():
            warnings = _store(hall, tx, message, understood)
    except Unavailable:
        raise
    except GatewayError as error:
        return error.acknowledgement, Stage(error.stage), "", error.issues
    except Exception as fault:  # noqa: BLE001 - on record: the message is kept, its sender told
        return "AE", Stage.STORE, "", _fault(fault).issues
    return "AA", None, translation.event, (*translation.warnings, *warnings)


def _rows(entry: Entry) -> Rows:
    return search_rows(gates.check(entry.resource, models=False))


def _understood(outcome: Outcome) -> Understood:
    """What a message means. One that means nothing is refused: AA would say it was understood."""
    if isinstance(outcome, GatewayError):
        raise outcome
    if not outcome.translation.entries:
        raise TranslateError("no segment here that its map reads", place="MSH", condition="100")
    return outcome


def _fault(fault: Exception) -> Internal:
    """A fault of ours, logged by where it is and not by what it says, which may hold values."""
    frames = traceback.extract_tb(fault.__traceback__)
    log.error(
        "intake.fault",
        error=type(fault).__name__,
        at=[f"{PurePath(frame.filename).name}:{frame.lineno}" for frame in frames[-5:]],
    )
    return Internal(fault)


def _store(
    hall: Hall, tx: Transaction, message: Message, understood: Understood
) -> tuple[Issue, ...]:
    """Write what a message led to; what is to be said of its place among the others."""
    translation = understood.translation
    as_said = {id(entry) for entry in translation.entries}
    context = Context(message.agency, message.channel)
    entries = assign(translation.entries, hall.members.directory)
    tx.fetch(entry.reference for entry in entries)
    entries, warnings = led(entries, tx.content)
    # A clock that runs ahead mustn't make all later messages old.
    said = min(translation.said, message.received) if translation.said else None
    late = {entry.reference for entry in entries if _is_older(said, tx.said(entry.reference))}
    changes = []
    for entry in entries:
        current = tx.content(entry.reference)
        if current is None and id(entry) in as_said:
            made, rows = ValidResource(entry.resource), understood.rows[entry.reference]
            changes.append(Change(made, said=said, rows=rows))
            continue
        old = current if entry.reference in late else None
        body = merge(current, entry) if old is None else filled(old, entry)
        changes.append(Change(gates.check(body, models=False), said=said))
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
    return (*warnings, OLDER) if late else warnings


def _is_older(said: datetime | None, known: datetime | None) -> bool:
    return said is not None and known is not None and said < known


def _fails_alike(tx: Transaction, before: Receipt, stage: Stage, issues: tuple[Issue, ...]) -> bool:
    """Whether a message that had failed fails for the same reason: its answer stands."""
    kept = tx.kept(KEEPER, before.message)
    return (kept.stage, kept.place, kept.reason) == (stage, issues[0].place or "", issues[0].text)
